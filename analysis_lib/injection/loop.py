"""Train a run of somebody's program in its own loop, through objects that carry the fault."""

import inspect
import math
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.configuration import Run
from analysis_lib.curvature import undisturbed
from analysis_lib.errors import InputError
from analysis_lib.faults.data import edit_data, has_classes
from analysis_lib.faults.operator import faulty_setup
from analysis_lib.injection.batches import Loader
from analysis_lib.injection.modules import ByName
from analysis_lib.injection.program import OwnProgram, introduce
from analysis_lib.injection.seeds import seeded
from analysis_lib.monitor import Monitor
from analysis_lib.programs.program import Setup
from analysis_lib.training import INITIAL_ROWS, Objective, Stopping, Trace, scores, weights_digest

__all__ = ["train_own"]


class _Enough(BaseException):
    """Leaves the user's loop: all epochs are trained, or a value is not finite."""


def usual_loop(
    model: nn.Module, loader: Loader, loss: Callable, optimizer: torch.optim.Optimizer
) -> None:
    """Train one epoch."""
    for batch in loader:
        *inputs, target = batch.values() if isinstance(batch, dict) else batch
        optimizer.zero_grad()
        value = loss(model(*inputs), target)
        value.backward()
        optimizer.step()


def train_own(program: OwnProgram, run: Run, *, monitor: bool = True) -> Trace:
    """Train one run of a program made by :func:`~analysis_lib.injection.own_program`.

    The loop gets the module, loader, loss and optimizer with the fault already in them, and is
    not changed. Everything random derives from the run: initial weights from its stream
    ``weights``, the order of rows and all global generators from ``order``.

    Parameters
    ----------
    program : OwnProgram
    run : Run
        Of this program.
    monitor : bool, default=True
        Without it only losses and metrics are recorded.

    Returns
    -------
    Trace

    Raises
    ------
    InputError
        If the run is of another program, its operator does not apply, or the loop never takes a
        step while it goes through the loader.

    Examples
    --------
    >>> from analysis_lib import Configuration
    >>> from analysis_lib.injection import own_program
    >>> x = torch.linspace(-1, 1, 40)[:, None]
    >>> program = own_program(lambda: nn.Linear(1, 1), (x, 2 * x), (x, 2 * x),
    ...                       loss=nn.MSELoss(), optimizer="sgd", lr=0.1, name="line")
    >>> trace = train_own(program, Run(Configuration("line"), epochs=3))
    >>> trace.epochs.epoch.tolist(), bool(trace.record["final_metric"] > 0)
    ([-1, 0, 1, 2], True)
    """
    if run.configuration.program != program.name:
        raise InputError(f"run {run.key} is not one of program '{program.name}'")
    introduce(program)
    setup = faulty_setup(run.configuration)
    if program.loop is None:
        loop, whole = usual_loop, False
    else:
        loop, whole = program.loop, "epochs" in inspect.signature(program.loop).parameters
    with seeded(run.seed_of("order")):
        return _Training(program, setup, run, monitor).go(loop, whole)


class _Training:
    """One run: the objects that the loop is given, and what they note while it trains."""

    def __init__(self, program: OwnProgram, setup: Setup, run: Run, monitored: bool):
        self.program, self.run, self.monitored = program, run, monitored
        data, seed = program.arrays(), run.seed_of("fault")
        edited = edit_data(data.train, setup.data_edits, classes=has_classes(program), seed=seed)
        part = tuple(torch.tensor(a) for a in edited)
        self.valid = tuple(torch.tensor(a) for a in data.valid)
        rows = len(part[0])
        self.setup = setup = replace(setup, batch_size=min(setup.batch_size, rows))
        self.model = program.model(setup, seed=run.seed_of("weights"))
        self.model.train(setup.train_mode)
        self.optimizer = program.make_optimizer(self.model, setup)
        self.objective = Objective(program, self.model, setup)
        self.loader = _Watched(self, part, rows)
        fixed = torch.tensor(np.random.default_rng(0).permutation(rows))
        self.first = tuple(a[fixed[:INITIAL_ROWS]] for a in part)
        inputs, target = program.prepare(tuple(a[fixed[: program.probe_rows]] for a in part), None)
        self.recorder = Monitor(
            self.model,
            self.optimizer,
            probe=(*inputs, target),
            loss=self.objective,
            clip_norm=setup.clip_norm,
            accumulate=not setup.zero_grad or setup.accumulate > 1,
        )
        self.stopping, self.epoch = Stopping(setup), 0
        self.broken: str | None = None
        self.calls = self.steps = 0
        self.measured: dict[str, float] = {}
        self.losses: list[Tensor] = []
        self.outputs: list[tuple[np.ndarray, np.ndarray]] = []
        self.clipped = self.stepped = 0

    def go(self, loop: Callable, whole: bool) -> Trace:
        """Train, and fill what remains of the trace."""
        inner = self.model.model if isinstance(self.model, ByName) else self.model
        given = {
            "model": self.model if loop is usual_loop else inner,
            "loader": self.loader,
            "loss": self.loss,
            "optimizer": self.optimizer,
            **({"epochs": self.run.epochs} if whole else {}),
        }
        with self.recorder if self.monitored else nullcontext():
            self._snapshot(-1, self._first())
            with self._faulty(inner):
                try:
                    while self.epoch < self.run.epochs:
                        before = self.epoch
                        loop(**given)
                        self.end_pass()
                        if self.epoch == before or whole or self.broken is not None:
                            break
                except _Enough:
                    self.end_pass()
            if self.epoch == 0:
                raise InputError(
                    "the loop never called optimizer.step() while it went through the loader; "
                    "it must train on batches of the loader it is given"
                )
            for epoch in range(self.epoch, self.run.epochs):
                if self.broken is None:  # a loop that stops early trains no further
                    self._snapshot(epoch, self.measured)
                else:
                    self.recorder.missing(epoch)
        return self._trace()

    # ------------------------------------------------------------------ what the loop is given

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """The objective of the run, noted while batches of the loader are trained on."""
        value = self.objective(raw, target)
        if torch.is_grad_enabled() and self.loader.inside:
            self.losses.append(value.detach())
            self.outputs.append((self.objective.output(raw), target.detach().numpy()))
        if not self.setup.backward:
            return value.detach().requires_grad_()
        return value

    @contextmanager
    def _faulty(self, model: nn.Module) -> Iterator[None]:
        """Put the faults of the loop into optimizer and module while it runs."""
        setup, optimizer = self.setup, self.optimizer
        step, clear = optimizer.step, optimizer.zero_grad

        def gated(optimizer, *args, **kwargs):
            if self.epoch >= self.run.epochs:
                raise _Enough
            self.calls += 1
            self.stepped += 1
            value = None
            if self.calls % setup.accumulate == 0 and not self.stopping.due:
                if setup.clip_norm is not None:
                    size = nn.utils.clip_grad_norm_(self.model.parameters(), setup.clip_norm)
                    self.clipped += bool(size > setup.clip_norm)
                value = step(*args, **kwargs)
                self.steps += 1
                if setup.accumulate > 1:
                    clear()
            if setup.decay_per_batch != 1.0:
                for group in optimizer.param_groups:
                    group["lr"] *= setup.decay_per_batch
            return value

        def kept(*args: Any, **kwargs: Any) -> None:
            return None

        optimizer.step = types.MethodType(gated, optimizer)  # schedulers ask for __func__
        if not setup.zero_grad or setup.accumulate > 1:
            optimizer.zero_grad = self.model.zero_grad = model.zero_grad = kept
        if not setup.train_mode:
            model.train = lambda mode=True: nn.Module.train(model, False)
        try:
            yield
        finally:
            for changed in (optimizer, self.model, model):
                for name in ("step", "zero_grad", "train"):
                    vars(changed).pop(name, None)

    # ------------------------------------------------------------------------ what is recorded

    def end_pass(self) -> None:
        """Close an epoch, if a step was taken since the last one."""
        if not (self.stepped or self.bad) or self.epoch >= self.run.epochs:
            return
        outputs, targets = zip(*self.outputs, strict=True) if self.outputs else ((), ())
        metric, right = (math.nan, math.nan)
        if outputs:
            joined = np.concatenate(outputs), np.concatenate(targets)
            metric, right = scores(self.program, *joined)
        self.measured = {
            "train_loss": float(torch.stack(self.losses).double().mean()) if outputs else math.nan,
            "train_metric": metric,
            "train_accuracy": right,
            "clip_share": self.clipped / max(self.stepped, 1),
        }
        self._snapshot(self.epoch, self.measured)
        last = self.losses[-1:]
        if not all(torch.isfinite(v).all() for v in [*self.model.parameters(), *last]):
            what = "weights" if all(torch.isfinite(v) for v in last) else "loss"
            self.broken = f"{what} became non-finite in epoch {self.epoch}"
        self.epoch += 1
        self.losses, self.outputs, self.clipped, self.stepped = [], [], 0, 0

    @property
    def bad(self) -> bool:
        """Whether the last loss is not finite."""
        return bool(self.losses) and not torch.isfinite(self.losses[-1])

    def _evaluated(self, rows: tuple[Tensor, ...]) -> tuple[float, float, float]:
        inputs, target = self.program.prepare(rows, None)
        with undisturbed(self.model, seed=1), torch.no_grad():
            nn.Module.eval(self.model)
            raw = self.model(*inputs)
            loss = float(self.objective(raw, target))
        return loss, *scores(self.program, self.objective.output(raw), target.numpy())

    def _first(self) -> dict[str, float]:
        names = ("train_loss", "train_metric", "train_accuracy")
        return {**dict(zip(names, self._evaluated(self.first), strict=True)), "clip_share": 0.0}

    def _snapshot(self, epoch: int, metrics: dict[str, float]) -> None:
        loss, metric, right = self._evaluated(self.valid)
        self.stopping.see(epoch, loss)
        found = {"valid_loss": loss, "valid_metric": metric, "valid_accuracy": right}
        note = self.recorder.snapshot if self.monitored else self.recorder.missing
        note(epoch, **metrics, **found)

    def _trace(self) -> Trace:
        epochs = self.recorder.trace
        finite = np.isfinite(epochs[["train_loss", "valid_loss"]]).all(axis=1)
        if self.broken is None and not finite.all():
            row = int(np.argmin(finite))
            self.broken = f"loss was non-finite in epoch {epochs.epoch[row]}"
        record = {
            "parameters_count": sum(p.numel() for p in self.model.parameters()),
            "weights_digest": weights_digest(self.model),
            "learning_rate": self.setup.lr,
            "batch_size": self.setup.batch_size,
            "steps": self.steps,
            "optimizer": self.setup.optimizer,
            "loss": self.setup.loss,
            "metric_name": self.program.metric,
            "final_metric": float(epochs.valid_metric.iloc[-1]),
        }
        status = "ok" if self.broken is None else "nonfinite"
        return Trace(status, self.broken or "", epochs, self.recorder.layers, record)


class _Watched(Loader):
    """The loader of a run: at the end of a pass with steps, an epoch ends."""

    def __init__(self, training: _Training, part: tuple[Tensor, ...], rows: int):
        program, setup = training.program, training.setup
        generator = torch.Generator().manual_seed(training.run.seed_of("order"))

        def order() -> Tensor:
            if setup.one_batch or (setup.shuffle and not program.shuffles):
                return torch.arange(rows)
            if setup.shuffle:
                return torch.randperm(rows, generator=generator)
            return part[-1].reshape(rows, -1).double().mean(1).argsort(stable=True)

        kinds = [str(s.options["kind"]) for s in program.slots("norm")]
        super().__init__(
            part,
            program.names,
            setup.batch_size,
            order,
            one_batch=setup.one_batch,
            whole_batches=any("batch" in kind for kind in kinds),
        )
        self.training, self.inside = training, False

    def __iter__(self):
        self.training.end_pass()  # of a pass that the loop left early
        self.inside = True
        try:
            for batch in super().__iter__():
                yield batch
                if self.training.bad:
                    raise _Enough
        finally:
            self.inside = False
        self.training.end_pass()
        if self.training.broken is not None:
            raise _Enough
