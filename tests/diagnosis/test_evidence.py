"""Ranges of healthy runs, and how far outside a run lies."""

import numpy as np
import pytest

from analysis_lib.diagnosis.curves import CURVES
from analysis_lib.diagnosis.evidence import SHARES, healthy_ranges
from analysis_lib.errors import InputError

NAMES = list(CURVES)


@pytest.fixture(scope="module")
def healthy():
    """1000 runs with curves that are normal at every epoch, one of them never recorded."""
    values = np.random.default_rng(0).standard_normal((1000, 4, len(NAMES)))
    values[:, :, 3] = np.nan
    values[:, 0, 5] = np.nan
    return values


@pytest.fixture(scope="module")
def ranges(healthy):
    return healthy_ranges(healthy)


def test_the_range_is_that_of_ninety_percent(healthy, ranges):
    low, middle, high = ranges.quantiles[:, 2, 0]
    x = healthy[:, 2, 0]
    assert (low, middle, high) == pytest.approx(tuple(np.quantile(x, [0.05, 0.5, 0.95])), rel=1e-6)
    assert np.isnan(ranges.quantiles[:, :, 3]).all()


def test_one_is_the_edge_and_the_sign_the_side(ranges):
    low, middle, high = ranges.quantiles[:, 1]
    for edge, u in ((high, 1), (low, -1), (middle, 0)):
        values = np.full((4, len(NAMES)), np.nan)
        values[1] = edge
        found = ranges.unusual(values)[1]
        assert found[np.isfinite(edge)] == pytest.approx(u, abs=1e-6)


def test_the_planted_curve_comes_first(ranges):
    values = np.tile(ranges.quantiles[1], 1).copy()
    values[2, 7] = 10.0
    table = ranges.evidence(values)
    first = table.iloc[0]
    assert (first["curve"], first["epoch"], first["direction"]) == (NAMES[7], 1, "above")
    assert first["value"] == 10.0 and first["healthy_share"] == 0.0
    assert first["unusual"] == pytest.approx(10 / 1.645, rel=0.15)
    assert set(table["direction"][1:]) == {"inside"}
    assert NAMES[3] not in set(table["curve"])


def test_the_share_of_healthy_runs_is_theirs(healthy, ranges):
    """Of healthy runs, one in ten is as unusual as the one that has share 0.1."""
    shares = np.array([ranges.evidence(run)["healthy_share"].to_numpy() for run in healthy[:200]])
    for level in (0.05, 0.2, 0.5):
        assert (shares <= level).mean() == pytest.approx(level, abs=0.03)
    assert set(np.unique(shares)) <= {0.0, *SHARES}


def test_a_short_trace_is_compared_with_short_traces(healthy, ranges):
    """Looking at more epochs finds larger extremes, in healthy runs too."""
    short, long = ranges.peaks[50, 0, 0], ranges.peaks[50, 3, 0]
    assert short < long
    assert len(ranges.evidence(healthy[0, :1])) == len(NAMES) - 2


def test_more_snapshots_than_known_are_refused(ranges):
    with pytest.raises(InputError, match="5 snapshots"):
        ranges.evidence(np.zeros((5, len(NAMES))))
