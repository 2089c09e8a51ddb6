"""Figures of instability: when runs go bad, where, and how well that is foreseen."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from analysis_lib.errors import InputError, unknown
from analysis_lib.plots.style import (
    CATEGORY_COLORS,
    FEATURE_COLORS,
    STRATEGY_COLORS,
    STRATEGY_MARKERS,
    STRATEGY_NAMES,
    VIEW_COLORS,
    axes_or_new,
    need,
)

__all__ = [
    "DETECTION_COLORS",
    "DETECTION_LINES",
    "plot_depth_profiles",
    "plot_detection",
    "plot_explosions",
    "plot_precision_recall",
    "plot_rate_bins",
    "plot_rate_quintiles",
]

DETECTION_COLORS = {
    "curvature": FEATURE_COLORS["curvature"],
    "dimensionless": FEATURE_COLORS["dimensionless"],
    "curvature_rate": FEATURE_COLORS["curvature and rate"],
    "optimizer": FEATURE_COLORS["optimizer"],
    "loss": FEATURE_COLORS["accuracy"],
    "rate": FEATURE_COLORS["rate"],
    "program": FEATURE_COLORS["nuisance"],
    "length": FEATURE_COLORS["nuisance"],
}
"""Colour of each set of features of a detector of instability."""

DETECTION_LINES = {
    "curvature": "-",
    "dimensionless": (0, (5, 1)),
    "curvature_rate": (0, (5, 1, 1, 1)),
    "optimizer": "-.",
    "loss": (0, (1, 1)),
    "rate": "--",
    "program": (0, (1, 3)),
    "length": (0, (1, 3)),
}
"""Line style of each, so that colour is never alone."""

KINDS = {"stable": ("#0072b2", "-", "o"), "unstable": ("#d55e00", "--", "s")}
VIEWS = {
    "overall": (VIEW_COLORS["pooled"], "--", "o"),
    "within programs": (VIEW_COLORS["within"], "-", "s"),
}
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--", "||", "**")


def plot_explosions(counts: pd.DataFrame, *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw how many runs of each category go bad in which epoch, as stacked bars.

    Parameters
    ----------
    counts : DataFrame
        One row per category (index), one column per epoch, -1 for the state before training.
        Categories without a run are left out.
    """
    if counts.empty:
        raise InputError("plot_explosions got a table without rows")
    ax = axes_or_new(ax)
    order = [c for c in CATEGORY_COLORS if c in counts.index and counts.loc[c].sum() > 0]
    strange = [c for c in counts.index if c not in CATEGORY_COLORS]
    if strange:
        raise unknown("category", strange[0], CATEGORY_COLORS)
    bottom = np.zeros(counts.shape[1])
    for place, category in enumerate(order):
        height = counts.loc[category].to_numpy(dtype=float)
        ax.bar(
            counts.columns,
            height,
            bottom=bottom,
            color=CATEGORY_COLORS[category],
            hatch=HATCHES[place % len(HATCHES)],
            edgecolor="white",
            label=category,
        )
        bottom += height
    ax.set_xticks(list(counts.columns), ["init" if e == -1 else str(e) for e in counts.columns])
    ax.set(xlabel="first bad epoch", ylabel="unstable runs")
    if order:
        ax.legend(title="", ncols=2, loc="upper right")
    return ax


def plot_rate_quintiles(rates: pd.DataFrame, names: Mapping[str, str]) -> plt.Figure:
    """Draw the instability rate by fifth of a channel, overall and within programs.

    Parameters
    ----------
    rates : DataFrame
        channel, view, fifth, rate, low, high.
    names : mapping of str to str
        Channel to title, one panel each.
    """
    need(rates, ["channel", "view", "fifth", "rate", "low", "high"], "plot_rate_quintiles")
    fifths = [*"12345"]
    fifths += ["not finite"] if "not finite" in set(rates["fifth"]) else []
    rows = int(np.ceil(len(names) / 2))
    figure, axes = plt.subplots(
        rows, 2, figsize=(8.2, 2.7 * rows + 0.5), sharex=True, sharey=True, squeeze=False
    )
    for ax in axes.flat[len(names) :]:
        ax.remove()
    for ax, (channel, title) in zip(axes.flat, names.items(), strict=False):
        for place, (view, (color, line, marker)) in enumerate(VIEWS.items()):
            part = rates[(rates["channel"] == channel) & (rates["view"] == view)]
            part = part.set_index("fifth").reindex(fifths)
            x = np.arange(len(fifths)) + (place - 0.5) * 0.16
            error = _errors(part["rate"], part["low"], part["high"])
            style = {"color": color, "marker": marker, "capsize": 3}
            inside = slice(0, 5)
            ax.errorbar(
                x[inside],
                part["rate"].iloc[inside],
                error[:, inside],
                linestyle=line,
                label=view,
                **style,
            )
            if len(fifths) > 5:
                ax.errorbar(x[5:], part["rate"].iloc[5:], error[:, 5:], linestyle="", **style)
        ax.set_title(title)
        _square_root_share(ax)
        ax.set_xticks(range(len(fifths)), [f.replace(" ", "\n") for f in fifths])
    figure.supxlabel("fifth of the runs, from small to large")
    figure.supylabel("unstable share")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def plot_rate_bins(
    rates: pd.DataFrame, *, edge: str | None = None, ax: plt.Axes | None = None
) -> plt.Axes:
    """Draw the instability rate between fixed values of channels.

    Parameters
    ----------
    rates : DataFrame
        channel, bin, rate, low, high; the bins in their order; with runs, their numbers are
        written below each bin, one line per channel.
    edge : str, optional
        First bin above the limit of stability; a line is drawn before it.
    """
    need(rates, ["channel", "bin", "rate", "low", "high"], "plot_rate_bins")
    ax = axes_or_new(ax)
    bins = list(dict.fromkeys(rates["bin"]))
    channels = list(dict.fromkeys(rates["channel"]))
    styles = [("#0072b2", "-", "s"), ("#d55e00", "--", "o"), ("#009e73", "-.", "D")]
    for place, channel in enumerate(channels):
        part = rates[rates["channel"] == channel].set_index("bin").reindex(bins)
        color, line, marker = styles[place % len(styles)]
        ax.errorbar(
            np.arange(len(bins)) + (place - (len(channels) - 1) / 2) * 0.14,
            part["rate"],
            _errors(part["rate"], part["low"], part["high"]),
            color=color,
            linestyle=line,
            marker=marker,
            capsize=3,
            label=channel,
        )
    if edge in bins:
        ax.axvline(bins.index(edge) - 0.5, color="0.4", linestyle=":")
    below = [[""] * len(bins) for _ in channels]
    if "runs" in rates:
        counts = rates.pivot(index="bin", columns="channel", values="runs").reindex(bins)
        below = [[f"\n{c}: {n:,.0f}" for n in counts[c].fillna(0)] for c in channels]
    ax.set_xticks(range(len(bins)), ["".join(text) for text in zip(bins, *below, strict=True)])
    ax.tick_params(axis="x", labelsize=10)
    _square_root_share(ax)
    ax.set(xlabel=f"{' or '.join(channels)} before training, with numbers of runs")
    ax.set_ylabel("unstable share")
    ax.legend(loc="upper left")
    return ax


def plot_depth_profiles(profiles: pd.DataFrame, *, label: str) -> plt.Figure:
    """Draw a layer channel over normalised depth, stable against unstable, a panel per view.

    Parameters
    ----------
    profiles : DataFrame
        view, kind, depth, value, low, high, runs; the band is drawn where both ends are finite.
    label : str
        Of the vertical axis.
    """
    columns = ["view", "kind", "depth", "value", "low", "high", "runs"]
    need(profiles, columns, "plot_depth_profiles")
    views = list(dict.fromkeys(profiles["view"]))
    figure, axes = plt.subplots(1, len(views), figsize=(4.4 * len(views), 3.9), squeeze=False)
    for ax, view in zip(axes[0], views, strict=True):
        for kind, (color, line, marker) in KINDS.items():
            part = profiles[(profiles["view"] == view) & (profiles["kind"] == kind)]
            name = f"{kind} ({part['runs'].max():,} runs)"
            ax.plot(
                part["depth"], part["value"], color=color, linestyle=line, marker=marker, label=name
            )
            finite = np.isfinite(part["low"]) & np.isfinite(part["high"])
            ax.fill_between(
                part["depth"], part["low"], part["high"], where=finite, color=color, alpha=0.15
            )
        ax.set_title(view)
        ax.set(xlabel="depth, first layer to last")
    axes[0][0].set_ylabel(label)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def plot_detection(
    scores: pd.DataFrame, names: Mapping[str, str], settings: Sequence[str]
) -> plt.Figure:
    """Draw the AUC within programs of every set of features, by strategy, one panel per setting.

    Parameters
    ----------
    scores : DataFrame
        setting, features, strategy, within, within_low, within_high.
    names : mapping of str to str
        Set of features to what is written at the axis, from top to bottom.
    settings : sequence of str
        In the order of the panels.
    """
    columns = ["setting", "features", "strategy", "within", "within_low", "within_high"]
    need(scores, columns, "plot_detection")
    height = 0.42 * len(names) + 1.5
    figure, axes = plt.subplots(
        1, len(settings), figsize=(9.2, height), sharey=True, sharex=True, squeeze=False
    )
    strategies = [s for s in STRATEGY_COLORS if s in set(scores["strategy"])]
    for ax, setting in zip(axes[0], settings, strict=True):
        for place, strategy in enumerate(strategies):
            part = scores[(scores["setting"] == setting) & (scores["strategy"] == strategy)]
            part = part.set_index("features").reindex(list(names))
            y = np.arange(len(names)) + (place - (len(strategies) - 1) / 2) * 0.26
            ax.errorbar(
                part["within"],
                y,
                xerr=_errors(part["within"], part["within_low"], part["within_high"]),
                color=STRATEGY_COLORS[strategy],
                marker=STRATEGY_MARKERS[strategy],
                linestyle="",
                capsize=2,
                label=STRATEGY_NAMES[strategy],
            )
        ax.axvline(0.5, color="0.4", linestyle=":")
        ax.set_title(setting)
    axes[0][0].set_yticks(range(len(names)), list(names.values()))
    axes[0][0].invert_yaxis()
    axes[0][0].set_xlim(right=1.03)
    figure.supxlabel("AUC within programs (0.5: guessing)")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def plot_precision_recall(
    curves: pd.DataFrame,
    names: Mapping[str, str],
    settings: Sequence[str],
    *,
    prevalence: Mapping[str, float],
) -> plt.Figure:
    """Draw precision against recall, one panel per setting, one line per set of features.

    Parameters
    ----------
    curves : DataFrame
        setting, features, recall, precision.
    names : mapping of str to str
        Set of features to legend entry; keys of :data:`DETECTION_COLORS`.
    settings : sequence of str
        In the order of the panels.
    prevalence : mapping of str to float
        Setting to the share of unstable runs, the precision of guessing.
    """
    need(curves, ["setting", "features", "recall", "precision"], "plot_precision_recall")
    figure, axes = plt.subplots(
        1, len(settings), figsize=(9.2, 4.0), sharex=True, sharey=True, squeeze=False
    )
    figure.get_layout_engine().set(w_pad=0.12)
    for ax, setting in zip(axes[0], settings, strict=True):
        for name in names:
            if name not in DETECTION_COLORS:
                raise unknown("set of features", name, DETECTION_COLORS)
            part = curves[(curves["setting"] == setting) & (curves["features"] == name)]
            ax.plot(
                part["recall"],
                part["precision"],
                color=DETECTION_COLORS[name],
                linestyle=DETECTION_LINES[name],
                label=names[name],
            )
        ax.axhline(prevalence[setting], color="0.4", linewidth=1, label="guessing")
        ax.set_title(setting)
        ax.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="recall")
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes[0][0].set_ylabel("precision")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _errors(value: pd.Series, low: pd.Series, high: pd.Series) -> np.ndarray:
    """Lengths of error bars; none where an end is not finite."""
    ends = np.array([value - low, high - value], dtype=float)
    return np.where(np.isfinite(ends), np.maximum(ends, 0), 0.0)


def _square_root_share(ax: plt.Axes) -> None:
    """Shares from 0 to 1 on a square-root scale, so that small ones can be told apart."""
    ax.set_yscale("function", functions=(_root, np.square))
    ax.set_ylim(0, 1.06)
    ax.set_yticks([0, 0.01, 0.05, 0.2, 0.5, 1])
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.minorticks_off()


def _root(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(values, 0))
