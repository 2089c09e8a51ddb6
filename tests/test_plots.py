"""Figures show the data they are given, in the project's colours."""

from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb

from analysis_lib import plots
from analysis_lib.errors import InputError
from analysis_lib.faults import CATEGORIES

pytestmark = pytest.mark.usefixtures("canvas")


@pytest.fixture
def scores():
    windows = [0, 1, 5]
    frame = pd.DataFrame(
        {
            "strategy": ["E4"] * 3 + ["E1"] * 3,
            "window": windows * 2,
            "score": [0.2, 0.3, 0.4, 0.5, 0.6, 0.7],
        }
    )
    return frame.assign(low=frame.score - 0.1, high=frame.score + 0.05)


def labels(owner):
    return [text.get_text() for text in owner.get_legend().get_texts()]


def test_every_category_has_a_colour_of_its_own():
    assert set(plots.CATEGORY_COLORS) >= {*CATEGORIES, "Healthy"}
    assert len(set(plots.CATEGORY_COLORS.values())) == len(plots.CATEGORY_COLORS)


def lab(color):
    """CIE L*a*b* of an sRGB colour (D65)."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    weights = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.array(weights) @ linear / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


PALETTES = [plots.CATEGORY_COLORS, plots.LINE_COLORS, plots.STRATEGY_COLORS]


@pytest.mark.parametrize("colors", PALETTES)
def test_colours_can_be_told_apart(colors):
    points = [lab(color) for color in colors.values()]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(points) for b in points[:i]]
    assert min(distances) > 20


def test_figures_are_opaque():
    figure = plt.figure()
    assert to_hex(figure.get_facecolor()) == "#ffffff" and not mpl.rcParams["savefig.transparent"]


def test_the_gap_over_windows(scores):
    ax = plots.plot_gap_windows(scores.sample(frac=1, random_state=0), chance=0.25)
    first, second, chance = ax.get_lines()
    assert list(first.get_ydata()) == [0.5, 0.6, 0.7] and list(second.get_xdata()) == [0, 1, 5]
    assert first.get_color() == plots.STRATEGY_COLORS["E1"]
    assert list(chance.get_ydata()) == [0.25, 0.25]
    assert labels(ax) == ["E1 runs", "E4 programs", "chance"]
    assert len(ax.collections) == 2
    assert first.get_marker() != second.get_marker()


def test_gap_bars_show_scores_and_asymmetric_intervals(scores):
    rows = scores[scores["window"] == 5].assign(technique="DeepFD")
    ax = plots.plot_gap_bars(rows)
    assert sorted(patch.get_height() for patch in ax.patches) == [0.4, 0.7]
    ends = [line.get_segments()[0] for line in ax.collections]
    assert sorted((round(e[0][1], 6), round(e[1][1], 6)) for e in ends) == [
        (0.3, 0.45),
        (0.6, 0.75),
    ]
    assert labels(ax) == ["E1 runs", "E4 programs"]


def test_the_recall_matrix_writes_its_cells():
    recall = pd.DataFrame({"Loss": [0.5, np.nan], "Layer": [1.0, 0.25]}, index=["p", "q"])
    ax = plots.plot_recall_matrix(recall)
    assert [t.get_text() for t in ax.texts] == ["0.50", "1.00", "0.25"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["p", "q"]


def test_programs_of_a_recall_matrix_are_set_apart_by_group():
    recall = pd.DataFrame({"Loss": [0.5] * 30}, index=[f"p{i}" for i in range(30)])
    groups = pd.Series(["image"] * 20 + ["text"] * 10, index=recall.index)
    ax = plots.plot_recall_matrix(recall, groups=groups)
    assert [t.get_text() for t in ax.texts] == ["image", "text"]
    assert [t.get_position()[1] for t in ax.texts] == [10, 25]
    assert [list(line.get_ydata()) for line in ax.get_lines()] == [[20, 20]]
    assert ax.figure.get_figheight() < 8


def test_the_published_gap_hangs_from_the_bar_of_e1(scores):
    rows = scores[scores["window"] == 5].assign(technique="DeepFD")
    ax = plots.plot_gap_bars(rows, published_gap=0.19)
    (line,) = [c for c in ax.collections if "0.190" in str(c.get_label())]
    assert line.get_segments()[0][:, 1] == pytest.approx([0.51, 0.51])


def test_parts_of_the_gap_over_windows(scores):
    rows = scores.rename(columns={"score": "estimate"})
    rows["part"] = rows["strategy"].map({"E1": "total", "E4": "replicate leak"})
    ax = plots.plot_gap_parts(rows, published=0.19)
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert list(lines["total"].get_ydata()) == [0.5, 0.6, 0.7]
    assert list(lines["gap in the study"].get_ydata()) == [0.19, 0.19]
    with pytest.raises(InputError, match="unknown part"):
        plots.plot_gap_parts(rows.assign(part="leek"))


def test_strategies_are_points_in_rows_of_their_own(scores):
    rows = scores[scores["window"] == 5].assign(technique="DeepFD")
    lower = rows[rows["strategy"] == "E1"].assign(technique="rules", score=0.1, low=0.1, high=0.1)
    rows = pd.concat([rows, lower])
    ax = plots.plot_strategies(rows, chance=0.25)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["DeepFD", "rules"]
    first = ax.containers[0].lines[0]
    assert list(first.get_xdata()) == [0.7, 0.1] and first.get_marker() == "o"
    y = [list(c.lines[0].get_ydata()) for c in ax.containers]
    assert y[0][0] < y[1][0] < 0.5 < y[0][1]


def test_e4_in_groups_stands_beside_e4(scores):
    rows = pd.DataFrame(
        {
            "technique": "t",
            "strategy": ["E4", "E4", "E6"],
            "held_out": ["one", "groups", "groups"],
            "score": [0.6, 0.5, 0.3],
        }
    )
    ax = plots.plot_strategies(rows)
    points = {c.get_label(): c[0] for c in ax.containers}
    assert list(points) == ["E4 programs", "E4 programs, in groups", "E6 operators"]
    assert [p.get_xdata()[0] for p in points.values()] == [0.6, 0.5, 0.3]
    assert len({p.get_ydata()[0] for p in points.values()}) == 3
    assert points["E4 programs, in groups"].get_markerfacecolor() == "white"
    assert points["E6 operators"].get_markerfacecolor() != "white"


def test_flags_stack_to_one_per_class():
    flags = pd.DataFrame(
        {"technique": list("aab"), "label": ["x", "y", "x"], "right": [0.2, 0.5, 0.1]}
    )
    flags = flags.assign(wrong=0.3, silent=[0.5, 0.2, 0.6])
    axes = plots.plot_flags(flags)
    assert [ax.get_title() for ax in axes.ravel()] == ["a", "b"]
    ends = [p.get_x() + p.get_width() for p in axes.ravel()[0].containers[-1].patches]
    assert ends == pytest.approx([1.0, 1.0])


def test_every_strategy_has_all_marks():
    names = set(plots.STRATEGY_NAMES)
    assert names == set(plots.STRATEGY_COLORS) == set(plots.STRATEGY_MARKERS)
    assert names == set(plots.STRATEGY_HATCHES)
    for marks in (plots.STRATEGY_MARKERS, plots.STRATEGY_HATCHES):
        assert len(set(marks.values())) == len(names)


def test_class_balance_stacks_to_the_number_of_runs():
    runs = pd.DataFrame(
        {"program": list("ppppq"), "category": ["Loss", "Loss", "Layer", "Healthy", "Layer"]}
    )
    ax = plots.plot_class_balance(runs)
    assert max(p.get_x() + p.get_width() for p in ax.patches) == 4
    assert labels(ax) == ["Healthy", "Loss", "Layer"]
    assert to_hex(ax.containers[1].patches[0].get_facecolor()) == plots.CATEGORY_COLORS["Loss"]


def test_traces_have_a_panel_per_channel_and_a_line_per_run():
    epochs = pd.DataFrame(
        {
            "run_id": ["a", "a", "b", "b", "c", "c"],
            "epoch": [-1, 0] * 3,
            "category": ["Loss"] * 4 + ["Healthy"] * 2,
            "train_loss": [1.0, 0.5, 2.0, 1.0, 3.0, 0.1],
            "grad_norm": [1.0] * 6,
        }
    )
    figure = plots.plot_traces(
        epochs, ["train_loss", "grad_norm"], label="category", log=["train_loss"]
    )
    left, right = figure.axes
    assert [list(line.get_ydata()) for line in left.get_lines()] == [[3, 0.1], [1, 0.5], [2, 1]]
    colors = [line.get_color() for line in right.get_lines()]
    assert colors == [plots.LINE_COLORS[c] for c in ("Healthy", "Loss", "Loss")]
    assert (left.get_yscale(), right.get_yscale()) == ("log", "linear")
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Healthy", "Loss"]


def test_a_category_has_one_line_style_whatever_is_beside_it():
    epochs = pd.DataFrame({"run_id": list("ab"), "epoch": 0, "category": ["Loop", "Loss"], "x": 1})
    both, alone = (
        plots.plot_traces(rows, ["x"], label="category").axes[0].get_lines()[0].get_linestyle()
        for rows in (epochs, epochs[1:])
    )
    assert both == alone


def test_a_logarithmic_axis_ends_where_it_is_told():
    epochs = pd.DataFrame({"run_id": "a", "epoch": [-1, 0, 1], "x": [1e-27, 1.0, 10.0]})
    [ax] = plots.plot_traces(epochs, ["x"], log=["x"]).axes
    assert np.isnan(ax.get_lines()[0].get_ydata()).tolist() == [True, False, False]
    assert ax.get_ylim()[0] > 1e-6
    [ax] = plots.plot_traces(epochs, ["x"], log=["x"], smallest=1e-30).axes
    assert ax.get_ylim()[0] < 1e-26


def test_a_panel_says_which_program_and_what_survives():
    runs = pd.DataFrame({"run_id": ["a", "b"], "configuration": ["p/healthy", "p/X"]})
    epochs = pd.DataFrame({"run_id": ["a", "a", "b", "b"], "epoch": [-1, 0] * 2})
    corpus = SimpleNamespace(runs=runs, epochs=epochs.assign(valid_metric=[0.0, 1.0, 0.0, 0.5]))
    example = {"category": "Loss", "program": "p", "configuration": "p/X", "twin": "p/healthy"}
    for killed, end in ((True, ""), (False, " (survives)")):
        table = pd.DataFrame([example | {"killed": killed}], index=["X"])
        figure = plots.plot_operators(corpus, table, {"X": "do it"})
        assert figure.axes[0].get_title() == f"X: do it\np{end}"
        assert [text.get_text() for text in figure.axes[0].texts] == []


def test_a_panel_says_where_a_fault_is_that_it_does_not_show():
    runs = pd.DataFrame({"run_id": ["a", "b"], "configuration": ["p/healthy", "p/X"]})
    epochs = pd.DataFrame({"run_id": ["a", "a", "b", "b"], "epoch": [-1, 0] * 2})
    example = {"category": "Loss", "program": "p", "configuration": "p/X", "twin": "p/healthy"}
    table = pd.DataFrame([example | {"killed": True}], index=["X"])
    for after, side in ((-9.0, "below"), (9.0, "above")):
        corpus = SimpleNamespace(runs=runs, epochs=epochs.assign(valid_metric=[0, 1, 0, after]))
        [text] = plots.plot_operators(corpus, table, {"X": "do it"}).axes[0].texts
        assert text.get_text() == f"fault: {side} the axis"


def test_tables_that_do_not_fit_are_refused(scores):
    with pytest.raises(InputError, match="plot_gap_windows needs the columns .* no 'score' found"):
        plots.plot_gap_windows(scores.drop(columns="score"))
    with pytest.raises(InputError, match="without rows"):
        plots.plot_gap_windows(scores.iloc[:0])
    with pytest.raises(InputError, match="unknown strategy 'E9'"):
        plots.plot_gap_windows(scores.assign(strategy="E9"))
    with pytest.raises(InputError, match="unknown category 'Los'; did you mean 'Loss'"):
        plots.plot_class_balance(pd.DataFrame({"program": ["p"], "category": ["Los"]}))
