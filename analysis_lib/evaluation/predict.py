"""Out-of-fold predictions of a technique under a strategy."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, clone

from analysis_lib.errors import InputError
from analysis_lib.evaluation.balance import balance_weights, balanced_rows, check_balance, fit
from analysis_lib.evaluation.splits import get_strategy, make_splits, train_rows
from analysis_lib.techniques import Technique, get_technique

__all__ = [
    "FoldTask",
    "assemble",
    "cross_predict",
    "features_of",
    "fit_fold",
    "fit_predict",
    "fold_tasks",
    "make_factory",
]


def cross_predict(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    technique: str | Technique | BaseEstimator,
    strategy: str,
    label: str,
    *,
    splits: pd.DataFrame | None = None,
    random_state: int = 0,
    n_splits: int = 5,
    probabilities: bool = False,
    balance: str = "subsample",
    erasure: Any = None,
    n_jobs: int = 1,
    executor: Any = None,
) -> pd.DataFrame:
    """Predict every run with a model that was fitted without its fold.

    Everything the estimator fits, it fits on the training runs of the fold. The random state of a
    fold depends on ``random_state`` and the fold alone, so results do not depend on the number of
    workers.

    Parameters
    ----------
    features : DataFrame of shape (>= n_runs, n_features), indexed by run_id
    runs : DataFrame of shape (n_runs, ...)
        run_id, program, configuration (if there is one), the columns that the strategy keeps
        apart, and the label.
    technique : str, Technique or estimator
        An estimator is cloned, and its ``random_state`` set if it has one.
    strategy : str
        Key of :data:`analysis_lib.evaluation.splits.STRATEGIES`.
    label : str
        Column of ``runs`` with the class.
    splits : DataFrame, optional
        run_id and fold, as :func:`~analysis_lib.evaluation.splits.make_splits` makes them;
        by default they are made here.
    random_state, n_splits : int
    probabilities : bool, default=False
        Add a column ``p_<class>`` per class; 0 for classes that a fold's training did not have.
    balance : {"subsample", "weights"}
        How the balanced strategies even out the class mix of every training program: by drawing
        runs, or by weighting them (for estimators whose ``fit`` takes ``sample_weight``).
    erasure : object, optional
        Anything with ``fit(x, y, programs)`` and ``transform(x)``, such as
        :class:`~analysis_lib.evaluation.erasure.IdentityErasure`. A copy is fitted on the training
        runs of every fold, and its output replaces the features.
    n_jobs : int, default=1
        Worker processes (joblib), -1 for one per core.
    executor : concurrent.futures.Executor, optional
        Runs the folds instead of joblib (anything with ``map``).

    Returns
    -------
    DataFrame of shape (n_runs, ...)
        run_id, program, configuration, fold, label, predicted (both str), in the order of
        ``runs``.

    Raises
    ------
    InputError
        If runs lack features, feature names are not allowed, values are not finite, the splits
        are not possible, or the balance is unknown or not possible for the estimator.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> features, runs = simulate_world("transferable", programs=3, classes=2)
    >>> cross_predict(features, runs, DecisionTreeClassifier(), "E4", "label").shape
    (120, 6)
    """
    if splits is None:
        splits = make_splits(
            runs, strategy=strategy, label=label, random_state=random_state, n_splits=n_splits
        )
    tasks = fold_tasks(
        features,
        runs,
        technique,
        strategy,
        label,
        splits=splits,
        random_state=random_state,
        balance=balance,
        erasure=erasure,
    )
    if executor is not None:
        results = list(executor.map(fit_fold, tasks))
    else:
        results = Parallel(n_jobs=n_jobs)(delayed(fit_fold)(task) for task in tasks)
    return assemble(runs, label, splits, results, probabilities=probabilities)


class FoldTask(NamedTuple):
    """What it takes to fit and predict one fold; all folds of a strategy share ``x`` and ``y``."""

    make: Callable[[int], BaseEstimator]
    x: np.ndarray
    y: np.ndarray
    train: np.ndarray
    test: np.ndarray
    seed: int
    weights: np.ndarray | None
    eraser: tuple | None


def fold_tasks(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    technique: str | Technique | BaseEstimator,
    strategy: str,
    label: str,
    *,
    splits: pd.DataFrame,
    random_state: int = 0,
    balance: str = "subsample",
    erasure: Any = None,
) -> list[FoldTask]:
    """Return the folds of :func:`cross_predict` as tasks for :func:`fit_fold`, by fold number."""
    chosen = get_strategy(strategy)
    make = make_factory(technique)
    check_balance(balance)
    x = features_of(features, runs)
    y = runs[label].astype(str).to_numpy(dtype=object)
    fold = _fold_of(runs, splits)
    program = runs["program"].to_numpy()
    tasks = []
    for k in np.unique(fold):
        test = fold == k
        train = np.flatnonzero(train_rows(runs, test, chosen))
        if len(set(y[train])) < 2:
            raise InputError(
                f"fold {int(k)} of strategy {strategy} leaves fewer than two classes to train on"
            )
        seed = int(np.random.SeedSequence([random_state, int(k)]).generate_state(1)[0] >> 1)
        weights = None
        if chosen.balanced and balance == "subsample":
            train = train[balanced_rows(program[train], y[train], random_state=seed)]
        elif chosen.balanced:
            weights = balance_weights(program[train], y[train])
        eraser = None if erasure is None else (erasure, program[train], y[train])
        tasks.append(FoldTask(make, x, y, train, np.flatnonzero(test), seed, weights, eraser))
    return tasks


def fit_fold(task: FoldTask) -> tuple:
    """Fit and predict one fold, see :func:`fit_predict`."""
    train, test = task.train, task.test
    return fit_predict(
        task.make,
        task.x[train],
        task.y[train],
        task.x[test],
        task.seed,
        task.weights,
        task.eraser,
    )


def assemble(
    runs: pd.DataFrame,
    label: str,
    splits: pd.DataFrame,
    results: Sequence[tuple],
    *,
    probabilities: bool = False,
) -> pd.DataFrame:
    """Return the table of predictions from the results of the folds, by fold number."""
    fold = _fold_of(runs, splits)
    y = runs[label].astype(str).to_numpy(dtype=object)
    table = {"run_id": runs["run_id"].to_numpy(), "program": runs["program"].to_numpy()}
    if "configuration" in runs:
        table["configuration"] = runs["configuration"].to_numpy()
    predicted = np.empty(len(y), dtype=object)
    for k, (guess, _, _) in zip(np.unique(fold), results, strict=True):
        predicted[fold == k] = guess
    table |= {"fold": fold.astype(int), "label": y, "predicted": predicted}
    result = pd.DataFrame(table).astype({"label": "str", "predicted": "str"})
    return result.join(_collect(fold, np.unique(y), results)) if probabilities else result


def _fold_of(runs: pd.DataFrame, splits: pd.DataFrame) -> np.ndarray:
    fold = splits.set_index("run_id")["fold"].reindex(runs["run_id"]).to_numpy()
    if pd.isna(fold).any():
        raise InputError(f"{int(pd.isna(fold).sum())} runs have no fold; make the splits of these")
    return fold


def fit_predict(
    make: Callable[[int], Any],
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    seed: int,
    weights: np.ndarray | None = None,
    eraser: tuple | None = None,
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Fit one model and predict; return guesses, classes and probabilities (or two None)."""
    if eraser is not None:
        erasure, programs, classes = eraser
        erasure = clone(erasure).fit(x_train, classes, programs)
        x_train, x_test = erasure.transform(x_train), erasure.transform(x_test)
    model = fit(make(seed), x_train, y_train, weights)
    guess = model.predict(x_test)
    if not hasattr(model, "predict_proba"):
        return guess, None, None
    return guess, model.classes_, model.predict_proba(x_test)


class _Clone:
    """Factory of clones of an estimator, with a random state where it takes one."""

    def __init__(self, estimator: BaseEstimator):
        self.estimator = estimator

    def __call__(self, seed: int) -> BaseEstimator:
        model = clone(self.estimator)
        names = [n for n in model.get_params() if n.split("__")[-1] == "random_state"]
        return model.set_params(**dict.fromkeys(names, seed))


def make_factory(technique: Any) -> Callable[[int], BaseEstimator]:
    """Return what makes an unfitted model from a random state."""
    if isinstance(technique, str):
        technique = get_technique(technique)
    if isinstance(technique, Technique):
        return technique.make_estimator
    if not (hasattr(technique, "fit") and hasattr(technique, "predict")):
        raise InputError(f"{technique!r} is no technique: give a name or something to fit")
    return _Clone(technique)


def features_of(features: pd.DataFrame, runs: pd.DataFrame) -> np.ndarray:
    """Return the features of the runs, in their order, after checking them."""
    wrong = [c for c in features.columns if str(c).startswith("meta_")]
    if wrong:
        raise InputError(
            f"the feature table has {', '.join(map(str, wrong))}; machine, time and rate columns "
            "must not be features (rename them to study the leak)"
        )
    absent = ~runs["run_id"].isin(features.index)
    if features.index.duplicated().any() or absent.any():
        raise InputError(
            f"{int(absent.sum())} runs have no features or a run_id has several rows of them; "
            "extract the features of these runs"
        )
    x = features.reindex(runs["run_id"]).to_numpy(dtype=float)
    if not np.isfinite(x).all():
        raise InputError("features hold values that are not finite; replace them before")
    return x


def _collect(fold: np.ndarray, classes: np.ndarray, results: Sequence[tuple]) -> pd.DataFrame:
    shares = np.full((len(fold), len(classes)), np.nan)
    for k, (_, known, probability) in zip(np.unique(fold), results, strict=True):
        if known is not None:
            rows = np.flatnonzero(fold == k)
            shares[rows] = 0.0
            shares[rows[:, None], np.searchsorted(classes, known)] = probability
    return pd.DataFrame(shares, columns=[f"p_{c}" for c in classes])
