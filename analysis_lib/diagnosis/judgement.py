"""How good held-out scores are: per window, without groups of channels, calibrated, abstaining."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis_lib.diagnosis.abstention import risk_coverage
from analysis_lib.diagnosis.calibration import (
    HEALTHY,
    brier_score,
    fit_temperature,
    prior_of,
    probabilities,
    reliability,
    run_weights,
)
from analysis_lib.diagnosis.curves import GROUPS
from analysis_lib.diagnosis.model import USUAL
from analysis_lib.diagnosis.training import Traces
from analysis_lib.evaluation import score_table

__all__ = ["cases", "judge"]

JUDGED = (1, 2, 3, 5, 8, 12)
"""Windows at which held-out programs are scored."""

COVERAGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of runs kept in the table of abstention."""


def cases() -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return the cases in which the model is judged: windows, and groups of channels missing."""
    found: dict[str, tuple[int, tuple[str, ...]]] = {f"window {w}": (w, ()) for w in JUDGED}
    found |= {f"without {g}": (USUAL, (g,)) for g in GROUPS}
    found |= {f"only {g}": (USUAL, tuple(o for o in GROUPS if o != g)) for g in GROUPS}
    return found


def _calibrated(
    scores: np.ndarray, fold: np.ndarray, classes: np.ndarray, temperatures: Mapping
) -> np.ndarray:
    """Held-out probabilities, each fold with a temperature fitted on the others."""
    prior = prior_of(classes)
    found = np.empty_like(scores)
    for k in np.unique(fold):
        found[fold == k] = probabilities(
            scores[fold == k], temperature=temperatures[k], prior=prior
        )
    return found


def judge(scores: Mapping[str, np.ndarray], traces: Traces, fold: np.ndarray) -> dict:
    """Return how good held-out scores are, as tables of :attr:`DiagnosisModel.about`.

    The temperature of a fold is fitted on the other folds, over all windows.

    Returns
    -------
    dict
        ``temperature`` (of all folds); ``scores``: a row per case with all_classes (program-macro
        recall with even classes), faults (the same among faulty runs, Healthy ruled out), healthy
        (recall of healthy runs and of faulty ones, averaged, at prior one half), brier and error
        (expected calibration error) at that prior; ``by_class``, ``reliability`` and
        ``abstention`` (risk against coverage by confidence) at the usual window.
    """
    label, program = traces.label, traces.program
    classes = np.unique(label)
    prior = prior_of(classes)
    windows = [scores[name] for name in scores if name.startswith("window ")]

    def temperature(keep: np.ndarray) -> float:
        pooled = np.concatenate([s[keep] for s in windows])
        return fit_temperature(pooled, np.tile(label[keep], len(windows)), classes, prior=prior)

    temperatures = {k: temperature(fold != k) for k in np.unique(fold)}
    weight = run_weights(label, classes, prior)
    rows, kept = [], {}
    for name, found in scores.items():
        p = _calibrated(found, fold, classes, temperatures)
        kept[name] = p
        guess, sure = classes[p.argmax(axis=1)], p.max(axis=1)
        table = reliability(sure, guess == label, program, weight=weight)
        rows.append(
            {
                "case": name,
                **_recalls(found, p, traces, classes),
                "brier": brier_score(p, label, classes, prior=prior),
                "error": table.attrs["error"],
            }
        )
    usual = kept[f"window {USUAL}"]
    guess = classes[usual.argmax(axis=1)]
    even = classes[scores[f"window {USUAL}"].argmax(axis=1)]
    by_class = [
        {
            "class": c,
            "runs": int((label == c).sum()),
            "recall": float((even[label == c] == c).mean()),
            "precision": _precision(label, guess, weight, c),
        }
        for c in classes
    ]
    table = reliability(usual.max(axis=1), guess == label, program, weight=weight)
    held_out = pd.DataFrame(
        {"program": program, "label": label, "predicted": guess, "sure": usual.max(axis=1)}
    )
    kept_runs = risk_coverage(held_out, score="sure", coverages=COVERAGES)
    return {
        "temperature": temperature(np.ones(len(fold), dtype=bool)),
        "scores": rows,
        "by_class": by_class,
        "reliability": table.astype(float).to_dict(orient="records"),
        "abstention": kept_runs.astype(float).to_dict(orient="records"),
    }


def _precision(label: np.ndarray, guess: np.ndarray, weight: np.ndarray, c: str) -> float | None:
    named = guess == c
    return float(np.average(label[named] == c, weights=weight[named])) if named.any() else None


def _recalls(
    scores: np.ndarray, p: np.ndarray, traces: Traces, classes: np.ndarray
) -> dict[str, float]:
    table = pd.DataFrame({"program": traces.program, "label": traces.label})
    fault = classes != HEALTHY
    sick = (table["label"] != HEALTHY).to_numpy()
    every = table.assign(predicted=classes[scores.argmax(axis=1)])
    among = table[sick].assign(predicted=classes[fault][scores[np.ix_(sick, fault)].argmax(1)])
    detected = p[:, ~fault][:, 0] < 0.5
    binary = table.assign(label=sick.astype(str), predicted=detected.astype(str))
    return {
        "all_classes": float(score_table(every, min_runs=1)["program_macro_recall"]),
        "faults": float(score_table(among, min_runs=1)["program_macro_recall"]),
        "healthy": float(score_table(binary, min_runs=1)["program_macro_recall"]),
    }
