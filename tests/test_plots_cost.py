"""Figures of cost show every measurement, and what failed."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from analysis_lib import plots
from analysis_lib.errors import InputError

pytestmark = pytest.mark.usefixtures("canvas")


def products(**changed):
    rows = pd.DataFrame(
        {
            "case": ["small"] * 3,
            "quantity": "first_hvp",
            "method": ["ours", "pyhessian", "backpack"],
            "status": ["ok", "another matrix: somehow", "failed: so"],
            "ratio": [4.0, 3.0, np.nan],
            "ratio_q1": [3.5, 2.5, np.nan],
            "ratio_q3": [5.0, 4.0, np.nan],
        }
    )
    return rows.assign(**changed)


def drawn(ax):
    """Markers in a panel: colour of the line -> (marker, filled, places)."""
    found = {}
    for line in ax.lines:
        if line.get_marker() not in ("None", "|") and len(line.get_xdata()):
            filled = to_rgba(line.get_markerfacecolor()) != to_rgba("white")
            found[line.get_color()] = (line.get_marker(), filled, list(line.get_xdata()))
    return found


def test_wrong_products_are_hollow_and_failures_are_crosses():
    figure = plots.plot_ratios(products(), {"first": "first_hvp"})
    found = drawn(figure.axes[0])
    colors = {method: look[1] for method, look in plots.METHODS.items()}
    assert found[colors["ours"]] == ("o", True, [4.0])
    assert found[colors["pyhessian"]] == ("s", False, [3.0])
    assert found[colors["backpack"]] == ("x", True, [1.0])
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["small"]


def test_a_method_without_a_look_is_refused():
    with pytest.raises(InputError, match="pyhessian"):
        plots.plot_ratios(products(method="pyhesian"), {"first": "first_hvp"})


def test_errors_of_eigenvalues_are_in_per_cent():
    values = pd.DataFrame(
        {
            "method": ["ours", "ours", "curvlinops"],
            "ratio": [12.0, np.nan, 300.0],
            "error_worst": [0.02, np.nan, 0.0],
        }
    )
    lines = plots.plot_eigenvalues(values).lines
    assert [list(line.get_xdata()) for line in lines] == [[12.0], [300.0]]
    assert lines[0].get_ydata() == pytest.approx([2.0])
    assert lines[1].get_ydata()[0] > 0  # zero has no place on a logarithmic axis


def test_runs_are_sorted_with_their_quartiles():
    runs = pd.DataFrame({"program": ["b", "a"], "ratio": [1.5, 1.2]})
    runs = runs.assign(ratio_q1=runs.ratio - 0.1, ratio_q3=runs.ratio + 0.2)
    ax = plots.plot_runs(runs)
    assert [bar.get_width() for bar in ax.patches] == [1.2, 1.5]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]


def test_overhead_has_a_line_where_epochs_were_made_longer():
    runs = pd.DataFrame(
        {
            "program": ["a", "b", "a", "c"],
            "steps_per_epoch": [400, 20, 100, 30],
            "ratio": [1.01, 1.3, 1.04, 0.99],
        }
    )
    ax = plots.plot_overhead(runs)
    line, points = ax.lines
    assert line.get_label() == "a" and list(line.get_xdata()) == [100, 400]
    assert line.get_ydata() == pytest.approx([4, 1])
    assert sorted(points.get_ydata()) == pytest.approx([-1, 30])
    low, high = ax.get_ylim()
    assert low < -1 and high > 30
