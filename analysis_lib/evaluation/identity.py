"""Do features know the program, whatever the fault?

A classifier of programs that is trained and tested on the same fault classes can read the program
from which faults it has. Here it is trained on some classes and tested on the others, so what it
recognises is the program itself. That programs can be recognised does not show that a diagnosing
model makes use of it; see :mod:`analysis_lib.evaluation.erasure` for that.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.ensemble import RandomForestClassifier

from analysis_lib.errors import InputError, unknown
from analysis_lib.evaluation.balance import balanced_rows
from analysis_lib.evaluation.inference import t_interval
from analysis_lib.evaluation.predict import features_of, fit_predict, make_factory

__all__ = ["identity_predictions", "identity_scores"]


def identity_predictions(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    label: str,
    *,
    technique: Any = None,
    always: Iterable[str] = (),
    erasure: Any = None,
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Predict the program of the runs of every class from runs of the other classes.

    For every class, a classifier of programs is trained on the runs of all other classes, drawn so
    that each program has the same number, and predicts the program of the runs of that class.
    Programs without runs of another class are not tested in it.

    Parameters
    ----------
    features : DataFrame indexed by run_id
    runs : DataFrame
        run_id, program and the label.
    label : str
    technique : str, Technique or estimator, optional
        See :func:`analysis_lib.evaluation.predict.cross_predict`; by default a random forest of
        100 trees.
    always : iterable of str
        Classes that are always trained on and never tested, such as the healthy one.
    erasure : object, optional
        See ``cross_predict``; fitted on the training runs.
    random_state, n_jobs : int

    Returns
    -------
    DataFrame
        run_id, program, label (the class, held out), predicted (a program).

    Raises
    ------
    InputError
        As ``cross_predict`` for features; if a class of ``always`` is unknown; if there are fewer
        than two programs or fewer than two classes of which one can be held out.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> world = simulate_world("none", programs=3, classes=2, identity=20.0)
    >>> found = identity_predictions(*world, "label", technique=DecisionTreeClassifier())
    >>> bool((found["program"] == found["predicted"]).mean() > 0.9)
    True
    """
    x = features_of(features, runs)
    classes = runs[label].astype(str).to_numpy()
    # numbers, since scikit-learn's class weights fail on names such as "12"
    program, names = pd.factorize(runs["program"].astype(str).to_numpy(), sort=True)
    always = [str(c) for c in always]
    for name in always:
        if name not in classes:
            raise unknown(label, name, np.unique(classes))
    tested = [c for c in np.unique(classes) if c not in always]
    if len(np.unique(program)) < 2 or len(np.unique(classes)) < 2 or not tested:
        raise InputError(
            f"{len(np.unique(program))} programs and {len(tested)} classes to hold out of "
            f"{len(np.unique(classes))}; need two programs, and a class beside the tested one"
        )
    forest = RandomForestClassifier(100, random_state=random_state)
    make = make_factory(forest if technique is None else technique)
    tasks, places = [], []
    for k, name in enumerate(tested):
        train = np.flatnonzero(classes != name)
        test = np.flatnonzero((classes == name) & np.isin(program, program[train]))
        if len(test) == 0 or len(np.unique(program[train])) < 2:
            continue
        seed = int(np.random.SeedSequence([random_state, k]).generate_state(1)[0] >> 1)
        train = train[balanced_rows(np.zeros(len(train)), program[train], random_state=seed)]
        eraser = None if erasure is None else (erasure, program[train], classes[train])
        tasks.append((make, x[train], program[train], x[test], seed, None, eraser))
        places.append(test)
    if not tasks:
        raise InputError("no class has runs in programs that have another class, too")
    results = Parallel(n_jobs=n_jobs)(delayed(fit_predict)(*task) for task in tasks)
    rows = np.concatenate(places)
    return pd.DataFrame(
        {
            "run_id": runs["run_id"].to_numpy()[rows],
            "program": names[program[rows]],
            "label": classes[rows],
            "predicted": names[np.concatenate([guess for guess, _, _ in results]).astype(int)],
        }
    )


def identity_scores(predictions: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Score how well programs were recognised, by held-out class and in all.

    The score is the mean over programs of the share of their runs that were attributed to them;
    chance is 1 / G with G programs.

    Parameters
    ----------
    predictions : DataFrame
        As :func:`identity_predictions` returns it.
    level : float, default=0.95

    Returns
    -------
    DataFrame indexed by the held-out class, the last row "all"
        accuracy, low, high (Student's interval over programs), chance, programs, runs. In the last
        row, a program's share is the mean over its classes.

    Raises
    ------
    InputError
        If a column is missing or there is no row.

    Examples
    --------
    >>> guesses = pd.DataFrame({"run_id": range(4), "program": list("ppqq"), "label": "a",
    ...                         "fold": 0, "predicted": list("pqqq")})
    >>> identity_scores(guesses).loc["all", ["accuracy", "chance"]].tolist()
    [0.75, 0.5]
    """
    missing = [c for c in ("program", "label", "predicted") if c not in predictions]
    if missing or predictions.empty:
        raise InputError(
            f"identity predictions lack {', '.join(missing) or 'rows'}; identity_predictions "
            "makes them"
        )
    right = (predictions["program"] == predictions["predicted"]).astype(float)
    cells = right.groupby([predictions["label"], predictions["program"]]).agg(["mean", "size"])
    total = cells.groupby("program").agg({"mean": "mean", "size": "sum"})
    groups = {name: own for name, own in cells.groupby("label")} | {"all": total}
    chance = 1 / len(total)
    rows = {}
    for name, own in groups.items():
        interval = t_interval(own["mean"], level=level)
        rows[name] = {
            "accuracy": interval.estimate,
            "low": interval.low,
            "high": interval.high,
            "chance": chance,
            "programs": interval.n,
            "runs": int(own["size"].sum()),
        }
    return pd.DataFrame(rows).T.rename_axis("held_out")
