"""Figures on closing the gap: methods by track, pools, and the number of programs."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd

from analysis_lib.plots.style import axes_or_new, need

__all__ = ["plot_growth", "plot_methods", "plot_pools"]

TRACK_COLORS = {"Z": "#000000", "U": "#0072b2", "H": "#009e73", "K": "#d55e00"}
TRACK_MARKERS = {"Z": "o", "U": "s", "H": "D", "K": "^"}
MIX_LINES = {"even": "-", "random": "-.", "skewed": "--", "single": ":"}


def plot_methods(
    table: pd.DataFrame, levels: Mapping[str, float], *, ax: plt.Axes | None = None
) -> plt.Axes:
    """Draw the share of the gap that each method closes, with its interval.

    Parameters
    ----------
    table : DataFrame
        technique, track, share, low, high; one row per method, drawn from the top.
    levels : mapping of str to float
        Shares to mark by a vertical line, by what to call them.
    """
    need(table, ["technique", "track", "share", "low", "high"], "plot_methods")
    if ax is None:
        ax = plt.subplots(figsize=(7.4, 0.4 * len(table) + 1.6))[1]
    for track, rows in table.assign(y=range(len(table))).groupby("track", sort=False):
        ax.errorbar(
            rows["share"],
            rows["y"],
            xerr=[rows["share"] - rows["low"], rows["high"] - rows["share"]],
            fmt=TRACK_MARKERS[track],
            color=TRACK_COLORS[track],
            capsize=2,
            linewidth=1.2,
            label=f"track {track}",
        )
    for line, (name, value) in zip((":", "--", "-."), levels.items(), strict=False):
        ax.axvline(value, color="0.4", linewidth=1, linestyle=line, label=name)
    ax.set_yticks(range(len(table)), table["technique"], fontsize=11)
    ax.invert_yaxis()
    ax.set(xlabel="share of the baseline's gap closed")
    ax.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.35, 1.0), fontsize=10)
    return ax


def plot_pools(table: pd.DataFrame, *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw scores on new programs against the size of the pool, a line per method and mix.

    Parameters
    ----------
    table : DataFrame
        technique, mix, size, score.
    """
    need(table, ["technique", "mix", "size", "score"], "plot_pools")
    ax = axes_or_new(ax)
    colors = dict(zip(table["technique"].unique(), TRACK_COLORS.values(), strict=False))
    for (technique, mix), rows in table.groupby(["technique", "mix"], sort=False):
        rows = rows.sort_values("size")
        ax.plot(
            rows["size"],
            rows["score"],
            MIX_LINES[mix],
            marker="o",
            color=colors.get(technique, "0.5"),
            label=f"{technique}, {mix}",
        )
    ax.set(xlabel="unlabelled runs of the new program", ylabel="program-macro recall")
    ax.legend(fontsize=9, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def plot_growth(
    scores: pd.DataFrame, curves: pd.DataFrame, *, ax: plt.Axes | None = None
) -> plt.Axes:
    """Draw mean scores against the number of training programs, and the fitted curves beyond.

    Parameters
    ----------
    scores : DataFrame
        technique, programs, score.
    curves : DataFrame
        technique, programs, score, low, high.
    """
    need(scores, ["technique", "programs", "score"], "plot_growth")
    need(curves, ["technique", "programs", "score", "low", "high"], "plot_growth")
    ax = axes_or_new(ax)
    for (technique, rows), color in zip(
        curves.groupby("technique", sort=False), ("#d55e00", "#000000", "#0072b2"), strict=False
    ):
        seen = scores[scores["technique"] == technique].groupby("programs")["score"].mean()
        ax.plot(seen.index, seen, "o", color=color)
        ax.plot(rows["programs"], rows["score"], color=color, label=technique)
        ax.fill_between(rows["programs"], rows["low"], rows["high"], color=color, alpha=0.15)
    largest = scores["programs"].max()
    ax.axvline(largest, color="0.4", linestyle=":", label="measured up to here")
    ax.set_xscale("log")
    ticks = sorted({*scores["programs"], *curves["programs"]})
    ticks = [t for k, t in enumerate(ticks) if k == 0 or t >= 1.4 * ticks[k - 1] or t == largest]
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    ax.set(xlabel="training programs", ylabel="program-macro recall")
    ax.legend()
    return ax
