"""Figures of curvature: labels that can be read, and marks where the values are."""

import numpy as np
import pandas as pd
import pytest

from analysis_lib import plots
from analysis_lib.errors import InputError

pytestmark = pytest.mark.usefixtures("canvas")

VALUES = [0.1, -0.2, 1e-3, 1e-5, -1e-4, 0.05]
RUNS = pd.DataFrame(
    {"fault": "a", "run_id": "a 0", "epoch": range(len(VALUES)), "layer": list("pqrstu")}
).assign(rayleigh=VALUES)


def test_ticks_of_a_symmetric_logarithmic_axis_keep_away_from_zero():
    figure = plots.plot_lines(
        {"value": (RUNS, "rayleigh")}, colors={"a": "black"}, scales={"value": "symlog"}
    )
    (ax,) = figure.axes
    figure.canvas.draw()
    ticks = ax.get_yticks()
    heights = ax.transData.transform([(0, tick) for tick in ticks])[:, 1] / ax.bbox.height
    assert 0 in ticks and min(ticks) < 0 < max(ticks)
    assert np.diff(np.sort(heights)).min() > 0.06
    low, high = ax.get_ylim()
    assert low < min(VALUES) and high > max(VALUES)


def test_layers_stand_in_their_order():
    figure = plots.plot_layers(RUNS, {"value": "rayleigh"}, colors={"a": "black"})
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == list("pqrstu")


def test_a_fault_without_a_colour_is_refused():
    with pytest.raises(InputError, match="no colour for 'a'"):
        plots.plot_lines({"value": (RUNS, "rayleigh")}, colors={})
