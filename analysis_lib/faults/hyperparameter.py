"""Faults of hyperparameters: learning rate, batch size, epochs."""

from dataclasses import replace

import numpy as np

from analysis_lib.configuration import EPOCHS
from analysis_lib.faults.operator import Parameter, operator
from analysis_lib.faults.slots import log_uniform, rows, uniform
from analysis_lib.programs.program import Program, Setup

__all__ = [
    "change_batch_size",
    "change_learning_rate",
    "disable_batching",
    "misplace_learning_rate",
    "stop_after_epochs",
]


def _sample_factor(program: Program, rng: np.random.Generator) -> dict:
    low, high = (30.0, 3000.0) if rng.random() < 0.5 else (1e-4, 1e-2)
    return {"factor": log_uniform(rng, low, high)}


@operator(
    "HLR",
    category="Hyperparameter",
    title="change the learning rate",
    source="DeepCrime HLR, in both directions",
    parameters={"factor": Parameter(float, "factor on the learning rate", 1e-8, 1e8)},
    sample=_sample_factor,
    weight=2.0,
)
def change_learning_rate(program: Program, setup: Setup, *, factor: float) -> Setup:
    """Train with the learning rate multiplied by a factor."""
    return replace(setup, lr=setup.lr * factor)


def _sample_rate(program: Program, rng: np.random.Generator) -> dict:
    if rng.random() < 0.5:
        return {"rate": uniform(rng, 1.0, 10.0)}
    return {"rate": log_uniform(rng, 1e-15, 1e-10)}


@operator(
    "FLR",
    category="Hyperparameter",
    title="set an absurd learning rate",
    source="DeepFD's seeding of lr: 1 to 10, or 1e-15 to 1e-10, whatever the program's own",
    parameters={"rate": Parameter(float, "learning rate", 1e-16, 100.0)},
    sample=_sample_rate,
    weight=1.5,
)
def misplace_learning_rate(program: Program, setup: Setup, *, rate: float) -> Setup:
    """Train with a learning rate that suits no optimizer."""
    return replace(setup, lr=rate)


def _sample_size(program: Program, rng: np.random.Generator) -> dict:
    # a few large batches (so few steps), or many tiny ones
    n = rows(program)
    if rng.random() < 0.7:
        size = round(n / uniform(rng, 1.0, 3.0))
    else:
        size = max(2, round(n * program.passes / uniform(rng, 250, 500)))
    size = min(max(size, 2), n - 1)
    return {"size": size + (size == program.setup.batch_size)}


@operator(
    "HBS",
    category="Hyperparameter",
    title="change the batch size",
    source="DeepCrime HBS",
    parameters={"size": Parameter(int, "rows per batch", 2, 65536)},
    applies=lambda program: None if rows(program) >= 16 else "it has fewer than 16 training rows",
    sample=_sample_size,
    weight=0.75,
)
def change_batch_size(program: Program, setup: Setup, *, size: int) -> Setup:
    """Train with another batch size, leaving the learning rate as it is."""
    return replace(setup, batch_size=size)


@operator(
    "HDB",
    category="Hyperparameter",
    title="disable batching",
    source="DeepCrime HDB",
    applies=lambda program: (
        None if rows(program) > program.setup.batch_size else "it trains on full batches already"
    ),
    weight=0.4,
)
def disable_batching(program: Program, setup: Setup) -> Setup:
    """Take one step per pass, on all training rows at once."""
    return replace(setup, batch_size=rows(program))


@operator(
    "HNE",
    category="Hyperparameter",
    title="train for fewer epochs",
    source="DeepCrime HNE; DeepFD's seeding of epoch",
    parameters={"epochs": Parameter(int, "epochs after which steps end", 1, EPOCHS - 1)},
    sample=lambda program, rng: {"epochs": int(rng.integers(1, 4))},
    weight=0.0,
)
def stop_after_epochs(program: Program, setup: Setup, *, epochs: int) -> Setup:
    """Take no step after some epochs; snapshots go on.

    Never part of a plan: until it stops a run is the healthy one, and then its length tells.
    """
    return replace(setup, stop_after=epochs)
