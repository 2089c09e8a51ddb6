"""Read a trace, whoever recorded it, and say what is wrong with one that cannot be read."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.channels import CHANNELS, LAYER_CHANNELS
from analysis_lib.errors import InputError

__all__ = ["read_layers", "read_trace"]

WANTED = (
    "a trace is a table with one row per snapshot: 'epoch' (-1 is the state before training) and "
    "channels such as train_loss, grad_norm, weight_norm; analysis_lib.Monitor records one"
)

NOTHING = ("", "nan", "none", "null", "na")
"""Texts that stand for a missing value."""


def read_trace(trace: Any, layers: Any = None) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the channels of a trace, and its layers if there are any, after checking them.

    Parameters
    ----------
    trace : DataFrame, Monitor, training.Trace, str or Path
        A table of one run: ``epoch`` and channels; something with such a table as ``trace``
        (:class:`analysis_lib.Monitor`) or ``epochs`` (:class:`analysis_lib.Trace`); or the path of
        one as CSV or Parquet. Other columns are ignored.
    layers : DataFrame, str or Path, optional
        ``epoch``, ``layer`` and layer channels; by default those of the object.

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
    table = _numbers(_table(trace, "trace"), CHANNELS, "trace")
    if table["epoch"].duplicated().any():
        twice = table.loc[table["epoch"].duplicated(), "epoch"].iloc[0]
        raise InputError(f"the trace has epoch {twice} twice; pass the snapshots of one run, once")
    return table, read_layers(layers)


def read_layers(layers: Any) -> pd.DataFrame | None:
    """Return the layer channels of a run, or None if there are none.

    Raises
    ------
    InputError
        As :func:`read_trace`.
    """
    if layers is None:
        return None
    table = _table(layers, "table of layers")
    if table.empty:
        return None
    if "layer" not in table:
        raise InputError("the table of layers has no column 'layer'; Monitor.layers has one")
    found = _numbers(table, LAYER_CHANNELS, "table of layers", keep=("layer",))
    if found.duplicated(["epoch", "layer"]).any():
        raise InputError("the table of layers has a layer twice in an epoch; pass one run")
    return found


def _table(given: Any, what: str) -> pd.DataFrame:
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
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path)
    except Exception as error:  # each reader has its own exceptions
        raise InputError(
            f"{path} cannot be read as a table ({str(error)[:120]}); expected CSV or Parquet"
        ) from None


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
        raise InputError(f"the {what} has no column 'epoch' (it has {have}); {WANTED}")
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
    pairs = []
    for column in map(str, table):
        close = get_close_matches(column.lower().replace("val_", "valid_"), known, 1, 0.6)
        if close and column != "epoch":
            pairs.append(f"'{column}' -> '{close[0]}'")
    if pairs:
        return f"; rename columns, such as {', '.join(pairs[:4])}"
    return f"; they are {', '.join(list(known)[:6])}, ... (analysis_lib.channels)"
