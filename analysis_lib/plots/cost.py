"""Figures of cost: products by case and package, eigenvalues, whole runs, snapshots."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis_lib.errors import unknown
from analysis_lib.plots.style import axes_or_new, need

__all__ = ["METHODS", "plot_eigenvalues", "plot_overhead", "plot_ratios", "plot_runs"]

# colours: Okabe and Ito, Color universal design (2008)
METHODS = {
    "ours": ("ours", "#000000", "o"),
    "ours_public": ("ours, one call each", "#7f7f7f", "D"),
    "pyhessian": ("PyHessian", "#0072b2", "s"),
    "curvlinops": ("curvlinops, unchecked", "#d55e00", "^"),
    "curvlinops_checked": ("curvlinops", "#e69f00", "v"),
    "eigenthings": ("hessian-eigenthings", "#009e73", "P"),
    "eigenthings_lanczos": ("hessian-eigenthings, Lanczos", "#56b4e9", "X"),
    "backpack": ("BackPACK", "#cc79a7", "*"),
}
"""Method -> name to show, colour, marker."""


def _look(method: str) -> tuple[str, str, str]:
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    return METHODS[method]


def _plain_log(axis: Any) -> None:
    """Write a logarithmic axis in plain numbers, at 1, 2 and 5 where there is room."""
    low, high = axis.get_view_interval()
    few = high / max(low, 1e-12) > 300
    axis.set_major_locator(LogLocator(subs=(1.0,) if few else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def plot_ratios(products: pd.DataFrame, panels: Mapping[str, str]) -> plt.Figure:
    """Draw the cost of each method on each case, as a multiple of a plain gradient.

    Parameters
    ----------
    products : DataFrame
        Columns ``case``, ``quantity``, ``method``, ``status``, ``ratio``, ``ratio_q1``,
        ``ratio_q3``. Where the status is not ``ok`` the marker is hollow; where there is no ratio
        it is a cross at the right edge.
    panels : mapping of str to str
        Label of a horizontal axis to a quantity.
    """
    columns = ["case", "quantity", "method", "status", "ratio", "ratio_q1", "ratio_q3"]
    need(products, columns, "plot_ratios")
    shown = products[products["quantity"].isin(panels.values())]
    cases = list(dict.fromkeys(shown["case"]))
    methods = [m for m in dict.fromkeys(shown["method"]) if _look(m)]
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(4.2 * len(panels) + 1.2, 0.62 * len(cases) + 1.6),
        sharey=True,
        squeeze=False,
    )
    handles: dict = {}
    for ax, (label, quantity) in zip(axes[0], panels.items(), strict=True):
        for place, method in enumerate(methods):
            rows = shown[(shown["quantity"] == quantity) & (shown["method"] == method)]
            shift = 0.8 * ((place + 0.5) / len(methods) - 0.5)
            name, drawn = _methods_on(ax, rows, method, cases, shift)
            handles.setdefault(name, drawn)
        ax.set_xscale("log")
        _plain_log(ax.xaxis)
        ax.axvline(1, color="0.4", linestyle=":", linewidth=1)
        for edge in np.arange(len(cases) + 1) - 0.5:
            ax.axhline(edge, color="0.9", linewidth=0.8, zorder=0)
        ax.set(xlabel=label, ylim=(len(cases) - 0.5, -0.5))
        ax.set_yticks(range(len(cases)), cases)
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3)
    return figure


def _methods_on(
    ax: plt.Axes, rows: pd.DataFrame, method: str, cases: list, shift: float
) -> tuple[str, Any]:
    """Draw one method into a panel; return its name and a handle."""
    name, color, marker = _look(method)
    height = rows["case"].map(cases.index).to_numpy(dtype=float) + shift
    ratio = rows["ratio"].to_numpy(dtype=float)
    right, known = (rows["status"] == "ok").to_numpy(), np.isfinite(ratio)
    spread = np.abs(rows[["ratio_q1", "ratio_q3"]].to_numpy(dtype=float) - ratio[:, None]).T
    style = {"color": color, "markersize": 6, "linestyle": "", "linewidth": 1.2}
    for chosen, face in ((known & right, color), (known & ~right, "white")):
        ax.errorbar(
            ratio[chosen],
            height[chosen],
            xerr=spread[:, chosen],
            marker=marker,
            markerfacecolor=face,
            elinewidth=1,
            **style,
        )
    edge = np.full((~known).sum(), 1.0)
    ax.plot(
        edge,
        height[~known],
        marker="x",
        transform=ax.get_yaxis_transform(),
        clip_on=False,
        in_layout=False,
        **style,
    )
    return name, plt.Line2D([], [], marker=marker, **style)


def plot_eigenvalues(values: pd.DataFrame, *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw what an eigenvalue cost against how far off it was, one point per case and method.

    Parameters
    ----------
    values : DataFrame
        Columns ``method``, ``ratio`` and ``error_worst``; rows without a ratio are left out.
    """
    need(values, ["method", "ratio", "error_worst"], "plot_eigenvalues")
    ax = axes_or_new(ax)
    values = values[values["ratio"].notna()]
    for method, rows in values.groupby("method", sort=False):
        name, color, marker = _look(method)
        error = 100 * rows["error_worst"].clip(lower=1e-7)
        ax.plot(rows["ratio"], error, marker, color=color, alpha=0.75, label=name)
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel="cost / plain gradient", ylabel="worst relative error, %")
    _plain_log(ax.xaxis)
    ax.figure.legend(loc="outside upper center", ncols=2)
    return ax


def plot_runs(runs: pd.DataFrame, *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw one bar per program: a run with everything recorded over a bare one.

    Parameters
    ----------
    runs : DataFrame
        Columns ``program``, ``ratio``, ``ratio_q1``, ``ratio_q3``.
    """
    need(runs, ["program", "ratio", "ratio_q1", "ratio_q3"], "plot_runs")
    runs = runs.sort_values("ratio")
    if ax is None:
        ax = plt.subplots(figsize=(6.4, 0.3 * len(runs) + 1.4))[1]
    spread = [runs["ratio"] - runs["ratio_q1"], runs["ratio_q3"] - runs["ratio"]]
    ax.barh(runs["program"], runs["ratio"], xerr=spread, color="#0072b2", ecolor="0.25", capsize=2)
    ax.axvline(1, color="black", linestyle=":", linewidth=1.2, label="bare run")
    middle = runs["ratio"].median()
    ax.axvline(middle, color="#d55e00", linestyle="--", linewidth=1.2, label="median")
    ax.set(xlabel="CPU time / bare run")
    ax.tick_params(axis="y", length=0)
    ax.figure.legend(loc="outside upper center", ncols=2)
    return ax


def plot_overhead(runs: pd.DataFrame, *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw what the monitor adds against the steps between two snapshots.

    Parameters
    ----------
    runs : DataFrame
        Columns ``program``, ``steps_per_epoch``, ``ratio``. A program with several rows is a
        line, all others are grey points.
    """
    need(runs, ["program", "steps_per_epoch", "ratio"], "plot_overhead")
    ax = axes_or_new(ax)
    looks = [look for name, look in METHODS.items() if not name.startswith("ours")]
    alone = []
    for program, rows in runs.groupby("program", sort=False):
        if len(rows) == 1:
            alone.append(rows)
            continue
        rows = rows.sort_values("steps_per_epoch")
        _, color, marker = looks[len(ax.lines) % len(looks)]
        added = 100 * (rows["ratio"] - 1)
        ax.plot(rows["steps_per_epoch"], added, marker=marker, color=color, label=program)
    if alone:
        rest = pd.concat(alone)
        added = 100 * (rest["ratio"] - 1)
        ax.plot(rest["steps_per_epoch"], added, "o", color="0.6", label="other programs")
    ax.set_xscale("log")
    ax.set_yscale("symlog", linthresh=1)  # noise can make a monitored run the faster one
    added = 100 * (runs["ratio"] - 1)
    low = added.min()
    ax.set_ylim(low / 2 if low > 1 else min(0, 1.5 * low), 2 * max(added.max(), 1))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    _plain_log(ax.xaxis)
    ax.set(xlabel="optimizer steps per logged epoch", ylabel="added CPU time, %")
    ax.figure.legend(loc="outside upper center", ncols=2)
    return ax
