"""The list of ratios: every form by hand, nothing twice, and who may import it."""

import ast
from pathlib import Path

import numpy as np
import pytest

import analysis_lib
from analysis_lib.channels import CHANNELS
from analysis_lib.errors import InputError
from analysis_lib.features.ratios import FORMS, RATIOS, Ratio, decades, growth, over, plain, size

NAN, INF = np.nan, np.inf
NOW = {"x": np.array([[4.0, -8.0, 0.0, NAN]]), "y": np.array([[2.0, 4.0, 0.0, 1.0]])}
START = {"x": np.array([[4.0]]), "y": np.array([[2.0]])}
LOG2 = np.log10(2)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("decades", [LOG2, LOG2, 0, NAN]),
        ("root decades", [0, np.log10(np.sqrt(8) / 4), 0, NAN]),
        ("signed", [np.arcsinh(2) / np.log(10), -np.arcsinh(2) / np.log(10), 0, NAN]),
        ("plain", [2, -2, 0, NAN]),
        ("guarded", [2, -2, 0, NAN]),
        ("difference", [2, -12, 0, NAN]),
        ("known", [1, 1, 1, 0]),
        ("zero", [0, 0, 1, 0]),
        ("negative", [0, 1, 0, 0]),
        ("sign", [1, -1, 0, NAN]),
    ],
)
def test_every_form_by_hand(form, expected):
    found = over("x", "y", form).series(NOW, START)[0]
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_every_form_has_a_ratio_by_hand():
    marks = test_every_form_by_hand.pytestmark[0].args[1]
    assert {form for form, _ in marks} == set(FORMS)


def test_a_denominator_of_zero():
    zero = {"x": np.array([[1.0, -3.0, 0.0]]), "y": np.zeros((1, 3))}
    assert over("x", "y").series(zero, zero).tolist() == [[INF, INF, 0]]
    assert over("x", "y", "plain").series(zero, zero).tolist() == [[0, 0, 0]]
    assert over("x", "y", "guarded").series(zero, zero).tolist() == [[1e12, -3e12, 0]]


def test_growth_is_counted_from_the_start_that_is_given():
    assert growth("y").series(NOW, {"y": np.array([[0.2]])})[0, 0] == pytest.approx(1)
    assert growth("y", "difference").series(NOW, START)[0].tolist() == [0, 2, -2, -1]


def test_sizes_and_products():
    assert size("y").series(NOW, START)[0, :2] == pytest.approx([LOG2, 2 * LOG2])
    assert plain("x").series(NOW, START)[0, :2].tolist() == [4, -8]
    found = over("x y y", "y x").series(NOW, START)[0, :2]
    assert found == pytest.approx([LOG2, 2 * LOG2])
    assert over("x y y", "y x").channels == ("x", "y")


def test_what_is_too_small_counts_as_the_floor():
    above, below = np.array([1e-40, 1e-40, 1e-20]), np.array([1e-35, 1.0, 0.0])
    assert decades(above, below, floor=1e-30).tolist() == pytest.approx([0, -30, 10])
    assert decades(above, below).tolist() == pytest.approx([-5, -40, INF])


def test_an_unknown_form_is_refused():
    with pytest.raises(InputError, match="did you mean 'decades'"):
        Ratio(("x",), form="decade")


def test_every_ratio_is_there_once_and_reads_recorded_channels():
    assert len(set(RATIOS.values())) == len(RATIOS)
    assert {c for ratio in RATIOS.values() for c in ratio.channels} <= set(CHANNELS)


def test_features_do_not_know_of_the_diagnosis():
    """Imports run one way: the diagnosis reads the ratios."""
    for path in Path(analysis_lib.__file__).parent.joinpath("features").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            assert not any("diagnosis" in name for name in names), path.name
