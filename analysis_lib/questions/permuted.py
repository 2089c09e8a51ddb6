"""Predictions of labels that were permuted inside programs, so that scores have intervals."""

from typing import Any

import pandas as pd
from joblib import Parallel, delayed

from analysis_lib.evaluation import cross_predict, permute_within_program

__all__ = ["permuted_predictions"]


def permuted_predictions(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    label: str,
    *,
    unit: str,
    technique: Any,
    repeats: int = 3,
    strategy: str = "E1",
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Predict labels that were permuted inside programs.

    Parameters
    ----------
    features : DataFrame indexed by run_id
    runs : DataFrame
        run_id, program, configuration and the label.
    label : str
    unit : {"nothing", "run", "configuration"}
        What is permuted; nothing is predicted once.
    technique : estimator, Technique or str
    repeats : int
        Permutations, those that :func:`analysis_lib.questions.permutation.permutation_table`
        begins with.
    strategy : str, default="E1"
    random_state, n_jobs : int

    Returns
    -------
    DataFrame
        repeat, program, label, predicted.

    Examples
    --------
    >>> from analysis_lib.evaluation import simulate_world
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> features, runs = simulate_world("transferable", programs=3, classes=2)
    >>> tree = DecisionTreeClassifier()
    >>> found = permuted_predictions(features, runs, "label", unit="run", technique=tree, repeats=2)
    >>> found.groupby("repeat").size().tolist()
    [120, 120]
    """
    found = Parallel(n_jobs=n_jobs)(
        delayed(_permuted)(features, runs, technique, strategy, label, unit, random_state, repeat)
        for repeat in range(1 if unit == "nothing" else repeats)
    )
    return pd.concat(found, ignore_index=True)


def _permuted(features, runs, technique, strategy, label, unit, random_state, repeat):
    if unit != "nothing":
        runs = permute_within_program(runs, label, unit=unit, random_state=random_state + repeat)
    found = cross_predict(features, runs, technique, strategy, label, random_state=random_state)
    columns = ["program", "label", "predicted"]
    return found[columns].astype(str).assign(repeat=repeat)
