"""Faults of activations."""

from dataclasses import replace

import numpy as np

from analysis_lib.faults.gradients import distinct
from analysis_lib.faults.operator import Parameter, operator
from analysis_lib.faults.slots import ALL, OUTPUT, edit_all, matrices, names, needs, pick
from analysis_lib.programs.design import ACTIVATIONS
from analysis_lib.programs.program import Program, Setup

__all__ = [
    "add_activation",
    "change_activation",
    "change_output",
    "remove_activation",
]

HARMFUL_HIDDEN = ("softmax", "exponential", "sigmoid", "hard_sigmoid")
PUBLISHED = (
    "elu softmax selu softplus softsign relu tanh sigmoid hard_sigmoid exponential linear".split()
)
DEEPFD = "relu sigmoid softmax softplus softsign tanh selu elu linear".split()


def _hidden(program: Program) -> tuple[str, ...]:
    return names(program, "activation")


def _sample_activation(program: Program, rng: np.random.Generator) -> dict:
    layer = ALL if rng.random() < 0.7 else pick(rng, _hidden(program))
    present = {s.options["kind"] for s in program.slots("activation")}
    harmful = [k for k in HARMFUL_HIDDEN if k not in present]
    return {"layer": layer, "activation": pick(rng, harmful)}


@operator(
    "ACH",
    category="Activation",
    title="change an activation",
    source="DeepCrime ACH",
    parameters={
        "layer": Parameter(
            str, "activation slot, all, or output", choices=lambda p: (*_hidden(p), ALL, OUTPUT)
        ),
        "activation": Parameter(str, "new activation", choices=tuple(ACTIVATIONS)),
    },
    applies=needs(_hidden, "hidden activation"),
    sample=_sample_activation,
    weight=2.0,
)
def change_activation(program: Program, setup: Setup, *, layer: str, activation: str) -> Setup:
    """Replace one hidden activation, all of them, or the output activation."""
    if layer == OUTPUT:
        return replace(setup, output=activation)
    return edit_all(program, setup, layer, _hidden, kind=activation)


def _outputs(program: Program) -> tuple[str, ...]:
    return tuple(k for k in DEEPFD if k != program.setup.output)


def _usable_outputs(program: Program) -> tuple[str, ...]:
    pairs = ((program.setup.loss, k) for k in _outputs(program))
    return tuple(output for _, output in distinct(program, pairs))


@operator(
    "FAC",
    category="Activation",
    title="change the output activation",
    source="DeepFD's seeding of act: the last layer only",
    parameters={"activation": Parameter(str, "new output activation", choices=_outputs)},
    applies=lambda p: (
        None if _usable_outputs(p) else "no other output activation has a gradient of its own there"
    ),
    sample=lambda p, rng: {"activation": pick(rng, _usable_outputs(p))},
)
def change_output(program: Program, setup: Setup, *, activation: str) -> Setup:
    """Put another activation behind the last layer."""
    return replace(setup, output=activation)


def _removable(program: Program) -> tuple[str, ...]:
    output = (OUTPUT,) if program.setup.output != "linear" else ()
    return (*_hidden(program), ALL, *output)


@operator(
    "ARM",
    category="Activation",
    title="remove an activation",
    source="DeepCrime ARM",
    parameters={"layer": Parameter(str, "activation slot, all, or output", choices=_removable)},
    applies=needs(_hidden, "hidden activation"),
    sample=lambda p, rng: {"layer": ALL if rng.random() < 0.3 else _removable(p)[-1]},
    weight=0.25,
)
def remove_activation(program: Program, setup: Setup, *, layer: str) -> Setup:
    """Make one hidden activation, all of them, or the output linear."""
    if layer == OUTPUT:
        return replace(setup, output="linear")
    return edit_all(program, setup, layer, _hidden, kind="linear")


def _sample_added(program: Program, rng: np.random.Generator) -> dict:
    head = rng.random() < 0.7 or len(matrices(program)) == 1
    layer = matrices(program)[-1] if head else pick(rng, matrices(program)[:-1])
    # values out of reach of a squashed output do harm; classes hardly mind
    values = ("relu", "softmax", "sigmoid", "tanh", "exponential")
    harmful = ("relu", "exponential") if program.classifies else values
    return {"layer": layer, "activation": pick(rng, harmful if head else ("softmax", "sigmoid"))}


@operator(
    "AAL",
    category="Activation",
    title="add an activation",
    source="DeepCrime AAL; before the output activation when added to the last layer",
    parameters={
        "layer": Parameter(str, "dense or convolution slot", choices=matrices),
        "activation": Parameter(
            str, "added activation", choices=tuple(k for k in PUBLISHED if k != "linear")
        ),
    },
    applies=needs(matrices, "dense or convolution layer"),
    sample=_sample_added,
    weight=0.5,
)
def add_activation(program: Program, setup: Setup, *, layer: str, activation: str) -> Setup:
    """Put an activation behind a layer that has none of its own."""
    return setup.edited(layer, insert=activation)
