"""Figures of where the gap comes from: its parts, permuted labels, channels, leaks."""

from collections.abc import Iterable, Mapping

import matplotlib.pyplot as plt
import pandas as pd

from analysis_lib.errors import unknown
from analysis_lib.plots.style import (
    PART_COLORS,
    STRATEGY_COLORS,
    STRATEGY_MARKERS,
    axes_or_new,
    halo,
    need,
)

__all__ = [
    "GROUP_COLORS",
    "plot_audit",
    "plot_feature_plane",
    "plot_permutations",
    "plot_waterfall",
]

# a part is drawn in its colour and hatch, from E1 down to E4
HATCHES = {
    "replicate leak": "//",
    "class-prior leak": "..",
    "program-specific part": "\\\\",
    "prior-shift cost": "xx",
}

# "bright" of P. Tol, Colour schemes (2021)
GROUP_COLORS = {
    "losses and accuracies": "#000000",
    "checks": "#bbbbbb",
    "curvature and gradients": "#4477aa",
    "optimizer and activations": "#ee6677",
    "dimensionless": "#228833",
}
"""Colour of each group of channels."""

GROUP_MARKERS = dict(zip(GROUP_COLORS, "sXo^D", strict=True))


def plot_waterfall(
    parts: pd.DataFrame, *, chance: float | None = None, ax: plt.Axes | None = None
) -> plt.Axes:
    """Draw the way from the score under E1 down to that under E4, part by part.

    Parameters
    ----------
    parts : DataFrame
        part, start, end, estimate, low, high, of one technique; rows that are no single part are
        left out. A whisker holds the interval of the part, drawn around its end; the number is the
        part, so a step down has a positive one.
    chance : float, optional
        Score of guessing, drawn as a dotted line.
    """
    need(parts, ["part", "start", "end", "estimate", "low", "high"], "plot_waterfall")
    ax = axes_or_new(ax)
    steps = parts[parts["part"].isin(list(HATCHES))]
    first, last = steps["start"].iloc[0], steps["end"].iloc[-1]
    places = len(steps) + 1
    for place, strategy, score in ((0, "E1", first), (places, "E4", last)):
        ax.bar(place, score, 0.7, color=STRATEGY_COLORS[strategy])
        ax.annotate(f"{score:.3f}", (place, score), (0, 3), **_ABOVE)
    for place, row in enumerate(steps.itertuples(), start=1):
        bottom, top = sorted((row.start, row.end))
        ax.bar(
            place,
            top - bottom,
            0.7,
            bottom=bottom,
            color=PART_COLORS[row.part],
            hatch=HATCHES[row.part],
            edgecolor="white",
        )
        error = [[row.high - row.estimate], [row.estimate - row.low]]
        _, caps, (whisker,) = ax.errorbar(
            place, row.end, yerr=error, color="0.2", capsize=4, linewidth=1.4
        )
        plt.setp(whisker, path_effects=halo(3.5))
        plt.setp(caps, zorder=4)
        highest = max(top, row.end + row.estimate - row.low)
        ax.annotate(f"{row.estimate:z.3f}", (place, highest), (0, 3), **_ABOVE)
        ax.plot([place - 0.65, place - 0.35], [row.start] * 2, color="0.5", linewidth=0.8)
    ax.plot([places - 0.65, places - 0.35], [last] * 2, color="0.5", linewidth=0.8)
    if chance is not None:
        ax.axhline(chance, color="0.4", linestyle=":", label="chance")
    names = [name.replace(" ", "\n").replace("-", "-\n") for name in steps["part"]]
    ax.set_xticks(range(places + 1), ["E1", *names, "E4"], fontsize=11)
    ax.set(ylabel="program-macro recall", ylim=(0, 1.05))
    return ax


def plot_permutations(
    summary: pd.DataFrame,
    *,
    chance: float,
    prior: Mapping[str, float] | None = None,
    published: tuple[float, float] | None = None,
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draw scores with permuted labels beside those with the labels as they are.

    Parameters
    ----------
    summary : DataFrame
        mix, permuted, strategy, actual, median, low, high; one row of the figure each.
    chance : float
    prior : mapping of mix to score, optional
        What the class mix alone buys, drawn as a vertical tick in the rows of the mix.
    published : tuple of float, optional
        Permuted and unpermuted score of another study, drawn as the first row.
    """
    need(summary, ["mix", "permuted", "strategy", "actual", "median"], "plot_permutations")
    if ax is None:
        ax = plt.subplots(figsize=(8.2, 0.36 * len(summary) + 2.0))[1]
    rows = [f"{r.mix}: by {r.permuted}, {r.strategy}" for r in summary.itertuples()]
    names = ["the study", *rows] if published is not None else rows
    y = range(len(names) - len(rows), len(names))
    span = [summary["median"] - summary["low"], summary["high"] - summary["median"]]
    ax.errorbar(
        summary["median"],
        list(y),
        xerr=span,
        fmt="o",
        color=PART_COLORS["program-specific part"],
        capsize=3,
        label="permuted: median and range",
    )
    ax.plot(summary["actual"], list(y), "D", mfc="white", mec="0.1", label="labels as they are")
    if prior is not None:
        at = [prior[mix] for mix in summary["mix"]]
        color = PART_COLORS["class-prior leak"]
        ax.plot(at, list(y), "|", ms=15, mew=2.5, color=color, label="class mix alone")
    if published is not None:
        ax.plot(published[0], 0, "o", color=PART_COLORS["program-specific part"])
        ax.plot(published[1], 0, "D", mfc="white", mec="0.1")
    ax.axvline(chance, color="0.4", linestyle=":", label="chance")
    ax.set_yticks(range(len(names)), names, fontsize=11)
    ax.invert_yaxis()
    ax.set(xlabel="balanced accuracy", xlim=(0, 1))
    ax.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    return ax


def plot_feature_plane(
    shares: pd.DataFrame, *, named: Iterable[str] = (), ax: plt.Axes | None = None
) -> plt.Axes:
    """Draw every channel at its share of program (x) and of fault (y) in its variance.

    Parameters
    ----------
    shares : DataFrame
        channel, group, program_total, fault_total.
    named : iterable of str
        Channels whose names are written beside their points.
    """
    need(shares, ["channel", "group", "program_total", "fault_total"], "plot_feature_plane")
    ax = axes_or_new(ax)
    for group, rows in shares.groupby("group", sort=False):
        if group not in GROUP_COLORS:
            raise unknown("group", group, GROUP_COLORS)
        ax.scatter(
            rows["program_total"],
            rows["fault_total"],
            s=42,
            color=GROUP_COLORS[group],
            marker=GROUP_MARKERS[group],
            edgecolor="white",
            linewidth=0.5,
            label=group,
        )
    _name_points(ax, shares, shares[shares["channel"].isin(list(named))])
    ax.axhline(0, color="0.7", linewidth=0.8)
    ax.axvline(0, color="0.7", linewidth=0.8)
    ax.set(xlabel="program's share of the variance", ylabel="fault's share of the variance")
    ax.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=11)
    return ax


def _name_points(ax: plt.Axes, shares: pd.DataFrame, chosen: pd.DataFrame) -> None:
    """Write names beside points, one stack for each half, so that no name lies on another."""
    lowest = min(0, shares["fault_total"].min())
    step = 0.06 * (shares["fault_total"].max() - lowest)
    width = shares["program_total"].max()
    for right, rows in chosen.groupby(chosen["program_total"] > width / 2):
        # where points are at one height, leaders cross unless the farthest has the highest name
        level = (rows["fault_total"] - lowest) // step
        far = rows["program_total"] if right else -rows["program_total"]
        rows = rows.assign(level=level, far=far).sort_values(["level", "far"])
        free = rows["fault_total"] + step
        height = free.copy()
        for above, below in zip(rows.index[1:], rows.index[:-1], strict=True):
            height[above] = max(free[above], height[below] + step)
        stack = height.gt(free).rsub(1).cumsum()
        beside = rows["program_total"].groupby(stack).transform("min" if right else "max")
        for row, y, x in zip(rows.itertuples(), height, beside, strict=True):
            ax.annotate(
                row.channel,
                (row.program_total, row.fault_total),
                (x + (-0.03 if right else 0.03) * width, y),
                ha="right" if right else "left",
                va="center",
                fontsize=10,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.8},
                arrowprops={
                    "arrowstyle": "-",
                    "color": "0.5",
                    "linewidth": 0.7,
                    "relpos": (1 if right else 0, 0.5),
                    "shrinkA": 0,
                    "shrinkB": 3,
                },
            )
    ax.set_ylim(top=ax.get_ylim()[1] + step)


def plot_audit(
    table: pd.DataFrame,
    *,
    names: Mapping[str, str] | None = None,
    chance: float | None = None,
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draw the score of each technique of the audit under each strategy, with intervals.

    Parameters
    ----------
    table : DataFrame
        technique, strategy, score, low, high.
    names : mapping of str to str, optional
        What to write for a technique.
    chance : float, optional
        Score of guessing, drawn as a dotted line.
    """
    need(table, ["technique", "strategy", "score", "low", "high"], "plot_audit")
    techniques = list(dict.fromkeys(table["technique"]))
    if ax is None:
        ax = plt.subplots(figsize=(8.2, 0.42 * len(techniques) + 1.8))[1]
    strategies = [s for s in STRATEGY_COLORS if s in set(table["strategy"])]
    for place, strategy in enumerate(strategies):
        rows = table[table["strategy"] == strategy].set_index("technique").reindex(techniques)
        y = [k + 0.22 * (place - (len(strategies) - 1) / 2) for k in range(len(techniques))]
        ax.errorbar(
            rows["score"],
            y,
            xerr=[rows["score"] - rows["low"], rows["high"] - rows["score"]],
            fmt=STRATEGY_MARKERS[strategy],
            color=STRATEGY_COLORS[strategy],
            capsize=2,
            linewidth=1.2,
            label=strategy,
        )
    if chance is not None:
        ax.axvline(chance, color="0.4", linestyle=":", label="chance")
    shown = [t if names is None else names.get(t, t) for t in techniques]
    ax.set_yticks(range(len(techniques)), shown, fontsize=11)
    ax.invert_yaxis()
    ax.set(xlabel="program-macro recall", xlim=(0, 1))
    ax.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.4, 1.0))
    return ax


_ABOVE = {"textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": 11}
