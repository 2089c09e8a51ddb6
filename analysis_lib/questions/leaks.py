"""The leak audit: what columns buy that are no measurement of the training."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from joblib import Parallel, delayed

from analysis_lib.errors import InputError
from analysis_lib.evaluation import (
    by_program,
    cross_predict,
    make_splits,
    pooled_balanced_accuracy,
    program_indicator,
    t_interval,
)
from analysis_lib.features import FeatureSet, extract, get_feature_set
from analysis_lib.features.values import Cube
from analysis_lib.questions.permutation import control_forest
from analysis_lib.techniques import Technique, audit_techniques, get_technique

__all__ = ["AUDITED", "audit_predictions", "audit_set", "audit_table", "paired_change"]

AUDITED: Mapping[str, str] = {
    "audit-rate": "learning rate",
    "audit-epochs": "number of epochs",
    "audit-steps": "steps and batch size",
    "audit-hardware": "CPU and wall-clock seconds",
    "audit-program": "which program",
    "audit-all": "all of these",
    "features": "DEFault's features, small forest",
    "features+program": "the same, and which program",
    "DEFault-hierarchy": "DEFault's hierarchy, clean",
    "DEFault-as-released": "DEFault's hierarchy, as released",
    "DeepFD": "DeepFD, clean",
    "DeepFD-as-released": "DeepFD, as released",
}
"""What is audited, and its name in tables."""


def audit_set(corpus: Any, *, trees: int = 20) -> dict[str, Technique]:
    """Return the techniques of the audit by the keys of :data:`AUDITED`.

    Parameters
    ----------
    corpus : corpus
        With ``runs``, ``meta_*`` columns included, and ``epochs``.
    trees : int, default=20
        Trees of every forest but DeepFD's, which is part of a vote.

    Returns
    -------
    dict of str to Technique

    See Also
    --------
    analysis_lib.techniques.audit_techniques

    Examples
    --------
    >>> from analysis_lib import load_corpus
    >>> corpus = load_corpus(programs=["snn_wine", "mlp_breast_cancer"])
    >>> list(audit_set(corpus))[:2]
    ['audit-rate', 'audit-epochs']
    """
    found = dict(audit_techniques(corpus))
    found |= {name: get_technique(name) for name in ("DEFault-hierarchy", "DeepFD")}
    for name in ("DEFault-hierarchy", "DEFault-as-released"):
        make = found[name].make_estimator
        found[name] = replace(found[name], make_estimator=_Smaller(make, trees))
    for name, technique in found.items():
        if name.startswith("audit-"):
            make = _Smaller(technique.make_estimator, trees, "n_estimators")
            found[name] = replace(technique, make_estimator=make)
    forest = _Small(trees)
    indicator = program_indicator(corpus.runs).add_prefix("leak_")
    base = get_technique("DEFault").feature_set
    found["features"] = Technique("features", base, forest, "DEFault's features, small forest")
    found["features+program"] = Technique(
        "features+program",
        _Joined(base, indicator).feature_set("features+program"),
        forest,
        "DEFault's features and the program, small forest",
    )
    return {name: found[name] for name in AUDITED}


def audit_predictions(
    corpus: Any,
    runs: pd.DataFrame,
    label: str,
    *,
    window: int = 5,
    names: Iterable[str] | None = None,
    strategies: Iterable[str] = ("E1", "E2", "E4"),
    n_groups: int = 5,
    trees: int = 20,
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Predict every run by every technique of the audit.

    Parameters
    ----------
    corpus : corpus
    runs : DataFrame
        The runs of ``corpus`` that take part.
    label : str
    window : int, default=5
        Epochs that are seen.
    names : iterable of str, optional
        Keys of :data:`AUDITED`, by default all.
    strategies : iterable of str
    n_groups : int, default=5
        Groups of programs that E4 holds out in turn, so that all strategies train on four fifths;
        0 holds out one program at a time.
    trees : int, default=20
        See :func:`audit_set`.
    random_state, n_jobs : int

    Returns
    -------
    DataFrame
        technique, strategy, then the columns of ``cross_predict``.

    Raises
    ------
    InputError
        If a name is unknown; and as ``extract`` and ``cross_predict``.
    """
    known = audit_set(corpus, trees=trees)
    names = list(known) if names is None else list(names)
    if strange := [n for n in names if n not in known]:
        raise InputError(f"the audit knows no {strange[0]}; it has {', '.join(known)}")
    epochs = corpus.epochs[corpus.epochs["run_id"].isin(runs["run_id"])]
    splits = {
        s: make_splits(runs, strategy=s, label=label, random_state=random_state, n_groups=n_groups)
        for s in strategies
    }
    # the longest first, so that no worker is left with one of them at the end
    jobs = [(name, s) for name in reversed(names) for s in splits]
    found = Parallel(n_jobs=n_jobs)(
        delayed(_predicted)(epochs, runs, known[name], s, label, splits[s], window, random_state)
        for name, s in jobs
    )
    order = {name: place for place, name in enumerate(names)}
    table = pd.concat(found, ignore_index=True)
    return table.sort_values("technique", key=lambda t: t.map(order), kind="stable")


def audit_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score the techniques of the audit under every strategy.

    Parameters
    ----------
    predictions : DataFrame
        As :func:`audit_predictions` returns it.

    Returns
    -------
    DataFrame
        technique, strategy, score (program-macro recall), low, high (interval over programs),
        pooled (balanced accuracy).

    Examples
    --------
    >>> table = pd.DataFrame({"technique": "t", "strategy": "E1", "program": ["p"] * 5 + ["q"] * 5,
    ...     "label": "x", "predicted": ["x"] * 5 + ["y"] * 5})
    >>> audit_table(table)["score"].tolist()
    [0.5]
    """
    rows = []
    for (technique, strategy), own in predictions.groupby(["technique", "strategy"], sort=False):
        found = t_interval(by_program(own)["score"])
        rows.append(
            {
                "technique": technique,
                "strategy": strategy,
                "score": found.estimate,
                "low": found.low,
                "high": found.high,
                "pooled": pooled_balanced_accuracy(own),
            }
        )
    return pd.DataFrame(rows)


def paired_change(predictions: pd.DataFrame, *, of: str, against: str) -> pd.DataFrame:
    """Compare two techniques program by program under every strategy.

    Parameters
    ----------
    predictions : DataFrame
        As :func:`audit_predictions` returns it.
    of : str
        Name of the one technique.
    against : str
        Name of the other.

    Returns
    -------
    DataFrame
        strategy, change (program-macro recall of the first minus that of the second), low, high
        (Student's interval over programs), programs.

    Raises
    ------
    InputError
        If a technique has no predictions.
    """
    for name in (of, against):
        if name not in set(predictions["technique"]):
            raise InputError(f"there are no predictions of {name}")
    rows = []
    for strategy, own in predictions.groupby("strategy", sort=False):
        first, second = (
            by_program(own[own["technique"] == name])["score"] for name in (of, against)
        )
        found = t_interval(first - second)
        rows.append(
            {
                "strategy": strategy,
                "change": found.estimate,
                "low": found.low,
                "high": found.high,
                "programs": found.n,
            }
        )
    return pd.DataFrame(rows)


class _Smaller:
    """A recipe with another number of trees."""

    def __init__(self, make: Callable, trees: int, name: str = "trees"):
        self.make, self.trees, self.name = make, trees, name

    def __call__(self, random_state: int | None = None) -> Any:
        return self.make(random_state).set_params(**{self.name: self.trees})


class _Small:
    """The forest of the controls."""

    def __init__(self, trees: int):
        self.trees = trees

    def __call__(self, random_state: int | None = None) -> Any:
        model = control_forest(self.trees)
        model[-1].set_params(random_state=random_state)
        return model


class _Joined:
    """Registered features, beside those of a table."""

    def __init__(self, name: str | FeatureSet, table: pd.DataFrame):
        self.base = get_feature_set(name) if isinstance(name, str) else name
        self.table = table

    def feature_set(self, name: str) -> FeatureSet:
        return FeatureSet(name, self.base.channels, self, f"{self.base.name} and a table")

    def __call__(self, cube: Cube) -> dict:
        own = self.table.loc[cube.run_ids]
        return self.base.compute(cube) | {name: own[name].to_numpy() for name in own}


def _predicted(epochs, runs, technique, strategy, label, splits, window, random_state):
    features = extract(epochs, technique.feature_set, window=window)
    found = cross_predict(
        features, runs, technique, strategy, label, splits=splits, random_state=random_state
    )
    found.insert(0, "technique", technique.name)
    found.insert(1, "strategy", strategy)
    return found
