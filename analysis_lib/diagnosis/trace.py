"""Read a trace, whoever recorded it, and say what is wrong with one that cannot be read."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.channels import CHANNELS, LAYER_CHANNELS
from analysis_lib.errors import InputError
from analysis_lib.harness.reading import read_table

__all__ = ["read_layers", "read_trace"]

WANTED = (
    "a trace is a table with one row per snapshot: 'epoch' (-1 is the state before training) and "
    "channels such as train_loss, grad_norm, weight_norm; analysis_lib.Monitor records one"
)

SYNONYMS = {
    "train_loss": "loss training_loss trainloss loss_train loss_epoch",
    "valid_loss": "val_loss validation_loss eval_loss test_loss validloss valloss dev_loss",
    "train_accuracy": "acc accuracy train_acc training_accuracy training_acc",
    "valid_accuracy": "val_acc val_accuracy valid_acc validation_accuracy validation_acc "
    "eval_accuracy eval_acc test_accuracy test_acc",
    "grad_norm": "gradient_norm total_grad_norm",
    "weight_norm": "param_norm parameter_norm",
}
"""What other tools call the channels, with ``_`` for any mark between words."""

CHANNEL_OF = {name: channel for channel, names in SYNONYMS.items() for name in names.split()}

NOTHING = ("", "nan", "none", "null", "na")
"""Texts that stand for a missing value."""


def read_trace(
    trace: Any, layers: Any = None, *, encoding: str = "utf-8"
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the channels of a trace, and its layers if there are any, after checking them.

    Parameters
    ----------
    trace : DataFrame, Monitor, training.Trace, str or Path
        A table of one run: ``epoch`` and channels; something with such a table as ``trace``
        (:class:`analysis_lib.Monitor`) or ``epochs`` (:class:`analysis_lib.Trace`); or the path of
        one as CSV or Parquet. Other columns are ignored.
    layers : DataFrame, str or Path, optional
        ``epoch``, ``layer`` and layer channels; by default those of the object.
    encoding : str, default="utf-8"
        Of files that are CSV; how they are read is said at
        :func:`analysis_lib.harness.read_table`.

    Returns
    -------
    epochs : DataFrame
        epoch (int) and channels (float), in the order of time.
    layers : DataFrame or None

    Raises
    ------
    InputError
        If there is no such file, no ``epoch``, no known channel, several runs, an epoch twice, or
        a value that is no number.

    Examples
    --------
    >>> epochs, layers = read_trace(pd.DataFrame({"epoch": [0, -1], "train_loss": ["1", "2"]}))
    >>> epochs["epoch"].tolist(), epochs["train_loss"].tolist(), layers
    ([-1, 0], [2.0, 1.0], None)
    """
    if not isinstance(trace, pd.DataFrame):
        layers = getattr(trace, "layers", None) if layers is None else layers
        own = (getattr(trace, name, None) for name in ("trace", "epochs"))
        trace = next((table for table in own if isinstance(table, pd.DataFrame)), trace)
    table = _numbers(_table(trace, "trace", encoding), CHANNELS, "trace")
    if table["epoch"].duplicated().any():
        twice = table.loc[table["epoch"].duplicated(), "epoch"].iloc[0]
        raise InputError(f"the trace has epoch {twice} twice; pass the snapshots of one run, once")
    return table, read_layers(layers, encoding=encoding)


def read_layers(layers: Any, *, encoding: str = "utf-8") -> pd.DataFrame | None:
    """Return the layer channels of a run, or None if there are none.

    Raises
    ------
    InputError
        As :func:`read_trace`.
    """
    if layers is None:
        return None
    table = _table(layers, "table of layers", encoding)
    if table.empty:
        return None
    if "layer" not in table:
        raise InputError("the table of layers has no column 'layer'; Monitor.layers has one")
    found = _numbers(table, LAYER_CHANNELS, "table of layers", keep=("layer",))
    if found.duplicated(["epoch", "layer"]).any():
        raise InputError("the table of layers has a layer twice in an epoch; pass one run")
    return found


def _table(given: Any, what: str, encoding: str) -> pd.DataFrame:
    if isinstance(given, pd.DataFrame):
        return given
    if not isinstance(given, str | Path):
        raise InputError(f"the {what} is a {type(given).__name__}; {WANTED}")
    path = Path(given)
    try:
        found = path.is_file()
    except OSError:  # a name that no file can have
        found = False
    if not found:
        raise InputError(f"there is no file {str(path)[:200]}; expected a {what} as CSV or Parquet")
    try:
        return read_table(path, encoding=encoding)
    except InputError as error:
        raise InputError(f"the {what} cannot be read: {error}") from None


def _numbers(
    table: pd.DataFrame, known: Iterable[str], what: str, keep: tuple[str, ...] = ()
) -> pd.DataFrame:
    if table.columns.nlevels > 1 or not table.columns.is_unique:
        raise InputError(
            f"the {what} has two columns of the same name, or names of several levels; "
            "give every column one name of its own"
        )
    if "epoch" not in table:
        have = ", ".join(map(str, list(table)[:8])) or "no columns"
        raise InputError(f"the {what} has no column 'epoch' (it has {have}){_epoch_hint(table)}")
    if table.empty:
        raise InputError(f"the {what} has no rows; {WANTED}")
    runs = table["run_id"].astype(str).nunique() if "run_id" in table else 1
    if runs > 1:
        raise InputError(
            f"the {what} holds {runs} runs; pass one, such as trace[trace.run_id == ...]"
        )
    columns = [c for c in known if c in table]
    if not columns:
        raise InputError(f"the {what} has none of the known channels{_hint(table, known)}")
    found = {name: _column(table[name], what) for name in ("epoch", *columns)}
    epoch = found.pop("epoch")
    if not np.isfinite(epoch).all() or (epoch != np.round(epoch)).any() or (epoch < -1).any():
        raise InputError(
            f"column 'epoch' of the {what} holds something else than -1, 0, 1, ...; "
            "number the snapshots by epochs, -1 before training"
        )
    if epoch.max() > 1e9:
        raise InputError(f"column 'epoch' of the {what} holds {epoch.max():g}; expected epochs")
    result = pd.DataFrame({"epoch": epoch.astype("int64"), **found})
    for name in keep:
        result.insert(1, name, table[name].astype(str).to_numpy())
    return result.sort_values("epoch", kind="stable").reset_index(drop=True)


def _column(column: pd.Series, what: str) -> np.ndarray:
    """Values as numbers; texts, tensors and decimals are read one by one."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return np.asarray(column.astype("float64"))
    found = np.full(len(column), np.nan)
    for i, value in enumerate(column):
        try:
            found[i] = _number(value)
        except Exception:  # each type has its own exceptions
            raise InputError(
                f"column '{column.name}' of the {what} holds {str(value)[:60]!r}; expected numbers"
            ) from None
    return found


def _number(value: Any) -> float:
    if value is None or value is pd.NA or str(value).strip().lower() in NOTHING:
        return float("nan")
    return float(value.item() if hasattr(value, "item") else value)


def _hint(table: pd.DataFrame, known: Iterable[str]) -> str:
    known, given = list(known), set(map(str, table))
    pairs: dict[str, str] = {}
    for column in map(str, table):
        name = _plain_name(column)
        meant = name if name in known else CHANNEL_OF.get(name)
        if meant is None:  # a slip of a letter or two; another word is another thing
            meant = next(iter(get_close_matches(name, known, 1, 0.9)), None)
        if meant in known and meant not in given and meant not in pairs.values():
            pairs[column] = meant
    if pairs:
        renamed = ", ".join(f"'{a}' -> '{b}'" for a, b in list(pairs.items())[:6])
        return f"; rename columns, such as {renamed}"
    return f"; they are {', '.join(known[:6])}, ... (analysis_lib.channels)"


def _plain_name(column: str) -> str:
    return re.sub(r"[\W_]+", "_", column.strip().lower()).strip("_")


def _epoch_hint(table: pd.DataFrame) -> str:
    meant = [c for c in map(str, table) if _plain_name(c) in ("epoch", "epochs", "epoch_number")]
    return f"; did you mean '{meant[0]}'? rename it to 'epoch'" if meant else f"; {WANTED}"
