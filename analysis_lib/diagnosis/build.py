"""Make the diagnosis model from the corpus, and judge it on held-out programs.

One model serves every window and any choice of channels: a run enters the training table twice,
each time cut at a random window, and in half of the cases without some groups of channels. The
scores that calibrate and judge it are of programs that the model in question did not see.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

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
from analysis_lib.diagnosis.curves import CURVES, GROUPS
from analysis_lib.diagnosis.evidence import healthy_ranges
from analysis_lib.diagnosis.features import curves_of, feature_names, summarise_curves
from analysis_lib.diagnosis.instability import first_levels
from analysis_lib.diagnosis.model import EPOCHS, USUAL, DiagnosisModel
from analysis_lib.diagnosis.reference import Reference
from analysis_lib.diagnosis.trees import Trees
from analysis_lib.errors import InputError
from analysis_lib.evaluation import balance_weights, make_splits, score_table
from analysis_lib.labels import select_runs

__all__ = ["CANDIDATES", "Traces", "build_model", "held_out_scores", "judge", "read_traces"]

WINDOWS = (1, 2, 3, 4, 5, 6, 8, 10, 12)
"""Windows at which training runs are cut."""

JUDGED = (1, 2, 3, 5, 8, 12)
"""Windows at which held-out programs are scored."""

COPIES, MASKED = 2, 0.5
"""Rows per run, and the share of them without some groups of channels."""

COVERAGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of runs kept in the table of abstention."""

CHECKED = 20
"""Runs whose probabilities the model carries, to see that it still gives them."""

FOLDS = 6
"""Groups of programs that are held out in turn."""


def _boosting(rounds: int, rate: float, *, bins: int = 63) -> Callable[[int], object]:
    def make(seed: int):
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(
            max_iter=rounds,
            learning_rate=rate,
            max_leaf_nodes=15,
            min_samples_leaf=20,
            max_features=0.2,
            l2_regularization=1.0,
            max_bins=bins,
            early_stopping=False,
            random_state=seed,
        )

    return make


def _logistic(seed: int):
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        StandardScaler(),
        SimpleImputer(strategy="constant", fill_value=0, keep_empty_features=True),
        LogisticRegression(C=0.003, max_iter=300),
    )


CANDIDATES: Mapping[str, Callable[[int], object]] = MappingProxyType(
    {
        "logistic": _logistic,
        "boosting, 40 rounds": _boosting(40, 0.2),
        "boosting, 100 rounds": _boosting(100, 0.1),
    }
)
"""What was compared; the last one is shipped."""


class Traces:
    """The runs of a corpus that have a class, and their curves.

    Attributes
    ----------
    runs : DataFrame
    values : ndarray of shape (n_runs, 13, n_curves)
    broken : ndarray of bool of shape (n_runs, 13)
    """

    def __init__(self, runs: pd.DataFrame, values: np.ndarray, broken: np.ndarray):
        self.runs, self.values, self.broken = runs.reset_index(drop=True), values, broken
        self.label = self.runs["label"].to_numpy(dtype=str)
        self.program = self.runs["program"].to_numpy(dtype=str)
        self._cut: dict[int, np.ndarray] = {}

    def features(self, window: int, *, without: Iterable[str] = ()) -> np.ndarray:
        """Return the features at a window, missing for some groups of channels."""
        if window not in self._cut:
            epoch = np.broadcast_to(np.arange(-1, EPOCHS), self.broken.shape)
            table = summarise_curves(epoch, self.values, self.broken, window=window)
            self._cut[window] = table.astype(np.float32)
        found = self._cut[window]
        gone = np.isin(_feature_groups(), list(without))
        return np.where(gone, np.nan, found) if gone.any() else found


def read_traces(corpus) -> Traces:
    """Compute the curves of all runs that have a class.

    Parameters
    ----------
    corpus : Corpus
        With the channels of all curves.

    Raises
    ------
    InputError
        If a run has not the snapshots before training and of the epochs 0 to 11.
    """
    runs = select_runs(corpus.runs, None, healthy=True)
    epochs = corpus.epochs[corpus.epochs["run_id"].isin(runs["run_id"])]
    run_ids, epoch, values, broken = curves_of(epochs)
    if epoch.shape[1] != EPOCHS + 1 or (epoch != np.arange(-1, EPOCHS)).any():
        raise InputError(f"the model needs runs with snapshots from -1 to {EPOCHS - 1}")
    order = pd.Index(run_ids).get_indexer(runs["run_id"])
    return Traces(runs, values[order], broken[order])


def _feature_groups() -> np.ndarray:
    names = [name.rpartition(": ")[0] for name in feature_names()]
    return np.array([CURVES[name].group if name else "" for name in names])


def training_table(traces: Traces, rows: np.ndarray, *, random_state: int = 0) -> tuple:
    """Return features, labels and weights of the training runs, cut and masked at random."""
    rng = np.random.default_rng(random_state)
    groups = _feature_groups()
    weight = balance_weights(traces.program[rows], traces.label[rows])
    parts = []
    for _ in range(COPIES):
        window = rng.choice(WINDOWS, size=len(rows))
        table = np.empty((len(rows), len(groups)), dtype=np.float32)
        for w in WINDOWS:
            table[window == w] = traces.features(w)[rows[window == w]]
        share = rng.choice([0.2, 0.5, 0.8], size=(len(rows), 1))
        gone = (rng.random((len(rows), len(GROUPS))) < share) & (
            rng.random((len(rows), 1)) < MASKED
        )
        for g, name in enumerate(GROUPS):
            table[np.ix_(gone[:, g], groups == name)] = np.nan
        parts.append(table)
    return np.concatenate(parts), np.tile(traces.label[rows], COPIES), np.tile(weight, COPIES)


def _fit(make, traces: Traces, rows: np.ndarray, seed: int):
    x, y, weight = training_table(traces, rows, random_state=seed)
    x[:, np.isnan(x).all(axis=0)] = 0  # what no program has is no feature, but must be a number
    model = make(seed)
    name = f"{model.steps[-1][0]}__sample_weight" if hasattr(model, "steps") else "sample_weight"
    with threadpool_limits(limits=1):  # sums depend on the number of threads
        return model.fit(x, y, **{name: weight})


def held_out_scores(
    traces: Traces,
    cases: Mapping[str, tuple[int, tuple[str, ...]]],
    *,
    make: Callable[[int], object] = CANDIDATES["boosting, 100 rounds"],
    folds: int = FOLDS,
    random_state: int = 0,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the scores of every run by a model that saw none of its program.

    Parameters
    ----------
    traces : Traces
    cases : mapping of name to (window, groups of channels left out)
    make : callable
        From a seed to an estimator.
    folds : int
        Groups of programs.
    random_state : int

    Returns
    -------
    scores : dict of ndarray of shape (n_runs, n_classes)
        By case; logarithms of probabilities, up to a constant.
    fold : ndarray of int of shape (n_runs,)
    """
    splits = make_splits(
        traces.runs, strategy="E4", label="label", n_groups=folds, random_state=random_state
    )
    fold = splits["fold"].to_numpy()
    classes = np.unique(traces.label)
    scores = {name: np.empty((len(fold), len(classes))) for name in cases}
    for k in range(folds):
        model = _fit(make, traces, np.flatnonzero(fold != k), random_state + k)
        for name, (window, without) in cases.items():
            x = traces.features(window, without=without)[fold == k]
            scores[name][fold == k] = np.log(np.maximum(model.predict_proba(x), 1e-9))
    return scores, fold


def cases() -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return the cases in which the model is judged: windows, and groups of channels missing."""
    found = {f"window {w}": (w, ()) for w in JUDGED}
    found |= {f"without {g}": (USUAL, (g,)) for g in GROUPS}
    found |= {f"only {g}": (USUAL, tuple(o for o in GROUPS if o != g)) for g in GROUPS}
    return found


def calibrated(
    scores: np.ndarray, label: np.ndarray, fold: np.ndarray, classes, temperatures: Mapping
) -> np.ndarray:
    """Return held-out probabilities, each fold with a temperature fitted on the others."""
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
        p = calibrated(found, label, fold, classes, temperatures)
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


def _precision(label, guess, weight, c: str) -> float | None:
    named = guess == c
    return float(np.average(label[named] == c, weights=weight[named])) if named.any() else None


def _recalls(scores, p, traces: Traces, classes) -> dict[str, float]:
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


def _instability_rates(corpus) -> list[dict]:
    levels = first_levels(corpus.epochs)
    runs = corpus.runs.set_index("run_id")
    table = pd.DataFrame({"level": levels, "unstable": runs["unstable"].reindex(levels.index)})
    found = table.groupby("level")["unstable"].agg(runs="size", unstable="mean")
    return found.reset_index().to_dict(orient="records")


def build_model(
    corpus,
    *,
    random_state: int = 0,
    make: Callable[[int], object] | None = None,
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
    make = CANDIDATES["boosting, 100 rounds"] if make is None else make
    traces = read_traces(corpus)
    scores, fold = held_out_scores(traces, cases(), make=make, folds=folds)
    judged = judge(scores, traces, fold)
    final = _fit(make, traces, np.arange(len(traces.runs)), random_state)
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
            "corpus": str((corpus.manifest or {}).get("seal", "")),
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
