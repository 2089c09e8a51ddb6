"""Predictions of transfer methods on held-out programs, each with what its track allows it."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from analysis_lib.errors import InputError
from analysis_lib.evaluation.predict import features_of
from analysis_lib.evaluation.splits import get_strategy, make_splits, train_rows
from analysis_lib.transfer.methods import Method, get_method
from analysis_lib.transfer.pools import Pool, draw_pool

__all__ = ["TAGS", "transfer_predictions"]

TAGS = ["technique", "track", "size", "mix", "draw", "strategy"]
"""Columns that say what a prediction was made with."""

COLUMNS = ["run_id", "program", "configuration"]


def transfer_predictions(
    features: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    methods: Sequence[str | Method],
    *,
    healthy: pd.DataFrame | None = None,
    pools: Sequence[Pool] = (),
    strategy: str = "E4",
    label: str = "label",
    n_groups: int = 0,
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Predict the runs of held-out programs by methods that see pools of their track.

    Every method is fitted once per fold on the training programs, adapted to every pool of every
    tested program, and predicts the program's runs outside the pool's configurations. Under E6
    pools hold no run of the tested operator. Under E1 and E2, where the program is known, a pool
    of track U is the program's training runs, one of H its healthy runs, and there is none of K.

    Parameters
    ----------
    features : mapping of str to DataFrame indexed by run_id
        Feature tables by name of the feature set; with the healthy runs if a method is of track H.
    runs : DataFrame
        The labelled runs that take part.
    methods : sequence of str or Method
        Names in :data:`~analysis_lib.transfer.methods.METHODS`, or methods of one's own.
    healthy : DataFrame, optional
        Healthy reference runs (run_id, program) of all programs.
    pools : sequence of Pool
        What is drawn; a method takes the pools of its track. Methods of track Z need none.
    strategy : {"E1", "E2", "E4", "E6"}
    label : str
    n_groups : int, default=0
        Groups of programs held out together under E4 and E6; 0 holds out one at a time.
    random_state : int
    n_jobs : int

    Returns
    -------
    DataFrame
        technique, track, size, mix, draw, strategy, run_id, program, configuration, fold, label,
        predicted, a column ``p_<class>`` per class, and seconds (processor time of the fold's fit
        and, divided by their number, its adaptations and predictions).

    Raises
    ------
    InputError
        If a feature table is missing, no pool of a method's track is given, or as ``make_splits``
        and ``draw_pool``.
    """
    chosen = [get_method(m) if isinstance(m, str) else m for m in methods]
    splits = make_splits(
        runs, strategy=strategy, label=label, random_state=random_state, n_groups=n_groups
    )
    rule = get_strategy(strategy)
    seen = "program" not in rule.disjoint
    fold = splits["fold"].to_numpy()
    tasks = []
    for method in chosen:
        if method.feature_set not in features:
            raise InputError(f"{method.name} needs the features '{method.feature_set}'")
        mine = _pools_of(method, pools, seen)
        table = features[method.feature_set]
        x = features_of(table, runs)
        reference = None
        if method.track == "H":
            if healthy is None or healthy.empty:
                raise InputError(f"{method.name} is of track H; pass healthy runs")
            reference = features_of(table, healthy)
        for k in np.unique(fold):
            test = fold == k
            train = np.flatnonzero(train_rows(runs, test, rule))
            held = rule.name == "E6"
            tasks.append(
                _Task(method, mine, x, reference, train, np.flatnonzero(test), int(k), held, seen)
            )
    # plain objects, since rows are taken from these columns thousands of times
    names = [n for n in dict.fromkeys([*COLUMNS, "operator", label]) if n in runs]
    known = runs[names].astype(object).reset_index(drop=True)
    known[label] = known[label].astype(str).astype(object)
    options = (known, healthy, label, random_state)
    parts = Parallel(n_jobs=n_jobs)(delayed(_predict)(task, *options) for task in tasks)
    table = pd.concat(parts, ignore_index=True)
    shares = [c for c in table if c.startswith("p_")]
    table[shares] = table[shares].fillna(0.0)
    table.insert(TAGS.index("strategy"), "strategy", strategy)
    return table


class _Task(NamedTuple):
    method: Method
    pools: list[Pool]
    x: np.ndarray
    reference: np.ndarray | None
    train: np.ndarray
    test: np.ndarray
    fold: int
    without_operator: bool
    seen: bool


def _pools_of(method: Method, pools: Sequence[Pool], seen: bool) -> list[Pool]:
    if method.track == "Z":
        return [Pool("Z")]
    mine = [p for p in pools if p.track == method.track]
    if seen:
        if method.track == "K":
            raise InputError(
                f"{method.name}: where the program is seen its labelled runs are training runs; "
                "leave methods of track K out under E1 and E2"
            )
        return [Pool("U", 0)] if method.track == "U" else [max(mine, key=lambda p: p.size)]
    if not mine:
        raise InputError(f"{method.name} is of track {method.track}; pass a pool of that track")
    return mine


def _predict(
    task: _Task, runs: pd.DataFrame, healthy: Any, label: str, random_state: int
) -> pd.DataFrame:
    method, train, x = task.method, task.train, task.x
    y, program = runs[label].to_numpy(), runs["program"].to_numpy()
    start = time.process_time()
    references = {}
    if task.reference is not None:
        rows = healthy["program"].isin(program[train]).to_numpy()
        references["reference"] = task.reference[rows]
        references["reference_groups"] = healthy["program"].to_numpy()[rows]
    seed = int(np.random.SeedSequence([random_state, task.fold]).generate_state(1)[0] >> 1)
    model = method.make(seed).fit(x[train], y[train], groups=program[train], **references)
    fitted = time.process_time() - start
    parts: list[tuple] = []
    names = np.unique(program[task.test])
    if method.track == "Z":  # what it predicts does not depend on the program
        tested = task.test[np.argsort(program[task.test], kind="stable")]
        parts.append((0, tested, model.predict_proba(x[tested])))
        names = names[:0]
    place = pd.Series(np.arange(len(runs)), index=runs["run_id"])
    for name in names:
        own = np.flatnonzero(program == name)
        tested = task.test[program[task.test] == name]
        without = runs["operator"].iloc[tested].unique() if task.without_operator else ()
        good = None
        if task.reference is not None:
            at = np.flatnonzero((healthy["program"] == name).to_numpy())
            good = healthy.iloc[at]
            where = pd.Series(at, index=good["run_id"])
        touched: set[str]
        for number, pool in enumerate(task.pools):
            if task.seen and method.track == "U":
                ids, touched = runs["run_id"].iloc[np.intersect1d(own, train)].tolist(), set()
            else:
                ids, touched = draw_pool(
                    runs.iloc[own],
                    good,
                    pool,
                    label=label,
                    without=without,
                    random_state=random_state,
                )
            if method.track == "H":
                assert task.reference is not None  # asked for with the tasks
                adapted = model.adapt(task.reference[where[ids]])
            else:
                rows = place[ids].to_numpy()
                known = np.isin(y[rows], model.classes_)
                labels = {"y": y[rows][known]} if method.track == "K" else {}
                adapted = model.adapt(x[rows[known]] if method.track == "K" else x[rows], **labels)
            scored = tested[~runs["configuration"].iloc[tested].isin(touched).to_numpy()]
            if len(scored):
                parts.append((number, scored, adapted.predict_proba(x[scored])))
    spent = fitted + (time.process_time() - start - fitted) / len(task.pools)
    return _table(task, model.classes_, parts, runs, y).assign(fold=task.fold, seconds=spent)


def _table(
    task: _Task, classes: np.ndarray, parts: list[tuple], runs: pd.DataFrame, y: np.ndarray
) -> pd.DataFrame:
    number = np.repeat([n for n, _, _ in parts], [len(rows) for _, rows, _ in parts]).astype(int)
    rows = np.concatenate([np.empty(0, int), *(rows for _, rows, _ in parts)])
    shares = np.concatenate([np.empty((0, len(classes))), *(shares for _, _, shares in parts)])
    pools = pd.DataFrame([(p.size, p.mix, p.draw) for p in task.pools])
    table = pools.iloc[number].set_axis(["size", "mix", "draw"], axis=1).reset_index(drop=True)
    table.insert(0, "technique", task.method.name)
    table.insert(1, "track", task.method.track)
    for column in COLUMNS:
        table[column] = runs[column].to_numpy()[rows]
    table = table.assign(label=y[rows], predicted=classes[shares.argmax(axis=1)])
    return table.join(pd.DataFrame(shares, columns=[f"p_{c}" for c in classes]))
