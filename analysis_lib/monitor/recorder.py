"""What is recorded of a training run, in anybody's own loop, without changing it."""

from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from analysis_lib.channels import CHANNELS, LAYER_CHANNELS
from analysis_lib.errors import InputError, unknown
from analysis_lib.flags import deepfd_flags, default_flags
from analysis_lib.monitor.probe import Probe
from analysis_lib.monitor.steps import StepSampler

__all__ = ["Monitor"]

SKIPPABLE = ("curvature", "stability")

LAST = np.iinfo(np.int16).max
"""Largest number of an epoch that a trace holds."""


class Monitor:
    """Record the channels of a training run at snapshots.

    Observing never changes the run: random state, buffers, gradients, optimizer state and modes
    are left bit for bit as they were. Everything of a snapshot comes from one forward pass on one
    fixed probe batch; statistics of gradients and updates are taken at every ``every``-th
    optimizer step.

    Parameters
    ----------
    model : torch.nn.Module
    optimizer : torch.optim.Optimizer
    probe : tuple of Tensor
        Inputs of the model and, last, the target: a fixed batch of training data.
    loss : callable
        ``loss(prediction, target)`` returns the scalar the optimizer minimises.
    every : int, default=4
        Optimizer steps between two samples of gradient and update statistics.
    seed : int, default=0
        Seed of the probe directions and dropout masks.
    clip_norm : float, optional
        Gradient norm to which the loop clips, so that the proposed update is the loop's.
    accumulate : bool, default=False
        Whether gradients left in ``p.grad`` at a snapshot add to the next step's.
    guard : iterable of torch.nn.Module, default=()
        Further modules that ``loss`` runs (the discriminator of a GAN), to be left undisturbed.
    skip : iterable of {"curvature", "stability"}, default=()
        Groups of channels to leave out (NaN), for models where a product is too dear.

    Attributes
    ----------
    trace : DataFrame
        One row per snapshot: ``epoch`` (-1 is the state before training) and one column per
        channel of :data:`analysis_lib.channels.CHANNELS`.
    layers : DataFrame
        One row per snapshot and layer: ``epoch``, ``layer``, ``depth`` from 0 (first) to 1
        (last), and :data:`analysis_lib.channels.LAYER_CHANNELS`.

    second_order : str
        ``exact``, or which operation has no second derivative; curvature is then NaN.

    Raises
    ------
    InputError
        If the probe is not a tuple of tensors, the model has no trainable parameter, ``skip``
        or a snapshot names something unknown.

    Examples
    --------
    >>> x, y = torch.randn(32, 4), torch.randn(32, 1)
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with Monitor(model, optimizer, probe=(x, y), loss=nn.functional.mse_loss) as monitor:
    ...     monitor.snapshot(-1)
    ...     for epoch in range(2):
    ...         optimizer.zero_grad()
    ...         loss = nn.functional.mse_loss(model(x), y)
    ...         loss.backward()
    ...         _ = optimizer.step()
    ...         monitor.snapshot(epoch, train_loss=loss.item())
    >>> monitor.trace.epoch.tolist()
    [-1, 0, 1]
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        probe: tuple[Tensor, ...],
        loss: Callable[[Tensor, Tensor], Tensor],
        every: int = 4,
        seed: int = 0,
        clip_norm: float | None = None,
        accumulate: bool = False,
        guard: Iterable[nn.Module] = (),
        skip: Iterable[str] = (),
    ):
        if not isinstance(probe, tuple | list) or len(probe) < 2:
            raise InputError("probe must be a tuple (input, ..., target) of at least two tensors")
        if every < 1:
            raise InputError(f"every is {every}; expected at least 1 optimizer step")
        for group in skip:
            if group not in SKIPPABLE:
                raise unknown("group of channels to skip", group, SKIPPABLE)
        self._probe = Probe(
            model,
            optimizer,
            batch=probe,
            loss=loss,
            seed=seed,
            guard=guard,
            clip_norm=clip_norm,
            accumulate=accumulate,
            skip=frozenset(skip),
        )
        layout = self._probe.layout
        self._sampler = StepSampler(optimizer, layout, every=every)
        self._titles = {
            layer: getattr(module, "slot", layer) for layer, module in self._probe.modules.items()
        }
        self._rows: list[dict] = []
        self._layer_rows: list[dict] = []
        self._handles: list = []

    def __enter__(self) -> "Monitor":
        self._handles = self._sampler.attach()
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    @property
    def second_order(self) -> str:
        """Whether curvature is exact, or why there is none."""
        return self._probe.second_order

    @property
    def trace(self) -> pd.DataFrame:
        """Channels of all snapshots so far, flags of published monitors included."""
        names = ["epoch", *(c for c in CHANNELS if not _derived(c))]
        raw = _table(self._rows, names)
        derived = (deepfd_flags(raw), default_flags(raw))
        values = np.hstack([raw.to_numpy(), *(d.to_numpy() for d in derived)])
        found = [*names, *(c for d in derived for c in d.columns)]
        return _narrow(pd.DataFrame(values, columns=found)[["epoch", *CHANNELS]])

    @property
    def layers(self) -> pd.DataFrame:
        """Layer channels of all snapshots so far."""
        order = self._probe.order or list(self._titles)
        depth = {layer: i / max(len(order) - 1, 1) for i, layer in enumerate(order)}
        rows = [{**row, "depth": depth[row["layer"]]} for row in self._layer_rows]
        table = _narrow(_table(rows, ["epoch", "depth", *LAYER_CHANNELS]))
        titles = [self._titles[row["layer"]] for row in rows]
        table.insert(1, "layer", pd.Series(titles, dtype="str"))
        return table

    def snapshot(self, epoch: int, **metrics: float) -> None:
        """Record all channels now.

        Parameters
        ----------
        epoch : int
            -1 before training, then 0, 1, ...
        **metrics : float
            Channels only the loop knows, such as ``train_loss`` or ``valid_accuracy``; numbers,
            also as tensors or arrays without axes.

        Raises
        ------
        InputError
            If the epoch is no such number, a metric is no channel, or its value is no number;
            nothing is recorded then.
        """
        for name in metrics:
            if name not in CHANNELS or _derived(name):
                raise unknown("channel", name, (c for c in CHANNELS if not _derived(c)))
        epoch, metrics = _epoch(epoch), {n: _number(n, v) for n, v in metrics.items()}
        row, per_layer = self._probe.measure()
        steps, ratios = self._sampler.summary()
        self._rows.append({"epoch": epoch, **row, **steps, **metrics})
        self._layer_rows += [
            {"epoch": epoch, "layer": layer, **channels, "update_ratio": ratios[layer]}
            for layer, channels in per_layer.items()
        ]
        self._sampler.restart()

    def missing(self, epoch: int, **metrics: float) -> None:
        """Record a snapshot without looking at the model: only ``metrics``, the rest NaN."""
        epoch, metrics = _epoch(epoch), {n: _number(n, v) for n, v in metrics.items()}
        self._rows.append({"epoch": epoch, **metrics})
        self._layer_rows += [{"epoch": epoch, "layer": layer} for layer in self._titles]


def _number(name: str, value: Any) -> float:
    """Return the value of an argument of a snapshot, off its graph and device."""
    one = value.detach().item() if torch.is_tensor(value) and value.ndim == 0 else value
    one = one.item() if isinstance(one, np.ndarray) and one.ndim == 0 else one
    if not isinstance(one, Real):
        shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
        given = f" {value[:40]!r}" if isinstance(value, str) else ""
        raise InputError(
            f"{name} is a {type(value).__name__}{shape or given}; expected one number, such as "
            "loss.item()"
        )
    return float(one)


def _epoch(value: Any) -> int:
    number = _number("epoch", value)
    if not (number.is_integer() and -1 <= number <= LAST):
        raise InputError(
            f"epoch is {number:g}; expected -1 before training, then 0, 1, ... up to {LAST}"
        )
    return int(number)


def _table(rows: list[dict], names: list[str]) -> pd.DataFrame:
    values = [[row.get(name, np.nan) for name in names] for row in rows]
    return pd.DataFrame(np.array(values, dtype=float).reshape(-1, len(names)), columns=names)


def _narrow(table: pd.DataFrame) -> pd.DataFrame:
    """Store values in four bytes, and the epoch in two."""
    with np.errstate(over="ignore"):
        narrow = table.drop(columns="epoch").astype("float32")
    narrow.insert(0, "epoch", table["epoch"].astype("int16"))
    return narrow


def _derived(channel: str) -> bool:
    return channel.startswith(("deepfd_", "default_"))
