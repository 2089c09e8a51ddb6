"""Train/validation mismatch: which runs, from which features, on seen and unseen programs.

A run is mismatched if its train and validation accuracy differ by more than a threshold at the
last epoch. The task is defined for stable runs of programs with an accuracy. What is predicted is
the end of training, so features may come from the first half of it at most.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError, unknown
from analysis_lib.evaluation import run_study
from analysis_lib.evaluation.scores import MIN_RUNS
from analysis_lib.features import FEATURE_SETS, FeatureSet, audit_feature_set
from analysis_lib.features.summary import summarise
from analysis_lib.features.values import Cube
from analysis_lib.labels import UNTYPED_OPERATORS, equivalent_configurations
from analysis_lib.techniques import Technique
from analysis_lib.techniques.general import make_forest, make_logistic

__all__ = [
    "AGREEMENT",
    "ARMS",
    "CHANNELS_READ",
    "MISMATCH",
    "join_sets",
    "mismatch_arms",
    "mismatch_predictions",
    "mismatch_rates",
    "mismatch_runs",
]

MISMATCH, AGREEMENT = "mismatch", "agreement"
ROUNDING = 1e-6
CURVES = ("train_loss", "valid_loss", "train_accuracy", "valid_accuracy")

CHANNELS_READ = tuple(
    dict.fromkeys(
        (*CURVES, *FEATURE_SETS["optimizer"].channels, *FEATURE_SETS["curvature"].channels)
    )
)
"""Channels that the task reads, for loading no more than these."""

ARMS = (
    "optimizer",
    "curvature",
    "optimizer + curvature",
    "accuracy",
    "accuracy + optimizer",
    "accuracy + curvature",
    "accuracy + optimizer + curvature",
    "gap so far",
    "learning rate",
    "program",
    "optimizer, forest",
)
"""What is compared. "optimizer" has no accuracy or loss in it, "accuracy" nothing else; "gap so
far" is the label's own quantity at the last visible epoch; "learning rate" and "program" are
nuisances; "optimizer, forest" shows whether the linear model is what limits the result."""


def mismatch_runs(corpus: Any, *, threshold: float = 0.1) -> pd.DataFrame:
    """Return the runs of the task, with their gap and label.

    These are stable runs with train and validation accuracy at the last snapshot, faulty or
    healthy, killed or not. Operators that change a run's length or drop a channel are left out,
    and of configurations that train bit for bit alike all but the first.

    Parameters
    ----------
    corpus : corpus
        With ``runs`` and ``epochs``.
    threshold : float, default=0.1
        A run is mismatched if ``|train - validation accuracy|`` at the last snapshot exceeds it (a
        difference within 1e-6 of the threshold equals it, since accuracies are float32).

    Returns
    -------
    DataFrame
        Rows of ``runs`` with gap = train - validation accuracy, and label ("mismatch" or
        "agreement").

    Raises
    ------
    InputError
        If columns are missing, or no run qualifies.
    """
    runs = corpus.runs
    needed = ("run_id", "program", "configuration", "operator", "seed", "status", "mismatch")
    missing = [c for c in needed if c not in runs]
    if missing:
        raise InputError(f"runs lacks the columns {', '.join(missing)}")
    runs = runs[runs["mismatch"].notna() & ~runs["operator"].isin(UNTYPED_OPERATORS)]
    if "weights_digest" in runs:
        alike = equivalent_configurations(runs)
        later = alike.index[alike.index != alike["first"]]
        runs = runs[~runs["configuration"].isin(later)]
    epochs = corpus.epochs[["run_id", "epoch", "train_accuracy", "valid_accuracy"]]
    epochs = epochs[epochs["run_id"].isin(runs["run_id"])].sort_values(["run_id", "epoch"])
    last = epochs.drop_duplicates("run_id", keep="last").set_index("run_id")
    gap = (last["train_accuracy"].astype(float) - last["valid_accuracy"]).reindex(runs["run_id"])
    runs = runs.assign(gap=gap.to_numpy())
    runs = runs[runs["gap"].notna()]
    if runs.empty:
        raise InputError("no stable run has train and validation accuracy; the task needs classes")
    wide = runs["gap"].abs() > threshold + ROUNDING
    return runs.assign(label=np.where(wide, MISMATCH, AGREEMENT))


def mismatch_rates(runs: pd.DataFrame, *, min_runs: int = MIN_RUNS) -> pd.DataFrame:
    """Count mismatched runs by program.

    Parameters
    ----------
    runs : DataFrame
        As :func:`mismatch_runs` returns them.
    min_runs : int, default=5
        A program carries information on the order of its runs if it has as many of both labels.

    Returns
    -------
    DataFrame indexed by program
        runs, mismatched, rate, train_higher (share of the mismatched runs whose train accuracy is
        the higher one; missing without any), informative; by falling rate.

    Examples
    --------
    >>> runs = pd.DataFrame({"program": "p", "label": ["mismatch", "agreement"], "gap": [-.3, 0]})
    >>> mismatch_rates(runs, min_runs=1).loc["p", ["rate", "train_higher"]].tolist()
    [0.5, 0.0]
    """
    hit = runs["label"] == MISMATCH
    table = pd.DataFrame({"program": runs["program"], "hit": hit, "up": hit & (runs["gap"] > 0)})
    table = table.groupby("program").agg(
        runs=("hit", "size"), mismatched=("hit", "sum"), up=("up", "sum")
    )
    table["rate"] = table["mismatched"] / table["runs"]
    table["train_higher"] = table["up"] / table["mismatched"].where(table["mismatched"] > 0)
    rarer = np.minimum(table["mismatched"], table["runs"] - table["mismatched"])
    table["informative"] = rarer >= min_runs
    return table.drop(columns="up").sort_values(["rate"], ascending=False, kind="stable")


def join_sets(name: str, *sets: FeatureSet) -> FeatureSet:
    """Return the union of feature sets, columns prefixed by the set they come from.

    Examples
    --------
    >>> last = lambda cube: {"last": cube.values[:, -1, 0]}
    >>> a, b = FeatureSet("a", ("u",), last, "u"), FeatureSet("b", ("v",), last, "v")
    >>> epochs = pd.DataFrame({"run_id": ["r"], "epoch": [-1], "u": [1.0], "v": [2.0]})
    >>> from analysis_lib.features import extract
    >>> extract(epochs, join_sets("a + b", a, b), window=0).to_dict("list")
    {'a:last': [1.0], 'b:last': [2.0]}
    """
    channels = tuple(dict.fromkeys(c for s in sets for c in s.channels))
    return FeatureSet(name, channels, _Union(sets), " and ".join(s.description for s in sets))


class _Union:
    """Features of several sets, each computed on its own channels of the cube."""

    def __init__(self, sets: tuple[FeatureSet, ...]):
        self.sets = sets

    def __call__(self, cube: Cube) -> dict[str, np.ndarray]:
        table: dict[str, np.ndarray] = {}
        for part in self.sets:
            places = [cube.channels.index(c) for c in part.channels]
            own = replace(cube, channels=part.channels, values=cube.values[:, :, places])
            table |= {f"{part.name}:{c}": v for c, v in part.compute(own).items()}
        return table


def _accuracy(cube: Cube) -> dict[str, np.ndarray]:
    return summarise(cube, initial=CURVES) | _gap(cube)


def _gap(cube: Cube) -> dict[str, np.ndarray]:
    """Return the gap at the last visible snapshot."""
    train, valid = (cube.values[:, :, cube.channels.index(c)] for c in CURVES[2:])
    last = np.where(cube.visible, cube.epoch, -2).argmax(axis=1)
    gap = np.abs(train - valid)[np.arange(len(last)), last]
    return {"gap_last": np.nan_to_num(gap, nan=0.0, posinf=1.0)}


def mismatch_arms(corpus: Any, names: Iterable[str] = ARMS) -> dict[str, Technique]:
    """Return the techniques that are compared: a feature set and a logistic regression each.

    The regression is the registered one. A forest on the optimizer set costs about as much as
    five of them.

    Parameters
    ----------
    corpus : corpus
        Learning rate and program of a run are looked up in its ``runs``.
    names : iterable of str
        Of :data:`ARMS`.

    Returns
    -------
    dict of str to Technique
    """
    optimizer, curvature = FEATURE_SETS["optimizer"], FEATURE_SETS["curvature"]
    accuracy = FeatureSet("accuracy", CURVES, _accuracy, "losses, accuracies and their gap so far")
    parts = {"optimizer": optimizer, "curvature": curvature, "accuracy": accuracy}
    found = {}
    for name in names:
        if name not in ARMS:
            raise unknown("arm", name, ARMS)
        make = make_logistic
        if name == "learning rate":
            features = audit_feature_set(corpus, "audit_rate")
        elif name == "program":
            features = audit_feature_set(corpus, "audit_program")
        elif name == "gap so far":
            features = FeatureSet(name, CURVES, _gap, "the gap at the last visible epoch")
        elif name == "optimizer, forest":
            features, make = optimizer, make_forest
        else:
            chosen = [parts[part] for part in name.split(" + ")]
            features = chosen[0] if len(chosen) == 1 else join_sets(name, *chosen)
        found[name] = Technique(name, features, make, features.description)
    return found


def mismatch_predictions(
    corpus: Any,
    runs: pd.DataFrame,
    *,
    arms: Mapping[str, Technique],
    windows: Iterable[int],
    strategies: Iterable[str] = ("E1", "E2", "E4"),
    repeats: int = 1,
    random_state: int = 0,
    n_jobs: int = 1,
    cache: str | Path | None = None,
) -> pd.DataFrame:
    """Predict mismatch out of fold, from windows of at most half the training.

    Parameters
    ----------
    corpus : corpus
    runs : DataFrame
        As :func:`mismatch_runs` returns them.
    arms : mapping of str to Technique
        As :func:`mismatch_arms` returns them.
    windows, strategies, repeats, random_state, n_jobs, cache
        See :func:`analysis_lib.evaluation.run_study`.

    Returns
    -------
    DataFrame
        In the format of :mod:`analysis_lib.evaluation.predictions`, with ``p_mismatch``.

    Raises
    ------
    InputError
        If a window is longer than half of the epochs, or what ``run_study`` refuses.
    """
    windows = list(windows)
    epochs = corpus.epochs[corpus.epochs["run_id"].isin(runs["run_id"])]
    half = (int(epochs["epoch"].max()) + 1) // 2
    if max(windows) > half:
        raise InputError(f"window {max(windows)} is too long; predict the end from {half} at most")
    return run_study(
        epochs,
        runs,
        label="label",
        techniques=arms.values(),
        windows=windows,
        strategies=strategies,
        repeats=repeats,
        random_state=random_state,
        probabilities=True,
        n_jobs=n_jobs,
        cache=cache,
    )
