"""Make the diagnosis model from the corpus: fit, calibrate and judge it on held-out programs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.corpus.load import Corpus
from analysis_lib.diagnosis.calibration import HEALTHY
from analysis_lib.diagnosis.candidates import CHOSEN
from analysis_lib.diagnosis.evidence import healthy_ranges
from analysis_lib.diagnosis.instability import first_levels
from analysis_lib.diagnosis.judgement import cases, judge
from analysis_lib.diagnosis.model import USUAL, DiagnosisModel
from analysis_lib.diagnosis.reference import Reference
from analysis_lib.diagnosis.training import FOLDS, fit, held_out_scores, read_traces
from analysis_lib.diagnosis.trees import Trees

__all__ = ["build_model"]

CHECKED = 20
"""Runs whose probabilities the model carries, to see that it still gives them."""


def _instability_rates(corpus: Corpus) -> list[dict]:
    levels = first_levels(corpus.epochs)
    runs = corpus.runs.set_index("run_id")
    table = pd.DataFrame({"level": levels, "unstable": runs["unstable"].reindex(levels.index)})
    found = table.groupby("level")["unstable"].agg(runs="size", unstable="mean")
    return found.reset_index().to_dict(orient="records")


def build_model(
    corpus: Corpus,
    *,
    random_state: int = 0,
    make: Callable[[int], Any] | None = None,
    folds: int = FOLDS,
) -> DiagnosisModel:
    """Fit, calibrate and judge the diagnosis model; the same corpus gives the same model.

    Parameters
    ----------
    corpus : Corpus
        With all channels of the curves.
    random_state : int
    make : callable, optional
        From a seed to a gradient boosting classifier; the shipped one by default.
    folds : int
        Groups of programs that are held out in turn to calibrate and judge.

    Returns
    -------
    DiagnosisModel
    """
    make = CHOSEN if make is None else make
    traces = read_traces(corpus)
    scores, fold = held_out_scores(traces, cases(), make=make, folds=folds)
    judged = judge(scores, traces, fold)
    final = fit(make, traces, np.arange(len(traces.runs)), random_state)
    chosen = np.flatnonzero(~traces.runs["configuration"].duplicated())
    names = ["program", "modality", "category", "operator", "configuration"]
    healthy = traces.label == HEALTHY
    model = DiagnosisModel(
        classes=tuple(map(str, final.classes_)),
        trees=Trees.of(final),
        temperature=judged.pop("temperature"),
        ranges=healthy_ranges(traces.values[healthy]),
        reference=Reference.of(traces.runs.loc[chosen, names], traces.values, chosen),
        about={
            "corpus": str((corpus.manifest or {}).get("digest", "")),
            "programs": int(traces.runs["program"].nunique()),
            "runs": len(traces.runs),
            "held_out_groups": folds,
            **judged,
            "instability": _instability_rates(corpus),
        },
    )
    step = max(len(traces.runs) // CHECKED, 1)
    some = np.arange(0, len(traces.runs), step)[:CHECKED]
    p = model.predict(traces.values[some], traces.broken[some], window=USUAL)
    check = zip(traces.runs.loc[some, "run_id"], p.round(6).tolist(), strict=True)
    model.about["check"] = [{"run_id": run, "probabilities": row} for run, row in check]
    return model
