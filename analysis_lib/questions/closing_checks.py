"""Is it a leak? What a good score on new programs must survive before it is believed."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation import by_program, permute_within_program, t_interval
from analysis_lib.transfer import Method, get_method, transfer_predictions

__all__ = ["ablated_scores", "feature_groups", "permuted_scores", "repeated_settings"]


def feature_groups(names: Sequence[str]) -> dict[str, list[str]]:
    """Return the features of a scale-free table by group, the first part of the name.

    Examples
    --------
    >>> feature_groups(["loss:a:mean", "loss:b:last", "sane:c:mean"])
    {'loss': ['loss:a:mean', 'loss:b:last'], 'sane': ['sane:c:mean']}
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.split(":")[0], []).append(name)
    return groups


def ablated_scores(
    features: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    method: str | Method,
    without: Mapping[str, Sequence[str]],
    *,
    strategy: str = "E4",
    label: str = "label",
    n_groups: int = 10,
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Score a method of track Z without some of its features.

    Parameters
    ----------
    features, runs, label, strategy, n_groups, random_state, n_jobs
        See :func:`~analysis_lib.transfer.transfer_predictions`.
    method : str or Method
    without : mapping of str to sequence of str
        A name for each ablation, and the columns that it takes away.

    Returns
    -------
    DataFrame
        without, features (left), score, low, high (Student's interval over programs).

    Raises
    ------
    InputError
        If the method is not of track Z, or nothing would be left.
    """
    chosen = get_method(method) if isinstance(method, str) else method
    if chosen.track != "Z":
        raise InputError(f"{chosen.name} is of track {chosen.track}; ablate one of track Z")
    table, rows = features[chosen.feature_set], []
    for name, columns in without.items():
        left = table.drop(columns=list(columns))
        if left.shape[1] == 0:
            raise InputError(f"without {name} no feature is left")
        predictions = transfer_predictions(
            {chosen.feature_set: left},
            runs,
            [chosen],
            strategy=strategy,
            label=label,
            n_groups=n_groups,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        interval = t_interval(by_program(predictions)["score"].dropna())
        row = {"without": name, "features": left.shape[1], "score": interval.estimate}
        rows.append(row | {"low": interval.low, "high": interval.high})
    return pd.DataFrame(rows)


def permuted_scores(
    features: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    method: str | Method,
    *,
    permutations: int = 3,
    label: str = "label",
    n_groups: int = 10,
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Score a method of track Z on labels permuted among the configurations of every program.

    Parameters
    ----------
    features, runs, method, label, n_groups, random_state, n_jobs
        See :func:`ablated_scores`.
    permutations : int, default=3

    Returns
    -------
    DataFrame
        permutation, score (program-macro recall under E4): chance, if nothing leaks.
    """
    rows = []
    for number in range(permutations):
        shuffled = permute_within_program(
            runs, label, unit="configuration", random_state=random_state + number
        )
        predictions = transfer_predictions(
            features,
            shuffled,
            [method],
            label=label,
            n_groups=n_groups,
            random_state=random_state,
            n_jobs=n_jobs,
        )
        score = by_program(predictions)["score"].mean()
        rows.append({"permutation": number, "score": float(score)})
    return pd.DataFrame(rows)


def repeated_settings(predictions: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Compare configurations whose exact fault occurs in another program with those that are new.

    A fault repeats if another program has a configuration with the same operator and the same
    parameters, to the last digit. Then a model may have seen that very fault elsewhere.

    Parameters
    ----------
    predictions : DataFrame
        Of held-out programs: run_id, label, predicted.
    runs : DataFrame
        run_id, program, operator, parameters, configuration.

    Returns
    -------
    DataFrame
        label, repeats (bool), configurations, runs, recall.
    """
    settings = runs["operator"].astype(str) + runs["parameters"].fillna("").astype(str)
    programs = runs["program"].groupby(settings).transform("nunique")
    known = pd.DataFrame(
        {
            "run_id": runs["run_id"],
            "fault": runs["configuration"],
            "repeats": np.asarray(programs > 1),
        }
    )
    table = predictions[["run_id", "label", "predicted"]].merge(known, on="run_id")
    table["correct"] = table["label"].astype(str) == table["predicted"].astype(str)
    grouped = table.groupby(["label", "repeats"])
    return grouped.agg(
        configurations=("fault", "nunique"), runs=("correct", "size"), recall=("correct", "mean")
    ).reset_index()
