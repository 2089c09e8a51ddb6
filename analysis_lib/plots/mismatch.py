"""Figures of train/validation mismatch: rates, AUC by window, seen and unseen programs, signs."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from analysis_lib.errors import unknown
from analysis_lib.plots.style import (
    FEATURE_COLORS,
    STRATEGY_COLORS,
    STRATEGY_MARKERS,
    STRATEGY_NAMES,
    VIEW_COLORS,
    axes_or_new,
    need,
)

__all__ = [
    "plot_auc_gains",
    "plot_auc_grid",
    "plot_coefficient_kinds",
    "plot_mismatch_rates",
    "plot_seen_unseen",
]

LINES = {
    "optimizer": (FEATURE_COLORS["optimizer"], "o", "-"),
    "curvature": (FEATURE_COLORS["curvature"], "s", "--"),
    "optimizer + curvature": (FEATURE_COLORS["curvature and optimizer"], "^", "-."),
    "accuracy": (FEATURE_COLORS["accuracy"], "D", ":"),
}
KINDS = {kind: (VIEW_COLORS[kind], m) for kind, m in zip(VIEW_COLORS, "osx", strict=True)}
MEASURES = {"within": "within programs", "pooled": "all runs pooled"}


def plot_mismatch_rates(rates: pd.DataFrame, *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw the share of mismatched runs of every program, the highest first.

    Parameters
    ----------
    rates : DataFrame indexed by program
        rate, informative.
    """
    need(rates, ["rate", "informative"], "plot_mismatch_rates")
    ax = axes_or_new(ax)
    rates = rates.sort_values("rate")
    kinds = ((True, "0.45", "", "both labels often enough"), (False, "white", "///", "too few"))
    for informative, color, hatch, label in kinds:
        rows = (rates["informative"] == informative).to_numpy()
        if rows.any():
            ax.barh(
                np.flatnonzero(rows),
                rates["rate"][rows],
                color=color,
                hatch=hatch,
                edgecolor="0.3",
                label=label,
            )
    ax.set_yticks(range(len(rates)), rates.index, fontsize=9)
    ax.set(xlabel="share of runs that end mismatched", ylabel="", xlim=(0, None))
    ax.margins(y=0.01)
    ax.legend(loc="lower right")
    return ax


def plot_auc_grid(table: pd.DataFrame, *, techniques: Sequence[str] = tuple(LINES)) -> plt.Figure:
    """Draw the AUC against the window: a column per strategy, a row per way to average.

    Parameters
    ----------
    table : DataFrame
        technique, window, strategy, measure ("within", "pooled"), estimate, low, high.
    techniques : sequence of str
        Of "optimizer", "curvature", "optimizer + curvature", "accuracy".
    """
    columns = ["technique", "window", "strategy", "measure", "estimate", "low", "high"]
    need(table, columns, "plot_auc_grid")
    strategies = [s for s in STRATEGY_NAMES if s in set(table["strategy"])]
    shape = (len(MEASURES), len(strategies))
    size = (3.1 * shape[1], 5.8)
    figure, axes = plt.subplots(*shape, figsize=size, sharex=True, sharey=True, squeeze=False)
    for row, (measure, title) in zip(axes, MEASURES.items(), strict=True):
        for ax, strategy in zip(row, strategies, strict=True):
            here = table[(table["measure"] == measure) & (table["strategy"] == strategy)]
            for name in techniques:
                if name not in LINES:
                    raise unknown("line", name, LINES)
                color, marker, style = LINES[name]
                line = here[here["technique"] == name].sort_values("window")
                x = line["window"]
                ax.plot(x, line["estimate"], color=color, marker=marker, ls=style, label=name)
                ax.fill_between(x, line["low"], line["high"], color=color, alpha=0.12)
            ax.axhline(0.5, color="0.4", linestyle=":", linewidth=1)
            ax.set_xticks(sorted(table["window"].unique()))
            if ax in axes[0]:
                ax.set_title(STRATEGY_NAMES[strategy])
        row[0].set_ylabel(f"AUC, {title}")
    for ax in axes[-1]:
        ax.set_xlabel("epochs seen")
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=len(techniques))
    return figure


def plot_seen_unseen(
    scores: pd.DataFrame,
    *,
    technique: str,
    window: int,
    seen: str = "E2",
    unseen: str = "E4",
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draw one point per program: its AUC when it was seen in training, and when it was not.

    Parameters
    ----------
    scores : DataFrame
        technique, window, strategy, program, auc. The axes hold all that is given, so that panels
        made from one table are alike.
    technique : str
    window : int
    seen : str, default="E2"
        Strategy under which the program was seen in training.
    unseen : str, default="E4"
        Strategy under which it was not.
    """
    need(scores, ["technique", "window", "strategy", "program", "auc"], "plot_seen_unseen")
    ax = axes_or_new(ax)
    here = scores[(scores["technique"] == technique) & (scores["window"] == window)]
    wide = here.pivot(index="program", columns="strategy", values="auc")
    ax.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    for line in (ax.axhline, ax.axvline):
        line(0.5, color="0.4", linestyle=":", linewidth=1)
    ax.scatter(wide[seen], wide[unseen], color="0.25", edgecolor="white", s=55, zorder=3)
    shown = scores[(scores["window"] == window) & scores["strategy"].isin([seen, unseen])]
    least = min(0.4, np.floor(10 * shown["auc"].min()) / 10)
    ax.set(xlim=(least, 1.02), ylim=(least, 1.02), aspect="equal", title=technique)
    ax.set(xlabel=f"AUC, program seen ({seen})", ylabel=f"AUC, unseen ({unseen})")
    return ax


def plot_auc_gains(gains: pd.DataFrame, *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw what one set of features adds to another, by strategy, with intervals.

    Parameters
    ----------
    gains : DataFrame
        base, technique, strategy, estimate, low, high.
    """
    need(gains, ["base", "technique", "strategy", "estimate", "low", "high"], "plot_auc_gains")
    ax = axes_or_new(ax)
    pairs = list(dict.fromkeys(zip(gains["base"], gains["technique"], strict=True)))
    strategies = [s for s in STRATEGY_NAMES if s in set(gains["strategy"])]
    for place, strategy in enumerate(strategies):
        rows = gains[gains["strategy"] == strategy].set_index(["base", "technique"]).reindex(pairs)
        y = len(pairs) - 1 - np.arange(len(pairs)) + (len(strategies) / 2 - 0.5 - place) * 0.22
        error = [rows["estimate"] - rows["low"], rows["high"] - rows["estimate"]]
        ax.errorbar(
            rows["estimate"],
            y,
            xerr=error,
            fmt=STRATEGY_MARKERS[strategy],
            color=STRATEGY_COLORS[strategy],
            capsize=3,
            label=STRATEGY_NAMES[strategy],
        )
    ax.axvline(0, color="0.4", linestyle=":", linewidth=1)
    names = [f"{technique}\nover {base}" for base, technique in pairs]
    ax.set_yticks(range(len(pairs)), names[::-1])
    ax.set(xlabel="gain in AUC within programs", ylabel="")
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=len(strategies))
    return ax


def plot_coefficient_kinds(
    coefficients: pd.DataFrame, *, limit: float = 3.0, ax: plt.Axes | None = None
) -> plt.Axes:
    """Draw the coefficients of every feature within, between and pooled over programs.

    Parameters
    ----------
    coefficients : DataFrame
        feature, kind ("within", "between", "pooled"), estimate, low, high.
    limit : float, default=3
        The axis ends here; an interval that goes on is cut.
    """
    columns = ["feature", "kind", "estimate", "low", "high"]
    need(coefficients, columns, "plot_coefficient_kinds")
    within = coefficients[coefficients["kind"] == "within"].sort_values("estimate")
    order = within["feature"].tolist()
    if ax is None:
        ax = plt.subplots(figsize=(6.8, 0.36 * len(order) + 1.6))[1]
    for shift, (kind, (color, marker)) in zip((0.22, 0, -0.22), KINDS.items(), strict=True):
        rows = coefficients[coefficients["kind"] == kind].set_index("feature").reindex(order)
        low, high = rows["low"].clip(-limit, limit), rows["high"].clip(-limit, limit)
        place = rows["estimate"].clip(-limit, limit)
        error = np.nan_to_num(np.clip([place - low, high - place], 0, None))
        y = np.arange(len(order)) + shift
        ax.errorbar(place, y, xerr=error, fmt=marker, color=color, ms=5, lw=1.2, label=kind)
    ax.axvline(0, color="0.4", linestyle=":", linewidth=1)
    ax.set_yticks(range(len(order)), order, fontsize=10)
    ax.set(xlabel="log-odds of mismatch per standard deviation", ylabel="")
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3)
    return ax
