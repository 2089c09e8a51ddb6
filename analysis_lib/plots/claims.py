"""The study's claims beside our estimates."""

from textwrap import fill
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
AXES = {
    "score": "distance from no effect, in score or area",
    "share": "distance from no effect, in share",
    "ratio": "distance from no effect, ratio minus one",
    "decades": "distance from no effect, in powers of ten",
}
GAP_AXIS = "gap, in balanced accuracy or recall"
WIDTH, HEADING_WIDTH = 56, 50
LINE = 0.165
"""Characters per line of a label and of a bold one, and inches per line."""


def plot_claims(
    judged: pd.DataFrame,
    *,
    verdicts: pd.Series | None = None,
    titles: dict[str, str] | None = None,
    further: str = "Further tests, not claimed by the study",
) -> np.ndarray:
    """Draw our estimates as forests, with what the study published and where its claims point.

    There is a panel for each question and unit, with a range of its own, and two more for tests
    that are ours. A quantity is drawn as its distance from the value without an effect, which the
    dotted line marks; the values themselves stand at the right. A claim with several readings has
    its text as a bold heading, with its verdict. An estimate that a panel has already is not
    repeated, and what is not testable is left out.

    Parameters
    ----------
    judged : DataFrame indexed by reading
        As :func:`analysis_lib.questions.claims.judge` returns it.
    verdicts : Series indexed by claim, optional
        The verdict on every claim, as :func:`analysis_lib.questions.claims.claim_verdicts` gives
        it; written beside claims with several readings.
    titles : dict of str to str, optional
        Heading of each question; by default the question itself.
    further : str
        Heading of the tests that are ours.

    Returns
    -------
    ndarray of Axes
    """
    columns = ["question", "reads", "text", "reading", "further", "unit", "direction", "published"]
    columns += ["null", "estimate", "low", "high", "ours", "verdict"]
    need(judged, columns, "plot_claims")
    rows = judged[judged["low"].notna() & (judged["verdict"] != "not testable")]
    if rows.empty:
        raise InputError("plot_claims got no claim with an interval")
    titles = titles or {}
    own = rows["further"].astype(bool)
    heading = rows["question"].map(lambda q: titles.get(q, q)).where(~own, further)
    rows = rows.assign(heading=heading, own=own).sort_values("own", kind="stable")
    rows = rows.drop_duplicates(["heading", "unit", "direction", "estimate", "low", "high"])
    panels = [
        (title, unit, _places(part, verdicts))
        for (title, unit), part in rows.groupby(["heading", "unit"], sort=False)
    ]
    heights = [LINE * places[-1][0] + 0.15 for *_, places in panels]
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(9.0, sum(heights) + 0.65 * len(panels) + 0.6),
        height_ratios=heights,
        squeeze=False,
    )
    for place, (ax, (title, unit, places)) in enumerate(zip(axes[:, 0], panels, strict=True)):
        _panel(ax, places, rows)
        if place == 0 or panels[place - 1][0] != title:
            ax.set_title(title, loc="left", fontsize=11, fontweight="bold")
        of_gap = unit == "score" and (rows.loc[rows["heading"] == title, "question"] == "gap").all()
        ax.set_xlabel(GAP_AXIS if of_gap else AXES[unit], fontsize=10)
    shown = [kind for kind in VERDICT_COLORS if (rows["verdict"] == kind).any()]
    handles = [
        plt.Line2D([], [], ls="-", marker=VERDICT_MARKERS[k], label=k, **_marker(k)) for k in shown
    ]
    if rows["published"].notna().any():
        style = {"marker": "|", "color": "black", "ms": 13, "mew": 2}
        handles.append(plt.Line2D([], [], ls="", label="published", **style))
    for label, marker, chosen in (
        ("where the claim points", ">", rows["direction"].isin(set(POINTERS) - {"negligible"})),
        ("claimed: hardly any effect", "o", rows["direction"] == "negligible"),
    ):
        if chosen.any():
            style = {"marker": marker, "color": "0.6", "ms": 5}
            handles.append(plt.Line2D([], [], ls="", label=label, **style))
    handles.append(plt.Line2D([], [], ls=":", color="0.4", label="no effect"))
    figure.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=10)
    return axes[:, 0]


def _places(rows: pd.DataFrame, verdicts: pd.Series | None) -> list[tuple]:
    """Return (height, label, reading or None) line by line; the last one is the panel's end."""
    found, y = [], 0.0
    for claim, part in rows.groupby("reads", sort=False):
        several = (part["reading"] != "").any()
        if several:
            word = "" if verdicts is None else f" – {verdicts[claim]}"
            text = fill(part["text"].iloc[0] + word, HEADING_WIDTH)
            found.append((y + text.count("\n") / 2, text, None))
            y += text.count("\n") + 1.15
        for reading, row in part.iterrows():
            text = fill(row["reading"] if several else row["text"], WIDTH)
            found.append((y + text.count("\n") / 2, text, reading))
            y += text.count("\n") + 1.3
        y += 0.5
    return [*found, (y, "", None)]


def _panel(ax: plt.Axes, places: list[tuple], rows: pd.DataFrame) -> None:
    *lines, (end, *_) = places
    drawn = rows.loc[[reading for *_, reading in lines if reading is not None]]
    edges = drawn[["low", "high", "published"]].astype(float).sub(drawn["null"], axis=0)
    left, right = min(0, np.nanmin(edges)), max(0, np.nanmax(edges))
    room = 0.05 * (right - left)
    ax.axvline(0, color="0.4", linestyle=":", linewidth=1)
    for y, _, reading in lines:
        if reading is not None:
            _draw(ax, y, drawn.loc[reading])
    ax.set_yticks([y for y, *_ in lines], [text for _, text, _ in lines], fontsize=9.5)
    for label, (*_, reading) in zip(ax.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if reading is None else "normal")
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=10)
    ax.grid(False, axis="y")
    ax.set(xlim=(left - room, right + room), ylim=(end - 0.8, -0.9), ylabel="")


def _draw(ax: plt.Axes, y: float, row: pd.Series) -> None:
    kind, null = row["verdict"], row["null"]
    color = VERDICT_COLORS[kind]
    place, low, high = (row[k] - null for k in ("estimate", "low", "high"))
    ax.hlines(y, low, high, color=color, linewidth=1.6)
    if row["direction"] in POINTERS:
        ax.plot(0, y, POINTERS[row["direction"]], color="0.6", ms=5, zorder=1.5)
    if pd.notna(row["published"]):
        ax.plot(row["published"] - null, y, "|", color="black", ms=13, mew=2, zorder=3)
    ax.plot(place, y, VERDICT_MARKERS[kind], zorder=4, **_marker(kind))
    ax.annotate(
        row["ours"],
        (1.02, y),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=9.5,
        color="0.2",
    )


def _marker(kind: str) -> dict:
    color = VERDICT_COLORS[kind]
    return {"color": color, "mfc": "white" if kind in HOLLOW else color, "ms": 7, "mew": 1.5}
