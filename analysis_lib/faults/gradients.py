"""Which losses and output activations train alike, seen from the gradient they send back."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from analysis_lib.configuration import Configuration
from analysis_lib.faults.operator import effective, faulty_setup
from analysis_lib.faults.slots import matrices, rows, weighted
from analysis_lib.programs.program import Program, Setup, get_program

__all__ = ["Training", "distinct", "gradient_direction", "training_of"]

ROWS = 32


@cache
def _outputs(name: str) -> tuple[Tensor, Tensor]:
    """Random raw outputs (float64) and true targets of a batch of a program."""
    program = get_program(name)
    fixed = np.random.default_rng(0).permutation(rows(program))[:ROWS]
    batch = tuple(torch.tensor(a[fixed]) for a in program.arrays().train)
    inputs, target = program.prepare(batch, torch.Generator().manual_seed(0))
    with torch.no_grad():
        shape = program.model().eval()(*inputs).shape
    raw = 1.5 * torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return raw, target.double() if target.dtype.is_floating_point else target


@cache
def gradient_direction(name: str, loss: str, output: str) -> np.ndarray | None:
    """Return the direction of the gradient with respect to the raw outputs of a program.

    The raw outputs are random, the targets a batch of training rows.

    Returns
    -------
    ndarray or None
        Of length 1; None if it is zero (nothing is learned), or it or the loss is not finite.
    """
    raw, target = _outputs(name)
    raw = raw.clone().requires_grad_()
    value = get_program(name).loss_value(loss, raw, target, output=output)
    if not (value.requires_grad and torch.isfinite(value)):
        return None
    (gradient,) = torch.autograd.grad(value, raw)
    found = gradient.flatten().numpy()
    size = np.linalg.norm(found)
    return found / size if np.isfinite(size) and size > 1e-12 else None


def _alike(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is not None and b is not None and float(a @ b) > 1 - 1e-6


def distinct(program: Program, candidates: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the pairs (loss, output) that train unlike the healthy pair and each other.

    Losses whose gradients differ by a constant factor only count as alike, and pairs without a
    usable gradient are left out.

    Parameters
    ----------
    program : Program
    candidates : iterable of (str, str)
    """
    setup = program.setup
    kept = [gradient_direction(program.name, setup.loss, setup.output)]
    found = []
    for pair in candidates:
        direction = gradient_direction(program.name, *pair)
        if direction is not None and not any(_alike(direction, k) for k in kept):
            kept.append(direction)
            found.append(pair)
    return found


class Training:
    """What a configuration trains; equal for configurations that train alike.

    Compared are the effective setups, and loss and output activation by the direction of their
    gradient. :attr:`usable` is False where that gradient is zero or not finite.
    """

    def __init__(self, program: Program, setup: Setup):
        size = min(setup.batch_size, rows(program))
        self.direction = gradient_direction(program.name, setup.loss, setup.output)
        before = weighted(program)[:-1] if len(matrices(program)) > 1 else ()
        if setup.left_out and setup.left_out == before:
            # the last layer alone is trained, as behind a cut before it
            setup = replace(setup, left_out=()).edited(matrices(program)[-2], detach=True)
        self.rest = replace(setup, loss="", output="", batch_size=size)

    @property
    def usable(self) -> bool:
        """Whether there is a gradient to follow."""
        return self.direction is not None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Training):
            return False
        return self.rest == other.rest and _alike(self.direction, other.direction)


def training_of(configuration: Configuration) -> Training:
    """Return what a configuration trains."""
    program = get_program(configuration.program)
    return Training(program, effective(program, faulty_setup(configuration)))
