"""Faults of initial weights and of biases."""

import numpy as np

from analysis_lib.faults.operator import Parameter, operator
from analysis_lib.faults.slots import (
    ALL,
    biased,
    edit_all,
    log_uniform,
    needs,
    pick,
    uniform,
    weighted,
)
from analysis_lib.programs.initializers import INITIALIZERS
from analysis_lib.programs.program import Program, Setup

__all__ = [
    "add_bias",
    "change_initial_weights",
    "remove_bias",
    "scale_initial_weights",
    "shift_initial_biases",
]

HARMFUL = ("zeros", "ones", "constant", "wide_normal")


def _sample_init(program: Program, rng: np.random.Generator) -> dict:
    others = weighted(program)[:-1]
    layer = ALL if rng.random() < 0.7 or not others else pick(rng, others)
    present = {s.name: s.options.get("init") for s in program.slots()}
    return {"layer": layer, "init": pick(rng, [i for i in HARMFUL if i != present.get(layer)])}


@operator(
    "WCI",
    category="Weights",
    title="change the initial weights",
    source="DeepCrime WCI",
    parameters={
        "layer": Parameter(str, "parametrised slot, or all", choices=lambda p: (*weighted(p), ALL)),
        "init": Parameter(str, "initializer", choices=tuple(INITIALIZERS)),
    },
    applies=needs(weighted, "layer with weights"),
    sample=_sample_init,
    weight=2.0,
)
def change_initial_weights(program: Program, setup: Setup, *, layer: str, init: str) -> Setup:
    """Start one layer, or all, from other initial weights."""
    return edit_all(program, setup, layer, weighted, init=init)


def _sample_gain(program: Program, rng: np.random.Generator) -> dict:
    large = rng.random() < 0.6
    gain = log_uniform(rng, 8.0, 80.0) if large else log_uniform(rng, 1e-4, 1e-2)
    return {"layer": ALL, "gain": gain}


@operator(
    "WSC",
    category="Weights",
    title="initial weights of the wrong scale",
    source="PyTorch: the gain and std arguments of torch.nn.init; nn.Embedding starts with std 1",
    parameters={
        "layer": Parameter(str, "parametrised slot, or all", choices=lambda p: (*weighted(p), ALL)),
        "gain": Parameter(float, "factor on the initial weights", 1e-8, 1e8),
    },
    applies=needs(weighted, "layer with weights"),
    sample=_sample_gain,
    weight=2.0,
)
def scale_initial_weights(program: Program, setup: Setup, *, layer: str, gain: float) -> Setup:
    """Multiply the initial weights of one layer, or of all, by a factor; biases stay."""
    return edit_all(program, setup, layer, weighted, gain=gain)


def _sample_shift(program: Program, rng: np.random.Generator) -> dict:
    size = uniform(rng, 5.0, 50.0)
    return {"layer": ALL, "value": -size if rng.random() < 0.7 else size}


@operator(
    "WBC",
    category="Weights",
    title="initial biases far from zero",
    source="PyTorch: nn.init.constant_ or normal_ over all parameters, biases among them",
    parameters={
        "layer": Parameter(str, "slot with a bias, or all", choices=lambda p: (*biased(p), ALL)),
        "value": Parameter(float, "initial bias", -1e6, 1e6),
    },
    applies=needs(biased, "layer with a bias"),
    sample=_sample_shift,
)
def shift_initial_biases(program: Program, setup: Setup, *, layer: str, value: float) -> Setup:
    """Start the biases of one layer, or of all, from a constant instead of zero."""
    return edit_all(program, setup, layer, biased, initial_bias=value)


@operator(
    "WRB",
    category="Weights",
    title="remove a bias",
    source="DeepCrime WRB",
    parameters={
        "layer": Parameter(str, "slot with a bias, or all", choices=lambda p: (*biased(p), ALL))
    },
    applies=needs(biased, "layer with a bias"),
    sample=lambda p, rng: {"layer": ALL},
    weight=0.1,
)
def remove_bias(program: Program, setup: Setup, *, layer: str) -> Setup:
    """Leave the bias of one layer, or of all, out."""
    return edit_all(program, setup, layer, biased, bias=False)


def _unbiased(program: Program) -> tuple[str, ...]:
    return biased(program, False)


@operator(
    "WAB",
    category="Weights",
    title="add a bias",
    source="DeepCrime WAB",
    parameters={"layer": Parameter(str, "slot without a bias", choices=_unbiased)},
    applies=needs(_unbiased, "layer without a bias"),
    sample=lambda p, rng: {"layer": pick(rng, _unbiased(p))},
    weight=0.1,
)
def add_bias(program: Program, setup: Setup, *, layer: str) -> Setup:
    """Give a bias to a layer designed without one (behind it comes a normalisation)."""
    return setup.edited(layer, bias=True)
