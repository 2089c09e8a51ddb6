"""What is trained: configurations, runs, their stable keys and their seeds."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from analysis_lib.errors import InputError

__all__ = ["EPOCHS", "HEALTHY", "RECIPE", "STREAMS", "Configuration", "Run", "canonical"]

EPOCHS = 12
"""Logged epochs of every run, whatever the program or fault."""

HEALTHY = "healthy"
"""Operator id of a configuration without a fault."""

RECIPE = 3
"""Version of the training code; raised whenever a change alters results."""

STREAMS = ("weights", "data", "order", "fault")
"""Random streams of a run. All but ``fault`` are shared by a faulty run and its healthy twin."""

Scalar = str | int | float | bool


def canonical(content: object) -> str:
    """Return canonical JSON, of which keys are made: sorted, no spaces, no NaN.

    Examples
    --------
    >>> canonical({"b": 1.0, "a": [2]})
    '{"a":[2],"b":1.0}'
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(content: Mapping) -> str:
    return hashlib.sha256(canonical(content).encode()).hexdigest()


@dataclass(frozen=True)
class Configuration:
    """A program with an operator and the operator's parameters.

    Parameters
    ----------
    program : str
        Name of a registered program.
    operator : str, default="healthy"
        Id of a registered operator.
    parameters : mapping of str to str, int, float or bool
        Parameters of the operator; names are sorted, so their order does not matter.

    Raises
    ------
    InputError
        If a parameter is not a finite plain scalar.

    Examples
    --------
    >>> c = Configuration("snn_wine", "HLR", {"factor": 100.0})
    >>> c.key
    'snn_wine/HLR(factor=100.0)'
    >>> c.twin.key
    'snn_wine/healthy'
    """

    program: str
    operator: str = HEALTHY
    parameters: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self):
        for name, value in self.parameters.items():
            if type(value) not in (str, int, float, bool):
                raise InputError(
                    f"parameter '{name}' of operator '{self.operator}' is a "
                    f"{type(value).__name__}; expected str, int, float or bool"
                )
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(
                    f"parameter '{name}' of operator '{self.operator}' is {value}; "
                    "expected a finite number"
                )
        ordered = dict(sorted(self.parameters.items()))
        object.__setattr__(self, "parameters", MappingProxyType(ordered))

    def __hash__(self):
        return hash(self.key)

    def __eq__(self, other):
        same = isinstance(other, Configuration)
        return same and canonical(self.spec) == canonical(other.spec)

    def __reduce__(self):
        return (Configuration, (self.program, self.operator, dict(self.parameters)))

    @property
    def spec(self) -> dict:
        """Program, operator and parameters as plain content."""
        return {
            "program": self.program,
            "operator": self.operator,
            "parameters": dict(self.parameters),
        }

    @property
    def key(self) -> str:
        """Readable key, unique per configuration."""
        inside = ",".join(f"{k}={v}" for k, v in self.parameters.items())
        return f"{self.program}/{self.operator}" + (f"({inside})" if inside else "")

    @property
    def twin(self) -> "Configuration":
        """The healthy configuration of the same program."""
        return Configuration(self.program)


@dataclass(frozen=True)
class Run:
    """One training of one configuration with one seed.

    Everything random in the run derives from this content alone, never from scheduling:
    ``seed_of(stream)`` hashes the specification. For the streams ``weights``, ``data`` and
    ``order`` the fault is left out of what is hashed, so a faulty run and its healthy twin
    start from the same weights and see the same batches.

    Parameters
    ----------
    configuration : Configuration
    seed : int
        Index of the replicate, 0 or larger.
    epochs : int, default=12
        Logged epochs.

    Examples
    --------
    >>> faulty = Run(Configuration("snn_wine", "HLR", {"factor": 100.0}), 3)
    >>> faulty.key
    'snn_wine/HLR(factor=100.0)/seed=3'
    >>> healthy = Run(faulty.configuration.twin, 3)
    >>> faulty.seed_of("weights") == healthy.seed_of("weights")
    True
    >>> faulty.seed_of("fault") == healthy.seed_of("fault")
    False
    """

    configuration: Configuration
    seed: int = 0
    epochs: int = EPOCHS

    def __post_init__(self):
        for name, lowest in (("seed", 0), ("epochs", 1)):
            value = getattr(self, name)
            if type(value) is not int or not lowest <= value <= 10_000:
                raise InputError(f"{name} is {value!r}; expected an integer from {lowest} to 10000")

    @property
    def spec(self) -> dict:
        """Plain content that determines the run, with the recipe version."""
        return {
            **self.configuration.spec,
            "seed": self.seed,
            "epochs": self.epochs,
            "recipe": RECIPE,
        }

    @classmethod
    def from_spec(cls, spec: Mapping) -> "Run":
        """Rebuild a run from :attr:`spec`; refuses another recipe version."""
        if spec.get("recipe") != RECIPE:
            raise InputError(
                f"the run was planned with recipe {spec.get('recipe')!r}, "
                f"this version trains recipe {RECIPE}; make a new plan"
            )
        configuration = Configuration(spec["program"], spec["operator"], spec["parameters"])
        return cls(configuration, spec["seed"], spec["epochs"])

    @property
    def key(self) -> str:
        """Readable key, unique per run."""
        return f"{self.configuration.key}/seed={self.seed}"

    @cached_property
    def run_id(self) -> str:
        """First 16 hexadecimal digits of the sha256 of the canonical specification."""
        return _digest(self.spec)[:16]

    def seed_of(self, stream: str) -> int:
        """Return the 63-bit seed of a random stream.

        Parameters
        ----------
        stream : {"weights", "data", "order", "fault"}
        """
        content = self.spec
        if stream != "fault":
            content |= {"operator": HEALTHY, "parameters": {}}
        digest = _digest(content)
        words = [int(digest[i : i + 8], 16) for i in range(0, 64, 8)]
        sequence = np.random.SeedSequence(words, spawn_key=(STREAMS.index(stream),))
        return int(sequence.generate_state(1, np.uint64)[0] >> 1)
