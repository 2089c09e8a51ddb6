"""Figures of curvature: channels of single runs, layers, and what was known before training."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from analysis_lib.errors import InputError
from analysis_lib.plots.style import need

__all__ = ["plot_before", "plot_layers", "plot_lines", "plot_shares"]

LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*", "<", ">")

Panel = tuple[pd.DataFrame, str]


def plot_lines(
    panels: Mapping[str, Panel],
    *,
    colors: Mapping[str, str],
    x: str = "epoch",
    label: str = "fault",
    run: str = "run_id",
    xlabel: str = "epoch (-1: before training)",
    scales: Mapping[str, str] | None = None,
    edges: Mapping[str, float] | None = None,
) -> plt.Figure:
    """Draw one channel per panel over the epochs, one line per run.

    Parameters
    ----------
    panels : mapping of str to (DataFrame, str)
        Label of the vertical axis to a table and the channel to draw from it. A column
        ``{channel}_se`` is drawn as error bars.
    colors : mapping of str to str
        Colour per label; the order also decides line styles, so give the same one everywhere.
    x : str, default="epoch"
        Column of the horizontal axis.
    label : str, default="fault"
        Column that names a line.
    run : str, default="run_id"
        Column that tells runs apart.
    xlabel : str
    scales : mapping of str to str, optional
        Axis label to ``log``, or to ``symlog`` for values of both signs.
    edges : mapping of str to float, optional
        Axis label to the height of a dotted reference line.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.9 * len(panels) + 0.6, 3.9), squeeze=False
    )
    handles: dict = {}
    order = list(colors)
    for ax, (name, (table, channel)) in zip(axes[0], panels.items(), strict=True):
        need(table, [x, label, run, channel], "plot_lines")
        for (kind, _), rows in table.groupby([label, run], sort=False):
            if kind not in colors:
                raise InputError(f"plot_lines has no colour for '{kind}'; add it to colors")
            style = {"color": colors[kind], "linestyle": LINES[order.index(kind) % len(LINES)]}
            values = rows[channel].to_numpy(dtype=float)
            if f"{channel}_se" in rows:
                error = rows[f"{channel}_se"].to_numpy(dtype=float)
                handles[kind] = ax.errorbar(rows[x], values, error, capsize=3, **style)
            else:
                handles[kind] = ax.plot(rows[x], values, alpha=0.85, **style)[0]
        if edges and name in edges:
            ax.axhline(edges[name], color="black", linewidth=1, linestyle=":")
        scale = (scales or {}).get(name, "linear")
        if scale == "symlog":
            ax.set_yscale("symlog", linthresh=_small(table[channel]), linscale=1.5)
            _apart(ax)
        else:
            ax.set_yscale(scale)
        ax.set(xlabel=xlabel, ylabel=name)
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3)
    return figure


def plot_layers(
    layers: pd.DataFrame,
    channels: Mapping[str, str],
    *,
    colors: Mapping[str, str],
    scales: Mapping[str, str] | None = None,
) -> plt.Figure:
    """Draw layer channels from the first layer to the last, one line per run.

    Parameters
    ----------
    layers : DataFrame
        One row per run and layer: layer, fault, run_id, the channels.
    channels : mapping of str to str
        Label of the vertical axis to channel, one panel each.
    colors : mapping of str to str
        Colour per fault.
    scales : mapping of str to str, optional
        Axis label to ``log``, or to ``symlog`` for values of both signs.
    """
    names = list(dict.fromkeys(layers["layer"]))
    places = layers.assign(place=layers["layer"].map(names.index))
    panels = {name: (places, channel) for name, channel in channels.items()}
    figure = plot_lines(panels, colors=colors, x="place", xlabel="", scales=scales)
    for ax in figure.axes:
        ax.set_xticks(range(len(names)), names, rotation=35, ha="right")
        for line in ax.lines:
            line.set_marker("o")
    return figure


def plot_shares(shares: pd.DataFrame, *, label: str) -> plt.Axes:
    """Draw shares that add up to one in each column as a grid with numbers.

    Parameters
    ----------
    shares : DataFrame
        Rows: layers from first to last; columns: situations. Shares may be negative.
    label : str
        What is shared out.
    """
    if shares.empty:
        raise InputError("plot_shares got a table without rows")
    ax = plt.subplots(figsize=(1.0 * shares.shape[1] + 2.4, 0.55 * len(shares) + 1.7))[1]
    top = float(np.nanmax(np.abs(shares.to_numpy())))
    sns.heatmap(
        shares, ax=ax, cmap="PuOr", center=0, vmin=-top, vmax=top, annot=True, fmt=".2f",
        linewidths=1, cbar_kws={"label": label}, annot_kws={"fontsize": 11},
    )  # fmt: skip
    ax.set_xticklabels(ax.get_xticklabels(), rotation=25, ha="right")
    ax.tick_params(length=0)
    return ax


def plot_before(
    runs: pd.DataFrame,
    channels: Mapping[str, str],
    *,
    outcome: str,
    ylabel: str,
    group: str = "program",
    linear: Sequence[str] = (),
) -> plt.Figure:
    """Draw what came of runs against what was known of them before the first step.

    Parameters
    ----------
    runs : DataFrame
        One row per run.
    channels : mapping of str to str
        Label of a horizontal axis to the column it shows, one panel each. Values of both signs
        are drawn on a symmetric logarithmic axis.
    outcome : str
        Column of the vertical axis; 1 is the edge.
    ylabel : str
        Label of that axis.
    group : str
        Column that gives marker and colour.
    linear : sequence of str
        Axis labels without an edge at 1.
    """
    need(runs, [group, outcome, *channels.values()], "plot_before")
    names = list(dict.fromkeys(runs[group]))
    palette = sns.color_palette("colorblind", len(names))
    figure, axes = plt.subplots(
        1, len(channels), figsize=(3.3 * len(channels) + 0.6, 4.4), sharey=True, squeeze=False
    )
    for ax, (name, channel) in zip(axes[0], channels.items(), strict=True):
        for i, (kind, rows) in enumerate(runs.groupby(group, sort=False)):
            marker = MARKERS[i % len(MARKERS)]
            ax.plot(rows[channel], rows[outcome], marker, color=palette[i], label=kind, alpha=0.85)
        if (runs[channel] <= 0).any():
            ax.set_xscale("symlog", linthresh=0.1)
        else:
            ax.set_xscale("log")
        ax.set_yscale("log")
        ax.axhline(1, color="black", linewidth=1, linestyle=":")
        if name not in linear:
            ax.axvline(1, color="black", linewidth=1, linestyle=":")
        ax.set(xlabel=name)
    axes[0, 0].set_ylabel(ylabel)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def _apart(ax: plt.Axes) -> None:
    """Leave out the ticks of a symmetric logarithmic axis whose labels would cover that of 0."""
    locator, low_high = ax.yaxis.get_major_locator(), ax.get_ylim()
    locator.set_params(numticks=6)
    ticks = np.unique([0.0, *locator.tick_values(*low_high)])
    ticks = ticks[(ticks >= low_high[0]) & (ticks <= low_high[1])]
    place = ax.get_yaxis_transform() - ax.transAxes
    height = np.array([place.transform((0, tick))[1] for tick in (*ticks, 0.0)])
    ax.set_yticks(ticks[(ticks == 0) | (np.abs(height[:-1] - height[-1]) > 0.07)])
    ax.set_ylim(low_high)


def _small(values: pd.Series) -> float:
    """Where a symmetric logarithmic axis turns linear: a decade near a hundredth of the median."""
    sizes = values.abs()
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    return float(10 ** np.ceil(np.log10(sizes.median() / 100))) if len(sizes) else 1.0
