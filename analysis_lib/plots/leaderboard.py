"""The leaderboard as figures: who is ahead, and what it costs."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from analysis_lib.plots.style import (
    STRATEGY_COLORS,
    STRATEGY_MARKERS,
    STRATEGY_NAMES,
    axes_or_new,
    need,
)

__all__ = ["plot_board", "plot_board_costs"]

GREY = "0.55"


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
        height = 1.4 + (0.18 + 0.13 * len(strategies)) * len(names)
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
    colors: Mapping[str, str] | None = None,
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draw the score of every technique against its CPU time, with its interval.

    Parameters
    ----------
    board : DataFrame
        Of one contest: technique, rank, score, low, high, seconds; rows without seconds are left
        out.
    colors : mapping of technique to colour, optional
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    need(board, ["technique", "rank", "score", "low", "high", "seconds"], "plot_board_costs")
    rows = board[board["seconds"].notna()]
    need(rows, ["technique"], "plot_board_costs (rows with seconds)")
    ax = axes_or_new(ax)
    seconds = np.maximum(rows["seconds"].to_numpy(dtype=float), 1e-3)
    for time, row in zip(seconds, rows.itertuples(), strict=True):
        color = (colors or {}).get(row.technique, GREY)
        ax.vlines(time, row.low, row.high, color=color, lw=1.4)
        face = color if row.rank == 1 else "white"
        ax.plot(time, row.score, "o", color=color, mfc=face, ms=7, mew=1.5)
    ax.set(xscale="log", xlabel="CPU seconds to fit and predict all folds")
    ax.set_ylabel("program-macro recall")
    _name_points(ax, seconds, rows)
    return ax


def _name_points(ax: plt.Axes, seconds: np.ndarray, rows: pd.DataFrame) -> None:
    """Write names at the right, far enough apart, with a line to the point each belongs to."""
    low, high = ax.get_ylim()
    order = np.argsort(rows["score"].to_numpy())
    step, place = (high - low) * 0.062, -np.inf
    for k in order:
        place = max(place + step, rows["score"].iloc[k])
        ax.annotate(
            rows["technique"].iloc[k],
            (seconds[k], rows["score"].iloc[k]),
            (1.03, place),
            textcoords=("axes fraction", "data"),
            va="center",
            fontsize=10,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "0.8", "lw": 0.7, "shrinkB": 4},
        )
