"""Faults of the loss."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from analysis_lib.faults.gradients import distinct
from analysis_lib.faults.operator import Parameter, operator
from analysis_lib.faults.slots import log_uniform, pick
from analysis_lib.programs.losses import LOSSES
from analysis_lib.programs.program import Program, Setup

__all__ = ["change_loss", "misweigh_classes", "sum_loss", "swap_loss_family"]

OF_CLASSES, OF_VALUES = ("cce", "bce"), ("mape", "mae", "mse")
HARMFUL = {
    "classification": "msle mape mae logcosh categorical_hinge squared_hinge hinge",
    "binary": "mape poisson kld msle categorical_hinge mae hinge",
    "regression": "bce cce kld hinge squared_hinge categorical_hinge msle poisson mape",
    "generative": "cce kld hinge squared_hinge categorical_hinge mape poisson",
}
"""Losses that LCH draws, without those that FLO draws, where their gradient is their own."""


def _usable(program: Program, losses: Iterable[str]) -> tuple[str, ...]:
    pairs = ((name, program.setup.output) for name in losses if name in LOSSES)
    return tuple(name for name, _ in distinct(program, pairs))


def _sample_loss(program: Program, rng: np.random.Generator) -> dict:
    others = [n for n in HARMFUL[program.task].split() if n not in _opposite(program)]
    return {"loss": pick(rng, _usable(program, others))}


@operator(
    "LCH",
    category="Loss",
    title="change the loss function",
    source="DeepCrime LCH",
    parameters={
        "loss": Parameter(
            str,
            "name of another loss",
            choices=lambda program: tuple(n for n in LOSSES if n != program.setup.loss),
        )
    },
    sample=_sample_loss,
)
def change_loss(program: Program, setup: Setup, *, loss: str) -> Setup:
    """Minimise another loss, with Keras' semantics on the activated outputs."""
    return replace(setup, loss=loss)


def _opposite(program: Program) -> tuple[str, ...]:
    loss = program.setup.loss
    classes = loss in OF_CLASSES or (loss not in LOSSES and program.classifies)
    return OF_VALUES if classes else OF_CLASSES


@operator(
    "FLO",
    category="Loss",
    title="take a loss of the other family",
    source="DeepFD's seeding of loss: CCE or BCE for MAE, MAPE or MSE, and the reverse",
    parameters={
        "loss": Parameter(str, "name of a loss of the other family", choices=_opposite),
    },
    applies=lambda p: (
        None
        if _usable(p, _opposite(p))
        else "no loss of the other family has a gradient of its own there"
    ),
    sample=lambda program, rng: {"loss": pick(rng, _usable(program, _opposite(program)))},
)
def swap_loss_family(program: Program, setup: Setup, *, loss: str) -> Setup:
    """Minimise a loss of classes for values, or a loss of values for classes."""
    return replace(setup, loss=loss)


@operator(
    "LSM",
    category="Loss",
    title="sum the loss over the batch",
    source='PyTorch: reduction="sum" in a loss of torch.nn (documentation of the losses)',
    applies=lambda p: (
        None
        if p.setup.optimizer == "sgd" and p.setup.clip_norm is None
        else "its optimizer divides the scale of the loss out again"
    ),
)
def sum_loss(program: Program, setup: Setup) -> Setup:
    """Add the loss up over the rows of a batch instead of averaging it."""
    return replace(setup, reduction="sum")


def _no_weights(program: Program) -> str | None:
    if (program.setup.loss, program.setup.output) not in (("cce", "softmax"), ("bce", "sigmoid")):
        return "its loss knows no weights of classes"
    if not program.classifies:
        return "its target is not a class"
    return None if program.metric == "accuracy" else "its metric ranks, whatever the weights"


def _sample_ratio(program: Program, rng: np.random.Generator) -> dict:
    low, high = (1e3, 1e5) if rng.random() < 0.5 else (1e-5, 1e-3)
    return {"ratio": log_uniform(rng, low, high)}


@operator(
    "LWC",
    category="Loss",
    title="class weights far off",
    source="PyTorch: weight of nn.CrossEntropyLoss, pos_weight of nn.BCEWithLogitsLoss, inverted "
    "or on another scale (documentation of the losses)",
    parameters={"ratio": Parameter(float, "weight of the last class to the first's", 1e-9, 1e9)},
    applies=_no_weights,
    sample=_sample_ratio,
    weight=2.0,
)
def misweigh_classes(program: Program, setup: Setup, *, ratio: float) -> Setup:
    """Weigh the classes of the loss unequally, in equal ratios from the first to the last."""
    return replace(setup, class_ratio=ratio)
