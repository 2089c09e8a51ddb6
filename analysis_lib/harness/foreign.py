"""A table of runs from outside the corpus: a perceptron in NumPy, with faults, on bundled data.

Neither programs, faults, channels nor the training loop are those of the corpus, so it stands for
anybody's log files: loss, accuracy and weights per epoch, put together in a few columns.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

from analysis_lib.errors import InputError

__all__ = ["FAULTS", "TASKS", "foreign_traces"]

ROWS, BATCH, HIDDEN, RATE = 240, 16, 16, 0.05
STATE = 20260601


def _bundled(name: str, classes: Callable | None = None) -> Callable:
    def load():
        bunch = getattr(datasets, f"load_{name}")()
        y = bunch.target if classes is None else classes(bunch.target)
        return bunch.data, y

    return load


def _columns(name: str, target: str) -> Callable:
    """Return a loader of a table of statsmodels: is a column above its median?"""

    def load():
        from statsmodels import datasets as tables

        table = getattr(tables, name).load_pandas().data.select_dtypes("number").dropna()
        y = table.pop(target)
        return table.to_numpy(dtype=float), (y > y.median()).to_numpy().astype(int)

    return load


def _above(values):
    return (values > np.median(values)).astype(int)


TASKS: Mapping[str, Callable] = MappingProxyType(
    {
        "iris": _bundled("iris"),
        "wine": _bundled("wine"),
        "tumour": _bundled("breast_cancer"),
        "digits": _bundled("digits"),
        "even_digits": _bundled("digits", lambda y: y % 2),
        "diabetes": _bundled("diabetes", _above),
        "affairs": _columns("fair", "affairs"),
        "election": _columns("anes96", "vote"),
        "travel": _columns("modechoice", "choice"),
        "doctor": _columns("randhie", "mdvis"),
        "schools": _columns("star98", "NABOVE"),
        "counties": _columns("cancer", "cancer"),
    }
)
"""Loaders of inputs and classes by name of the program that learns them."""

FAULTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "healthy": (0.5, 2.0),
        "learning rate": (20.0, 200.0),
        "labels": (0.3, 0.8),
        "weights": (5.0, 30.0),
        "inputs": (30.0, 300.0),
        "penalty": (300.0, 3000.0),
    }
)
"""Faults by name, with the range from which their size is drawn (log-uniformly)."""


def foreign_traces(
    *,
    programs: int = 12,
    configurations: int = 3,
    seeds: int = 3,
    epochs: int = 10,
    random_state: int = 0,
) -> pd.DataFrame:
    """Train small perceptrons with and without faults, and return a row per run.

    A run is one hidden layer, trained by gradient descent on at most 240 rows of a data set that
    comes with scikit-learn or statsmodels. A fault raises the rate, exchanges labels, scales the
    first weights or the inputs, or raises the penalty.

    Parameters
    ----------
    programs : int, default=12
        The first of :data:`TASKS`.
    configurations : int, default=3
        Sizes of each fault per program.
    seeds : int, default=3
        Runs of each.
    epochs : int, default=10
    random_state : int

    Returns
    -------
    DataFrame of shape (programs * 6 * configurations * seeds, ...)
        dataset, fault, setting (the id of dataset, fault and size), seed, then features: loss and
        accuracy at the first and last epoch, best loss, largest jump, slope and spread of the log
        loss, norm of the weights at both ends, share of weights near 0, steps per epoch. Missing
        where training broke down before.

    Raises
    ------
    InputError
        If a number is too small, or there are not so many programs.

    Examples
    --------
    >>> table = foreign_traces(programs=2, configurations=1, seeds=1, epochs=2)
    >>> len(table), table["dataset"].unique().tolist()
    (12, ['iris', 'wine'])
    """
    if not 1 <= programs <= len(TASKS) or min(configurations, seeds) < 1 or epochs < 2:
        raise InputError(
            f"{programs} programs, {configurations} configurations, {seeds} seeds, {epochs} "
            f"epochs; expected 1 to {len(TASKS)} programs, at least 1 of the others, and 2 epochs"
        )
    rows = []
    for place, name in enumerate(list(TASKS)[:programs]):
        x, y = _task(name)
        rng = np.random.default_rng([random_state, place])
        for fault, (low, high) in FAULTS.items():
            for size in np.exp(rng.uniform(np.log(low), np.log(high), configurations)):
                about = {"dataset": name, "fault": fault, "setting": f"{name}/{fault}/{size:.3g}"}
                for seed in range(seeds):
                    run = _train(x, y, fault, float(size), seed, epochs)
                    rows.append(about | {"seed": seed} | run)
    return pd.DataFrame(rows)


def _task(name: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = TASKS[name]()
    kept = np.random.default_rng(STATE).permutation(len(y))[:ROWS]
    return StandardScaler().fit_transform(np.asarray(x, dtype=float)[kept]), np.asarray(y)[kept]


def _train(x: np.ndarray, y: np.ndarray, fault: str, size: float, seed: int, epochs: int) -> dict:
    """Train one hidden layer by gradient descent, and return what its log says."""
    rng = np.random.default_rng(seed)
    scale = {name: size if name == fault else 1.0 for name in FAULTS}
    x = x * scale["inputs"]
    if fault == "labels":
        y = np.where(rng.random(len(y)) < size, rng.permutation(y), y)
    target = (y[:, None] == np.unique(y)).astype(float)
    rate = RATE * scale["learning rate"] * scale["healthy"]
    decay = 1e-4 * scale["penalty"]
    first = rng.normal(size=(x.shape[1], HIDDEN)) * scale["weights"] / np.sqrt(x.shape[1])
    second = rng.normal(size=(HIDDEN, target.shape[1])) * scale["weights"] / np.sqrt(HIDDEN)
    losses, hits, norms = [], [], []
    with np.errstate(all="ignore"):
        for _ in range(epochs):
            for rows in np.array_split(rng.permutation(len(y)), -(-len(y) // BATCH)):
                hidden, guess = _forward(x[rows], first, second)
                error = (guess - target[rows]) / len(rows)
                back = error @ second.T * (hidden > 0)
                second -= rate * (hidden.T @ error + decay * second)
                first -= rate * (x[rows].T @ back + decay * first)
            if not (np.isfinite(first).all() and np.isfinite(second).all()):
                break
            guess = _forward(x, first, second)[1]
            losses.append(float(-np.log(np.clip(guess[target > 0], 1e-12, 1)).mean()))
            hits.append(float((guess.argmax(axis=1) == target.argmax(axis=1)).mean()))
            norms.append(float(np.sqrt((first**2).sum() + (second**2).sum())))
    weights = np.concatenate([first.ravel(), second.ravel()])
    return _statistics(losses, hits, norms, weights, len(y), epochs)


def _forward(x: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    hidden = np.maximum(x @ first, 0)
    scores = hidden @ second
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, shares / shares.sum(axis=1, keepdims=True)


def _statistics(
    losses: list[float],
    hits: list[float],
    norms: list[float],
    weights: np.ndarray,
    rows: int,
    epochs: int,
) -> dict:
    """Return one number per column, missing where training broke down before."""
    whole = len(losses) == epochs
    log = np.log(np.maximum(losses, 1e-6))
    steps = np.diff(log)
    return {
        "loss_first": losses[0] if losses else np.nan,
        "loss_last": losses[-1] if whole else np.nan,
        "loss_best": min(losses, default=np.nan),
        "loss_slope": float(np.polyfit(range(epochs), log, 1)[0]) if whole else np.nan,
        "loss_spread": float(steps.std()) if whole else np.nan,
        "loss_jump": float(steps.max()) if whole else np.nan,
        "accuracy_first": hits[0] if hits else np.nan,
        "accuracy_last": hits[-1] if whole else np.nan,
        "norm_first": norms[0] if norms else np.nan,
        "norm_last": norms[-1] if whole else np.nan,
        "near_zero": float((np.abs(weights) < 1e-2).mean()),
        "steps": epochs * -(-rows // BATCH),
    }
