"""What class mix and program identity buy: labels permuted inside programs.

The controls are scored with a small forest on a technique's features, against the same forest on
the labels as they are: like is compared with like, and many repetitions stay affordable.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from joblib import Parallel, delayed
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from analysis_lib.errors import InputError
from analysis_lib.evaluation import (
    balanced_runs,
    chance_level,
    cross_predict,
    natural_sample,
    permute_within_program,
    pooled_balanced_accuracy,
    prior_oracle,
)

__all__ = [
    "PERMUTATIONS",
    "class_mixes",
    "control_forest",
    "permutation_summary",
    "permutation_table",
    "prior_table",
]

PERMUTATIONS = (
    ("run", "E1"),
    ("run", "E2"),
    ("configuration", "E1"),
    ("configuration", "E2"),
)
"""What is permuted, and under which strategy; the first is the study's control."""


def control_forest(trees: int = 20) -> Pipeline:
    """Return DEFault's recipe with fewer trees, for controls that are repeated many times.

    Notes
    -----
    Measured on six classes at k = 5 with 18 programs, pooled balanced accuracy by rows and by
    configurations, and CPU seconds of five fits: .852, .573 and 1.4 with 50 trees, .845, .557 and
    0.6 with 20; with labels permuted by configuration .70, .19 against .67, .19.

    Examples
    --------
    >>> control_forest()[-1].n_estimators
    20
    """
    return make_pipeline(StandardScaler(), RandomForestClassifier(trees, n_jobs=1))


def class_mixes(runs: pd.DataFrame, label: str, *, random_state: int = 0) -> dict[str, Any]:
    """Return the same corpus with three class mixes.

    Parameters
    ----------
    runs : DataFrame
        run_id, program, configuration and the label.
    label : str
    random_state : int

    Returns
    -------
    dict of str to DataFrame
        "as planned": all runs, nearly balanced by design; "natural": an uneven subsample
        (:func:`analysis_lib.evaluation.natural_sample`); "natural, evened out": what
        :func:`analysis_lib.evaluation.balanced_runs` leaves of that.

    Examples
    --------
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> _, runs = simulate_world("none", programs=6)
    >>> {name: len(mix) for name, mix in class_mixes(runs, "label").items()}["as planned"]
    480
    """
    natural = natural_sample(runs, label=label, random_state=random_state)
    evened = balanced_runs(natural, label, random_state=random_state)
    return {"as planned": runs, "natural": natural, "natural, evened out": evened}


def prior_table(mixes: Mapping[str, pd.DataFrame], label: str) -> pd.DataFrame:
    """Return what the class mix of a program alone buys whoever knows the program.

    Parameters
    ----------
    mixes : mapping of str to DataFrame
        As :func:`class_mixes` returns it.
    label : str

    Returns
    -------
    DataFrame
        mix, runs, programs, chance, prior_balanced_accuracy (of the class most over-represented
        in the program, see :func:`analysis_lib.evaluation.prior_oracle`), prior_accuracy (share of
        runs right for whoever names the commonest class of the program).

    Examples
    --------
    >>> runs = pd.DataFrame({"run_id": range(4), "program": list("ppqq"), "label": list("xxyy")})
    >>> prior_table({"uneven": runs}, "label").loc[0, "prior_balanced_accuracy"].item()
    1.0
    """
    rows = []
    for name, runs in mixes.items():
        oracle = prior_oracle(runs, label)
        commonest = pd.crosstab(runs["program"], runs[label]).max(axis=1).sum() / len(runs)
        rows.append(
            {
                "mix": name,
                "runs": len(runs),
                "programs": runs["program"].nunique(),
                "chance": chance_level(oracle),
                "prior_balanced_accuracy": pooled_balanced_accuracy(oracle),
                "prior_accuracy": float(commonest),
            }
        )
    return pd.DataFrame(rows)


def permutation_table(
    features: pd.DataFrame,
    mixes: Mapping[str, pd.DataFrame],
    label: str,
    *,
    technique: Any = None,
    kinds: Iterable[tuple[str, str]] = PERMUTATIONS,
    repeats: int = 25,
    other_repeats: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Score labels as they are, and labels permuted inside programs, in every class mix.

    Permuted run by run, class mix and program identity are kept and nothing else. Permuted by
    configuration, all seeds of a configuration share a label that means nothing, which is known
    under E1 to whoever recognises the configuration.

    Parameters
    ----------
    features : DataFrame indexed by run_id
    mixes : mapping of str to DataFrame
        Runs by class mix, as :func:`class_mixes` returns them.
    label : str
    technique : str, Technique or estimator, optional
        By default :func:`control_forest`.
    kinds : iterable of (unit, strategy)
    repeats : int, default=25
        Permutations of the first kind.
    other_repeats : int, default=5
        Permutations of every other kind.
    random_state, n_jobs : int

    Returns
    -------
    DataFrame
        mix, permuted ("nothing", "run", "configuration"), strategy, repeat, balanced_accuracy
        (pooled), accuracy (share of runs).

    Raises
    ------
    InputError
        If a number of repeats is below 1; and as ``cross_predict``.

    References
    ----------
    The study permutes labels within programs 25 times, arXiv:2606.26492, figure 3b.
    """
    if min(repeats, other_repeats) < 1:
        raise InputError(f"{repeats} and {other_repeats} repeats; expected at least 1 of each kind")
    kinds = list(kinds)
    model = control_forest() if technique is None else technique
    jobs = []
    for name in mixes:
        for strategy in dict.fromkeys(strategy for _, strategy in kinds):
            jobs.append((name, "nothing", strategy, 0))
        for place, (unit, strategy) in enumerate(kinds):
            number = repeats if place == 0 else other_repeats
            jobs += [(name, unit, strategy, repeat) for repeat in range(number)]
    work = Parallel(n_jobs=n_jobs)
    rows = work(
        delayed(_permuted_scores)(features, mixes[job[0]], model, label, job, random_state)
        for job in jobs
    )
    return pd.DataFrame(rows)


def permutation_summary(table: pd.DataFrame, *, metric: str = "balanced_accuracy") -> pd.DataFrame:
    """Put permuted scores beside those of the labels as they are.

    Parameters
    ----------
    table : DataFrame
        As :func:`permutation_table` returns it.
    metric : {"balanced_accuracy", "accuracy"}

    Returns
    -------
    DataFrame
        mix, permuted, strategy, actual, median, low, high (smallest and largest), repeats.

    Examples
    --------
    >>> table = pd.DataFrame({"mix": "m", "strategy": "E1", "repeat": [0, 0, 1, 2],
    ...     "permuted": ["nothing", "run", "run", "run"], "accuracy": [0.9, 0.2, 0.3, 0.5]})
    >>> permutation_summary(table, metric="accuracy")[["actual", "median", "high"]].values.tolist()
    [[0.9, 0.3, 0.5]]
    """
    plain = table[table["permuted"] == "nothing"].set_index(["mix", "strategy"])[metric]
    rows = []
    shuffled = table[table["permuted"] != "nothing"]
    for (mix, unit, strategy), part in shuffled.groupby(
        ["mix", "permuted", "strategy"], sort=False
    ):
        scores = part[metric]
        rows.append(
            {
                "mix": mix,
                "permuted": unit,
                "strategy": strategy,
                "actual": plain[mix, strategy],
                "median": scores.median(),
                "low": scores.min(),
                "high": scores.max(),
                "repeats": len(scores),
            }
        )
    return pd.DataFrame(rows)


def _permuted_scores(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    model: Any,
    label: str,
    job: tuple,
    random_state: int,
) -> dict:
    name, unit, strategy, repeat = job
    if unit != "nothing":
        runs = permute_within_program(runs, label, unit=unit, random_state=random_state + repeat)
    found = cross_predict(features, runs, model, strategy, label, random_state=random_state)
    return {
        "mix": name,
        "permuted": unit,
        "strategy": strategy,
        "repeat": repeat,
        "balanced_accuracy": pooled_balanced_accuracy(found),
        "accuracy": float((found["label"] == found["predicted"]).mean()),
    }
