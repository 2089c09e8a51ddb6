"""The figures of the leaderboard show scores, ties and costs as they are."""

import numpy as np
import pandas as pd
import pytest

from analysis_lib import plots
from analysis_lib.errors import InputError

BOARD = pd.DataFrame(
    {
        "technique": ["a", "b", "c", "a", "b"],
        "strategy": ["E1", "E1", "E1", "E4", "E4"],
        "rank": [1, 1, 3, 2, 1],
        "score": [0.9, 0.8, 0.5, 0.4, 0.6],
        "chance": 0.25,
        "seconds": [10.0, 1.0, np.nan, 5.0, 0.5],
    }
)
BOARD["low"], BOARD["high"] = BOARD["score"] - 0.1, BOARD["score"] + 0.1


pytestmark = pytest.mark.usefixtures("canvas")


def points(ax):
    """Technique row, score and whether filled, of every drawn point."""
    return [
        (round(float(line.get_ydata()[k])), float(line.get_xdata()[k]), line.get_mfc() != "white")
        for line in ax.lines
        if line.get_marker() not in ("None", None, "")
        for k in range(len(line.get_xdata()))
    ]


def test_techniques_stand_in_the_order_of_the_last_split_and_ties_are_filled():
    ax = plots.plot_board(BOARD)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["b", "a", "c"]
    assert sorted(points(ax)) == sorted(
        [(1, 0.9, True), (0, 0.8, True), (2, 0.5, False), (1, 0.4, False), (0, 0.6, True)]
    )
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    last = BOARD[BOARD["strategy"] == "E4"].assign(strategy="E6", score=[0.7, 0.3])
    both = plots.plot_board(pd.concat([BOARD, last]))
    assert [t.get_text() for t in both.get_yticklabels()] == ["b", "a", "c"], "E4 decides"
    spans = [s[:, 0].round(3).tolist() for c in ax.collections for s in c.get_segments()]
    assert [0.8, 1.0] in spans and [0.3, 0.5] in spans


def test_costs_are_drawn_where_they_are_known_and_named():
    ax = plots.plot_board_costs(BOARD[BOARD["strategy"] == "E1"], colors={"a": "#0072b2"})
    assert sorted(t.get_text() for t in ax.texts) == ["a", "b"]
    assert sorted((float(p.get_xdata()[0]), float(p.get_ydata()[0])) for p in ax.lines) == [
        (1.0, 0.8), (10.0, 0.9)
    ]  # fmt: skip
    places = sorted(t.xyann[1] for t in ax.texts)
    assert places[1] - places[0] > 0.01 and ax.get_xscale() == "log"
    with pytest.raises(InputError, match="without rows"):
        plots.plot_board_costs(BOARD[BOARD["technique"] == "c"])
    with pytest.raises(InputError, match="no 'rank' found"):
        plots.plot_board(BOARD.drop(columns="rank"))
