"""A gap report as HTML: one file without outside parts, legible on light and dark ground.

Text and lines take the colour of the page, and grounds are left open, so the same markup fits a
notebook, a book and a page of its own.
"""

import math
import re
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis_lib.harness.summary import LEGEND

if TYPE_CHECKING:
    from analysis_lib.harness.report import GapReport

__all__ = ["STYLE", "figure", "page", "section", "titled"]

SHOWN_PROGRAMS = 60
MINUS = re.compile(r"(?<=[\s\[(])-(?=[\d ])")
# those of plots.style, which would load the whole of seaborn
COLORS = {
    "E1": "#e69f00",
    "E2": "#009e73",
    "E2bal": "#8fdcc2",
    "E4": "#3a8fd0",
    "E4bal": "#8cc4f0",
    "E5": "#cc79a7",
    "E6": "#888888",
}
NAMES = {
    "E1": "E1 runs",
    "E2": "E2 configurations",
    "E2bal": "E2 even mixes",
    "E4": "E4 programs",
    "E4bal": "E4 even mixes",
    "E5": "E5 families",
    "E6": "E6 operators",
}
STYLE = """
.gap-report { font-family: system-ui, sans-serif; max-width: 62rem; line-height: 1.45; }
.gap-report table { border-collapse: collapse; margin: .4rem 0 1.2rem; font-size: .9rem; }
.gap-report th, .gap-report td { padding: .2rem .6rem; text-align: left !important;
  vertical-align: top;
  border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
.gap-report td.number, .gap-report th.number { text-align: right !important;
  font-variant-numeric: tabular-nums; }
.gap-report .scroll { overflow-x: auto; }
.gap-report svg { max-width: 100%; height: auto; }
.gap-report caption { text-align: left; font-weight: 700; padding: .3rem 0; caption-side: top;
  color: inherit; }
"""
"""Style of tables inside an element of the class ``gap-report``."""


def section(report: "GapReport") -> str:
    """Return the report as a fragment that fits into any page."""
    lines = "".join(f"<li>{escape(MINUS.sub('−', line))}</li>" for line in report.summary)
    splits = [name for name in report.scores.index if name in report.by_program]
    others = [name for name in report.by_program if name not in splits]
    first = [name for name in ("runs", "classes") if name in others]
    order = [*first, *splits, *(name for name in others if name not in first)]
    programs = report.by_program[order].reset_index()
    more = ""
    if len(programs) > SHOWN_PROGRAMS:
        worst = programs["E4"].sort_values(kind="stable", na_position="last").index
        programs = programs.loc[worst[:SHOWN_PROGRAMS]]
        more = f" (the {SHOWN_PROGRAMS} with the lowest unseen score of {len(report.by_program):,})"
    parts = [
        f"<p><strong>{escape(report.title)}</strong></p><ul>{lines}</ul>",
        figure(report),
        titled("Scores", report.scores.reset_index()),
        titled("Parts of the gap", _worded(report.decomposition.reset_index())),
        titled("Controls", report.controls.reset_index()),
        titled("Checks", report.checks) if len(report.checks) else "",
        titled(f"By program{more}", programs),
        titled("Parameters", _parameters(report.parameters)),
        titled("How to read it", pd.DataFrame({"word": list(LEGEND), "meaning": LEGEND.values()})),
    ]
    return f'<div class="gap-report"><style>{STYLE}</style>{"".join(parts)}</div>'


def page(report: "GapReport") -> str:
    """Return the report as a page of its own, whose ground follows the reader's choice."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(report.title)}</title>"
        "<style>:root { color-scheme: light dark; } body { background: Canvas; color: CanvasText; "
        "margin: 1.5rem; }</style></head>"
        f"<body><h1>Gap report</h1>{section(report)}</body></html>\n"
    )


def figure(report: "GapReport") -> str:
    """Return program-macro recall by strategy, with intervals and chance, as inline SVG."""
    scores = report.scores
    left, width, step = 170, 420, 30
    height = step * len(scores) + 44

    def x(value: float) -> float:
        return left + width * min(max(value, 0.0), 1.0)

    chance = scores["chance"].iloc[-1]
    marks = []
    for place, (name, row) in enumerate(scores.iterrows()):
        y, color = 18 + step * place, COLORS[name]
        value, low, high = row["program_macro_recall"], row["low"], row["high"]
        low, high = (end if math.isfinite(end) else value for end in (low, high))
        marks += [
            f'<text x="{left - 10}" y="{y + 4}" text-anchor="end" fill="currentColor">'
            f"{NAMES[name]}</text>",
            f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y}" y2="{y}" stroke="{color}" '
            'stroke-width="3"/>',
            f'<circle cx="{x(value):.1f}" cy="{y}" r="6" fill="{color}" stroke="currentColor"/>',
            f'<text x="{left + width + 12}" y="{y + 4}" fill="currentColor">{value:.3f}</text>',
        ]
    bottom = 18 + step * (len(scores) - 1) + 18
    for tick in (0, 0.25, 0.5, 0.75, 1):
        marks.append(
            f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{bottom}" y2="{bottom + 5}" '
            f'stroke="currentColor"/><text x="{x(tick):.1f}" y="{bottom + 19}" '
            f'text-anchor="middle" fill="currentColor">{tick:g}</text>'
        )
    marks.append(
        f'<line x1="{left}" x2="{left + width}" y1="{bottom}" y2="{bottom}" stroke="currentColor"/>'
        f'<line x1="{x(chance):.1f}" x2="{x(chance):.1f}" y1="4" y2="{bottom}" '
        'stroke="currentColor" stroke-dasharray="4 4"/>'
    )
    said = "; ".join(
        f"{NAMES[name]} {row['program_macro_recall']:.3f}" for name, row in scores.iterrows()
    )
    label = (
        f"Program-macro recall with intervals over programs: {said}; chance {chance:.3f}, dashed"
    )
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {left + width + 70} {height}" '
        f'width="{left + width + 70}" height="{height}" font-size="13">{"".join(marks)}</svg>'
    )


def titled(title: str, frame: pd.DataFrame) -> str:
    """Return a table with its title as HTML: floats with three decimals, numbers to the right.

    Examples
    --------
    >>> '<td class="number">−0.500</td>' in titled("Scores", pd.DataFrame({"x": [-0.5]}))
    True
    """
    numeric = {name: pd.api.types.is_numeric_dtype(frame[name].dtype) for name in frame}

    def row(cells, tag):
        inside = "".join(
            f'<{tag} class="number">{escape(cell)}</{tag}>'
            if number
            else f"<{tag}>{escape(cell)}</{tag}>"
            for cell, number in zip(cells, numeric.values(), strict=True)
        )
        return f"<tr>{inside}</tr>"

    names = row((str(name).replace("_", " ") for name in frame), "th")
    columns = [_texts(frame[name]) for name in frame]
    body = "".join(row(cells, "td") for cells in zip(*columns, strict=True))
    inside = f"<caption>{escape(title)}</caption><thead>{names}</thead><tbody>{body}</tbody>"
    # focusable, so that the keyboard can scroll it
    region = f'class="scroll" role="region" tabindex="0" aria-label="{escape(title)}"'
    return f"<div {region}><table>{inside}</table></div>"


def _texts(values: pd.Series) -> list[str]:
    """Return a column as text; one of counts with gaps has no decimals."""
    known = values.dropna()
    counts = (
        pd.api.types.is_float_dtype(values.dtype)
        and (known % 1 == 0).all()
        and (known.abs() > 1).any()
    )
    return [_text(int(value) if counts and value == value else value) for value in values]


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:z.3f}".replace("-", "−")
    return f"{value:,}".replace("-", "−") if isinstance(value, int) else str(value)


def _worded(parts: pd.DataFrame) -> pd.DataFrame:
    return parts.assign(metric=parts["metric"].str.replace("_", " "))


def _parameters(parameters: dict) -> pd.DataFrame:
    def text(value):
        if isinstance(value, list):
            return f"{len(value)}: " + ", ".join(value[:20]) + (" ..." if len(value) > 20 else "")
        if isinstance(value, dict):
            return ", ".join(f"{key} = {name}" for key, name in value.items())
        return str(value)

    return pd.DataFrame({"name": list(parameters), "value": [text(v) for v in parameters.values()]})
