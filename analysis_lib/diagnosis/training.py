"""Train on the corpus: runs cut at random windows, without some groups of channels.

One model serves every window and any choice of channels: a run enters the training table twice,
each time cut at a random window, and in half of the cases without some groups of channels. The
scores that calibrate and judge it are of programs that the model in question did not see.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from analysis_lib.corpus.load import Corpus
from analysis_lib.diagnosis.candidates import CHOSEN
from analysis_lib.diagnosis.curves import CURVES, GROUPS
from analysis_lib.diagnosis.features import curves_of, feature_names, summarise_curves
from analysis_lib.diagnosis.model import EPOCHS
from analysis_lib.errors import InputError
from analysis_lib.evaluation import balance_weights, make_splits
from analysis_lib.labels import select_runs

__all__ = ["Traces", "fit", "held_out_scores", "read_traces", "training_table"]

WINDOWS = (1, 2, 3, 4, 5, 6, 8, 10, 12)
"""Windows at which training runs are cut."""

COPIES, MASKED = 2, 0.5
"""Rows per run, and the share of them without some groups of channels."""

FOLDS = 6
"""Groups of programs that are held out in turn."""


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
        gone = np.isin(feature_groups(), list(without))
        return np.where(gone, np.nan, found) if gone.any() else found


def read_traces(corpus: Corpus) -> Traces:
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


def feature_groups() -> np.ndarray:
    """Return the group of channels of every feature; empty for the last, which has none."""
    names = [name.rpartition(": ")[0] for name in feature_names()]
    return np.array([CURVES[name].group if name else "" for name in names])


def training_table(traces: Traces, rows: np.ndarray, *, random_state: int = 0) -> tuple:
    """Return features, labels and weights of the training runs, cut and masked at random."""
    rng = np.random.default_rng(random_state)
    groups = feature_groups()
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


def fit(make: Callable[[int], Any], traces: Traces, rows: np.ndarray, seed: int) -> Any:
    """Fit an estimator, made from the seed, to the training table of some runs."""
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
    make: Callable[[int], Any] | None = None,
    folds: int = FOLDS,
    random_state: int = 0,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the scores of every run by a model that saw none of its program.

    Parameters
    ----------
    traces : Traces
    cases : mapping of name to (window, groups of channels left out)
    make : callable, optional
        From a seed to an estimator; the shipped one by default.
    folds : int
        Groups of programs.
    random_state : int

    Returns
    -------
    scores : dict of ndarray of shape (n_runs, n_classes)
        By case; logarithms of probabilities, up to a constant.
    fold : ndarray of int of shape (n_runs,)
    """
    make = CHOSEN if make is None else make
    splits = make_splits(
        traces.runs, strategy="E4", label="label", n_groups=folds, random_state=random_state
    )
    fold = splits["fold"].to_numpy()
    classes = np.unique(traces.label)
    scores = {name: np.empty((len(fold), len(classes))) for name in cases}
    for k in range(folds):
        model = fit(make, traces, np.flatnonzero(fold != k), random_state + k)
        for name, (window, without) in cases.items():
            x = traces.features(window, without=without)[fold == k]
            scores[name][fold == k] = np.log(np.maximum(model.predict_proba(x), 1e-9))
    return scores, fold
