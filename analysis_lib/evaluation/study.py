"""Techniques x windows x strategies in one table of predictions, with a cache on disk."""

import hashlib
import inspect
import json
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache as cached
from importlib.metadata import version
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from analysis_lib.dependencies import code_files
from analysis_lib.errors import InputError
from analysis_lib.evaluation.folds import check_folds, pick_splits
from analysis_lib.evaluation.predict import FoldTask, assemble, fit_fold, fold_tasks
from analysis_lib.evaluation.predictions import (
    check_predictions,
    load_predictions,
    save_predictions,
)
from analysis_lib.evaluation.splits import get_strategy, make_splits
from analysis_lib.features import FeatureSet, extract
from analysis_lib.techniques import Technique, get_technique

__all__ = ["run_study"]


def run_study(
    epochs: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    label: str,
    techniques: Iterable[str | Technique] = ("DEFault", "DeepFD"),
    windows: Iterable[int] = (5,),
    strategies: Iterable[str] = ("E1", "E2", "E4"),
    random_state: int = 0,
    n_splits: int = 5,
    n_groups: int = 0,
    repeats: int = 1,
    probabilities: bool = False,
    balance: str = "subsample",
    folds: pd.DataFrame | None = None,
    n_jobs: int = 1,
    cache: str | Path | None = None,
    content_hash: str = "",
) -> pd.DataFrame:
    """Predict every run by every technique, at every window, under every strategy.

    Parameters
    ----------
    epochs : corpus or DataFrame
        Traces, see :func:`analysis_lib.features.extract`.
    runs : DataFrame
        The runs that take part, see :func:`analysis_lib.labels.select_runs`.
    label : str
        Column of ``runs`` with the class.
    techniques : iterable of str or Technique
    windows : iterable of int
    strategies : iterable of str
    random_state, n_splits, probabilities, balance
        See :func:`analysis_lib.evaluation.predict.cross_predict`.
    n_groups : int, default=0
        See :func:`analysis_lib.evaluation.splits.make_splits`; without meaning if ``folds`` are
        given.
    n_jobs : int, default=1
        Worker processes (joblib), -1 for one per core. All folds of all combinations are one queue,
        so that no worker waits for the end of a combination; results do not depend on their number.
    repeats : int, default=1
        How often what is drawn at random (folds of E1, E2 and E3, runs of E2bal and E4bal) is
        drawn, with random states from ``random_state`` on.
    folds : DataFrame, optional
        Stored folds, see :mod:`analysis_lib.evaluation.folds`; by default they are made.
    cache : path, optional
        Folder for finished predictions, one file per combination in the format of
        :mod:`analysis_lib.evaluation.predictions`. A file is used again
        if the features, the runs, their labels and folds, the estimator with its parameters and
        the modules of its classes, the code of this package that they and this function use, the
        options, the version of scikit-learn and ``content_hash`` are the same.
    content_hash : str
        Anything else that the results depend on, such as the corpus's hash or a code version.

    Returns
    -------
    DataFrame
        technique, window, strategy, repeat, then the columns of ``cross_predict``; one row per
        run and combination, as :mod:`analysis_lib.evaluation.predictions` documents it. Its
        ``attrs["costs"]`` lists technique, window, strategy, repeat and seconds: CPU time of
        fitting and predicting all folds, as it was when they were fitted.

    Raises
    ------
    InputError
        As ``extract``, ``cross_predict`` and ``check_folds``; and if nothing is asked for.
    """
    chosen = [get_technique(t) if isinstance(t, str) else t for t in techniques]
    if type(repeats) is not int or repeats < 1:
        raise InputError(f"repeats is {repeats!r}; expected an integer of at least 1")
    asked = [
        (technique, window, strategy, repeat)
        for technique, window, strategy in product(chosen, windows, strategies)
        for repeat in range(repeats if get_strategy(strategy).drawn else 1)
    ]
    if not asked:
        raise InputError("nothing to do: give at least one technique, window and strategy")
    table = getattr(epochs, "epochs", epochs)
    table = table[table["run_id"].isin(runs["run_id"])]
    if folds is not None:
        check_folds(folds, runs, label=label)
    features, drawn, parts, missing, costs, texts = {}, {}, {}, [], {}, {}
    known = b"" if cache is None else _runs_text(runs, label)
    for place, (technique, window, strategy, repeat) in enumerate(asked):
        key = (technique.feature_set, window)
        if key not in features:
            features[key] = extract(table, technique.feature_set, window=window)
        options: dict[str, Any] = {"random_state": random_state + repeat, "n_splits": n_splits}
        options["n_groups"] = n_groups if get_strategy(strategy).unit else 0
        if folds is not None:
            splits = pick_splits(folds, strategy, repeat=repeat)
        else:
            if (strategy, repeat) not in drawn:
                made = make_splits(runs, strategy=strategy, label=label, **options)
                drawn[strategy, repeat] = made
            splits = drawn[strategy, repeat]
        options |= {"probabilities": probabilities, "balance": balance}
        tags: dict[str, Any] = {
            "technique": technique.name,
            "window": window,
            "strategy": strategy,
            "repeat": repeat,
        }
        file = None
        if cache is not None:
            setting = {"label": label, "options": options, "content": content_hash, "tags": tags}
            x = features[key].reindex(runs["run_id"])
            if id(splits) not in texts:  # kept beside its text, or its id could be another's
                texts[id(splits)] = (_text(splits), splits)
            about = (known, texts[id(splits)][0])
            digest = _digest(x, about, technique, strategy, setting)
            file = Path(cache) / f"{digest}.parquet"
        if file is not None and file.exists():
            parts[place] = load_predictions(file)
            costs[place] = tags | {"seconds": parts[place].attrs.get("seconds")}
            parts[place].attrs = {}
        else:
            missing.append((place, features[key], technique, splits, tags, file))
    seeds = [random_state + tags["repeat"] for *_, tags, _ in missing]
    fitted = _fit_all(missing, runs, label, seeds=seeds, balance=balance, n_jobs=n_jobs)
    for (place, _, _, splits, tags, file), results in zip(missing, fitted, strict=True):
        found, seconds = zip(*results, strict=True)
        predictions = assemble(runs, label, splits, found, probabilities=probabilities)
        parts[place] = _tag(predictions, tags)
        costs[place] = tags | {"seconds": sum(seconds)}
        if file is not None:
            note = {"label": label, "seconds": sum(seconds), "versions": _versions()}
            save_predictions(parts[place], file, metadata=note)
    ordered = [parts[place] for place in range(len(asked))]
    table = check_predictions(pd.concat(ordered, ignore_index=True))
    table.attrs["costs"] = [costs[place] for place in range(len(asked))]
    return table


def _fit_all(
    missing: list[tuple],
    runs: pd.DataFrame,
    label: str,
    *,
    seeds: list[int],
    balance: str,
    n_jobs: int,
) -> Iterator[list[tuple]]:
    """Yield results and CPU seconds of the folds of every combination, fitted in one queue."""
    sizes: deque[int] = deque()
    shared: dict[int, np.ndarray] = {}  # one array per feature table: workers map it once

    def tasks():
        for (_, features, technique, splits, tags, _), seed in zip(missing, seeds, strict=True):
            folds = fold_tasks(
                features,
                runs,
                technique,
                tags["strategy"],
                label,
                splits=splits,
                random_state=seed,
                balance=balance,
            )
            sizes.append(len(folds))
            x = shared.setdefault(id(features), folds[0].x)
            yield from (task._replace(x=x) for task in folds)

    queue = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(_timed)(t) for t in tasks())
    for _ in missing:
        first = next(queue)  # by now the folds of this combination have been counted
        yield [first, *islice(queue, sizes.popleft() - 1)]
    next(queue, None)  # joblib takes a queue that is dropped at its last result for a cancelled one


def _timed(task: FoldTask) -> tuple[tuple, float]:
    start = time.process_time()
    return fit_fold(task), time.process_time() - start


def _tag(predictions: pd.DataFrame, tags: dict) -> pd.DataFrame:
    for place, (name, value) in enumerate(tags.items()):
        predictions.insert(place, name, value)
    return predictions


def _digest(
    x: pd.DataFrame,
    about: tuple[bytes, ...],
    technique: Technique,
    strategy: str,
    setting: dict[str, Any],
) -> str:
    feature_set = technique.feature_set
    name = feature_set.name if isinstance(feature_set, FeatureSet) else feature_set
    estimator = technique.make_estimator(0)
    kinds = _kinds(estimator)
    text = {
        "technique": [technique.name, name, str(estimator.get_params())],
        "kinds": [f"{kind.__module__}.{kind.__qualname__}\n{_code_of(kind)}" for kind in kinds],
        "code": _code(),
        "strategy": strategy,
        "columns": list(map(str, x.columns)),
        **setting,
        "sklearn": version("scikit-learn"),
    }
    digest = hashlib.sha256(json.dumps(text, sort_keys=True).encode())
    digest.update(x.to_numpy(dtype=float).tobytes())
    for part in about:
        digest.update(part)
    return digest.hexdigest()[:32]


def _runs_text(runs: pd.DataFrame, label: str) -> bytes:
    names = [c for c in ("run_id", "program", "configuration", "family", "operator") if c in runs]
    return _text(runs[[*names, label]])


def _text(table: pd.DataFrame) -> bytes:
    return table.astype(str).to_csv(index=False).encode()


def _kinds(estimator: Any) -> list[type]:
    """Classes of an estimator and of all estimators nested in its parameters."""
    nested = [v for v in estimator.get_params().values() if hasattr(v, "get_params")]
    return sorted({type(e) for e in (estimator, *nested)}, key=lambda k: k.__qualname__)


@cached
def _code() -> str:
    """Digest of the modules of this package that turn features into predictions."""
    here = Path(__file__).parent
    names = ("balance", "erasure", "predict", "splits", "study")
    return _digest_of(here / f"{name}.py" for name in names)


@cached
def _code_of(kind: type) -> str:
    """Digest of the module of a class, with what it imports if it is of this package."""
    if files := code_files(kind.__module__):
        return _digest_of(files)
    try:
        file = inspect.getsourcefile(sys.modules[kind.__module__])
        return _digest_of([file]) if file else _source(kind)
    except (KeyError, OSError, TypeError):  # compiled, or of a console
        return _source(kind)


def _source(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # defined in a console, or compiled
        return ""


def _digest_of(files: Iterable[str | Path]) -> str:
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("numpy", "pandas", "scikit-learn")}
