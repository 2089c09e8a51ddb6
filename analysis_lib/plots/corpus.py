"""Figures of programs, faults and runs."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from analysis_lib.errors import InputError
from analysis_lib.plots.style import (
    CATEGORY_COLORS,
    LINE_COLORS,
    axes_or_new,
    color_of,
    need,
)

__all__ = [
    "plot_applicability",
    "plot_class_balance",
    "plot_first_bad_epoch",
    "plot_killed",
    "plot_traces",
]

LINES = ("-", "--", ":", "-.", (0, (4, 1, 1, 1, 1, 1)))


def plot_traces(
    epochs: pd.DataFrame,
    channels: Sequence[str],
    *,
    label: str = "run_id",
    colors: dict[str, str] | None = None,
    log: Sequence[str] = (),
    smallest: float = 1e-6,
) -> plt.Figure:
    """Draw channels over the epochs, one panel per channel, one line per run.

    Parameters
    ----------
    epochs : DataFrame
        Columns ``run_id``, ``epoch`` (-1 is the moment before training), `label`, the channels.
    channels : sequence of str
        One panel each.
    label : str
        Column that names and colours the lines; runs of one label share both.
    colors : dict of str to str, optional
        Colour per label. Left out, fault categories get theirs, in their order, and other labels
        the palette's.
    log : sequence of str
        Channels drawn on a logarithmic axis.
    smallest : float, default=1e-6
        Where a logarithmic axis ends at the latest; lines break off where values are smaller.
    """
    need(epochs, [*dict.fromkeys(["run_id", "epoch", label]), *channels], "plot_traces")
    names = list(dict.fromkeys(epochs[label]))
    palette = sns.color_palette("colorblind", len(names)).as_hex()
    known = dict(zip(names, palette, strict=True)) | (colors or {})
    styles = {name: LINES[at % len(LINES)] for at, name in enumerate(names)}
    if colors is None and set(names) <= set(LINE_COLORS):
        # a category looks the same in every figure
        known, names = LINE_COLORS, [name for name in LINE_COLORS if name in names]
        styles = {name: LINES[at % len(LINES)] for at, name in enumerate(LINE_COLORS)}
    figure, axes = plt.subplots(
        1, len(channels), figsize=(3.4 * len(channels) + 1.0, 3.4), squeeze=False
    )
    for ax, channel in zip(axes[0], channels, strict=True):
        for name in names:
            for _, rows in epochs[epochs[label] == name].groupby("run_id", sort=False):
                value = rows[channel]
                if channel in log:
                    value = value.where(~(value < smallest))
                look = {"linestyle": styles[name], "color": known[name], "label": name}
                ax.plot(rows["epoch"], value, **look)
        ax.set(xlabel="epoch (-1: before training)", ylabel=_in_words(channel))
        if channel in log:
            ax.set_yscale("log")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = dict(zip(*axes[0, 0].get_legend_handles_labels()[::-1], strict=True))
    handles = {name: handles[name] for name in names}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=5)
    return figure


def _in_words(channel: str) -> str:
    """Return the name of a channel as the label of an axis."""
    whole = {"train": "training", "valid": "validation", "grad": "gradient", "hvp": "HVP"}
    return " ".join(whole.get(word, word) for word in channel.split("_"))


def plot_applicability(applies: pd.DataFrame, categories: Sequence[str]) -> plt.Axes:
    """Draw which operator applies to which program, as a grid of filled cells.

    Parameters
    ----------
    applies : DataFrame of bool
        One row per operator, one column per program.
    categories : sequence of str
        Category of each operator; gives the colour.
    """
    if applies.empty or len(categories) != len(applies):
        raise InputError(
            f"plot_applicability got {len(applies)} operators and {len(categories)} categories; "
            "expected one category per operator, and at least one"
        )
    ax = plt.subplots(figsize=(0.175 * applies.shape[1] + 1.3, 0.175 * len(applies) + 3.4))[1]
    rows, columns = np.nonzero(applies.to_numpy())
    colors = [color_of(categories[int(row)]) for row in rows]
    ax.scatter(columns, rows, s=62, marker="s", c=colors, linewidths=0)
    ax.set_xticks(range(applies.shape[1]), applies.columns, rotation=90, fontsize=10.5)
    ax.set_yticks(range(len(applies)), applies.index, fontsize=10.5)
    ax.set(ylim=(len(applies) - 0.5, -0.5), xlim=(-0.6, applies.shape[1] - 0.4))
    ax.set(xlabel="", ylabel="")
    for category in dict.fromkeys(categories):
        ax.scatter([], [], s=60, marker="s", color=color_of(category), label=category)
    ax.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=3, fontsize=12)
    return ax


def plot_killed(configurations: pd.DataFrame, *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw the share of killed configurations by operator, with their number.

    Parameters
    ----------
    configurations : DataFrame
        One row per faulty configuration: operator, category, killed.
    """
    need(configurations, ["operator", "category", "killed"], "plot_killed")
    groups = configurations.groupby(["category", "operator"])["killed"].agg(["mean", "size"])
    groups = groups.reset_index()
    groups["place"] = groups["category"].map(list(CATEGORY_COLORS).index)
    groups = groups.sort_values(["place", "mean"], ascending=[True, False]).reset_index()
    if ax is None:
        ax = plt.subplots(figsize=(7.0, 0.25 * len(groups) + 1.2))[1]
    ax.barh(groups.index, groups["mean"], color=[color_of(c) for c in groups["category"]])
    for y, (share, size) in enumerate(zip(groups["mean"], groups["size"], strict=True)):
        ax.text(share + 0.01, y, str(size), va="center", fontsize=10)
    ax.set_yticks(groups.index, groups["operator"], fontsize=10)
    ax.set(xlim=(0, 1.08), ylim=(len(groups) - 0.4, -0.6))
    ax.set(xlabel="share of configurations killed (number beside the bar)", ylabel="")
    for category in dict.fromkeys(groups["category"]):
        ax.barh([0], [0], color=color_of(category), label=category)
    _legend_above(ax)
    return ax


def plot_first_bad_epoch(runs: pd.DataFrame, *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw how many unstable runs went bad in which epoch.

    Parameters
    ----------
    runs : DataFrame
        One row per run: unstable, first_bad_epoch (-1 is the state before training).
    """
    need(runs, ["unstable", "first_bad_epoch"], "plot_first_bad_epoch")
    bad = runs.loc[runs["unstable"], "first_bad_epoch"].astype(int)
    ax = axes_or_new(ax)
    counts = bad.value_counts().reindex(range(-1, max(bad.max(), 0) + 1), fill_value=0)
    ax.bar(counts.index, counts, color="0.45")
    ax.set_xticks(counts.index)
    ax.set(xlabel="first bad epoch (-1: before training)", ylabel="unstable runs")
    return ax


def plot_class_balance(
    runs: pd.DataFrame,
    *,
    label: str = "category",
    program: str = "program",
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draw how many runs of each category each program has, as stacked bars.

    Parameters
    ----------
    runs : DataFrame
        One row per run, with the columns `label` and `program`; rows without a label are left
        out.
    """
    need(runs, [label, program], "plot_class_balance")
    counts = runs.groupby([program, label]).size().unstack(fill_value=0)
    order = [c for c in CATEGORY_COLORS if c in counts] + [
        c for c in counts if c not in CATEGORY_COLORS
    ]
    if ax is None:
        ax = plt.subplots(figsize=(7.0, 0.24 * len(counts) + 1.4))[1]
    left = np.zeros(len(counts))
    for category in order:
        width = counts[category].to_numpy()
        ax.barh(
            counts.index,
            width,
            left=left,
            color=color_of(category),
            edgecolor="white",
            linewidth=0.5,
            label=category,
        )
        left = left + width
    ax.invert_yaxis()
    ax.set(xlabel="runs", ylabel="", ylim=(len(counts) - 0.4, -0.6))
    ax.tick_params(axis="y", labelsize=10)
    _legend_above(ax)
    return ax


def _legend_above(ax: plt.Axes) -> None:
    """Put the legend on top, where a narrow page leaves the bars their width."""
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3)
