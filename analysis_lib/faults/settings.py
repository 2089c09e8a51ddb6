"""Faults of settings: learning rate, batch size, loss, optimizer, clipping."""

from dataclasses import replace

import numpy as np

from analysis_lib.faults.operator import Parameter, operator
from analysis_lib.programs.losses import LOSSES
from analysis_lib.programs.optimizers import OPTIMIZERS
from analysis_lib.programs.program import Program, Setup

__all__ = [
    "change_batch_size",
    "change_learning_rate",
    "change_loss",
    "change_optimizer",
    "clip_gradients",
    "disable_batching",
]


def _rows(program: Program) -> int:
    return len(program.arrays().train[-1])


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.3g}")


def _sample_rate(program: Program, rng: np.random.Generator) -> dict:
    low, high = (30.0, 3000.0) if rng.random() < 0.5 else (1e-4, 1e-2)
    return {"factor": _log_uniform(rng, low, high)}


@operator(
    "HLR",
    category="Hyperparameter",
    title="change the learning rate",
    source="DeepCrime HLR; both directions, as in DeepFD's seeding",
    parameters={"factor": Parameter(float, "factor on the learning rate", 1e-8, 1e8)},
    sample=_sample_rate,
    weight=2.0,
)
def change_learning_rate(program: Program, setup: Setup, *, factor: float) -> Setup:
    """Train with the learning rate multiplied by a factor."""
    return replace(setup, lr=setup.lr * factor)


def _sample_size(program: Program, rng: np.random.Generator) -> dict:
    rows = _rows(program)
    large = [rows // n for n in (2, 3, 4, 6)]
    small = [max(2, rows * program.passes // 500), max(2, rows * program.passes // 250)]
    sizes = [s for s in large + small if s != program.setup.batch_size and s > 1]
    return {"size": int(rng.choice(sizes))}


@operator(
    "HBS",
    category="Hyperparameter",
    title="change the batch size",
    source="DeepCrime HBS",
    parameters={"size": Parameter(int, "rows per batch", 2, 65536)},
    applies=lambda program: None if _rows(program) >= 16 else "it has fewer than 16 training rows",
    sample=_sample_size,
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
        None if _rows(program) > program.setup.batch_size else "it trains on full batches already"
    ),
    weight=0.5,
)
def disable_batching(program: Program, setup: Setup) -> Setup:
    """Take one step per pass, on all training rows at once."""
    return replace(setup, batch_size=_rows(program))


HARMFUL_LOSSES = {
    "classification": ("mape", "mae", "msle", "logcosh", "poisson", "hinge"),
    "binary": ("cce", "mape", "hinge", "poisson", "categorical_hinge", "mae", "msle"),
    "regression": ("cce", "bce", "kld", "hinge", "squared_hinge", "categorical_hinge", "msle"),
    "generative": ("cce", "kld", "hinge", "squared_hinge", "categorical_hinge", "mape"),
}


@operator(
    "LCH",
    category="Loss",
    title="change the loss function",
    source="DeepCrime LCH; the cross-family swaps of DeepFD's seeding",
    parameters={
        "loss": Parameter(
            str,
            "name of another loss",
            choices=lambda program: tuple(n for n in LOSSES if n != program.setup.loss),
        )
    },
    sample=lambda program, rng: {"loss": str(rng.choice(HARMFUL_LOSSES[program.task]))},
)
def change_loss(program: Program, setup: Setup, *, loss: str) -> Setup:
    """Minimise another loss, with Keras' semantics on the activated outputs."""
    return replace(setup, loss=loss)


def _sample_optimizer(program: Program, rng: np.random.Generator) -> dict:
    slow = [n for n in ("sgd", "adagrad", "adamax", "adamw") if n != program.setup.optimizer]
    return {"optimizer": str(rng.choice(slow, p=_shares(len(slow))))}


def _shares(n: int) -> np.ndarray:
    falling = 0.5 ** np.arange(n)
    return falling / falling.sum()


def _sample_norm(program: Program, rng: np.random.Generator) -> dict:
    # adaptive optimizers rescale the gradient, so only a norm near their epsilon bites
    adaptive = program.setup.optimizer != "sgd"
    return {"norm": _log_uniform(rng, *((1e-8, 1e-6) if adaptive else (1e-3, 3e-2)))}


def _others(program: Program) -> tuple[str, ...]:
    return tuple(n for n in OPTIMIZERS if n != program.setup.optimizer)


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


@operator(
    "OCG",
    category="Optimization",
    title="clip gradients",
    source="DeepCrime OCG, on programs that do not clip as well",
    parameters={"norm": Parameter(float, "largest gradient norm", 1e-12, 1e8)},
    sample=_sample_norm,
)
def clip_gradients(program: Program, setup: Setup, *, norm: float) -> Setup:
    """Clip the gradient to a norm so small that learning suffers."""
    return replace(setup, clip_norm=norm)
