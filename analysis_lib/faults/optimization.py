"""Faults of the optimizer and its gradients."""

from dataclasses import replace

import numpy as np

from analysis_lib.faults.operator import Parameter, operator
from analysis_lib.faults.slots import log_uniform, pick
from analysis_lib.programs.optimizers import OPTIMIZERS
from analysis_lib.programs.program import Program, Setup

__all__ = ["change_optimizer", "clip_gradients", "swap_optimizer"]


def _others(program: Program) -> tuple[str, ...]:
    return tuple(n for n in OPTIMIZERS if n != program.setup.optimizer)


def _sample_optimizer(program: Program, rng: np.random.Generator) -> dict:
    # most often those whose default rate is small for their kind
    slow = [n for n in ("adadelta", "sgd", "adagrad", "adam") if n != program.setup.optimizer]
    falling = 0.5 ** np.arange(len(slow))
    return {"optimizer": str(rng.choice(slow, p=falling / falling.sum()))}


@operator(
    "OCH",
    category="Optimization",
    title="change the optimizer",
    source="DeepCrime OCH: another optimizer at its own default learning rate",
    parameters={"optimizer": Parameter(str, "name of another optimizer", choices=_others)},
    sample=_sample_optimizer,
)
def change_optimizer(program: Program, setup: Setup, *, optimizer: str) -> Setup:
    """Use another optimizer, at its default learning rate and without the old one's options."""
    return replace(setup, optimizer=optimizer, lr=OPTIMIZERS[optimizer].default_lr, options={})


SEEDED = ("sgd", "rmsprop", "adam", "adadelta", "adagrad")


def _seeded(program: Program) -> tuple[str, ...]:
    return tuple(n for n in SEEDED if n != program.setup.optimizer)


def _sample_swap(program: Program, rng: np.random.Generator) -> dict:
    # rates of SGD are too large for steps of fixed size, and theirs too small for SGD
    harmful: tuple[str, ...]
    if program.setup.optimizer == "sgd" and program.setup.lr >= 0.02:
        harmful = ("adadelta", "rmsprop", "adam")
    else:
        harmful = tuple(n for n in ("adadelta", "sgd", "adagrad") if n in _seeded(program))
    return {"optimizer": pick(rng, harmful)}


@operator(
    "FOP",
    category="Optimization",
    title="swap the optimizer under its learning rate",
    source="DeepFD's seeding of opt; it is not known to reset the rate, so the program's stays",
    parameters={"optimizer": Parameter(str, "name of another optimizer", choices=_seeded)},
    sample=_sample_swap,
)
def swap_optimizer(program: Program, setup: Setup, *, optimizer: str) -> Setup:
    """Use another optimizer at the learning rate that was tuned for the old one."""
    return replace(setup, optimizer=optimizer, options={})


def _sample_norm(program: Program, rng: np.random.Generator) -> dict:
    # adaptive optimizers rescale the gradient, so only a norm near their epsilon bites
    adaptive = program.setup.optimizer != "sgd"
    return {"norm": log_uniform(rng, *((1e-8, 1e-6) if adaptive else (1e-3, 3e-2)))}


@operator(
    "OCG",
    category="Optimization",
    title="clip gradients",
    source="DeepCrime OCG, on programs that do not clip as well",
    parameters={"norm": Parameter(float, "largest gradient norm", 1e-12, 1e8)},
    sample=_sample_norm,
    weight=1.5,
)
def clip_gradients(program: Program, setup: Setup, *, norm: float) -> Setup:
    """Clip the gradient to a norm so small that learning suffers."""
    return replace(setup, clip_norm=norm)
