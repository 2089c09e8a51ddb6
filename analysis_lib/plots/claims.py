"""The study's claims beside our estimates."""

from types import MappingProxyType

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.plots.style import need

__all__ = ["VERDICT_COLORS", "VERDICT_MARKERS", "plot_claims"]

# Okabe and Ito, Color universal design (2008)
VERDICT_COLORS = MappingProxyType(
    {
        "confirmed": "#009e73",
        "contradicted": "#d55e00",
        "unresolved": "#0072b2",
        "not testable": "#7f7f7f",
    }
)
"""Colour of each verdict."""

VERDICT_MARKERS = MappingProxyType(
    {"confirmed": "o", "contradicted": "X", "unresolved": "D", "not testable": "s"}
)
"""Marker of each verdict, so that colour is never alone; the last two are drawn hollow."""

HOLLOW = ("unresolved", "not testable")
POINTERS = {"greater": ">", "less": "<", "not greater": "<", "negligible": "o"}


def plot_claims(
    judged: pd.DataFrame,
    *,
    titles: dict[str, str] | None = None,
    limit: float = 1.0,
    ax: plt.Axes | None = None,
) -> plt.Axes:
    """Draw our estimates as a forest, with what the study published and where its claims point.

    Every quantity is drawn as its distance from the value without an effect, so that quantities of
    different kinds share the line at 0. The values themselves stand at the right.

    Parameters
    ----------
    judged : DataFrame indexed by claim
        As :func:`analysis_lib.questions.claims.judge` returns it; claims without an interval are
        left out.
    titles : dict of str to str, optional
        Heading of each question; by default the question itself.
    limit : float, default=1
        The axis ends at plus and minus this; an interval that goes on ends there with an arrow,
        and an estimate beyond stands beside the arrow.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    columns = ["question", "direction", "published", "null", "estimate", "low", "high"]
    need(judged, [*columns, "form", "verdict"], "plot_claims")
    rows = judged[judged["low"].notna()]
    if rows.empty:
        raise InputError("plot_claims got no claim with an interval")
    names, heights, y = [], {}, 0.0
    for question, part in rows.groupby("question", sort=False):
        names.append((y, (titles or {}).get(question, question), True))
        for claim in part.index:
            y += 1
            heights[claim] = y
            names.append((y, claim, False))
        y += 1.4
    if ax is None:
        ax = plt.subplots(figsize=(8.8, 0.29 * y + 1.2))[1]
    ax.axvline(0, color="0.4", linestyle=":", linewidth=1)
    for claim, row in rows.iterrows():
        _draw(ax, heights[claim], row, limit)
    for kind, color in VERDICT_COLORS.items():
        if (rows["verdict"] == kind).any():
            style = _marker(kind, color)
            ax.errorbar([], [], xerr=[], fmt=VERDICT_MARKERS[kind], label=kind, **style)
    ax.plot([], [], "|", color="black", ms=13, mew=2, label="published")
    ax.plot([], [], ">", color="0.6", ms=5, label="where the claim points")
    ax.set_yticks([place for place, *_ in names], [name for _, name, _ in names], fontsize=10)
    for label, (_, _, heading) in zip(ax.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if heading else "normal")
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(-limit * 1.04, limit * 1.04), ylim=(y - 0.6, -0.8), ylabel="")
    ax.set_xlabel("distance from no effect")
    ax.legend(loc="lower center", bbox_to_anchor=(0.3, 1.0), ncols=3, fontsize=10)
    return ax


def _draw(ax: plt.Axes, y: float, row: pd.Series, limit: float) -> None:
    kind, null = row["verdict"], row["null"]
    color = VERDICT_COLORS[kind]
    place, low, high = (row[k] - null for k in ("estimate", "low", "high"))
    ends = np.clip([low, high], -limit, limit)
    ax.hlines(y, *ends, color=color, linewidth=1.6)
    for end, whole, arrow in zip(ends, (low, high), "<>", strict=True):
        if end != whole:
            ax.plot(end, y, arrow, color=color, ms=6, clip_on=False)
    if row["direction"] in POINTERS and kind != "not testable":
        ax.plot(0, y, POINTERS[row["direction"]], color="0.6", ms=5, zorder=1.5)
    if pd.notna(row["published"]) and abs(row["published"] - null) <= limit:
        ax.plot(row["published"] - null, y, "|", color="black", ms=13, mew=2, zorder=3)
    place = np.clip(place, -0.93 * limit, 0.93 * limit)
    ax.plot(place, y, VERDICT_MARKERS[kind], zorder=4, **_marker(kind, color))
    text = (
        f"{row['estimate']:{row['form']}} [{row['low']:{row['form']}}, {row['high']:{row['form']}}]"
    )
    ax.annotate(
        text, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=9, color="0.2"
    )


def _marker(kind: str, color: str) -> dict:
    return {"color": color, "mfc": "white" if kind in HOLLOW else color, "ms": 7, "mew": 1.5}
