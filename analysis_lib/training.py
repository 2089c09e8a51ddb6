"""The one training loop: a run in, a trace out."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from analysis_lib.configuration import Run
from analysis_lib.errors import InputError
from analysis_lib.faults.data import edit_data, has_classes
from analysis_lib.faults.operator import faulty_setup
from analysis_lib.monitor import Monitor
from analysis_lib.programs.losses import activate, weighted_loss
from analysis_lib.programs.metrics import accuracy
from analysis_lib.programs.optimizers import make_optimizer
from analysis_lib.programs.program import Program, Setup, get_program

__all__ = [
    "INITIAL_ROWS",
    "Objective",
    "Stopping",
    "Trace",
    "find_device",
    "scores",
    "train",
    "train_on_gpu",
    "weights_digest",
]

INITIAL_ROWS = 512
"""Training rows on which loss and metric are measured before training."""


@dataclass(frozen=True)
class Trace:
    """What a run left behind.

    Parameters
    ----------
    status : {"ok", "nonfinite"}
    reason : str
        For ``nonfinite``: what became non-finite, and when.
    epochs : DataFrame
        One row per snapshot (``epoch`` -1 is the state before training), one column per channel.
        After a run became non-finite the remaining rows hold NaN.
    layers : DataFrame
        One row per snapshot and layer.
    record : dict
        Scalars: ``parameters_count``, ``weights_digest``, ``learning_rate``, ``batch_size``,
        ``steps``, ``optimizer``, ``loss``, ``metric_name``, ``final_metric``.

    Examples
    --------
    >>> from analysis_lib import Configuration, Run
    >>> trace = train(Run(Configuration("snn_wine"), seed=0, epochs=2))
    >>> trace.status, trace.epochs["epoch"].tolist(), trace.record["optimizer"]
    ('ok', [-1, 0, 1], 'rmsprop')
    """

    status: str
    reason: str
    epochs: pd.DataFrame
    layers: pd.DataFrame
    record: dict


def _penalty(model: nn.Module, penalties: Mapping[str, str]) -> Tensor | float:
    total = 0.0
    for module in model.modules():
        kind = penalties.get(getattr(module, "slot", ""))
        if kind is None:
            continue
        # the kernels of a layer; of a recurrent one those on its inputs, as in Keras
        for leaf, weight in module.named_parameters(recurse=False):
            if not leaf.startswith("weight") or leaf.startswith("weight_hh"):
                continue
            if "l1" in kind:
                total = total + 0.01 * weight.abs().sum()
            if "l2" in kind:
                total = total + 0.01 * weight.square().sum()
    return total


class Objective:
    """The scalar a run minimises, as a function of raw outputs and target."""

    def __init__(self, program: Program, model: nn.Module, setup: Setup):
        self.program, self.model, self.setup = program, model, setup

    def __call__(self, raw: Tensor, target: Tensor) -> Tensor:
        if self.setup.output_twice:
            raw = activate(raw, self.setup.output)
        if self.setup.broadcast:
            raw, target = torch.broadcast_tensors(raw, target.reshape(-1))
        if self.setup.class_ratio == 1.0:
            loss = self.program.loss_value(self.setup.loss, raw, target, output=self.setup.output)
        else:
            loss = weighted_loss(raw, target, self.setup.class_ratio)
        if self.setup.reduction == "sum":
            loss = loss * len(raw)
        if hasattr(self.model, "extra_loss"):
            loss = loss + self.model.extra_loss()
        if self.setup.penalties:
            loss = loss + _penalty(self.model, self.setup.penalties)
        return loss

    def output(self, raw: Tensor) -> np.ndarray:
        """Outputs as a user of the model sees them."""
        raw = raw.detach()
        for _ in range(2 if self.setup.output_twice else 1):
            raw = activate(raw, self.setup.output)
        return raw.cpu().numpy()


def scores(program: Program, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Return metric and accuracy of outputs; NaN where they are not finite or not defined."""
    if not np.isfinite(output).all():
        return math.nan, math.nan
    with np.errstate(over="ignore"):
        metric = program.score(output, target)
    return metric, accuracy(output, target) if program.classifies else math.nan


def find_device(name: str) -> torch.device:
    """Return a device that is there.

    Parameters
    ----------
    name : str
        "cpu", "cuda" or "cuda:0", ...

    Raises
    ------
    InputError
        If the name is none of these, or torch sees no such GPU.

    Examples
    --------
    >>> find_device("cpu")
    device(type='cpu')
    """
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or not (index.isdecimal() or name == kind):
        raise InputError(f"device is {name!r}; expected cpu, cuda or cuda:0, cuda:1, ...")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device '{name}' is not there: torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} GPUs; train on the CPU, or install a build of torch "
            "for this machine's GPU and driver"
        )
    return torch.device(name)


def _on(device: torch.device, inputs: tuple[Tensor, ...], target: Tensor) -> tuple:
    """A prepared batch on a device; batches are prepared on the CPU, so that all devices see
    the same ones."""
    return tuple(tensor.to(device) for tensor in inputs), target.to(device)


@torch.no_grad()
def _evaluate(
    program: Program, objective: Objective, batch: tuple, device: torch.device
) -> tuple[float, float, float]:
    """Loss, metric and accuracy in evaluation mode; draws the same noise every time."""
    inputs, target = _on(device, *program.prepare(batch, torch.Generator().manual_seed(1)))
    model = objective.model
    training = model.training
    model.eval()
    raw = model(*inputs)
    model.train(training)
    loss = float(objective(raw, target))
    return loss, *scores(program, objective.output(raw), target.cpu().numpy())


def _batches(rows: int, setup: Setup, target: Tensor, generator: torch.Generator) -> Iterator:
    if setup.shuffle:
        order = torch.randperm(rows, generator=generator)
    else:
        order = target.reshape(rows, -1).double().mean(1).argsort(stable=True)
    for start in range(0, rows, setup.batch_size):
        if setup.one_batch:
            start, order = 0, torch.arange(rows)
        chosen = order[start : start + setup.batch_size]
        if len(chosen) > 1:  # BatchNorm needs two rows
            yield chosen


class Stopping:
    """Says when no further step is taken: after some epochs, or without improvement."""

    def __init__(self, setup: Setup):
        self.setup, self.due = setup, False
        self.best, self.waited = math.inf, 0

    def see(self, epoch: int, valid_loss: float) -> None:
        """Take note of a snapshot."""
        if epoch < 0:
            return
        better = valid_loss < self.best
        self.best = valid_loss if better else self.best
        self.waited = 0 if better else self.waited + 1
        if self.setup.patience is not None:
            self.due |= self.waited >= self.setup.patience
        if self.setup.stop_after is not None:
            self.due |= epoch + 1 >= self.setup.stop_after


def weights_digest(model: nn.Module) -> str:
    """Return the sha256 of all weights and buffers of a model, by name."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def train(run: Run, *, monitor: bool = True, device: str = "cpu") -> Trace:
    """Train one configuration with one seed and record its trace.

    Everything random derives from ``run``; the result is the same bit for bit whatever else the
    process did before (on one machine type and thread count), and with or without the monitor.

    Parameters
    ----------
    run : Run
    monitor : bool, default=True
        Without it only losses and metrics are recorded.
    device : str, default="cpu"
        Where the model trains: "cpu", "cuda" or "cuda:0", ... Initial weights and batches are the
        same everywhere; a GPU adds in another order and draws other dropout masks, so its traces
        are other samples of the same run.

    Returns
    -------
    Trace

    Raises
    ------
    InputError
        If the program or operator is unknown, the operator does not apply, or the device is not
        there.

    Examples
    --------
    >>> from analysis_lib import Configuration, Run
    >>> trace = train(Run(Configuration("snn_wine"), seed=0, epochs=2))
    >>> trace.status, trace.epochs.epoch.tolist()
    ('ok', [-1, 0, 1])
    """
    place = find_device(device)
    program = get_program(run.configuration.program)
    setup = faulty_setup(run.configuration)
    data = program.arrays()
    edited = edit_data(
        data.train, setup.data_edits, classes=has_classes(program), seed=run.seed_of("fault")
    )
    part = [torch.tensor(a) for a in edited]
    valid = tuple(torch.tensor(a) for a in data.valid)
    rows = len(part[0])
    setup = replace(setup, batch_size=min(setup.batch_size, rows))

    model = program.model(setup, seed=run.seed_of("weights")).to(place)
    model.train(setup.train_mode)
    optimizer = make_optimizer(model, setup)
    objective = Objective(program, model, setup)
    order = torch.Generator().manual_seed(run.seed_of("order"))
    noise = torch.Generator().manual_seed(run.seed_of("data"))
    torch.manual_seed(run.seed_of("order"))

    fixed = torch.tensor(np.random.default_rng(0).permutation(rows))
    probe_rows = tuple(a[fixed[: program.probe_rows]] for a in part)
    inputs, target = _on(place, *program.prepare(probe_rows, torch.Generator().manual_seed(0)))
    recorder = Monitor(
        model,
        optimizer,
        probe=(*inputs, target),
        loss=objective,
        clip_norm=setup.clip_norm,
        accumulate=not setup.zero_grad or setup.accumulate > 1,
    )
    batches, steps, broken = 0, 0, None
    stopping = Stopping(setup)

    def snapshot(epoch: int, **metrics: float) -> None:
        loss, metric, right = _evaluate(program, objective, valid, place)
        stopping.see(epoch, loss)
        metrics |= {"valid_loss": loss, "valid_metric": metric, "valid_accuracy": right}
        if monitor:
            recorder.snapshot(epoch, **metrics)
        else:
            recorder.missing(epoch, **metrics)

    with recorder if monitor else nullcontext():
        first = tuple(a[fixed[:INITIAL_ROWS]] for a in part)
        start = _evaluate(program, objective, first, place)
        names = ("train_loss", "train_metric", "train_accuracy")
        measured = {**dict(zip(names, start, strict=True)), "clip_share": 0.0}
        snapshot(-1, **measured)
        for epoch in range(run.epochs):
            if broken is not None:
                recorder.missing(epoch)
                continue
            if stopping.due:
                snapshot(epoch, **measured)
                continue
            losses, outputs, targets, clipped = [], [], [], 0
            for _ in range(program.passes):
                for chosen in _batches(rows, setup, part[-1], order):
                    rows_of = tuple(a[chosen] for a in part)
                    inputs, target = _on(place, *program.prepare(rows_of, noise))
                    raw = model(*inputs)
                    loss = objective(raw, target)
                    if setup.backward:
                        loss.backward()
                    batches += 1
                    if batches % setup.accumulate == 0:
                        if setup.clip_norm is not None:
                            size = nn.utils.clip_grad_norm_(model.parameters(), setup.clip_norm)
                            clipped += bool(size > setup.clip_norm)
                        optimizer.step()
                        steps += 1
                        if setup.zero_grad:
                            optimizer.zero_grad()
                    if setup.decay_per_batch != 1.0:
                        for group in optimizer.param_groups:
                            group["lr"] *= setup.decay_per_batch
                    losses.append(loss.detach())
                    outputs.append(objective.output(raw))
                    targets.append(target.cpu().numpy())
                    if not torch.isfinite(losses[-1]):
                        break
                if not torch.isfinite(losses[-1]):
                    break
            metric, right = scores(program, np.concatenate(outputs), np.concatenate(targets))
            measured = {
                "train_loss": float(torch.stack(losses).double().mean()),
                "train_metric": metric,
                "train_accuracy": right,
                "clip_share": clipped / len(losses),
            }
            snapshot(epoch, **measured)
            if not all(torch.isfinite(p).all() for p in [*model.parameters(), losses[-1]]):
                what = "loss" if not torch.isfinite(losses[-1]) else "weights"
                broken = f"{what} became non-finite in epoch {epoch}"

    epochs = recorder.trace
    losses = epochs[["train_loss", "valid_loss"]]
    if broken is None and not np.isfinite(losses).all(axis=None):
        row = int(np.argmin(np.isfinite(losses).all(axis=1)))
        broken = f"loss was non-finite in epoch {epochs.epoch[row]}, and finite again later"
    record = {
        "parameters_count": sum(p.numel() for p in model.parameters()),
        "weights_digest": weights_digest(model),
        "learning_rate": setup.lr,
        "batch_size": setup.batch_size,
        "steps": steps,
        "optimizer": setup.optimizer,
        "loss": setup.loss,
        "metric_name": program.metric,
        "final_metric": float(epochs.valid_metric.iloc[-1]),
    }
    return Trace(
        status="ok" if broken is None else "nonfinite",
        reason=broken or "",
        epochs=epochs,
        layers=recorder.layers,
        record=record,
    )


def train_on_gpu(run: Run) -> Trace:
    """Train one run on the first GPU; see :func:`train`."""
    return train(run, device="cuda")
