"""Figures on closing the gap show the numbers they are given."""

import pandas as pd
import pytest

from analysis_lib import plots
from analysis_lib.errors import InputError

pytestmark = pytest.mark.usefixtures("canvas")


def test_methods_are_drawn_from_the_top_with_their_intervals():
    table = pd.DataFrame(
        {
            "technique": ["one", "two"],
            "track": ["Z", "U"],
            "share": [0.5, 0.9],
            "low": [0.4, 0.7],
            "high": [0.7, 1.0],
        }
    )
    ax = plots.plot_methods(table, {"known": 0.2, "rows": 1.0})
    assert [t.get_text() for t in ax.get_yticklabels()] == ["one", "two"]
    assert ax.yaxis_inverted()
    points = [line for line in ax.lines if line.get_marker() in ("o", "s")]
    assert [line.get_xdata()[0] for line in points] == [0.5, 0.9]
    bars = [c.get_segments()[0][:, 0].tolist() for c in ax.collections]
    assert bars == [pytest.approx([0.4, 0.7]), pytest.approx([0.7, 1.0])]
    with pytest.raises(InputError, match="share"):
        plots.plot_methods(table.drop(columns="share"), {})


def test_pools_have_a_line_per_method_and_mix():
    table = pd.DataFrame(
        {
            "technique": ["a", "a", "a", "b"],
            "mix": ["even", "even", "single", "even"],
            "size": [20, 5, 5, 5],
            "score": [0.9, 0.8, 0.7, 0.6],
        }
    )
    ax = plots.plot_pools(table)
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert drawn == {"a, even": [0.8, 0.9], "a, single": [0.7], "b, even": [0.6]}


def test_growth_shows_means_and_curves():
    scores = pd.DataFrame(
        {"technique": "a", "programs": [5, 5, 10], "score": [0.4, 0.6, 0.7], "draw": 0}
    )
    curve = {"technique": "a", "programs": [5, 10, 20], "score": [0.5, 0.7, 0.8]}
    curve = pd.DataFrame(curve).assign(low=0.4, high=0.9)
    ax = plots.plot_growth(scores, curve)
    points, line = ax.lines[:2]
    assert list(points.get_ydata()) == pytest.approx([0.5, 0.7])
    assert list(line.get_xdata()) == [5, 10, 20] and list(line.get_ydata()) == [0.5, 0.7, 0.8]
