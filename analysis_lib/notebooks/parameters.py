"""The parameters of a notebook: what its `parameters` cell declares, and what may be given.

The cell holds one annotated assignment per line, each explained by the comment behind it::

    programs: int = 6  # how many programs to show [1..60]
    technique: str = "rf"  # which classifier {rf, logistic}
    windows: list[int] = [0, 5]  # after how many epochs to look [0..12]

Types are int, float, str, bool, and lists of these. The comment may end with limits: a range
``[low..high]`` (inclusive; either end may be left out) or choices ``{a, b}``. For a list they
hold for each element.
"""

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis_lib.errors import InputError, unknown

__all__ = ["Parameter", "parse_parameters", "read_parameters", "resolve", "split_override"]

SCALARS = {"int": int, "float": float, "str": str, "bool": bool}
TYPES = (*SCALARS, *(f"list[{name}]" for name in SCALARS))
WORDS = {"true": True, "false": False}
NUMBER = r"[-+]?[0-9.]+(?:e[-+]?[0-9]+)?"
RANGE = re.compile(rf"\[\s*({NUMBER}?)\s*\.\.\s*({NUMBER}?)\s*\]\s*$", re.IGNORECASE)
CHOICES = re.compile(r"\{([^{}]+)\}\s*$")


@dataclass(frozen=True)
class Parameter:
    """One line of a `parameters` cell."""

    name: str
    type: str
    default: object
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """What is allowed, in words: ``int [1..60]``."""
        if self.choices:
            return f"{self.type} {{{', '.join(self.choices)}}}"
        if self.low is None and self.high is None:
            return self.type
        low, high = ("" if end is None else f"{end:g}" for end in (self.low, self.high))
        return f"{self.type} [{low}..{high}]"

    def value(self, given: object) -> object:
        """Convert and check a value.

        Text stands for a value of the parameter's type, as it comes from the command line; a
        list may be written ``1,2,3`` or ``[1, 2, 3]``.

        Raises
        ------
        ValueError
            If the value is of another type or outside the limits.

        Examples
        --------
        >>> Parameter("trees", "int", 100, "", low=10).value("30")
        30
        >>> Parameter("windows", "list[int]", [0], "").value("0, 5")
        [0, 5]
        """
        if not self.type.startswith("list["):
            return self._scalar(given, self.type)
        if isinstance(given, str):
            given = [part.strip(" '\"") for part in given.strip(" []").split(",") if part.strip()]
        if not isinstance(given, list):
            raise ValueError
        return [self._scalar(item, self.type[5:-1]) for item in given]

    def _scalar(self, given: Any, type_name: str) -> object:
        if isinstance(given, str) and type_name != "str":
            given = WORDS[given.lower()] if given.lower() in WORDS else _number(given)
        if type_name == "float" and type(given) is int:
            given = float(given)
        kind = type(given)
        if kind is not SCALARS[type_name]:
            raise ValueError
        if self.choices and str(given) not in self.choices:
            raise ValueError
        if isinstance(given, float) and not math.isfinite(given):
            raise ValueError
        if self.low is not None and given < self.low:
            raise ValueError
        if self.high is not None and given > self.high:
            raise ValueError
        return given


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def parse_parameters(source: str, where: str) -> dict[str, Parameter]:
    """Read the declarations of a `parameters` cell.

    Parameters
    ----------
    source : str
        Source of the cell.
    where : str
        Name of the notebook, for messages.

    Returns
    -------
    dict of str to Parameter
        In the order of the cell.

    Raises
    ------
    InputError
        If a line is not ``name: type = value  # explanation``, or a default breaks its own limits.

    Examples
    --------
    >>> cell = "trees: int = 30  # how many trees [10..1000]"
    >>> parse_parameters(cell, "01_x.ipynb")["trees"].expected
    'int [10..1000]'
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise InputError(f"{where}: the parameters cell is not Python: {error.msg}") from error
    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    for statement in statements:
        if not isinstance(statement, ast.AnnAssign) or statement.value is None:
            line = ast.unparse(statement).splitlines()[0]
            raise InputError(
                f"{where}: the parameters cell may only hold lines such as "
                f"'trees: int = 30  # how many trees'; found '{line}'"
            )
        parameter = _declaration(statement, comments.get(statement.end_lineno or 0, ""), where)
        found[parameter.name] = parameter
    return found


def _declaration(statement: ast.AnnAssign, comment: str, where: str) -> Parameter:
    name, kind = ast.unparse(statement.target), ast.unparse(statement.annotation)
    if kind not in TYPES:
        raise InputError(
            f"{where}: parameter '{name}' has type '{kind}'; expected one of {', '.join(TYPES)}"
        )
    assert statement.value is not None  # the caller has refused lines without one
    try:
        default = ast.literal_eval(statement.value)
    except ValueError as error:
        raise InputError(f"{where}: the default of '{name}' is not a plain value") from error
    limits, choices = RANGE.search(comment), CHOICES.search(comment)
    low, high = (
        (_number(end) if end else None for end in limits.groups()) if limits else (None, None)
    )
    options = tuple(part.strip() for part in choices[1].split(",")) if choices else ()
    parameter = Parameter(name, kind, default, comment, low, high, options)
    _check(parameter, default, where)
    return parameter


def _check(parameter: Parameter, given: object, where: str) -> object:
    try:
        return parameter.value(given)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where}: parameter '{parameter.name}' is {given!r}; expected {parameter.expected}"
        ) from error


def read_parameters(path: Path) -> dict[str, Parameter]:
    """Read the parameters a notebook file takes; empty if no cell is tagged `parameters`."""
    try:
        cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a notebook: {error}") from error
    tagged = [c for c in cells if "parameters" in c.get("metadata", {}).get("tags", [])]
    return parse_parameters("".join(tagged[0]["source"]), Path(path).name) if tagged else {}


def resolve(declared: Mapping[str, Parameter], given: Mapping, where: str) -> dict:
    """Check given values against the declarations; return them converted.

    Raises
    ------
    InputError
        If a name is not declared, or a value does not fit.
    """
    checked = {}
    for name, value in given.items():
        if name not in declared:
            raise InputError(f"{where}: {unknown('parameter', name, declared)}")
        checked[name] = _check(declared[name], value, where)
    return checked


def split_override(text: str) -> tuple[str, str]:
    """Split ``NAME=VALUE``; the name must be a Python identifier.

    Examples
    --------
    >>> split_override("trees=30")
    ('trees', '30')
    """
    name, sign, value = text.partition("=")
    name = name.strip()
    if not sign or not name.isidentifier():
        raise InputError(f"parameter '{text}' is not of the form NAME=VALUE")
    return name, value.strip()
