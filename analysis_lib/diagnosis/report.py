"""The result of a diagnosis: tables, a text, a page, a file."""

import base64
import io
import json
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis_lib.diagnosis.curves import CURVES
from analysis_lib.diagnosis.instability import Instability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Diagnosis"]

SHOWN = 6
"""Rows of evidence in a text or on a page."""

UNCLEAR = "no class is more likely than all others together"
"""Reason to name no cause; that something is wrong may be certain all the same."""

SURE = 0.9
"""Probability of a fault from which an unclear cause is no reason to keep silent about it."""

STYLE = (
    ":root{color-scheme:light dark}body{font-family:system-ui,sans-serif;max-width:66em;"
    "margin:2em auto;padding:0 1em;background:Canvas;color:CanvasText;line-height:1.45}"
    "table{border-collapse:collapse}th,td{padding:.2em .7em;text-align:left;vertical-align:top;"
    "border-bottom:1px solid color-mix(in srgb,currentColor 25%,transparent)}img{max-width:100%}"
)
"""Colours of the page's own ground, light or dark, as in a gap report."""


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What a trace says about its run.

    Attributes
    ----------
    healthy : float
        Probability that nothing is wrong.
    causes : DataFrame
        cause, confidence: Healthy and the fault categories, the most likely first. Confidences are
        calibrated on programs the model did not see, and add up to 1.
    evidence : DataFrame
        Curves against healthy runs, the most unusual first; see
        :meth:`analysis_lib.diagnosis.evidence.HealthyRanges.evidence`.
    nearest : DataFrame
        Known runs with the most similar curves: program, modality, category, operator,
        configuration, distance.
    instability : Instability
        Risk that training explodes, from chi and rho alone.
    unlike : float
        p-value that a run of a new program is as strange as this one.
    reasons : tuple of str
        Why the diagnosis abstains; empty if it does not.
    missing : DataFrame
        group, channels that the trace does not have, curves lost, of how many, cost: what
        held-out programs lose in recall without the whole group.
    window : int
        Number of epochs used.
    notes : tuple of str
        What a reader should know about how the trace was read.
    curves : DataFrame
        epoch and the scale-free curves of the run.
    bands : DataFrame
        curve, epoch, low, median, high of healthy runs.
    prior : float
        Probability, before looking, that the run is healthy; missing if it is not known.
    source : str or None
        File that the trace was read from.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis_lib import diagnose
    >>> trace = {"epoch": [-1, 0, 1], "train_loss": [2.0, 1.0, 0.5], "valid_loss": 1.0}
    >>> diagnosis = diagnose(pd.DataFrame(trace))
    >>> diagnosis.abstained, round(float(diagnosis.causes["confidence"].sum()), 6)
    (True, 1.0)
    """

    healthy: float
    causes: pd.DataFrame
    evidence: pd.DataFrame
    nearest: pd.DataFrame
    instability: Instability
    unlike: float
    reasons: tuple[str, ...]
    missing: pd.DataFrame
    window: int
    notes: tuple[str, ...] = ()
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    bands: pd.DataFrame = field(default_factory=pd.DataFrame)
    prior: float = float("nan")
    source: str | None = None

    @property
    def abstained(self) -> bool:
        """Whether no verdict is given; the tables show what is known all the same."""
        return bool(self.reasons)

    @property
    def faulty(self) -> float:
        """Probability that something is wrong."""
        return 1 - self.healthy

    @property
    def cause(self) -> str | None:
        """The most likely class, or None if the diagnosis abstains."""
        return None if self.abstained or self.causes.empty else str(self.causes["cause"].iloc[0])

    @property
    def verdict(self) -> str:
        """One sentence; where only the cause is unclear, it says how surely there is a fault."""
        if self.reasons == (UNCLEAR,) and self.faulty >= SURE:
            faults = self.causes[self.causes["cause"] != "Healthy"].head(2)
            named = zip(faults["cause"], faults["confidence"], strict=True)
            between = " or ".join(f"{cause} ({share:.2f})" for cause, share in named)
            return f"Faulty with probability {self.faulty:.2f}; cause unclear: {between}."
        if self.abstained:
            return f"No verdict: {'; '.join(self.reasons)}."
        first = self.causes.iloc[0]
        if first["cause"] == "Healthy":
            return f"Nothing found: healthy with probability {self.healthy:.2f}."
        return (
            f"Faulty with probability {self.faulty:.2f}; most likely cause: {first['cause']} "
            f"({first['confidence']:.2f})."
        )

    def _sections(self, *, full: bool = False) -> list[tuple[str, pd.DataFrame | str]]:
        evidence = self.evidence.head(SHOWN)
        columns = ["curve", "epoch", "value", "low", "high", "direction", "healthy_share"]
        nearest = self.nearest.reindex(columns=["program", "category", "operator", "distance"])
        if full:  # there is room to say what the words mean
            units = [CURVES[name].unit for name in evidence["curve"]]
            evidence = evidence.assign(unit=units)
            columns += ["unit", "meaning"]
            nearest.insert(3, "title", [_title(name) for name in nearest["operator"]])
        found: list = [("Causes", self.causes.head(5))] if len(self.causes) else []
        risk = self.instability
        is_now = "The run is" if risk.level == "unstable" else "Risk"
        found.append(("Instability", f"{is_now} {risk}."))
        if len(evidence):
            found.append(("Evidence: the run against healthy runs", evidence[columns]))
        if len(nearest):
            found.append(("Nearest known runs", nearest))
        if len(self.missing):
            about = self.missing.assign(channels=[_short(c) for c in self.missing["channels"]])
            found.append(("Channels the trace does not have", about))
        if self.notes:
            found.append(("Notes", " ".join(self.notes)))
        return found

    def __str__(self):
        epochs = "epoch" if self.window == 1 else "epochs"
        lines = [f"Diagnosis after {self.window} {epochs}", self.verdict]
        for title, content in self._sections():
            lines += ["", title]
            if isinstance(content, pd.DataFrame):
                content = content.to_string(index=False, float_format=_number)
            lines.append(content)
        return "\n".join(lines)

    __repr__ = __str__

    def _about(self) -> str:
        epochs = "epoch" if self.window == 1 else "epochs"
        parts = [f"Read from {self.source}"] if self.source else []
        parts.append(f"{self.window} {epochs} seen")
        if np.isfinite(self.prior):
            parts.append(f"probability of a healthy run before looking {self.prior:.2f}")
        return "; ".join(parts) + "."

    def _repr_html_(self) -> str:
        from analysis_lib.harness.html import STYLE as OF_TABLES
        from analysis_lib.harness.html import titled

        parts = [f"<p><b>{escape(self.verdict)}</b></p>", f"<p>{escape(self._about())}</p>"]
        for title, content in self._sections(full=True):
            if isinstance(content, pd.DataFrame):
                parts.append(titled(title, content))
            else:
                parts.append(f"<p><strong>{escape(title)}</strong></p><p>{escape(content)}</p>")
        inside = "\n".join(parts)
        return f'<div class="gap-report"><style>{OF_TABLES}</style>{inside}</div>'

    def plot(self, *, count: int = SHOWN) -> "Figure":
        """Return a figure of the most unusual curves over the ranges of healthy runs.

        Parameters
        ----------
        count : int, default=6
        """
        from analysis_lib.plots.diagnosis import plot_evidence

        return plot_evidence(self, count=count)

    def to_html(self, path: str | Path | None = None) -> str:
        """Return a page without outside parts, the plot in it; write it if a path is given."""
        image = ""
        if len(self.evidence):
            from matplotlib import pyplot as plt

            figure, file = self.plot(), io.BytesIO()
            figure.savefig(file, format="png", metadata={"Software": None})
            plt.close(figure)
            code = base64.b64encode(file.getvalue()).decode()
            image = f'<p><img alt="{escape(self._alt())}" src="data:image/png;base64,{code}"></p>'
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark"><title>Diagnosis of a run'
            f"</title><style>{STYLE}</style></head><body><h1>Diagnosis of a run</h1>"
            f"{self._repr_html_()}{image}</body></html>\n"
        )
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page

    def _alt(self) -> str:
        names = ", ".join(self.evidence["curve"].head(SHOWN))
        return f"Curves of the run over the ranges of healthy runs: {names}."

    def to_json(self, path: str | Path | None = None) -> str:
        """Return everything but the curves as JSON; write it if a path is given."""
        risk = self.instability
        content = {
            "verdict": self.verdict,
            "abstained": self.abstained,
            "reasons": list(self.reasons),
            "healthy": self.healthy,
            "faulty": self.faulty,
            "window": self.window,
            "prior": self.prior,
            "source": self.source,
            "unlike": self.unlike,
            "notes": list(self.notes),
            "causes": _rows(self.causes),
            "evidence": _rows(self.evidence),
            "nearest": _rows(self.nearest),
            "missing": _rows(self.missing),
            "instability": {
                "level": risk.level,
                "epoch": risk.epoch,
                "layer": risk.layer,
                "share": risk.share,
                "snapshots": _rows(risk.table),
                "layers": _rows(risk.layers),
            },
        }
        text = json.dumps(_plain(content), indent=1, allow_nan=False) + "\n"
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text


def _title(operator: str) -> str:
    """Return what an operator does; only a page says so, and loads the operators for it."""
    from analysis_lib.faults import list_operators

    titles = {o.id: o.title for o in list_operators()}
    return titles.get(operator, "no fault" if operator == "healthy" else "")


def _number(value: float) -> str:
    return f"{value:z.3f}"


def _short(names: str, most: int = 3) -> str:
    parts = names.split(", ")
    more = len(parts) - most
    return ", ".join(parts[:most]) + (f" and {more} more" if more > 0 else "")


def _rows(table: pd.DataFrame) -> list[dict]:
    return table.to_dict(orient="records")


def _plain(value):
    """Numbers that JSON has: what is missing or infinite becomes null."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return None if value is None or value is pd.NA else str(value)
