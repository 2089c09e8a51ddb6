"""Figures of instability show the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from analysis_lib import plots
from analysis_lib.errors import InputError
from analysis_lib.questions import DETECTION_SETS

pytestmark = pytest.mark.usefixtures("canvas")


def test_every_set_of_features_has_a_colour_and_a_line():
    assert set(plots.DETECTION_COLORS) == set(plots.DETECTION_LINES) == set(DETECTION_SETS)
    looks = zip(plots.DETECTION_COLORS.values(), plots.DETECTION_LINES.values(), strict=True)
    assert len(set(looks)) >= len(DETECTION_SETS) - 1  # two nuisances share theirs


def test_bars_are_the_counts():
    counts = pd.DataFrame({-1: [1, 0, 0], 0: [2, 0, 5]}, index=["Loss", "Data", "Weights"])
    ax = plots.plot_explosions(counts)
    assert [[bar.get_height() for bar in c] for c in ax.containers] == [[1, 2], [0, 5]]
    assert [bar.get_y() for bar in ax.containers[1]] == [1, 2]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["init", "0"]
    with pytest.raises(InputError, match="category"):
        plots.plot_explosions(counts.rename({"Loss": "Los"}))


def test_fifths_are_drawn_for_both_views():
    rates = pd.DataFrame(
        [
            {"channel": "x", "view": view, "fifth": f, "rate": r, "low": r / 2, "high": 1}
            for view, scale in (("overall", 1.0), ("within programs", 0.5))
            for f, r in zip([*"12345", "not finite"], scale * np.linspace(0, 1, 6), strict=True)
        ]
    )
    figure = plots.plot_rate_quintiles(rates, {"x": "title"})
    ax = figure.axes[0]
    assert ax.get_title() == "title"
    drawn = [c.lines[0].get_ydata() for c in ax.containers]
    assert drawn[0] == pytest.approx(np.linspace(0, 1, 6)[:5])
    assert drawn[1] == pytest.approx([1]) and drawn[3] == pytest.approx([0.5])


def test_the_edge_lies_before_its_bin():
    rates = pd.DataFrame({"channel": "chi", "bin": ["below 1", "1 or more"], "rate": [0.1, 0.9]})
    rates = rates.assign(low=[-np.inf, 0.5], high=[np.inf, 1.0])
    ax = plots.plot_rate_bins(rates, edge="1 or more")
    assert ax.containers[0].lines[0].get_ydata() == pytest.approx([0.1, 0.9])
    assert ax.lines[-1].get_xdata() == pytest.approx([0.5, 0.5])
    ax = plots.plot_rate_bins(rates.assign(runs=[1200, 7]), ax=plt.subplots()[1])
    ticks = [text.get_text() for text in ax.get_xticklabels()]
    assert ticks == ["below 1\nchi: 1,200", "1 or more\nchi: 7"]


def test_profiles_have_a_panel_per_view():
    profiles = pd.DataFrame({"depth": [0.0, 1.0] * 4, "value": np.arange(8.0), "runs": 7})
    profiles["view"] = ["a"] * 4 + ["b"] * 4
    profiles["kind"] = (["stable"] * 2 + ["unstable"] * 2) * 2
    profiles = profiles.assign(low=profiles["value"] - 1, high=np.inf)
    figure = plots.plot_depth_profiles(profiles, label="size")
    assert [ax.get_title() for ax in figure.axes] == ["a", "b"]
    assert figure.axes[1].lines[1].get_ydata() == pytest.approx([6, 7])


def test_detectors_are_drawn_by_setting_and_strategy():
    scores = pd.DataFrame({"setting": ["s", "s"], "features": "loss", "strategy": ["E1", "E4"]})
    scores = scores.assign(within=[0.9, 0.6], within_low=0.5, within_high=1.0)
    figure = plots.plot_detection(scores, {"loss": "training loss"}, ["s"])
    ax = figure.axes[0]
    assert ax.get_title() == "s"
    assert [c.lines[0].get_xdata()[0] for c in ax.containers] == [0.9, 0.6]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["training loss"]


def test_precision_is_drawn_with_the_share_of_guessing():
    curves = pd.DataFrame({"setting": "s", "features": "loss", "recall": [0.5, 1.0]})
    curves["precision"] = [1.0, 0.2]
    options = {"names": {"loss": "training loss"}, "settings": ["s"]}
    ax = plots.plot_precision_recall(curves, **options, prevalence={"s": 0.07}).axes[0]
    assert ax.lines[0].get_ydata() == pytest.approx([1, 0.2])
    assert ax.lines[1].get_ydata() == pytest.approx([0.07, 0.07])
    with pytest.raises(InputError, match="no 'precision'"):
        plots.plot_precision_recall(
            curves.drop(columns="precision"), **options, prevalence={"s": 0.07}
        )
