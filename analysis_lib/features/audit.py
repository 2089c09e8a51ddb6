"""What must never be a feature, as feature sets: for the leak audit alone.

Learning rate, length, machine and program of a run are ``meta_`` or identity columns of a corpus,
and no registered feature set can read them. How much they alone would buy is a question of the
study, and these functions are the only way to ask it. Their columns are named ``leak_...``.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError, unknown
from analysis_lib.features import deepfd, default, rules
from analysis_lib.features.featureset import FeatureSet
from analysis_lib.features.values import Cube, signed_log10

__all__ = ["AUDIT_SETS", "audit_feature_set", "leak_table"]

AUDIT_SETS: Mapping[str, str] = MappingProxyType(
    {
        "audit_rate": "learning rate",
        "audit_epochs": "number of recorded epochs",
        "audit_steps": "optimizer steps and batch size",
        "audit_hardware": "CPU and wall-clock seconds",
        "audit_program": "which program it is, one column each",
        "audit_all": "all of these",
        "default_as_released": "DEFault's 26 columns with rate, epochs and hardware, as released",
        "deepfd_as_released": "DeepFD's 148 columns under the shifted header, as released",
        "umlaut_with_rate": "the channels of UMLAUT, and the learning rate",
    }
)
"""Feature sets of the audit: name -> what is in it."""

_COLUMNS = {
    "audit_rate": ("meta_learning_rate",),
    "audit_epochs": (),
    "audit_steps": ("meta_steps", "meta_batch_size"),
    "audit_hardware": ("meta_cpu_s", "meta_wall_s"),
    "audit_program": ("program",),
}


def leak_table(corpus: Any, name: str) -> pd.DataFrame:
    """Return what the columns around a run give away.

    Parameters
    ----------
    corpus : corpus
        With ``runs`` and ``epochs``.
    name : {"audit_rate", "audit_epochs", "audit_steps", "audit_hardware", "audit_program", \
"audit_all"}

    Returns
    -------
    DataFrame of shape (n_runs, n_features), indexed by run_id
        ``leak_<column>``: signed log10 of numbers, 0 where missing; 0 or 1 per program.

    Raises
    ------
    InputError
        If the name is unknown or ``runs`` lacks a column.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> runs = pd.DataFrame({"run_id": ["a", "b"], "program": ["p", "q"]})
    >>> epochs = pd.DataFrame({"run_id": ["a", "a", "b"], "epoch": [-1, 0, -1]})
    >>> corpus = SimpleNamespace(runs=runs, epochs=epochs)
    >>> leak_table(corpus, "audit_epochs")["leak_epochs"].tolist()
    [1.0, 0.0]
    >>> list(leak_table(corpus, "audit_program"))
    ['leak_program_p', 'leak_program_q']
    """
    if name == "audit_all":
        return pd.concat([leak_table(corpus, part) for part in _COLUMNS], axis=1)
    if name not in _COLUMNS:
        raise unknown("set of leaks", name, (*_COLUMNS, "audit_all"))
    runs = corpus.runs
    missing = [c for c in ("run_id", *_COLUMNS[name]) if c not in runs]
    if missing:
        raise InputError(f"runs lacks {', '.join(missing)}; load the runs with all columns")
    index = pd.Index(runs["run_id"], name="run_id")
    if name == "audit_program":
        return pd.get_dummies(runs["program"], prefix="leak_program", dtype=float).set_index(index)
    if name == "audit_epochs":
        trained = corpus.epochs.loc[corpus.epochs["epoch"] >= 0, "run_id"].value_counts()
        return pd.DataFrame({"leak_epochs": trained.reindex(index).fillna(0).astype(float)})
    table = {}
    for column in _COLUMNS[name]:
        values = pd.to_numeric(runs[column], errors="coerce").to_numpy(float, na_value=np.nan)
        table[column.replace("meta_", "leak_")] = signed_log10(np.nan_to_num(values))
    return pd.DataFrame(table, index=index)


def audit_feature_set(corpus: Any, name: str) -> FeatureSet:
    """Return a feature set that leaks, to be passed to ``extract`` or a technique by hand.

    Parameters
    ----------
    corpus : corpus
        With ``runs`` and ``epochs``; runs are looked up by their run_id.
    name : str
        Key of :data:`AUDIT_SETS`.

    Returns
    -------
    FeatureSet

    Raises
    ------
    InputError
        As :func:`leak_table`.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from analysis_lib.features import extract
    >>> corpus = SimpleNamespace(
    ...     runs=pd.DataFrame({"run_id": ["a"], "meta_learning_rate": [1.0]}),
    ...     epochs=pd.DataFrame({"run_id": ["a"], "epoch": [-1], "train_loss": [2.0]}))
    >>> leak = audit_feature_set(corpus, "audit_rate")
    >>> extract(corpus, leak, window=0).round().to_dict("list")
    {'leak_learning_rate': [12.0]}
    """
    if name not in AUDIT_SETS:
        raise unknown("feature set of the audit", name, AUDIT_SETS)
    if name == "deepfd_as_released":
        return FeatureSet(name, deepfd.CHANNELS, deepfd.as_released_features, AUDIT_SETS[name])
    if name == "umlaut_with_rate":
        rate = 10 ** (leak_table(corpus, "audit_rate") - 12)
        return FeatureSet(name, rules.UMLAUT, _WithRate(rate), AUDIT_SETS[name])
    if name == "default_as_released":
        parts = ("audit_rate", "audit_epochs", "audit_hardware")
        table = pd.concat([leak_table(corpus, part) for part in parts], axis=1)
        base = default.faithful_features
        return FeatureSet(name, default.CHANNELS, _Lookup(table, base), AUDIT_SETS[name])
    table = leak_table(corpus, name)
    return FeatureSet(name, ("train_loss",), _Lookup(table, None), AUDIT_SETS[name])


class _Lookup:
    """Features of runs by their run_id, beside those of a base set."""

    def __init__(self, table: pd.DataFrame, base: Callable[[Cube], dict] | None):
        self.table, self.base = table, base

    def __call__(self, cube: Cube) -> dict[str, np.ndarray]:
        own = {} if self.base is None else self.base(cube)
        found = _of(self.table, cube)
        return own | {column: found[column].to_numpy() for column in found}


class _WithRate:
    """Curves, and the learning rate as one more curve."""

    def __init__(self, rate: pd.DataFrame):
        self.rate = rate

    def __call__(self, cube: Cube) -> dict[str, np.ndarray]:
        table = rules.per_epoch(cube)
        rate = _of(self.rate, cube).iloc[:, 0].to_numpy()
        for column, values in list(table.items()):
            if column.startswith("train_loss@"):
                there = values != rules.ABSENT
                at = column.removeprefix("train_loss@")
                table[f"leak_learning_rate@{at}"] = np.where(there, rate, rules.ABSENT)
        return table


def _of(table: pd.DataFrame, cube: Cube) -> pd.DataFrame:
    absent = ~np.isin(cube.run_ids, table.index)
    if absent.any():
        raise InputError(
            f"{int(absent.sum())} runs are not in the corpus of the audit, such as "
            f"{cube.run_ids[absent][0]}; make the feature set from the corpus of these runs"
        )
    return table.loc[cube.run_ids]
