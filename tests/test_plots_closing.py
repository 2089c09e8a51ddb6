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
    assert [t.get_text() for t in ax.get_xticklabels()] == ["5", "20"]
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert entries == ["a", "b", "even mix", "single mix"]


def test_a_method_has_one_colour_in_all_figures():
    names = ["scale-free", "DEFault", "another"]
    known = plots.METHOD_COLORS
    assert known["DEFault"] == plots.TECHNIQUE_COLORS["DEFault"]
    table = pd.DataFrame({"technique": names, "mix": "even", "size": 5, "score": 0.5})
    pools = [line.get_color() for line in plots.plot_pools(table).lines]
    assert pools[:2] == [known["scale-free"], known["DEFault"]] and pools[2] not in known.values()
    curve = pd.DataFrame({"technique": names, "programs": 5, "score": 0.5, "low": 0.4, "high": 0.6})
    grown = plots.plot_growth(curve[["technique", "programs", "score"]], curve)
    assert [line.get_color() for line in grown.lines[:-1:2]] == pools
    risk = pd.DataFrame({"coverage": [0.5, 1], "risk": [0.1, 0.2], "low": 0.0, "high": 0.3})
    drawn = plots.plot_risk_coverage(dict.fromkeys(names[:2], risk), colors=known)
    assert [line.get_color() for line in drawn.lines] == pools[:2]


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
