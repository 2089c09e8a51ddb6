"""Small multiples: every operator by example, every channel by class."""

import math
from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from analysis_lib.configuration import HEALTHY
from analysis_lib.corpus import Corpus
from analysis_lib.errors import InputError
from analysis_lib.labels import killed_configurations
from analysis_lib.plots.style import CATEGORY_COLORS, LINE_COLORS, need

__all__ = ["operator_examples", "plot_channels", "plot_operators"]

COLUMNS = 3
_GREY = "#7f7f7f"


def operator_examples(runs: pd.DataFrame) -> pd.DataFrame:
    """Pick one configuration per operator, and its healthy twin.

    Of the killed configurations of an operator it is the one with the median effect size; of an
    operator without a killed configuration, the one with the largest.

    Parameters
    ----------
    runs : DataFrame
        Runs of a corpus, with labels.

    Returns
    -------
    DataFrame indexed by operator
        category, program, configuration, twin (the declared healthy configuration), parameters,
        killed, effect; in the order of categories and operators.
    """
    need(runs, ["operator", "category", "parameters", "configuration"], "operator_examples")
    tested = killed_configurations(runs)
    about = runs.drop_duplicates("configuration").set_index("configuration")
    rows = []
    for operator, group in tested.groupby("operator"):
        chosen = group[group["killed"]].sort_values("effect", kind="stable")
        if chosen.empty:
            chosen = group.sort_values("effect", kind="stable").tail(1)
        row = chosen.iloc[(len(chosen) - 1) // 2]
        rows.append(
            {
                "operator": operator,
                "category": about.loc[row.name, "category"],
                "program": row["program"],
                "configuration": row.name,
                "twin": f"{row['program']}/{HEALTHY}",
                "parameters": about.loc[row.name, "parameters"],
                "killed": bool(row["killed"]),
                "effect": row["effect"],
            }
        )
    place = {name: at for at, name in enumerate(CATEGORY_COLORS)}
    table = pd.DataFrame(rows)
    order = table["category"].map(place).to_numpy()
    return table.iloc[np.lexsort((table["operator"], order))].set_index("operator")


def plot_operators(
    corpus: Corpus,
    examples: pd.DataFrame,
    titles: dict[str, str],
    *,
    channel: str = "valid_metric",
) -> plt.Figure:
    """Draw a channel of each example beside its healthy twin, one small panel per operator.

    Parameters
    ----------
    corpus : Corpus
    examples : DataFrame indexed by operator
        See :func:`operator_examples`.
    titles : mapping of str to str
        What each operator does. A configuration that is not killed is said to survive; where all
        its curves lie outside the panel, which keeps to the healthy ones, the panel says on which
        side.
    channel : str, default="valid_metric"
    """
    if examples.empty:
        raise InputError("plot_operators got no example")
    wanted = {*examples["configuration"], *examples["twin"]}
    runs = corpus.runs.loc[corpus.runs["configuration"].isin(wanted), ["run_id", "configuration"]]
    shown = corpus.epochs[["run_id", "epoch", channel]].merge(runs, on="run_id")
    curves = {c: rows.pivot(index="epoch", columns="run_id", values=channel)
              for c, rows in shown.groupby("configuration")}  # fmt: skip
    figure, axes = _grid(len(examples), height=2.4)
    for ax, example in zip(axes, examples.itertuples(), strict=False):
        ax.plot(curves[example.twin], color=_GREY, linewidth=1.0)
        faulty = curves[example.configuration]
        ax.plot(faulty, color=LINE_COLORS[example.category], linewidth=1.4)
        end = "" if example.killed else " (survives)"
        said = fill(f"{example.Index}: {titles[example.Index]}", 40)
        title = f"{said}\n{example.program}{end}"
        ax.set_title(title, fontsize=9.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        _tighten(ax, curves[example.twin])
        _say_where(ax, faulty)
    figure.supxlabel("epoch (-1: before training)", fontsize=11)
    figure.supylabel(channel.replace("valid", "validation").replace("_", " "), fontsize=11)
    return figure


def plot_channels(
    corpus: Corpus,
    channels: Sequence[str],
    *,
    log: Sequence[str] = (),
    label: str = "label",
    titles: Mapping[str, str] | None = None,
) -> plt.Figure:
    """Draw the median of each channel over the runs of each class, with the healthy quartiles.

    Values are divided by the median of the healthy runs of the same program and epoch where a
    channel is drawn logarithmically, so that programs of different scale can be shown together.

    Parameters
    ----------
    corpus : Corpus
    channels : sequence of str
    log : sequence of str
        Channels relative to healthy runs, on a logarithmic axis.
    label : str, default="label"
        Column of the runs that names the classes; rows without one are left out.
    titles : mapping of str to str, optional
        What to write above the panel of a channel, instead of its name.
    """
    runs = corpus.runs.dropna(subset=label)
    table = corpus.epochs[["run_id", "epoch", *channels]].merge(
        runs[["run_id", "program", label]], on="run_id"
    )
    figure, axes = _grid(len(channels), height=2.6)
    for ax, channel in zip(axes, channels, strict=False):
        value = table[channel].astype(float).replace([np.inf, -np.inf], np.nan)
        if channel in log:
            healthy = value.where(table[label] == "Healthy")
            usual = healthy.groupby([table["program"], table["epoch"]]).transform("median")
            value = (value / usual).where(usual > 0)
        by = value.groupby([table[label], table["epoch"]])
        median = by.median().unstack(0)
        middle = by.quantile([0.25, 0.75]).unstack().loc["Healthy"]
        ax.fill_between(middle.index, middle[0.25], middle[0.75], color=_GREY, alpha=0.25)
        for name in [c for c in CATEGORY_COLORS if c in median]:
            ax.plot(median[name], color=LINE_COLORS[name], label=name, linewidth=1.4)
        if channel in log:
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_formatter(NullFormatter())
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        title = (titles or {}).get(channel, channel)
        ax.set_title(title + (" / healthy" if channel in log else ""), fontsize=10.5)
        ax.tick_params(which="both", labelsize=9)
    for ax in axes[-COLUMNS:]:
        ax.set_xlabel("epoch", fontsize=10.5)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return figure


def _grid(count: int, *, height: float) -> tuple[plt.Figure, list[plt.Axes]]:
    columns = 2 if count == 4 else COLUMNS
    rows = math.ceil(count / columns)
    width = 4.0 if columns == 2 else 3.1
    figure, axes = plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False
    )
    for ax in axes.flat[count:]:
        ax.remove()
    return figure, list(axes.flat[:count])


def _tighten(ax: plt.Axes, healthy: pd.DataFrame) -> None:
    """Keep the healthy curves legible where the faulty ones explode."""
    low, high = np.nanmin(healthy.to_numpy()), np.nanmax(healthy.to_numpy())
    span = max(high - low, 1e-6)
    bottom, top = ax.get_ylim()
    ax.set_ylim(max(bottom, low - 1.5 * span), min(top, high + 1.5 * span))
    ax.tick_params(labelsize=9)


def _say_where(ax: plt.Axes, faulty: pd.DataFrame) -> None:
    """Say it if no faulty curve is in the panel once training has begun."""
    bottom, top = ax.get_ylim()
    trained = faulty.iloc[1:].stack()
    below, above = (trained < bottom).all(), (trained > top).all()
    if len(trained) and (below or above):
        place, va = (0.04, "bottom") if below else (0.96, "top")
        said = f"fault: {'below' if below else 'above'} the axis"
        ax.text(0.97, place, said, transform=ax.transAxes, ha="right", va=va, fontsize=9.5)
