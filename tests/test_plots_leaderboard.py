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


def test_costs_are_drawn_where_they_are_known():
    ax = plots.plot_board_costs(BOARD[BOARD["strategy"] == "E1"].assign(rank=[1, 2, 3]))
    filled, hollow = ax.lines
    assert (list(filled.get_xdata()), list(filled.get_ydata())) == ([10.0], [0.9])
    assert (list(hollow.get_xdata()), list(hollow.get_ydata())) == ([1.0], [0.8])
    assert filled.get_mfc() != "white" == hollow.get_mfc() and ax.get_xscale() == "log"
    assert sorted(t.get_text() for t in ax.texts) == ["a", "b"]
    with pytest.raises(InputError, match="without rows"):
        plots.plot_board_costs(BOARD[BOARD["technique"] == "c"])
    with pytest.raises(InputError, match="no 'rank' found"):
        plots.plot_board(BOARD.drop(columns="rank"))


def test_names_stand_beside_their_points_inside_and_clear_of_each_other():
    close = pd.DataFrame({"technique": ["first one", "second one", "third", "last one"]})
    close = close.assign(rank=1, score=[0.5, 0.51, 0.52, 0.9], seconds=[1.0, 1.1, 1.3, 99.0])
    close = close.assign(low=close["score"] - 0.02, high=close["score"] + 0.02)
    ax = plots.plot_board_costs(close, names=["first one", "second one", "last one"])
    assert sorted(t.get_text() for t in ax.texts) == ["first one", "last one", "second one"]
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    assert all(box.x1 < ax.get_window_extent().x1 for box in boxes)
