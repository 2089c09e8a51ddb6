"""What operators ask of programs: slots by kind, draws, and whether an edit can be built."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch

from analysis_lib.programs.design import Design
from analysis_lib.programs.program import Program, Setup, get_program

__all__ = [
    "ALL",
    "OUTPUT",
    "biased",
    "buildable",
    "edit_all",
    "log_uniform",
    "matrices",
    "names",
    "needs",
    "pick",
    "rows",
    "steps",
    "uniform",
    "weighted",
]

T = TypeVar("T")

ALL = "all"
OUTPUT = "output"


def names(program: Program, *kinds: str, free: bool = False) -> tuple[str, ...]:
    """Slots of some kinds in the order of the model; ``free`` leaves fixed ones out."""
    return tuple(
        slot.name
        for slot in program.slots()
        if slot.kind.startswith(kinds) and not (free and slot.fixed)
    )


def weighted(program: Program) -> tuple[str, ...]:
    """Slots with weights, normalisations left out."""
    return names(program, "dense", "conv", "recurrent", "embedding")


def matrices(program: Program) -> tuple[str, ...]:
    """Dense and convolution slots."""
    return names(program, "dense", "conv")


def biased(program: Program, has: bool = True) -> tuple[str, ...]:
    """Dense and convolution slots with (or without) a bias."""
    slots = (s for s in program.slots() if s.kind.startswith(("dense", "conv")))
    return tuple(s.name for s in slots if bool(s.options["bias"]) is has)


def needs(found: Callable, what: str) -> Callable[[Program], str | None]:
    """Return a predicate: the program has something, else says that it lacks ``what``."""
    return lambda program: None if found(program) else f"it has no {what}"


def rows(program: Program) -> int:
    """Training rows."""
    return len(program.arrays().train[-1])


def steps(program: Program) -> int:
    """Optimizer steps per logged epoch."""
    return max(1, -(-rows(program) // program.setup.batch_size) * program.passes)


def pick(rng: np.random.Generator, values: Sequence[T]) -> T:
    """Draw one of some values."""
    return values[int(rng.integers(len(values)))]


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw uniformly; six digits are kept, so that the draw is readable and hardly recurs."""
    return float(f"{rng.uniform(low, high):.6g}")


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw uniformly on a logarithmic scale, six digits."""
    return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.6g}")


def edit_all(program: Program, setup: Setup, layer: str, slots: Callable, **changes: Any) -> Setup:
    """Edit one slot, or with ``layer="all"`` every one that ``slots(program)`` names."""
    for name in slots(program) if layer == ALL else (layer,):
        setup = setup.edited(name, **changes)
    return setup


def buildable(program: Program, slot: str, key: str, values: Iterable) -> tuple:
    """Those values of an option of a slot with which the model runs and keeps its output shape."""
    healthy = next(s.options for s in program.slots() if s.name == slot)
    return tuple(
        v for v in values if v != healthy.get(key) and _output_shape(program.name, slot, key, v)
        == _output_shape(program.name, None, None, None)
    )  # fmt: skip


@cache
@torch.no_grad()
def _output_shape(name: str, slot: str | None, key: str | None, value: Any) -> tuple | None:
    program = get_program(name)
    batch = tuple(torch.tensor(a[:3]) for a in program.arrays().train)
    inputs, _ = program.prepare(batch, torch.Generator().manual_seed(0))
    edits = {slot: {key: value}} if slot and key else {}
    try:
        model = program.build(Design(edits), program.arrays())
        return tuple(model.eval()(*inputs).shape)
    except (AssertionError, IndexError, RuntimeError, TypeError, ValueError):
        return None
