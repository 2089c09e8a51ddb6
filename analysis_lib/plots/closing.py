"""Figures on closing the gap: methods by track, pools, and the number of programs."""

from collections.abc import Iterable, Mapping
from itertools import cycle

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from analysis_lib.plots.style import TECHNIQUE_COLORS, axes_or_new, need

__all__ = ["METHOD_COLORS", "plot_growth", "plot_methods", "plot_pools"]

TRACK_COLORS = {"Z": "#000000", "U": "#0072b2", "H": "#009e73", "K": "#aa4499"}
TRACK_MARKERS = {"Z": "o", "U": "s", "H": "D", "K": "^"}
# of the hue of their track; DEFault as in other figures
METHOD_COLORS = {
    "DEFault": TECHNIQUE_COLORS["DEFault"],
    "scale-free": TRACK_COLORS["Z"],
    "pool-centred": "#56b4e9",
    "pool-referenced": TRACK_COLORS["U"],
    "healthy-referenced": TRACK_COLORS["H"],
}
"""Colour of each method that more than one figure shows."""

OTHER_COLORS = ("#e69f00", "#cc79a7", "#999933", "#882255")
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
        ax = plt.subplots(figsize=(7.4, 0.36 * len(table) + 1.6))[1]
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
    ax.xaxis.set_major_formatter(PercentFormatter(1))
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
    colors = method_colors(table["technique"].unique())
    for (technique, mix), rows in table.groupby(["technique", "mix"], sort=False):
        rows = rows.sort_values("size")
        ax.plot(
            rows["size"],
            rows["score"],
            MIX_LINES[mix],
            marker="o",
            color=colors[technique],
            label=f"{technique}, {mix}",
        )
    handles = [Line2D([], [], color=colors[name], marker="o", label=name) for name in colors]
    handles += [
        Line2D([], [], color="0.4", linestyle=MIX_LINES[mix], label=f"{mix} mix")
        for mix in table["mix"].unique()
    ]
    sizes = sorted(table["size"].unique())
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.set(xlabel="unlabelled runs of the new program", ylabel="program-macro recall")
    ax.legend(
        handles=handles,
        ncols=2,
        handlelength=3,
        fontsize=11,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
    )
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
    colors = method_colors(curves["technique"].unique())
    for technique, rows in curves.groupby("technique", sort=False):
        color = colors[technique]
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
    ax.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax


def method_colors(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each method, others than the known ones in turn."""
    others = cycle(OTHER_COLORS)
    return {name: METHOD_COLORS.get(name) or next(others) for name in names}
