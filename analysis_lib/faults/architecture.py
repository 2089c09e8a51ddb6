"""Faults of the model: activations, layers, weights, regularization."""

from dataclasses import replace

import numpy as np

from analysis_lib.faults.operator import Parameter, operator
from analysis_lib.programs.design import ACTIVATIONS, INITIALIZERS
from analysis_lib.programs.program import Program, Setup

__all__ = [
    "add_activation",
    "add_bias",
    "add_layer",
    "add_weight_penalty",
    "change_activation",
    "change_dropout",
    "change_filters",
    "change_initial_weights",
    "change_kernel",
    "change_units",
    "remove_activation",
    "remove_bias",
    "remove_layer",
]

ALL = "all"
OUTPUT = "output"


def _names(program: Program, *kinds: str, free: bool = False) -> tuple[str, ...]:
    """Slots of some kinds in the order of the model; ``free`` leaves fixed ones out."""
    return tuple(
        slot.name
        for slot in program.slots()
        if slot.kind.startswith(kinds) and not (free and slot.fixed)
    )


def _needs(found, what: str):
    """Return a predicate: the program has something, else says that it lacks ``what``."""
    return lambda program: None if found(program) else f"it has no {what}"


def _pick(rng: np.random.Generator, values) -> object:
    return values[int(rng.integers(len(values)))]


def _edit_all(program: Program, setup: Setup, layer: str, slots, **changes) -> Setup:
    for name in slots(program) if layer == ALL else (layer,):
        setup = setup.edited(name, **changes)
    return setup


def _hidden(program: Program) -> tuple[str, ...]:
    return _names(program, "activation")


def _weighted(program: Program) -> tuple[str, ...]:
    return _names(program, "dense", "conv", "recurrent", "embedding")


def _matrices(program: Program) -> tuple[str, ...]:
    return _names(program, "dense", "conv")


# Activation ------------------------------------------------------------------------------------

HARMFUL_HIDDEN = ("softmax", "exponential", "sigmoid", "hard_sigmoid")
HARMFUL_OUTPUT = ("relu", "tanh", "exponential", "softsign", "elu", "softplus")
PUBLISHED = (
    "elu softmax selu softplus softsign relu tanh sigmoid hard_sigmoid exponential linear".split()
)


def _sample_activation(program: Program, rng: np.random.Generator) -> dict:
    if rng.random() < 0.4:
        kinds = [k for k in HARMFUL_OUTPUT if k != program.setup.output]
        return {"layer": OUTPUT, "activation": _pick(rng, kinds)}
    layer = ALL if rng.random() < 0.7 else _pick(rng, _hidden(program))
    present = {s.options["kind"] for s in program.slots("activation")}
    return {
        "layer": layer,
        "activation": _pick(rng, [k for k in HARMFUL_HIDDEN if k not in present]),
    }


@operator(
    "ACH",
    category="Activation",
    title="change an activation",
    source="DeepCrime ACH; DeepFD seeds the output layer only",
    parameters={
        "layer": Parameter(
            str, "activation slot, all, or output", choices=lambda p: (*_hidden(p), ALL, OUTPUT)
        ),
        "activation": Parameter(str, "new activation", choices=tuple(ACTIVATIONS)),
    },
    applies=_needs(_hidden, "hidden activation"),
    sample=_sample_activation,
    weight=2.0,
)
def change_activation(program: Program, setup: Setup, *, layer: str, activation: str) -> Setup:
    """Replace one hidden activation, all of them, or the output activation."""
    if layer == OUTPUT:
        return replace(setup, output=activation)
    return _edit_all(program, setup, layer, _hidden, kind=activation)


def _removable(program: Program) -> tuple[str, ...]:
    output = (OUTPUT,) if program.setup.output != "linear" else ()
    return (*_hidden(program), ALL, *output)


@operator(
    "ARM",
    category="Activation",
    title="remove an activation",
    source="DeepCrime ARM",
    parameters={"layer": Parameter(str, "activation slot, all, or output", choices=_removable)},
    applies=_needs(_hidden, "hidden activation"),
    sample=lambda p, rng: {"layer": _pick(rng, (ALL, _removable(p)[-1]))},
    weight=0.5,
)
def remove_activation(program: Program, setup: Setup, *, layer: str) -> Setup:
    """Make one hidden activation, all of them, or the output linear."""
    if layer == OUTPUT:
        return replace(setup, output="linear")
    return _edit_all(program, setup, layer, _hidden, kind="linear")


@operator(
    "AAL",
    category="Activation",
    title="add an activation",
    source="DeepCrime AAL; before the output activation when added to the last layer",
    parameters={
        "layer": Parameter(str, "dense or convolution slot", choices=_matrices),
        "activation": Parameter(
            str, "added activation", choices=tuple(k for k in PUBLISHED if k != "linear")
        ),
    },
    applies=_needs(_matrices, "dense or convolution layer"),
    sample=lambda p, rng: {
        "layer": _matrices(p)[-1] if rng.random() < 0.7 else _pick(rng, _matrices(p)),
        "activation": _pick(rng, ("relu", "softmax", "sigmoid", "tanh", "exponential")),
    },
)
def add_activation(program: Program, setup: Setup, *, layer: str, activation: str) -> Setup:
    """Put an activation behind a layer that has none of its own."""
    return setup.edited(layer, insert=activation)


# Layer -----------------------------------------------------------------------------------------


def _free_dense(program: Program) -> tuple[str, ...]:
    return _names(program, "dense", free=True)


def _free_conv(program: Program) -> tuple[str, ...]:
    return _names(program, "conv", free=True)


@operator(
    "LCN",
    category="Layer",
    title="change the units of a dense layer",
    source="DEFault LCN",
    parameters={
        "layer": Parameter(str, "dense slot", choices=_free_dense),
        "units": Parameter(int, "number of units", 1, 1024),
    },
    applies=_needs(_free_dense, "dense layer whose width may change"),
    sample=lambda p, rng: {"layer": _pick(rng, _free_dense(p)), "units": int(rng.integers(1, 3))},
    weight=2.0,
)
def change_units(program: Program, setup: Setup, *, layer: str, units: int) -> Setup:
    """Give a hidden dense layer another width."""
    return setup.edited(layer, units=units)


@operator(
    "LCF",
    category="Layer",
    title="change the filters of a convolution",
    source="DEFault LCF",
    parameters={
        "layer": Parameter(str, "convolution slot", choices=_free_conv),
        "filters": Parameter(int, "number of filters", 1, 256),
    },
    applies=_needs(_free_conv, "convolution whose width may change"),
    sample=lambda p, rng: {"layer": _pick(rng, _free_conv(p)), "filters": 1},
)
def change_filters(program: Program, setup: Setup, *, layer: str, filters: int) -> Setup:
    """Give a convolution another number of filters."""
    return setup.edited(layer, units=filters)


@operator(
    "LKS",
    category="Layer",
    title="change the kernel size of a convolution",
    source="DEFault LKS",
    parameters={
        "layer": Parameter(str, "convolution slot", choices=lambda p: _names(p, "conv")),
        "kernel": Parameter(int, "kernel size", choices=(1, 3, 5, 7)),
    },
    applies=_needs(lambda p: _names(p, "conv"), "convolution"),
    sample=lambda p, rng: _sample_kernel(p, rng),
    weight=0.5,
)
def change_kernel(program: Program, setup: Setup, *, layer: str, kernel: int) -> Setup:
    """Give a convolution another kernel size, keeping the padding rule."""
    return setup.edited(layer, kernel=kernel)


def _sample_kernel(program: Program, rng: np.random.Generator) -> dict:
    slot = _pick(rng, program.slots("conv"))
    kernels = [k for k in (1, 7) if k != slot.options["kernel"]]
    return {"layer": slot.name, "kernel": int(_pick(rng, kernels))}


INSERTED = (
    "dense:1",
    "dense:2",
    "dense:32",
    "dropout:0.5",
    "dropout:0.7",
    "dropout:0.9",
    "dropout:0.95",
    "sigmoid",
    "tanh",
)


@operator(
    "LAD",
    category="Layer",
    title="insert a layer",
    source="DEFault LAD",
    parameters={
        "layer": Parameter(str, "dense slot before the new layer", choices=_free_dense),
        "what": Parameter(str, "inserted layer", choices=INSERTED),
    },
    applies=_needs(_free_dense, "dense layer whose width may change"),
    sample=lambda p, rng: {
        "layer": _pick(rng, _free_dense(p)),
        "what": _pick(rng, ("dense:1", "dense:2", "dropout:0.9", "dropout:0.95")),
    },
)
def add_layer(program: Program, setup: Setup, *, layer: str, what: str) -> Setup:
    """Insert a narrow dense layer, a strong dropout or a squashing activation."""
    return setup.edited(layer, insert=what)


@operator(
    "LRM",
    category="Layer",
    title="remove a layer",
    source="DEFault LRM",
    parameters={"layer": Parameter(str, "dense slot", choices=_free_dense)},
    applies=_needs(_free_dense, "dense layer that may be removed"),
    sample=lambda p, rng: {"layer": _pick(rng, _free_dense(p))},
    weight=0.25,
)
def remove_layer(program: Program, setup: Setup, *, layer: str) -> Setup:
    """Leave a hidden dense layer out."""
    return setup.edited(layer, remove=True)


# Weights ---------------------------------------------------------------------------------------


HARMFUL_INIT = ("zeros", "ones", "constant", "wide_normal")


def _sample_init(program: Program, rng: np.random.Generator) -> dict:
    layer = ALL if rng.random() < 0.6 else _pick(rng, _weighted(program)[:-1])
    init = _pick(rng, HARMFUL_INIT)
    present = {s.name: s.options.get("init") for s in program.slots()}
    if present.get(layer) == init:
        init = next(other for other in HARMFUL_INIT if other != init)
    return {"layer": layer, "init": init}


@operator(
    "WCI",
    category="Weights",
    title="change the initial weights",
    source="DeepCrime WCI",
    parameters={
        "layer": Parameter(
            str, "parametrised slot, or all", choices=lambda p: (*_weighted(p), ALL)
        ),
        "init": Parameter(str, "initializer", choices=tuple(INITIALIZERS)),
    },
    sample=_sample_init,
    weight=4.0,
)
def change_initial_weights(program: Program, setup: Setup, *, layer: str, init: str) -> Setup:
    """Start one layer, or all, from other initial weights."""
    return _edit_all(program, setup, layer, _weighted, init=init)


def _biased(program: Program, has: bool) -> tuple[str, ...]:
    slots = (s for s in program.slots() if s.kind.startswith(("dense", "conv")))
    return tuple(s.name for s in slots if bool(s.options["bias"]) is has)


@operator(
    "WRB",
    category="Weights",
    title="remove a bias",
    source="DeepCrime WRB",
    parameters={
        "layer": Parameter(
            str, "slot with a bias, or all", choices=lambda p: (*_biased(p, True), ALL)
        )
    },
    applies=_needs(lambda p: _biased(p, True), "layer with a bias"),
    sample=lambda p, rng: {"layer": ALL},
    weight=0.5,
)
def remove_bias(program: Program, setup: Setup, *, layer: str) -> Setup:
    """Leave the bias of one layer, or of all, out."""
    return _edit_all(program, setup, layer, lambda p: _biased(p, True), bias=False)


@operator(
    "WAB",
    category="Weights",
    title="add a bias",
    source="DeepCrime WAB",
    parameters={
        "layer": Parameter(str, "slot without a bias", choices=lambda p: _biased(p, False))
    },
    applies=_needs(lambda p: _biased(p, False), "layer without a bias"),
    sample=lambda p, rng: {"layer": _pick(rng, _biased(p, False))},
    weight=0.25,
)
def add_bias(program: Program, setup: Setup, *, layer: str) -> Setup:
    """Give a bias to a layer designed without one (behind it comes a normalisation)."""
    return setup.edited(layer, bias=True)


# Regularization --------------------------------------------------------------------------------


@operator(
    "RAW",
    category="Regularization",
    title="add a weight penalty",
    source="DeepCrime RAW: Keras' l1, l2 or l1_l2, each of 0.01, in the loss",
    parameters={
        "layer": Parameter(
            str, "parametrised slot, or all", choices=lambda p: (*_weighted(p), ALL)
        ),
        "penalty": Parameter(str, "kind of penalty", choices=("l1", "l2", "l1_l2")),
    },
    sample=lambda p, rng: {
        "layer": ALL if rng.random() < 0.8 else _pick(rng, _weighted(p)),
        "penalty": _pick(rng, ("l1", "l2", "l1_l2")),
    },
)
def add_weight_penalty(program: Program, setup: Setup, *, layer: str, penalty: str) -> Setup:
    """Add 0.01 sum |w| and/or 0.01 sum w^2 of the weights of one layer, or all, to the loss."""
    slots = _weighted(program) if layer == ALL else (layer,)
    return replace(setup, penalties={**setup.penalties, **dict.fromkeys(slots, penalty)})


@operator(
    "RCD",
    category="Regularization",
    title="change a dropout rate",
    source="DeepCrime RCD",
    parameters={
        "layer": Parameter(
            str, "dropout slot, or all", choices=lambda p: (*_names(p, "dropout"), ALL)
        ),
        "rate": Parameter(float, "dropout probability", 0.0, 1.0),
    },
    applies=_needs(lambda p: _names(p, "dropout"), "dropout layer"),
    sample=lambda p, rng: {
        "layer": ALL,
        "rate": float(_pick(rng, (0.9, 0.93, 0.95, 0.97, 0.99, 1.0))),
    },
)
def change_dropout(program: Program, setup: Setup, *, layer: str, rate: float) -> Setup:
    """Drop another share of the units of one dropout layer, or of all."""
    return _edit_all(program, setup, layer, lambda p: _names(p, "dropout"), p=rate)
