"""Figures of the gap: by window, by technique, by strategy, by program and class."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from analysis_lib.errors import InputError, unknown
from analysis_lib.plots.style import (
    PART_COLORS,
    PART_MARKERS,
    STRATEGY_COLORS,
    STRATEGY_HATCHES,
    STRATEGY_MARKERS,
    STRATEGY_NAMES,
    axes_or_new,
    halo,
    need,
)

__all__ = [
    "plot_flags",
    "plot_gap_bars",
    "plot_gap_parts",
    "plot_gap_windows",
    "plot_recall_matrix",
    "plot_strategies",
]


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
    published_gap: float | None = None,
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
    published_gap : float, optional
        Draws a dashed line over each group's bars, that much below its bar of E1.
    """
    need(scores, [by, "strategy", "score"], "plot_gap_bars")
    ax = axes_or_new(ax)
    groups = list(dict.fromkeys(scores[by]))
    strategies = [s for s in STRATEGY_COLORS if s in set(scores["strategy"])]
    width = 0.8 / len(strategies)
    for place, strategy in enumerate(strategies):
        rows = scores[scores["strategy"] == strategy].set_index(by).reindex(groups)
        x = np.arange(len(groups)) + (place - (len(strategies) - 1) / 2) * width
        error = None
        if {"low", "high"} <= set(rows):
            error = [rows["score"] - rows["low"], rows["high"] - rows["score"]]
        bars = ax.bar(
            x,
            rows["score"],
            width,
            yerr=error,
            capsize=3,
            color=STRATEGY_COLORS[strategy],
            hatch=STRATEGY_HATCHES[strategy],
            edgecolor="white",
            ecolor="0.25",
            label=STRATEGY_NAMES[strategy],
        )
        if error is not None:
            _, caps, (whiskers,) = bars.errorbar.lines
            plt.setp(whiskers, path_effects=halo(3.5))
            plt.setp(caps, zorder=4)
    if published_gap is not None:
        first = scores[scores["strategy"] == "E1"].set_index(by)["score"].reindex(groups)
        left, right = np.arange(len(groups)) - 0.45, np.arange(len(groups)) + 0.45
        label = f"E1 less the study's {published_gap:.3f}"
        dashes = ax.hlines(
            first - published_gap, left, right, color="black", ls="--", lw=1.4, label=label
        )
        dashes.set_path_effects(halo(3.5))
    if chance is not None:
        line = ax.axhline(chance, color="0.2", linestyle=":", label="chance")
        line.set_path_effects(halo(3.5))
    ax.set_xticks(range(len(groups)), [str(g).replace("-", "\n") for g in groups])
    ax.set(ylabel="score", ylim=(0, 1))
    ax.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def plot_gap_parts(
    parts: pd.DataFrame, *, published: float | None = None, ax: plt.Axes | None = None
) -> plt.Axes:
    """Draw the gap and its parts against the window, with their intervals as bands.

    Parameters
    ----------
    parts : DataFrame
        Columns ``part``, ``window``, ``estimate``, ``low``, ``high``.
    published : float, optional
        The study's gap, drawn as a dashed line.
    """
    need(parts, ["part", "window", "estimate", "low", "high"], "plot_gap_parts")
    ax = axes_or_new(ax)
    for part in parts["part"].unique():
        if part not in PART_COLORS:
            raise unknown("part", part, PART_COLORS)
        rows = parts[parts["part"] == part].sort_values("window")
        style = {"color": PART_COLORS[part], "marker": PART_MARKERS[part], "label": part}
        ax.plot(rows["window"], rows["estimate"], **style)
        ax.fill_between(
            rows["window"], rows["low"], rows["high"], color=PART_COLORS[part], alpha=0.12
        )
    if published is not None:
        ax.axhline(published, color="0.3", linestyle="--", lw=1.4, label="gap in the study")
    ax.axhline(0, color="0.6", lw=0.8)
    ax.set(xlabel="epochs seen (0: before training)", ylabel="difference of scores")
    ax.set_xticks(sorted(parts["window"].unique()))
    ax.legend()
    return ax


def plot_strategies(
    scores: pd.DataFrame,
    *,
    by: str = "technique",
    chance: float | None = None,
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draw one line of points per group, one point with its interval per strategy.

    Parameters
    ----------
    scores : DataFrame
        Columns `by`, ``strategy``, ``score``; ``low`` and ``high`` draw the intervals. Where a
        column ``held_out`` is "groups" for E4, these points are hollow and have a row of their own
        if there are others of E4.
    by : str
        Column of the groups, first one on top.
    chance : float, optional
        Score of guessing, drawn as a dotted line.
    """
    need(scores, [by, "strategy", "score"], "plot_strategies")
    groups = list(dict.fromkeys(scores[by]))
    series = _series(scores)
    if ax is None:
        ax = plt.subplots(figsize=(6.4, 1.4 + (0.15 + 0.14 * len(series)) * len(groups)))[1]
    for place, (strategy, grouped, rows) in enumerate(series):
        rows = rows.set_index(by)
        rows = rows.loc[[g for g in groups if g in rows.index]]
        y = np.array([groups.index(g) for g in rows.index], dtype=float)
        y += (place - (len(series) - 1) / 2) * 0.8 / len(series)
        error = None
        if {"low", "high"} <= set(rows):
            error = [rows["score"] - rows["low"], rows["high"] - rows["score"]]
        ax.errorbar(
            rows["score"],
            y,
            xerr=error,
            fmt=STRATEGY_MARKERS[strategy],
            color=STRATEGY_COLORS[strategy],
            mfc="white" if grouped else None,
            capsize=2,
            lw=1.2,
            label=STRATEGY_NAMES[strategy] + (", in groups" if grouped else ""),
        )
    if chance is not None:
        ax.axvline(chance, color="0.4", linestyle=":", label="chance")
    for edge in range(1, len(groups)):
        ax.axhline(edge - 0.5, color="0.9", lw=0.8, zorder=0)
    ax.set_yticks(range(len(groups)), groups)
    ax.set(xlabel="score", ylim=(len(groups) - 0.5, -0.5))
    ax.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    return ax


def _series(scores: pd.DataFrame) -> list[tuple[str, bool, pd.DataFrame]]:
    """Return (strategy, whether it is E4 in groups beside E4, rows), in the order of strategies."""
    found = []
    for strategy in STRATEGY_COLORS:
        rows = scores[scores["strategy"] == strategy]
        grouped = rows.get("held_out", pd.Series("", index=rows.index)) == "groups"
        if strategy != "E4" or grouped.all():
            grouped = grouped & False
        parts = ((False, rows[~grouped]), (True, rows[grouped]))
        found += [(strategy, kind, part) for kind, part in parts if len(part)]
    return found


def plot_flags(flags: pd.DataFrame, *, axes: np.ndarray | None = None) -> np.ndarray:
    """Draw what detectors say about runs of each class, one panel per detector.

    Parameters
    ----------
    flags : DataFrame
        Columns ``technique``, ``label``, ``right``, ``wrong``, ``silent`` (shares).
    axes : ndarray of Axes, optional
        One per detector.
    """
    need(flags, ["technique", "label", "right", "wrong", "silent"], "plot_flags")
    names, labels = (list(dict.fromkeys(flags[c])) for c in ("technique", "label"))
    if axes is None:
        rows = (len(names) + 1) // 2
        size = (9.2, 1.0 + (0.9 + 0.3 * len(labels)) * rows)
        axes = plt.subplots(rows, 2, figsize=size, sharex=True, sharey=True, squeeze=False)[1]
        for spare in axes.ravel()[len(names) :]:
            spare.set_axis_off()
    looks = {
        "right": ("#0072b2", "", "names the category"),
        "wrong": ("#d55e00", "//", "names another"),
        "silent": ("#dddddd", "", "no rule fires"),
    }
    for ax, name in zip(axes.ravel(), names, strict=False):
        rows = flags[flags["technique"] == name].set_index("label").reindex(labels)
        start = np.zeros(len(labels))
        for part, (color, hatch, said) in looks.items():
            ax.barh(
                range(len(labels)),
                rows[part],
                left=start,
                color=color,
                hatch=hatch,
                edgecolor="white",
                label=said,
            )
            start += rows[part].to_numpy(dtype=float)
        ax.set_yticks(range(len(labels)), labels)
        ax.set(title=name, xlim=(0, 1), ylim=(len(labels) - 0.5, -0.5))
        # ends of neighbouring panels must not touch
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    handles = axes.ravel()[0].get_legend_handles_labels()
    axes.ravel()[0].figure.legend(*handles, loc="outside lower center", ncols=3)
    return axes


def plot_recall_matrix(
    recall: pd.DataFrame,
    *,
    groups: pd.Series | None = None,
    annotate: bool | None = None,
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draw the recall of each class in each program as a heat map.

    Parameters
    ----------
    recall : DataFrame
        One row per program (index), one column per class; missing cells stay white.
    groups : Series, optional
        Group of every program, in the order of the rows: a line between groups, their names at the
        right.
    annotate : bool, optional
        Write the values into the cells; the default does so up to 20 programs.
    """
    if recall.empty:
        raise InputError("plot_recall_matrix got a table without rows")
    few = len(recall) <= 20
    if ax is None:
        size = (1.1 * recall.shape[1] + 3.0, (0.28 if few else 0.19) * len(recall) + 1.6)
        ax = plt.subplots(figsize=size)[1]
    sns.heatmap(
        recall.astype(float),
        vmin=0,
        vmax=1,
        cmap="cividis",
        annot=few if annotate is None else annotate,
        fmt=".2f",
        linewidths=0.5,
        linecolor="white",
        yticklabels=True,
        cbar_kws={"label": "recall", "location": "bottom", "shrink": 0.6},
        ax=ax,
    )
    ax.set(xlabel="class", ylabel="program")
    ax.tick_params(axis="x", rotation=30)
    ax.tick_params(axis="y", rotation=0, labelsize=9, length=2)
    if groups is not None:
        names = groups.astype(str).tolist()
        edges = [i for i in range(1, len(names)) if names[i] != names[i - 1]]
        for edge in edges:
            ax.axhline(edge, color="black", lw=1.2)
        for first, last in zip([0, *edges], [*edges, len(names)], strict=True):
            place = (recall.shape[1] + 0.08, (first + last) / 2)
            ax.text(*place, names[first], va="center", fontsize=10)
    return ax
