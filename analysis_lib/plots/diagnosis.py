"""Figures of a diagnosis: evidence, causes, and how far both can be trusted."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from analysis_lib.errors import InputError
from analysis_lib.plots.style import axes_or_new, color_of, need

if TYPE_CHECKING:
    from analysis_lib.diagnosis import Diagnosis

__all__ = ["plot_causes", "plot_evidence", "plot_reliability", "plot_risk_coverage"]

COLUMNS = 2
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000")
MARKERS = ("o", "s", "^", "D", "v")


def plot_evidence(diagnosis: "Diagnosis", *, count: int = 6) -> plt.Figure:
    """Draw the most unusual curves of a run over the ranges of healthy runs.

    Parameters
    ----------
    diagnosis : Diagnosis
    count : int, default=6
        Curves to draw.

    Returns
    -------
    Figure
        A panel per curve: the run, and the median and the range from 5 % to 95 % of the corpus'
        healthy runs. Ratios are in decades (log10).

    Raises
    ------
    InputError
        If there is no evidence to draw.
    """
    chosen = list(diagnosis.evidence["curve"].head(count))
    if not chosen:
        raise InputError("the diagnosis has no evidence to draw; the trace holds no curve")
    rows = int(np.ceil(len(chosen) / COLUMNS))
    figure, axes = plt.subplots(
        rows, COLUMNS, figsize=(7.2, 2.2 * rows + 0.6), sharex=True, squeeze=False
    )
    for ax, name in zip(axes.flat, chosen, strict=False):
        band = diagnosis.bands[diagnosis.bands["curve"] == name]
        ax.fill_between(band["epoch"], band["low"], band["high"], color="0.82", label="healthy")
        ax.plot(band["epoch"], band["median"], color="0.45", linestyle="--", label="their median")
        seen = diagnosis.curves[["epoch", name]].dropna()
        ax.plot(seen["epoch"], seen[name], color="#d55e00", marker="o", label="this run")
        ax.set_title(name, fontsize=11)
        ax.margins(x=0.03)
    for ax in axes.flat[len(chosen) :]:
        ax.remove()
    for ax in axes[-1]:
        if ax.figure is not None:
            ax.set_xlabel("epoch")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def plot_causes(diagnosis: "Diagnosis", *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw the confidence of every class as a bar, the most likely on top.

    Examples
    --------
    >>> from analysis_lib import diagnose
    >>> trace = {"epoch": [-1, 0, 1], "train_loss": [2.0, 1.0, 0.5], "valid_loss": 1.0}
    >>> plot_causes(diagnose(pd.DataFrame(trace))).get_xlabel()
    'confidence'
    """
    ax = axes_or_new(ax)
    need(diagnosis.causes, ("cause", "confidence"), "plot_causes")
    table = diagnosis.causes[::-1]
    ax.barh(table["cause"], table["confidence"], color=[color_of(c) for c in table["cause"]])
    ax.set_xlim(0, 1)
    ax.set_xlabel("confidence")
    return ax


def plot_risk_coverage(
    curves: Mapping[str, pd.DataFrame],
    *,
    colors: Mapping[str, str] | None = None,
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draw the error on kept runs against the share that is kept, one line per score.

    Parameters
    ----------
    curves : mapping of name to DataFrame
        As :func:`analysis_lib.diagnosis.risk_coverage` returns them.
    colors : mapping of name to colour, optional
    ax : Axes, optional
    """
    ax = axes_or_new(ax)
    if not curves:
        raise InputError("plot_risk_coverage got no curve")
    for i, (name, curve) in enumerate(curves.items()):
        need(curve, ("coverage", "risk", "low", "high"), "plot_risk_coverage")
        color = (colors or {}).get(name, COLORS[i % len(COLORS)])
        ax.fill_between(curve["coverage"], curve["low"], curve["high"], color=color, alpha=0.15)
        ax.plot(
            curve["coverage"], curve["risk"], color=color, marker=MARKERS[i % 5], ms=4, label=name
        )
    ax.set_xlabel("share of runs kept")
    ax.set_ylabel("error on kept runs")
    ax.set_xlim(0, 1.02)
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax


def plot_reliability(table: pd.DataFrame, *, ax: plt.Axes | None = None) -> plt.Axes:
    """Draw the share that was right against the stated confidence.

    Parameters
    ----------
    table : DataFrame
        As :func:`analysis_lib.diagnosis.reliability` returns it.
    ax : Axes, optional
    """
    ax = axes_or_new(ax)
    need(table, ("confidence", "correct", "low", "high"), "plot_reliability")
    ax.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="as stated")
    error = np.abs(table[["low", "high"]].to_numpy().T - table["correct"].to_numpy())
    ax.errorbar(
        table["confidence"],
        table["correct"],
        yerr=error,
        color="#0072b2",
        marker="o",
        capsize=3,
        label="unseen programs",
    )
    ax.set_xlabel("stated confidence")
    ax.set_ylabel("share right")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.legend(loc="upper left")
    return ax
