"""Anybody's module, data, loss and loop as a program into which faults can be put."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from analysis_lib.configuration import Run
from analysis_lib.errors import InputError, unknown
from analysis_lib.faults import gradients, list_operators, slots
from analysis_lib.injection.modules import ModuleTree
from analysis_lib.injection.seeds import seeded
from analysis_lib.programs.design import Slot
from analysis_lib.programs.losses import activate
from analysis_lib.programs.optimizers import OPTIMIZERS
from analysis_lib.programs.program import Data, Program, Setup, invite
from analysis_lib.training import Trace, weights_digest

__all__ = ["LOOK", "OWN_LOSS", "OwnProgram", "as_tensors", "fault_table", "introduce"]

OWN_LOSS = "own"
"""Name of any other loss."""

LOOK = 4
"""Rows on which the layers of a module are found."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OwnProgram(Program):
    """A program made by :func:`own_program`; called with a run it trains it.

    Examples
    --------
    >>> import torch
    >>> from analysis_lib import own_program
    >>> x = torch.randn(40, 3)
    >>> data = x, x.sum(1, keepdim=True)
    >>> net = lambda: torch.nn.Linear(3, 1)
    >>> program = own_program(net, train=data, valid=data, loss=torch.nn.MSELoss(), optimizer="sgd")
    >>> program.task, program.higher_is_better
    ('regression', True)
    """

    build: ModuleTree
    contents: Data
    names: tuple[str, ...] | None
    loss_function: Callable[[Tensor, Tensor], Tensor]
    optimizer_of: Callable
    metric_function: Callable[[np.ndarray, np.ndarray], float]
    better: bool
    shuffles: bool
    dtype: torch.dtype
    loop: Callable | None = field(default=None)

    def __repr__(self) -> str:
        rows = " + ".join(str(len(part[-1])) for part in (self.contents.train, self.contents.valid))
        return f"OwnProgram({self.name!r}, {self.task}, {rows} rows, {len(self.build.slots)} slots)"

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger metric is better."""
        return self.better

    def arrays(self) -> Data:
        """Return the program's data."""
        return self.contents

    def slots(self, kind: str | None = None) -> list[Slot]:
        """Return the editable slots of the module, optionally of one kind or its beginning."""
        return [s for s in self.build.slots.values() if kind is None or s.kind.startswith(kind)]

    def model(self, setup: Setup | None = None, *, seed: int = 0) -> nn.Module:
        """Build the module of a setup (default: healthy), with the initial weights of a seed."""
        edits = (setup or self.setup).edits
        for name in edits:
            if name not in self.build.slots:
                raise unknown(f"slot of program '{self.name}'", name, self.build.slots)
        return self.build.build(edits, seed=seed)

    def loss_value(self, loss: str, raw: Tensor, target: Tensor, *, output: str) -> Tensor:
        """Return the user's own loss, or another one by name; NaN if that fits no such shape."""
        raw = raw.to(self.dtype)
        if target.is_floating_point():
            target = target.to(self.dtype)
        if (loss, output) == (self.setup.loss, self.setup.output):
            return self.loss_function(raw, target)
        if loss == OWN_LOSS:  # another activation comes before it
            return self.loss_function(activate(raw, output), target)
        if raw.ndim < 2 or raw.shape[-1] == 1 or target.is_floating_point():
            if raw.numel() != target.numel():
                return raw.sum() * math.nan  # no loss by name fits these shapes
            target = target.reshape(raw.shape).to(self.dtype)
        return super().loss_value(loss, raw, target, output=output)

    def score(self, output: np.ndarray, target: np.ndarray) -> float:
        """Return the metric of outputs."""
        return float(self.metric_function(output, target))

    def make_optimizer(self, model: nn.Module, setup: Setup) -> torch.optim.Optimizer:
        """Return the user's own optimizer as a setup changes it, or another one by name."""
        left = {
            id(p)
            for module in model.modules()
            if getattr(module, "slot", None) in setup.left_out
            for p in module.parameters()
        }
        given = [p for p in model.parameters() if id(p) not in left]
        if setup.optimizer != self.setup.optimizer:
            entry = OPTIMIZERS[setup.optimizer]
            return entry.make(given, lr=setup.lr, **{**entry.settings, **setup.options})
        optimizer = self.optimizer_of(given)
        healthy = self.setup.options
        changed = {k: v for k, v in setup.options.items() if healthy.get(k) != v}
        for group in optimizer.param_groups:
            if missing := [k for k in changed if k not in group]:
                raise InputError(f"{type(optimizer).__name__} has no option '{missing[0]}'")
            group.update(changed)
            if setup.lr != self.setup.lr:
                group["lr"] = group["lr"] * (setup.lr / self.setup.lr)
        return optimizer

    def __call__(self, run: Run) -> Trace:
        """Train a run, in whatever process."""
        from analysis_lib.injection.loop import train_own

        return train_own(self, run)

    @property
    def parts(self) -> tuple[object, ...]:
        """What the user gave, that is functions, classes and instances."""
        forward = getattr(self.build.wrap, "forward", None)
        given = (self.build.make_model, forward, self.loss_function)
        return (*given, self.optimizer_of, self.metric_function, self.loop)

    @property
    def fingerprint(self) -> str:
        """Digest of data, settings, first weights and outputs, loss and the loop's code."""
        digest = hashlib.sha256()
        for array in (*self.contents.train, *self.contents.valid):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        model = self.model()
        inputs, target = self.prepare(as_tensors(self.contents.train, slice(LOOK)), None)
        with torch.no_grad(), seeded(0):
            raw = model.eval()(*inputs)
            value = self.loss_function(raw, target)
        settings = (self.setup, self.metric, self.shuffles, sorted(self.build.slots.items()))
        digest.update(f"{weights_digest(model)}{raw.tolist()}{value.item()}{settings}".encode())
        if code := getattr(self.loop, "__code__", None):
            digest.update(code.co_code + repr(code.co_names).encode())
        return digest.hexdigest()


def as_tensors(arrays: tuple[np.ndarray, ...], rows: slice = slice(None)) -> tuple[Tensor, ...]:
    """Return rows of arrays as tensors."""
    return tuple(torch.tensor(a[rows]) for a in arrays)


def introduce(program: OwnProgram) -> None:
    """Make a program known to operators in this process; forget what they knew of its name."""
    if invite(program):
        for known in (slots._output_shape, gradients._outputs, gradients.gradient_direction):
            known.cache_clear()


def fault_table(program: OwnProgram) -> pd.DataFrame:
    """Return which faults can be put into a program, and why the others cannot.

    Returns
    -------
    DataFrame indexed by operator
        category, title, applies, and reason where it does not.

    Examples
    --------
    >>> from analysis_lib import get_program
    >>> fault_table(get_program("snn_wine")).loc["LKS", "reason"]
    'it has no convolution'
    """
    rows = []
    for operator in list_operators():
        reason = operator.applies(program)
        rows.append((operator.id, operator.category, operator.title, reason is None, reason or ""))
    columns = ["operator", "category", "title", "applies", "reason"]
    return pd.DataFrame(rows, columns=columns).set_index("operator")
