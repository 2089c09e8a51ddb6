"""What a parameters cell may declare, and what fits it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis_lib.errors import InputError
from analysis_lib.notebooks.parameters import Parameter, parse_parameters, resolve, split_override

CELL = """\
trees: int = 30  # how many trees [10..1000]
rate: float = 0.1  # share kept # hashes do no harm [0..1]
kind: str = "a#b"  # which classifier {a#b, logistic}
stored: bool = False  # keep the predictions
windows: list[int] = [0, 5]  # epochs seen [0..12]
names: list[str] = []  # programs; empty for all
"""
DECLARED = parse_parameters(CELL, "01_x.ipynb")


def test_a_cell_is_read_with_types_defaults_limits_and_help():
    assert [p.type for p in DECLARED.values()] == [
        "int", "float", "str", "bool", "list[int]", "list[str]",
    ]  # fmt: skip
    assert {name: p.default for name, p in DECLARED.items()} == {
        "trees": 30, "rate": 0.1, "kind": "a#b", "stored": False, "windows": [0, 5], "names": [],
    }  # fmt: skip
    assert DECLARED["rate"].help == "share kept # hashes do no harm [0..1]"
    assert DECLARED["kind"].choices == ("a#b", "logistic")
    assert (DECLARED["trees"].low, DECLARED["trees"].high) == (10, 1000)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("trees = 3", "may only hold lines such as"),
        ("import os", "may only hold lines such as"),
        ("trees: int", "may only hold lines such as"),
        ("trees: int | None = 3", "has type 'int | None'"),
        ("trees: Sequence[int] = 3", "has type 'Sequence[int]'"),
        ("trees: int = len([])", "not a plain value"),
        ("trees: int = 3  # [10..20]", "is 3; expected int [10..20]"),
        ("trees: int = 'x'", "is 'x'; expected int"),
        ("trees: int = (", "is not Python"),
    ],
)
def test_a_cell_that_does_not_declare_properly_is_refused(line, part):
    with pytest.raises(InputError) as caught:
        parse_parameters(line, "01_x.ipynb")
    assert part in str(caught.value) and str(caught.value).startswith("01_x.ipynb: ")


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ("30", "trees", 30),
        (10, "trees", 10),
        (1000, "trees", 1000),
        ("1e-3", "rate", 0.001),
        (1, "rate", 1.0),
        ("logistic", "kind", "logistic"),
        ("true", "stored", True),
        ("False", "stored", False),
        ("0, 12", "windows", [0, 12]),
        ("[1]", "windows", [1]),
        ("", "names", []),
        ("a,'b'", "names", ["a", "b"]),
    ],
)
def test_values_that_fit_are_converted(given, name, value):
    result = DECLARED[name].value(given)
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("x", "trees"), (9, "trees"), (1001, "trees"), (30.0, "trees"), (True, "trees"),
        (None, "trees"), ("1.5", "rate"), ("nan", "rate"), (math.inf, "rate"), ("svm", "kind"),
        (3, "kind"), ("yes please", "stored"), (1, "stored"), ("0,13", "windows"),
        ("a", "windows"), (5, "windows"), ([1.5], "windows"), ([3], "names"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_refused_with_what_is_allowed(given, name):
    with pytest.raises(InputError, match=f"parameter '{name}' is .*; expected") as caught:
        resolve(DECLARED, {name: given}, "01_x.ipynb")
    assert str(caught.value).endswith(DECLARED[name].expected)


def test_a_mistyped_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="unknown parameter 'tree'; did you mean 'trees'?"):
        resolve(DECLARED, {"tree": 3}, "01_x.ipynb")


@given(st.integers(-1000, 1000), st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_a_range_admits_exactly_what_lies_between_its_ends(low, high, value):
    parameter = Parameter("x", "int", value, "", low=low, high=high)
    try:
        assert parameter.value(str(value)) == value
        assert low <= value <= high
    except ValueError:
        assert not low <= value <= high


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_survives_the_command_line(value):
    assert Parameter("x", "float", 0.0, "").value(repr(value)) == value


@pytest.mark.parametrize("text", ["trees", "=3", "a b=3", "3x=1", ""])
def test_an_override_is_name_equals_value(text):
    with pytest.raises(InputError, match="NAME=VALUE"):
        split_override(text)


def test_an_override_may_hold_an_equals_sign():
    assert split_override("kind=a=b") == ("kind", "a=b")


def test_the_manifest_of_a_given_corpus_is_part_of_the_fingerprint(tmp_path):
    from analysis_lib.notebooks.planning import _corpus

    with pytest.raises(InputError, match="holds no manifest.json"):
        _corpus(str(tmp_path), "02_corpus.ipynb")
    (tmp_path / "manifest.json").write_text("{}")
    assert _corpus(str(tmp_path), "02_corpus.ipynb") == b"{}" and _corpus("", "x") == b""
