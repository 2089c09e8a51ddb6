"""Faults of regularization: penalties, weight decay, dropout, early stopping."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from analysis_lib.configuration import EPOCHS
from analysis_lib.faults.operator import Parameter, operator
from analysis_lib.faults.slots import ALL, edit_all, log_uniform, names, needs, pick, weighted
from analysis_lib.faults.slots import uniform as draw_uniform
from analysis_lib.programs.program import Program, Setup

__all__ = [
    "add_weight_penalty",
    "change_dropout",
    "change_weight_penalty",
    "decay_weights",
    "lose_patience",
    "remove_weight_penalty",
]

PENALTIES = ("l1", "l2", "l1_l2")


def _penalised(setup: Setup, slots: Iterable[str], penalty: str) -> Setup:
    return replace(setup, penalties={**setup.penalties, **dict.fromkeys(slots, penalty)})


@operator(
    "RAW",
    category="Regularization",
    title="add a weight penalty",
    source="DeepCrime RAW: Keras' l1, l2 or l1_l2, each of 0.01, in the loss",
    parameters={
        "layer": Parameter(str, "parametrised slot, or all", choices=lambda p: (*weighted(p), ALL)),
        "penalty": Parameter(str, "kind of penalty", choices=PENALTIES),
    },
    applies=needs(weighted, "layer with weights"),
    sample=lambda p, rng: {
        "layer": ALL if rng.random() < 0.9 else pick(rng, weighted(p)),
        "penalty": pick(rng, ("l1", "l1", "l2", "l1_l2")),
    },
    weight=0.75,
)
def add_weight_penalty(program: Program, setup: Setup, *, layer: str, penalty: str) -> Setup:
    """Add 0.01 sum |w| and/or 0.01 sum w^2 of the weights of one layer, or all, to the loss."""
    return _penalised(setup, weighted(program) if layer == ALL else (layer,), penalty)


def _decay(program: Program) -> float:
    return float(program.setup.options.get("weight_decay", 0.0))


def _without_decay(setup: Setup) -> Setup:
    # not left out: AdamW decays by 0.01 unless told otherwise
    return replace(setup, options={**setup.options, "weight_decay": 0.0})


@operator(
    "RCW",
    category="Regularization",
    title="change the weight regularization",
    source="DeepCrime RCW; the optimizer's weight_decay counts as the one the program has",
    parameters={"penalty": Parameter(str, "kind of penalty instead", choices=PENALTIES)},
    applies=needs(_decay, "weight decay to change"),
    sample=lambda p, rng: {"penalty": pick(rng, PENALTIES)},
    weight=0.25,
)
def change_weight_penalty(program: Program, setup: Setup, *, penalty: str) -> Setup:
    """Put Keras' penalty of 0.01 on all weights in the place of the weight decay."""
    return _penalised(_without_decay(setup), weighted(program), penalty)


@operator(
    "RRW",
    category="Regularization",
    title="remove the weight regularization",
    source="DeepCrime RRW; the optimizer's weight_decay counts as the one the program has",
    applies=needs(_decay, "weight decay to remove"),
    weight=0.05,
)
def remove_weight_penalty(program: Program, setup: Setup) -> Setup:
    """Train without the weight decay."""
    return _without_decay(setup)


def _sample_decay(program: Program, rng: np.random.Generator) -> dict:
    # a share of every weight lost per step; where the decay is a gradient that the optimizer
    # rescales, only its size relative to the loss' gradient matters
    if program.setup.optimizer in ("sgd", "adamw"):
        rolling = 1 / (1 - float(program.setup.options.get("momentum", 0.0)))
        return {"decay": log_uniform(rng, 0.02, 0.5) / program.setup.lr / rolling}
    return {"decay": log_uniform(rng, 0.3, 30.0)}


def _rounded(sample):
    return lambda p, rng: {k: float(f"{v:.6g}") for k, v in sample(p, rng).items()}


@operator(
    "RWD",
    category="Regularization",
    title="weight decay far too large",
    source="PyTorch: weight_decay of torch.optim, decoupled in AdamW, so that values do not carry "
    "over from Adam and SGD",
    parameters={"decay": Parameter(float, "weight decay", 1e-6, 1e6)},
    sample=_rounded(_sample_decay),
    weight=2.0,
)
def decay_weights(program: Program, setup: Setup, *, decay: float) -> Setup:
    """Train with a weight decay that outweighs the loss."""
    return replace(setup, options={**setup.options, "weight_decay": decay})


@operator(
    "RCD",
    category="Regularization",
    title="change a dropout rate",
    source="DeepCrime RCD",
    parameters={
        "layer": Parameter(
            str, "dropout slot, or all", choices=lambda p: (*names(p, "dropout"), ALL)
        ),
        "rate": Parameter(float, "dropout probability", 0.0, 1.0),
    },
    applies=needs(lambda p: names(p, "dropout"), "dropout layer"),
    sample=lambda p, rng: {"layer": ALL, "rate": draw_uniform(rng, 0.93, 0.999)},
    weight=1.5,
)
def change_dropout(program: Program, setup: Setup, *, layer: str, rate: float) -> Setup:
    """Drop another share of the units of one dropout layer, or of all."""
    return edit_all(program, setup, layer, lambda p: names(p, "dropout"), p=rate)


@operator(
    "RCP",
    category="Regularization",
    title="stop early, with little patience",
    source="DeepCrime RCP: the patience of early stopping on the validation loss",
    parameters={"patience": Parameter(int, "epochs without improvement", 1, EPOCHS - 1)},
    sample=lambda p, rng: {"patience": 1},
    weight=0.0,
)
def lose_patience(program: Program, setup: Setup, *, patience: int) -> Setup:
    """Take no step once the validation loss has not improved for some epochs; snapshots go on.

    Never part of a plan, like HNE. No program stops early by itself, so a run whose validation
    loss keeps falling is the healthy one.
    """
    return replace(setup, patience=patience)
