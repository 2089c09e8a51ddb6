"""Techniques x windows x strategies in one table of predictions, with a cache on disk."""

import hashlib
import inspect
import json
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache as cached
from itertools import islice, product
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from joblib import Parallel, delayed

from analysis_lib.errors import InputError
from analysis_lib.evaluation.folds import check_folds, pick_splits
from analysis_lib.evaluation.predict import assemble, fit_fold, fold_tasks
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
        code, this package's code, the options, the version of scikit-learn and ``content_hash``
        are the same.
    content_hash : str
        Anything else that the results depend on, such as the corpus's hash or a code version.

    Returns
    -------
    DataFrame
        technique, window, strategy, repeat, then the columns of ``cross_predict``; one row per
        run and combination, as :mod:`analysis_lib.evaluation.predictions` documents it.

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
    features, drawn, parts, missing = {}, {}, {}, []
    for place, (technique, window, strategy, repeat) in enumerate(asked):
        key = (technique.feature_set, window)
        if key not in features:
            features[key] = extract(table, technique.feature_set, window=window)
        options = {"random_state": random_state + repeat, "n_splits": n_splits}
        options["n_groups"] = n_groups if get_strategy(strategy).unit else 0
        if folds is not None:
            splits = pick_splits(folds, strategy, repeat=repeat)
        else:
            if (strategy, repeat) not in drawn:
                made = make_splits(runs, strategy=strategy, label=label, **options)
                drawn[strategy, repeat] = made
            splits = drawn[strategy, repeat]
        options |= {"probabilities": probabilities, "balance": balance}
        tags = {"technique": technique.name, "window": window, "strategy": strategy}
        tags["repeat"] = repeat
        file = None
        if cache is not None:
            setting = {"label": label, "options": options, "content": content_hash, "tags": tags}
            x = features[key].reindex(runs["run_id"])
            digest = _digest(x, runs, splits, technique, strategy, setting)
            file = Path(cache) / f"{digest}.parquet"
        if file is not None and file.exists():
            parts[place] = load_predictions(file)
            parts[place].attrs = {}
        else:
            missing.append((place, features[key], technique, splits, tags, file))
    seeds = [random_state + tags["repeat"] for *_, tags, _ in missing]
    fitted = _fit_all(missing, runs, label, seeds=seeds, balance=balance, n_jobs=n_jobs)
    for (place, _, _, splits, tags, file), results in zip(missing, fitted, strict=True):
        predictions = assemble(runs, label, splits, results, probabilities=probabilities)
        parts[place] = _tag(predictions, tags)
        if file is not None:
            save_predictions(parts[place], file, metadata={"label": label})
    ordered = [parts[place] for place in range(len(asked))]
    return check_predictions(pd.concat(ordered, ignore_index=True))


def _fit_all(missing, runs, label, *, seeds, balance, n_jobs) -> Iterator[list[tuple]]:
    """Yield the results of the folds of every combination, all fitted in one queue."""
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

    queue = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(fit_fold)(t) for t in tasks())
    for _ in missing:
        first = next(queue)  # by now the folds of this combination have been counted
        yield [first, *islice(queue, sizes.popleft() - 1)]
    next(queue, None)  # joblib takes a queue that is dropped at its last result for a cancelled one


def _tag(predictions: pd.DataFrame, tags: dict) -> pd.DataFrame:
    for place, (name, value) in enumerate(tags.items()):
        predictions.insert(place, name, value)
    return predictions


def _digest(x, runs, folds, technique, strategy, setting) -> str:
    names = [c for c in ("run_id", "program", "configuration", "family", "operator") if c in runs]
    feature_set = technique.feature_set
    name = feature_set.name if isinstance(feature_set, FeatureSet) else feature_set
    text = {
        "technique": [technique.name, name, *_identity(technique.make_estimator(0))],
        "code": _code(),
        "strategy": strategy,
        "columns": list(map(str, x.columns)),
        **setting,
        "sklearn": sklearn.__version__,
    }
    digest = hashlib.sha256(json.dumps(text, sort_keys=True).encode())
    digest.update(x.to_numpy(dtype=float).tobytes())
    digest.update(runs[[*names, setting["label"]]].astype(str).to_csv(index=False).encode())
    digest.update(folds.astype(str).to_csv(index=False).encode())
    return digest.hexdigest()[:32]


def _identity(estimator) -> list[str]:
    """Parameters of an estimator, and name and source of its class and of all nested ones."""
    parameters = estimator.get_params()
    nested = [v for v in parameters.values() if hasattr(v, "get_params")]
    kinds = sorted({type(e) for e in (estimator, *nested)}, key=lambda k: k.__qualname__)
    return [str(parameters), *(f"{k.__module__}.{k.__qualname__}\n{_source(k)}" for k in kinds)]


def _source(kind: type) -> str:
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # defined in a console, or compiled
        return ""


@cached
def _code() -> str:
    """Digest of the modules that turn features into predictions."""
    here = Path(__file__).parent
    names = ("balance", "erasure", "predict", "splits", "study")
    files = [here / f"{name}.py" for name in names]
    files += sorted(here.parent.joinpath("techniques").glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
