"""What is recorded of a training run, in anybody's own loop, without changing it."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from analysis_lib.activations import (
    activation_channels,
    is_activation,
    watch_activation,
    watch_layer,
)
from analysis_lib.channels import CHANNELS, LAYER_CHANNELS
from analysis_lib.curvature import gradient, layers, product, rademacher, undisturbed
from analysis_lib.errors import InputError, unknown
from analysis_lib.flags import deepfd_flags, default_columns

__all__ = ["Monitor"]


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

    Attributes
    ----------
    trace : DataFrame
        One row per snapshot: ``epoch`` (-1 is the state before training) and one column per
        channel of :data:`analysis_lib.channels.CHANNELS`.
    layers : DataFrame
        One row per snapshot and layer: ``epoch``, ``layer``, ``depth`` from 0 (first) to 1
        (last), and :data:`analysis_lib.channels.LAYER_CHANNELS`.

    Raises
    ------
    InputError
        If the probe is not a tuple of tensors, or a snapshot names an unknown channel.

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
    ):
        if not isinstance(probe, tuple | list) or len(probe) < 2:
            raise InputError("probe must be a tuple (input, ..., target) of at least two tensors")
        self._model, self._optimizer = model, optimizer
        self._inputs, self._target = tuple(probe[:-1]), probe[-1]
        self._loss, self._every, self._seed = loss, every, seed
        self._names = [n for n, p in model.named_parameters() if p.requires_grad]
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        position = {name: i for i, name in enumerate(self._names)}
        self._layers = {
            layer: [position[n] for n in names if n in position]
            for layer, names in layers(model).items()
        }
        self._layers = {layer: where for layer, where in self._layers.items() if where}
        modules = dict(model.named_modules())
        self._titles = {path: getattr(modules.get(path), "slot", path) for path in self._layers}
        self._directions = rademacher(self._parameters, seed=seed)
        self._rows: list[dict] = []
        self._layer_rows: list[dict] = []
        self._handles: list = []
        self._last = self._copy()
        self._start_epoch()

    def __enter__(self) -> "Monitor":
        self._handles = [
            self._optimizer.register_step_pre_hook(self._before_step),
            self._optimizer.register_step_post_hook(self._after_step),
        ]
        return self

    def __exit__(self, *error) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    @property
    def trace(self) -> pd.DataFrame:
        """Channels of all snapshots so far, flags of published monitors included."""
        raw = pd.DataFrame(self._rows)
        raw = raw.reindex(columns=["epoch", *(c for c in CHANNELS if not _derived(c))])
        whole = pd.concat([raw, deepfd_flags(raw), default_columns(raw)], axis=1)
        whole = whole[["epoch", *CHANNELS]]
        with np.errstate(over="ignore"):
            return whole.astype({"epoch": "int16", **dict.fromkeys(CHANNELS, "float32")})

    @property
    def layers(self) -> pd.DataFrame:
        """Layer channels of all snapshots so far."""
        columns = ["epoch", "layer", "depth", *LAYER_CHANNELS]
        table = pd.DataFrame(self._layer_rows, columns=columns)
        floats = dict.fromkeys(["depth", *LAYER_CHANNELS], "float32")
        with np.errstate(over="ignore"):
            return table.astype({"epoch": "int16", **floats})

    def snapshot(self, epoch: int, **metrics: float) -> None:
        """Record all channels now.

        Parameters
        ----------
        epoch : int
            -1 before training, then 0, 1, ...
        **metrics : float
            Channels only the loop knows, such as ``train_loss`` or ``valid_accuracy``.
        """
        for name in metrics:
            if name not in CHANNELS or _derived(name):
                raise unknown("channel", name, (c for c in CHANNELS if not _derived(c)))
        row, per_layer = self._probe()
        steps, step_layers = self._step_statistics()
        self._rows.append({"epoch": epoch, **row, **steps, **metrics})
        last = max(len(self._layers) - 1, 1)
        for index, layer in enumerate(self._layers):
            channels = {**per_layer[layer], "update_ratio": step_layers[layer]}
            self._layer_rows.append(
                {"epoch": epoch, "layer": self._titles[layer], "depth": index / last, **channels}
            )
        self._start_epoch()
        self._last = self._copy()

    def missing(self, epoch: int, **metrics: float) -> None:
        """Record a snapshot without looking at the model: only ``metrics``, the rest NaN."""
        self._rows.append({"epoch": epoch, **metrics})
        last = max(len(self._layers) - 1, 1)
        for index, layer in enumerate(self._layers):
            named = {"epoch": epoch, "layer": self._titles[layer], "depth": index / last}
            self._layer_rows.append(named)

    def _copy(self) -> list[Tensor]:
        return [p.detach().clone() for p in self._parameters]

    def _start_epoch(self) -> None:
        self._step = 0
        self._norms: list[float] = []
        self._updates: list[float] = []
        self._ratios: list[float] = []
        self._layer_ratios: list[list[float]] = []
        self._gradient_sum: list[Tensor] | None = None
        self._before: list[Tensor] | None = None

    @torch.no_grad()
    def _before_step(self, *_) -> None:
        sampled = self._step % self._every == 0
        self._step += 1
        self._before = self._copy() if sampled else None
        if not sampled:
            return
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters]
        self._norms.append(_norm(torch._foreach_norm(gradients)))
        if self._gradient_sum is None:
            self._gradient_sum = [g.clone() for g in gradients]
        else:
            torch._foreach_add_(self._gradient_sum, gradients)

    @torch.no_grad()
    def _after_step(self, *_) -> None:
        if self._before is None:
            return
        moved = torch.stack(torch._foreach_norm(torch._foreach_sub(self._parameters, self._before)))
        size = torch.stack(torch._foreach_norm(self._before))
        moved, size = moved.double().numpy(), size.double().numpy()
        self._updates.append(_length(moved))
        self._ratios.append(_length(moved) / max(_length(size), 1e-12))
        self._layer_ratios.append(
            [_length(moved[w]) / max(_length(size[w]), 1e-12) for w in self._layers.values()]
        )
        self._before = None

    def _step_statistics(self) -> tuple[dict, dict]:
        if not self._norms:
            names = ("step_grad_norm_mean", "step_grad_norm_std", "step_grad_norm_max")
            names += ("grad_noise", "update_ratio", "update_norm", "epoch_change")
            names += ("first_moment_norm", "second_moment_norm")
            return dict.fromkeys(names, 0.0), dict.fromkeys(self._layers, 0.0)
        norms, n = np.array(self._norms), len(self._norms)
        with torch.no_grad(), np.errstate(all="ignore"):
            mean_square = (_norm(torch._foreach_norm(self._gradient_sum)) / n) ** 2
            noise = (np.mean(norms**2) - mean_square) / max(mean_square, 1e-30)
            change = _norm(torch._foreach_norm(torch._foreach_sub(self._parameters, self._last)))
            row = {
                "step_grad_norm_mean": norms.mean(),
                "step_grad_norm_std": norms.std(),
                "step_grad_norm_max": norms.max(),
                "grad_noise": max(noise, 0.0) if math.isfinite(noise) else noise,
                "update_ratio": float(np.mean(self._ratios)),
                "update_norm": float(np.mean(self._updates)),
                "epoch_change": change / max(_norm(torch._foreach_norm(self._last)), 1e-12),
                "first_moment_norm": self._moment("exp_avg", "momentum_buffer"),
                "second_moment_norm": self._moment("exp_avg_sq", "square_avg", "sum", "exp_inf"),
            }
            per_layer = np.mean(self._layer_ratios, axis=0)
        return row, dict(zip(self._layers, map(float, per_layer), strict=True))

    def _moment(self, *keys: str) -> float:
        state = self._optimizer.state
        found = [
            state[p][key]
            for p in self._parameters
            for key in keys
            if p in state and torch.is_tensor(state[p].get(key))
        ]
        return _norm(torch._foreach_norm(found)) if found else 0.0

    def _probe(self) -> tuple[dict, dict]:
        outputs = {layer: [] for layer in self._layers}
        activations: list[tuple] = []
        handles = []
        modules = dict(self._model.named_modules())
        for layer in self._layers:
            module = modules["" if layer == "(model)" else layer]
            handles.append(module.register_forward_hook(watch_layer(outputs[layer])))
        for module in modules.values():
            if is_activation(module):
                handles.append(module.register_forward_hook(watch_activation(activations, module)))
        try:
            with undisturbed(self._model, seed=self._seed):
                loss = self._loss(self._model(*self._inputs), self._target)
                gradients = gradient(loss, self._parameters)
                products = self._products(loss, gradients)
        finally:
            for handle in handles:
                handle.remove()
        with torch.no_grad():
            return self._summarise(loss, gradients, products, outputs, activations)

    def _products(self, loss: Tensor, gradients: list[Tensor]) -> list[Tensor]:
        nothing = [torch.full_like(p, math.nan) for p in self._parameters]
        if not torch.isfinite(loss):
            return nothing
        try:
            return product(gradients, self._parameters, self._directions)
        except (RuntimeError, NotImplementedError) as error:
            if "derivative" not in str(error):
                raise
            return nothing

    def _summarise(self, loss, gradients, products, outputs, activations) -> tuple[dict, dict]:
        weights = self._parameters
        w = torch.cat([p.detach().flatten() for p in weights]).double().numpy()
        g = torch.cat([p.detach().flatten() for p in gradients]).double().numpy()
        sizes = {
            "w": _norms(weights),
            "g": _norms(gradients),
            "hv": _norms(products),
            "v": _norms(self._directions),
        }
        dots = np.array(
            [float((v * h).sum()) for v, h in zip(self._directions, products, strict=True)]
        )
        per_layer, relative = {}, []
        for layer, where in self._layers.items():
            size = _length(sizes["v"][where])
            relative.append(_length(sizes["hv"][where]) / size)
            seen = np.array(outputs[layer] or [(0.0, 0.0)])
            per_layer[layer] = {
                "weight_norm": _length(sizes["w"][where]),
                "grad_norm": _length(sizes["g"][where]),
                "output_mean": float(seen[:, 0].mean()),
                "output_std": float(seen[:, 1].mean()),
                "hvp_norm": relative[-1],
                "rayleigh": float(dots[where].sum()) / size**2,
            }
        relative = np.array(relative)
        kernels = [i for i, p in enumerate(weights) if p.ndim >= 2] or [0]
        with np.errstate(all="ignore"):
            row = {
                "probe_loss": float(loss.detach()),
                "grad_norm": _length(sizes["g"]),
                "grad_mean": g.mean(),
                "grad_std": g.std(),
                "grad_abs_mean": np.abs(g).mean(),
                "grad_abs_max": np.abs(g).max(),
                "grad_zero_share": np.mean(g == 0),
                "grad_norm_first": sizes["g"][kernels[0]],
                "grad_norm_last": sizes["g"][kernels[-1]],
                **_five("grad_tensor", sizes["g"]),
                "grad_nonfinite": np.count_nonzero(~np.isfinite(g)),
                "weight_norm": _length(sizes["w"]),
                "weight_mean": w.mean(),
                "weight_std": w.std(),
                "weight_abs_max": np.abs(w).max(),
                "weight_large_count": np.count_nonzero(np.abs(w) > 10),
                "weight_nonfinite": np.count_nonzero(~np.isfinite(w)),
                **activation_channels(activations),
                "hvp_norm": _length(sizes["hv"]) / _length(sizes["v"]),
                **_five("hvp_layer", relative),
                "hvp_rayleigh": dots.sum() / _length(sizes["v"]) ** 2,
            }
        return row, per_layer


def _derived(channel: str) -> bool:
    return channel.startswith(("deepfd_", "default_"))


def _norms(tensors: list[Tensor]) -> np.ndarray:
    return torch.stack(torch._foreach_norm([t.detach() for t in tensors])).double().numpy()


def _norm(norms) -> float:
    return _length(torch.stack(list(norms)).double().numpy())


def _length(values: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.sum(np.square(values))))


def _five(name: str, values: np.ndarray) -> dict[str, float]:
    with np.errstate(all="ignore"):
        return {
            f"{name}_mean": values.mean(),
            f"{name}_std": values.std(),
            f"{name}_max": values.max(),
            f"{name}_min": values.min(),
            f"{name}_median": np.median(values),
        }
