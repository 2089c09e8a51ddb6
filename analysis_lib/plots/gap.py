"""Figures of the gap: by window, by technique, by program and class."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from analysis_lib.errors import InputError, unknown
from analysis_lib.plots.style import (
    STRATEGY_COLORS,
    STRATEGY_MARKERS,
    STRATEGY_NAMES,
    axes_or_new,
    need,
)

__all__ = ["plot_gap_bars", "plot_gap_windows", "plot_recall_matrix"]


def plot_gap_windows(
    scores: pd.DataFrame, *, chance: float | None = None, ax: plt.Axes | None = None
) -> plt.Axes:
    """Draw the score of each strategy against the window, with its interval as a band.

    Parameters
    ----------
    scores : DataFrame
        Columns ``strategy``, ``window``, ``score``; ``low`` and ``high`` draw the band.
    chance : float, optional
        Score of guessing, drawn as a dotted line.
    """
    need(scores, ["strategy", "window", "score"], "plot_gap_windows")
    ax = axes_or_new(ax)
    for strategy, rows in scores.groupby("strategy"):
        if strategy not in STRATEGY_COLORS:
            raise unknown("strategy", strategy, STRATEGY_COLORS)
        rows = rows.sort_values("window")
        color = STRATEGY_COLORS[strategy]
        ax.plot(
            rows["window"],
            rows["score"],
            marker=STRATEGY_MARKERS[strategy],
            color=color,
            label=STRATEGY_NAMES[strategy],
        )
        if {"low", "high"} <= set(rows):
            ax.fill_between(rows["window"], rows["low"], rows["high"], color=color, alpha=0.15)
    if chance is not None:
        ax.axhline(chance, color="0.4", linestyle=":", label="chance")
    ax.set(xlabel="epochs seen (0: before training)", ylabel="score", ylim=(0, 1))
    ax.set_xticks(sorted(scores["window"].unique()))
    ax.legend()
    return ax


def plot_gap_bars(
    scores: pd.DataFrame,
    *,
    by: str = "technique",
    chance: float | None = None,
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draw one bar per strategy for each group, with intervals.

    Parameters
    ----------
    scores : DataFrame
        Columns `by`, ``strategy``, ``score``; ``low`` and ``high`` draw the intervals.
    by : str
        Column of the groups along the axis.
    chance : float, optional
        Score of guessing, drawn as a dotted line.
    """
    need(scores, [by, "strategy", "score"], "plot_gap_bars")
    ax = axes_or_new(ax)
    groups = list(dict.fromkeys(scores[by]))
    strategies = [s for s in STRATEGY_COLORS if s in set(scores["strategy"])]
    width = 0.8 / len(strategies)
    hatches = dict(zip(STRATEGY_COLORS, ("", "//", "..", "xx", "\\\\"), strict=True))
    for place, strategy in enumerate(strategies):
        rows = scores[scores["strategy"] == strategy].set_index(by).reindex(groups)
        x = np.arange(len(groups)) + (place - (len(strategies) - 1) / 2) * width
        error = None
        if {"low", "high"} <= set(rows):
            error = [rows["score"] - rows["low"], rows["high"] - rows["score"]]
        ax.bar(
            x,
            rows["score"],
            width,
            yerr=error,
            capsize=3,
            color=STRATEGY_COLORS[strategy],
            hatch=hatches[strategy],
            edgecolor="white",
            ecolor="0.25",
            label=STRATEGY_NAMES[strategy],
        )
    if chance is not None:
        ax.axhline(chance, color="0.4", linestyle=":", label="chance")
    ax.set_xticks(range(len(groups)), [str(g).replace("-", "\n") for g in groups])
    ax.set(ylabel="score", ylim=(0, 1))
    ax.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def plot_recall_matrix(
    recall: pd.DataFrame, *, annotate: bool | None = None, ax: plt.Axes | None = None
) -> plt.Axes:
    """Draw the recall of each class in each program as a heat map.

    Parameters
    ----------
    recall : DataFrame
        One row per program (index), one column per class; missing cells stay white.
    annotate : bool, optional
        Write the values into the cells; the default does so up to 20 programs.
    """
    if recall.empty:
        raise InputError("plot_recall_matrix got a table without rows")
    if ax is None:
        size = (1.1 * recall.shape[1] + 3.0, 0.28 * recall.shape[0] + 1.6)
        ax = plt.subplots(figsize=size)[1]
    sns.heatmap(
        recall.astype(float),
        vmin=0,
        vmax=1,
        cmap="cividis",
        annot=len(recall) <= 20 if annotate is None else annotate,
        fmt=".2f",
        linewidths=0.5,
        linecolor="white",
        yticklabels=True,
        cbar_kws={"label": "recall"},
        ax=ax,
    )
    ax.set(xlabel="class", ylabel="program")
    ax.tick_params(axis="x", rotation=30)
    ax.tick_params(axis="y", rotation=0, labelsize=9)
    return ax
