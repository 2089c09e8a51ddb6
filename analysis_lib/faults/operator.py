"""What a fault operator is, the registry, and applying one to a program."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from analysis_lib.configuration import HEALTHY, Configuration
from analysis_lib.errors import InputError, unknown
from analysis_lib.programs.program import Program, Setup, get_program

__all__ = [
    "CATEGORIES",
    "Operator",
    "Parameter",
    "effective",
    "faulty_setup",
    "get_operator",
    "list_operators",
    "operator",
]

CATEGORIES = (
    "Hyperparameter",
    "Loss",
    "Activation",
    "Layer",
    "Optimization",
    "Weights",
    "Regularization",
    "Data",
    "Loop",
)
"""The seven categories of DEFault, DeepCrime's data group, and loop mistakes of PyTorch users."""

_REGISTRY: dict[str, "Operator"] = {}


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operator: its type, range or choices, and meaning.

    ``choices`` may depend on the program: a callable from program to names.

    Examples
    --------
    >>> factor = Parameter(float, "multiplies the rate", low=1e-6, high=1e6)
    >>> factor.check("factor", 10, get_program("snn_wine"))
    10.0
    """

    kind: type
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple | Callable[[Program], tuple] | None = None

    def allowed(self, program: Program) -> tuple | None:
        """Return the allowed values for a program, or None for a range."""
        return self.choices(program) if callable(self.choices) else self.choices

    def check(self, name: str, value: Any, program: Program) -> Any:
        """Return the value if it is allowed.

        Raises
        ------
        InputError
            Naming the parameter, what was given and what is allowed.
        """
        if self.kind is float and type(value) is int:
            value = float(value)
        kind = type(value)
        if kind is not self.kind:
            raise InputError(
                f"parameter '{name}' is {value!r} ({kind.__name__}); "
                f"expected {self.kind.__name__}: {self.help}"
            )
        choices = self.allowed(program)
        if choices is not None and value not in choices:
            raise unknown(f"value of '{name}' for {program.name}:", value, choices)
        low, high = self.low, self.high
        if (low is not None and value < low) or (high is not None and value > high):
            raise InputError(
                f"parameter '{name}' is {value}; expected {low} to {high}: {self.help}"
            )
        return value


def _always(program: Program) -> str | None:
    return None


def _nothing(program: Program, rng: np.random.Generator) -> dict:
    return {}


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A fault operator: turns the healthy setup of a program into a faulty one.

    Parameters
    ----------
    id : str
        Published id where there is one.
    category : str
        One of :data:`CATEGORIES`, or "Healthy".
    title : str
        What it does, in a few words.
    source : str
        Where the fault is described.
    change : callable
        ``change(program, setup, **parameters)`` returns the faulty :class:`Setup`.
    parameters : mapping of str to Parameter
    applies : callable
        ``applies(program)`` returns None, or the reason why the operator does not apply.
    sample : callable
        ``sample(program, rng)`` returns parameters, drawn from values meant to do harm.
    weight : float
        How often a plan draws it, relative to others of its category; 0 for never.

    Examples
    --------
    >>> from analysis_lib import get_operator, get_program
    >>> rate = get_operator("HLR")
    >>> rate.category, rate.applies(get_program("snn_wine")) is None
    ('Hyperparameter', True)
    >>> rate.check(get_program("snn_wine"), {"factor": 100})
    {'factor': 100.0}
    """

    id: str
    category: str
    title: str
    source: str
    change: Callable[..., Setup]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    applies: Callable[[Program], str | None] = _always
    sample: Callable[[Program, np.random.Generator], dict] = _nothing
    weight: float = 1.0

    def check(self, program: Program, parameters: Mapping[str, Any]) -> dict:
        """Return complete, valid parameters.

        Raises
        ------
        InputError
            If the operator does not apply to the program, a parameter is unknown or missing, or
            a value has the wrong type or range.
        """
        if reason := self.applies(program):
            raise InputError(f"operator '{self.id}' does not apply to '{program.name}': {reason}")
        for name in parameters:
            if name not in self.parameters:
                raise unknown(f"parameter of operator '{self.id}'", name, self.parameters)
        if self.category != "Healthy":
            for name, wanted in self.parameters.items():
                if name not in parameters:
                    raise InputError(
                        f"operator '{self.id}' needs parameter '{name}': {wanted.help}"
                        + (
                            f" (allowed: {', '.join(map(str, c))})"
                            if (c := wanted.allowed(program))
                            else ""
                        )
                    )
        return {n: self.parameters[n].check(n, v, program) for n, v in parameters.items()}


def operator(id: str, *, category: str, title: str, source: str, **options: Any) -> Callable:
    """Register the decorated ``change(program, setup, **parameters)`` as an operator.

    The docstring of the function says what the fault is; ``options`` are the remaining fields of
    :class:`Operator`.
    """

    def wrap(change: Callable[..., Setup]) -> Callable[..., Setup]:
        if id in _REGISTRY:
            raise InputError(f"an operator with id '{id}' is registered already")
        if category not in (*CATEGORIES, "Healthy"):
            raise unknown("category", category, (*CATEGORIES, "Healthy"))
        _REGISTRY[id] = Operator(
            id=id, category=category, title=title, source=source, change=change, **options
        )
        return change

    return wrap


def get_operator(id: str) -> Operator:
    """Return an operator by id.

    Raises
    ------
    InputError
        If there is none, with the nearest match.

    Examples
    --------
    >>> from analysis_lib import get_operator
    >>> get_operator("HLR").title
    'change the learning rate'
    """
    if id not in _REGISTRY:
        raise unknown("operator", id, _REGISTRY)
    return _REGISTRY[id]


def list_operators(category: str | None = None) -> list[Operator]:
    """Return the fault operators (not ``healthy``) in the order of their categories.

    Examples
    --------
    >>> from analysis_lib import list_operators
    >>> [operator.id for operator in list_operators("Optimization")]
    ['OCH', 'FOP', 'OCG']
    """
    if category is not None and category not in CATEGORIES:
        raise unknown("category", category, CATEGORIES)
    faults = [o for o in _REGISTRY.values() if o.id != HEALTHY]
    faults.sort(key=lambda o: CATEGORIES.index(o.category))
    return [o for o in faults if category in (None, o.category)]


def faulty_setup(configuration: Configuration) -> Setup:
    """Return the setup of a configuration: the program's own, changed by the operator.

    Raises
    ------
    InputError
        If the program, operator or a parameter is unknown or out of range, the operator does
        not apply to the program, or it would change nothing.

    Examples
    --------
    >>> from analysis_lib.faults import faulty_setup
    >>> faulty_setup(Configuration("snn_wine", "HLR", {"factor": 100.0})).lr
    0.1
    """
    program = get_program(configuration.program)
    chosen = get_operator(configuration.operator)
    parameters = chosen.check(program, configuration.parameters)
    setup = chosen.change(program, program.setup, **parameters)
    if chosen.id != HEALTHY and effective(program, setup) == program.setup:
        raise InputError(
            f"{configuration.key} would change nothing: these are the values of the healthy program"
        )
    return setup


def effective(program: Program, setup: Setup) -> Setup:
    """Return the setup without edits that repeat what the healthy slot holds."""
    neutral = {"gain": 1.0, "initial_bias": 0.0}
    healthy = {slot.name: {**neutral, **slot.options} for slot in program.slots()}
    edits = {
        slot: {k: v for k, v in edit.items() if healthy.get(slot, {}).get(k) != v}
        for slot, edit in setup.edits.items()
    }
    return replace(setup, edits={slot: edit for slot, edit in edits.items() if edit})


@operator(
    HEALTHY,
    category="Healthy",
    title="no fault",
    source="a label-preserving variant, so that healthy is not one point",
    parameters={
        "lr_factor": Parameter(float, "factor on the learning rate", 0.5, 2.0),
        "batch_factor": Parameter(float, "factor on the batch size", 0.5, 2.0),
    },
)
def healthy(
    program: Program, setup: Setup, *, lr_factor: float = 1.0, batch_factor: float = 1.0
) -> Setup:
    """Train as declared, or with slightly different, equally sensible settings."""
    size = max(2, round(setup.batch_size * batch_factor))
    return replace(setup, lr=setup.lr * lr_factor, batch_size=size)
