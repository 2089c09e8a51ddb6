"""A gap report: its tables, as text, HTML and JSON."""

import json
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

import analysis_lib
from analysis_lib.errors import InputError
from analysis_lib.harness.html import page, section
from analysis_lib.harness.summary import LEGEND, summarise

__all__ = ["GapReport"]

PACKAGES = ("numpy", "pandas", "scikit-learn", "scipy")
WIDTH = 88
"""Characters per line of the text."""
SHORT = {"program_macro_recall": "macro", "pooled_balanced_accuracy": "pooled"}


@dataclass(frozen=True, repr=False)
class GapReport:
    """What :func:`~analysis_lib.harness.measure.gap_report` found.

    Attributes
    ----------
    scores : DataFrame indexed by strategy
        program_macro_recall, low, high (Student's interval over programs),
        pooled_balanced_accuracy, pooled_low, pooled_high (bootstrap over programs),
        worst_quartile (of programs), chance, programs, runs, models (that were fitted).
    decomposition : DataFrame indexed by (metric, part)
        first, second (strategies), estimate, low, high, p_value, programs, resolvable: the mean
        difference that so many programs would reveal four times out of five.
    controls : DataFrame indexed by control
        See :func:`analysis_lib.harness.controls.run_controls`.
    checks : DataFrame
        code, severity, what, columns, advice; see :func:`~analysis_lib.harness.list_checks`.
    by_program : DataFrame indexed by program
        runs, classes, the score under every strategy, the difference of every part.
    predictions : DataFrame
        strategy, run_id (the row's position in the table), program, fold, label, predicted.
    parameters : dict
        How the report was made.

    Examples
    --------
    >>> from analysis_lib import gap_report
    >>> from analysis_lib.evaluation import simulate_world
    >>> features, runs = simulate_world("transferable", programs=6, classes=2)
    >>> table = runs.join(features, on="run_id").drop(columns="run_id")
    >>> report = gap_report(
    ...     table, program="program", label="label", technique="dummy", permutations=0
    ... )
    >>> sorted(report.scores.index), report.to_json().startswith("{")
    (['E1', 'E4'], True)
    """

    scores: pd.DataFrame
    decomposition: pd.DataFrame
    controls: pd.DataFrame
    checks: pd.DataFrame
    by_program: pd.DataFrame
    predictions: pd.DataFrame = field(repr=False)
    parameters: dict

    @property
    def summary(self) -> list[str]:
        """Sentences that say what the numbers mean."""
        return summarise(self)

    @property
    def title(self) -> str:
        """Technique, rows, programs and classes in one line."""
        p = self.parameters
        counts = f"{p['rows']:,} runs, {p['programs']:,} programs, {p['classes']} classes"
        return f"Gap report: {p['technique']}, {counts}"

    def __str__(self):
        checks = self.checks[["code", "severity", "what", "columns"]]
        found = [
            f"{row.code} {row.severity}: {row.what}" + (f" ({row.columns})" if row.columns else "")
            for row in checks.itertuples()
        ]
        shown = {
            "Scores": self.scores.drop(columns=["programs", "runs", "models"]),
            "Parts of the gap": self.decomposition.drop(columns="programs"),
            "Controls": self.controls.drop(columns=["repeats"]),
        }
        parts = [self.title, *(_wrapped("- ", line) for line in self.summary)]
        for name, frame in shown.items():
            # the index stands again where columns go on below
            text = frame.rename(index=SHORT, columns=SHORT).to_string(
                float_format=lambda value: f"{value:z.3f}", na_rep="-", line_width=WIDTH
            )
            parts += [f"\n{name}", *(line.rstrip() for line in text.splitlines())]
        parts.append("\nChecks")
        parts += [_wrapped("- ", line) for line in found] or ["- none failed"]
        parts.append("\nHow to read it")
        parts += [_wrapped("- ", f"{name}: {text}") for name, text in LEGEND.items()]
        return "\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return section(self)

    def to_html(self, path: str | Path | None = None) -> str:
        """Return the report as one HTML page without outside parts; write it if a path is given.

        Raises
        ------
        InputError
            If the folder of the path does not exist.
        """
        return _written(page(self), path)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return all tables with parameters and versions as JSON; write it if a path is given.

        A table is a list of rows; numbers that are missing or infinite are null.

        Raises
        ------
        InputError
            If the folder of the path does not exist.
        """
        content: dict[str, Any] = {"title": self.title, "summary": self.summary}
        content |= {
            name: _rows(getattr(self, name).reset_index())
            for name in ("scores", "decomposition", "controls", "by_program")
        }
        content["checks"] = _rows(self.checks)
        versions = {"python": platform.python_version(), "analysis_lib": analysis_lib.__version__}
        versions |= {name: version(name) for name in PACKAGES}
        content |= {"parameters": self.parameters, "versions": versions}
        return _written(json.dumps(content, indent=1, allow_nan=False), path)


def _wrapped(mark: str, line: str) -> str:
    return fill(
        line, WIDTH, initial_indent=mark, subsequent_indent="  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _rows(frame: pd.DataFrame) -> list[dict]:
    plain = frame.astype(object).where(frame.notna(), None)
    rows = plain.to_dict(orient="records")
    return [{str(key): _plain(value) for key, value in row.items()} for row in rows]


def _plain(value):
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        path = Path(path)
        if not path.absolute().parent.is_dir():
            raise InputError(f"{path}: the folder {path.parent} does not exist")
        path.write_text(text, encoding="utf-8")
    return text
