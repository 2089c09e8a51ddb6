"""What is measured: a model with a batch and a loss, from the programs or made for this."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from analysis_lib.curvature import Layout, rademacher
from analysis_lib.programs import get_program, list_programs
from analysis_lib.programs.losses import loss_value
from analysis_lib.programs.optimizers import make_optimizer
from benchmarks.nets import NETS

__all__ = ["Case", "case_names", "make_case"]

LOSSES = {
    ("cce", "softmax"): nn.CrossEntropyLoss(),
    ("bce", "sigmoid"): nn.BCEWithLogitsLoss(),
    ("mse", "linear"): nn.MSELoss(),
    ("huber", "linear"): nn.HuberLoss(),
}
"""Losses as modules, for packages that ask a loss for its ``reduction``."""


@dataclass
class Case:
    """A model with a batch.

    Parameters
    ----------
    name : str
    kind : {"program", "net"}
    model : torch.nn.Module
    inputs : tuple of Tensor
    target : Tensor
    loss : callable
        ``loss(output, target)``, whatever belongs to it included.
    module : torch.nn.Module or None
        The same loss as a module of torch, where there is one.
    optimizer : torch.optim.Optimizer
    rows : callable
        ``rows(generator)`` draws a batch of training data: (inputs, target).
    around : callable
        Context in which everything is measured.
    """

    name: str
    kind: str
    model: nn.Module
    inputs: tuple[Tensor, ...]
    target: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]
    module: nn.Module | None
    optimizer: torch.optim.Optimizer
    rows: Callable[[torch.Generator], tuple[tuple[Tensor, ...], Tensor]]
    around: Callable[[], AbstractContextManager] = nullcontext

    def __post_init__(self):
        self.training = self.model.training
        self.state = {k: v.clone() for k, v in self.model.state_dict().items()}

    def closure(self) -> Tensor:
        """The loss on the batch."""
        return self.loss(self.model(*self.inputs), self.target)

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.model)

    @cached_property
    def signs(self) -> Tensor:
        """Eight probes with random signs, in eight bits."""
        return rademacher(self.layout.size, probes=8, seed=1)

    @cached_property
    def v(self) -> Tensor:
        return self.signs[0].to(self.layout.parameters[0].dtype)

    def restore(self, state: dict[str, Tensor] | None = None) -> None:
        """Undo what a package may have done to the model."""
        self.model.load_state_dict(state or self.state)
        self.model.zero_grad(set_to_none=True)
        self.model.train(self.training)

    def checkpoints(self, count: int, steps: int) -> list[dict[str, Tensor]]:
        """States of the model before training and after every ``steps`` steps of it."""
        self.restore()
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(0)
        states = [self.state]
        for _ in range(count - 1):
            for _ in range(steps):
                inputs, target = self.rows(generator)
                self.optimizer.zero_grad()
                self.loss(self.model(*inputs), target).backward()
                self.optimizer.step()
            states.append({k: v.clone() for k, v in self.model.state_dict().items()})
        self.restore()
        return states


def case_names() -> list[str]:
    """Names of all cases: made nets, then programs."""
    return [*NETS, *(p.name for p in list_programs())]


def make_case(name: str) -> Case:
    """Build a case by name, from fixed seeds."""
    return _net(name) if name in NETS else _program(name)


def _net(name: str) -> Case:
    build, shape, classes = NETS[name]
    torch.manual_seed(0)
    model = build()
    x = torch.rand(shape) if classes is None else torch.randn(shape)
    y = x if classes is None else torch.randint(classes, shape[:1])
    model.train()
    if name == "resnet8_eval":
        with torch.no_grad():
            for _ in range(20):
                model(x)
        model.eval()
    loss = nn.MSELoss() if classes is None else nn.CrossEntropyLoss()
    whole = name == "gcn"

    def rows(generator: torch.Generator) -> tuple[tuple[Tensor, ...], Tensor]:
        chosen = torch.arange(len(x))
        if not whole:
            chosen = torch.randint(len(x), (max(len(x) // 2, 2),), generator=generator)
        return (x[chosen],), y[chosen]

    return Case(
        name=name,
        kind="net",
        model=model,
        inputs=(x,),
        target=y,
        loss=loss,
        module=loss,
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-3),
        rows=rows,
        around=partial(sdpa_kernel, SDPBackend.MATH) if name.endswith("_math") else nullcontext,
    )


def _program(name: str) -> Case:
    program = get_program(name)
    setup = program.setup
    parts = [torch.tensor(a) for a in program.arrays().train]
    size = min(setup.batch_size, len(parts[0]))
    model = program.model(setup, seed=0).train()
    extra = hasattr(model, "extra_loss")

    def loss(raw: Tensor, target: Tensor) -> Tensor:
        value = loss_value(setup.loss, raw, target, output=setup.output)
        return value + model.extra_loss() if extra else value

    def prepared(chosen: Tensor, generator: torch.Generator) -> tuple[tuple[Tensor, ...], Tensor]:
        inputs, target = program.prepare(tuple(a[chosen] for a in parts), generator)
        return tuple(inputs), target

    def rows(generator: torch.Generator) -> tuple[tuple[Tensor, ...], Tensor]:
        return prepared(torch.randperm(len(parts[0]), generator=generator)[:size], generator)

    fixed = torch.tensor(np.random.default_rng(0).permutation(len(parts[0]))[:size])
    inputs, target = prepared(fixed, torch.Generator().manual_seed(0))
    return Case(
        name=name,
        kind="program",
        model=model,
        inputs=inputs,
        target=target,
        loss=loss,
        module=None if extra else LOSSES.get((setup.loss, setup.output)),
        optimizer=make_optimizer(model, setup),
        rows=rows,
    )
