"""The leaderboard as figures: who is ahead, and what it costs."""

from collections.abc import Collection

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.transforms import Bbox

from analysis_lib.plots.style import (
    STRATEGY_COLORS,
    STRATEGY_MARKERS,
    STRATEGY_NAMES,
    axes_or_new,
    need,
)

__all__ = ["plot_board", "plot_board_costs"]

GREY = "0.55"
INK = "#0072b2"
POINT = 11
"""Half the size of a point in pixels, with some room."""

SIDES = [
    ((9, 0), "left", "center"),
    ((-9, 0), "right", "center"),
    ((9, -9), "left", "top"),
    ((-9, -9), "right", "top"),
    ((9, 9), "left", "bottom"),
    ((-9, 9), "right", "bottom"),
    ((0, 20), "center", "bottom"),
    ((0, -20), "center", "top"),
]
"""Where a name may stand beside its point: offset in points, and what is aligned there."""


def plot_board(board: pd.DataFrame, *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw scores with intervals, techniques from best to worst under E4, or the last strategy.

    Filled markers share rank 1 of their contest, hollow ones are resolved from the best.

    Parameters
    ----------
    board : DataFrame
        Of one task and window: technique, strategy, rank, score, low, high, chance.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    need(board, ["technique", "strategy", "rank", "score", "low", "high", "chance"], "plot_board")
    strategies = [s for s in STRATEGY_COLORS if s in set(board["strategy"])]
    wide = board.pivot_table(index="technique", columns="strategy", values="score")
    order = sorted(strategies[::-1], key=lambda s: s != "E4")
    names = list(wide.sort_values(order, ascending=False).index)
    if ax is None:
        height = 1.4 + (0.18 + 0.09 * len(strategies)) * len(names)
        ax = plt.subplots(figsize=(6.8, height))[1]
    for place, strategy in enumerate(strategies):
        rows = board[board["strategy"] == strategy]
        y = rows["technique"].map(names.index) + (place - (len(strategies) - 1) / 2) * 0.8 / len(
            strategies
        )
        color, marker = STRATEGY_COLORS[strategy], STRATEGY_MARKERS[strategy]
        ax.hlines(y, rows["low"], rows["high"], color=color, lw=1.2)
        for first in (True, False):
            part = (rows["rank"] == 1) == first
            face = color if first else "white"
            ax.plot(rows["score"][part], y[part], marker, color=color, mfc=face, ms=6.5, mew=1.4)
        ax.plot([], [], marker, color=color, label=STRATEGY_NAMES[strategy])
    ax.plot([], [], "o", color=GREY, mfc="white", mew=1.4, label="resolved from the best")
    ax.axvline(board["chance"].iloc[0], color="0.4", linestyle=":", label="chance")
    for edge in range(1, len(names)):
        ax.axhline(edge - 0.5, color="0.9", lw=0.8, zorder=0)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="program-macro recall", ylim=(len(names) - 0.5, -0.5))
    ax.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    return ax


def plot_board_costs(
    board: pd.DataFrame,
    *,
    names: Collection[str] | None = None,
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draw the score of every technique against its CPU time, with its interval.

    Filled points share rank 1, hollow ones are resolved from the best.

    Parameters
    ----------
    board : DataFrame
        Of one contest: technique, rank, score, low, high, seconds; rows without seconds are left
        out.
    names : collection of str, optional
        Techniques whose names are written; by default all.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    need(board, ["technique", "rank", "score", "low", "high", "seconds"], "plot_board_costs")
    rows = board[board["seconds"].notna()]
    need(rows, ["technique"], "plot_board_costs (rows with seconds)")
    rows = rows.assign(seconds=np.maximum(rows["seconds"].astype(float), 1e-3))
    ax = axes_or_new(ax)
    ax.vlines(rows["seconds"], rows["low"], rows["high"], color=GREY, lw=1.4)
    for first, label in ((True, "share rank 1"), (False, "resolved from the best")):
        part = rows[(rows["rank"] == 1) == first]
        face = INK if first else "white"
        ax.plot(
            part["seconds"], part["score"], "o", color=INK, mfc=face, ms=7, mew=1.5, label=label
        )
    ax.set(xscale="log", xlabel="CPU seconds to fit and predict all folds")
    ax.set_ylabel("program-macro recall")
    ax.margins(x=0.12, y=0.08)
    ax.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    _name_points(ax, rows, set(rows["technique"] if names is None else names))
    return ax


def _name_points(ax: plt.Axes, rows: pd.DataFrame, names: Collection[str]) -> None:
    """Write each name beside its point, on the first side where nothing else is."""
    ax.figure.draw_without_rendering()  # the layout decides where points are
    frame = ax.get_window_extent()
    low, score, high = (
        ax.transData.transform(rows[["seconds", c]]) for c in ("low", "score", "high")
    )
    taken = [
        Bbox(ends)
        for ends in zip(
            np.minimum(low, score - POINT), np.maximum(high, score + POINT), strict=True
        )
    ]
    for row in rows[rows["technique"].isin(names)].sort_values("score").itertuples():
        for place, side, height in SIDES:
            text = ax.annotate(
                row.technique,
                (row.seconds, row.score),
                place,
                textcoords="offset points",
                ha=side,
                va=height,
                fontsize=11,
            )
            text.set_in_layout(False)
            box = text.get_window_extent()
            inside = frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0
            if (place, side, height) == SIDES[-1] or (
                inside and not any(box.overlaps(other) for other in taken)
            ):
                taken.append(box)
                break
            text.remove()
