"""Means and slopes against NumPy's, with gaps, in two and three dimensions."""

import numpy as np
import pytest

from analysis_lib.features.trend import mean, slope


@pytest.fixture
def series():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((5, 7, 3))
    shown = rng.random(values.shape) < 0.7
    shown[:, 1:3] = True
    return values, np.where(shown, 1.0, np.nan) * values, shown


def test_against_a_loop(series):
    values, _, shown = series
    epoch = np.arange(-1, 6)
    found = slope(values, epoch[None, :, None], shown)
    level = mean(values, shown)
    for i, j in np.ndindex(5, 3):
        at = shown[i, :, j]
        assert found[i, j] == pytest.approx(np.polyfit(epoch[at], values[i, at, j], 1)[0])
        assert level[i, j] == pytest.approx(values[i, at, j].mean())
        one = values[i : i + 1, :, j], epoch[None], shown[i : i + 1, :, j]
        assert slope(*one)[0] == pytest.approx(found[i, j])


def test_what_is_not_shown_may_be_anything(series):
    values, missing, shown = series
    epoch = np.arange(-1, 6)[None, :, None]
    np.testing.assert_array_equal(slope(missing, epoch, shown), slope(values, epoch, shown))
    np.testing.assert_array_equal(mean(missing, shown), mean(values, shown))


def test_too_few_values():
    values, epoch = np.array([[3.0, 5.0], [3.0, 5.0]]), np.array([[0, 1], [0, 1]])
    shown = np.array([[True, False], [False, False]])
    assert slope(values, epoch, shown).tolist() == [0, 0]
    assert np.isnan(slope(values, epoch, shown, alone=np.nan)).all()
    assert mean(values, shown)[0] == 3 and np.isnan(mean(values, shown)[1])
