"""Predictions in one format, so that anything can be scored again without fitting.

One row per technique, window, strategy, repeat and run, in a Parquet file:

============= ======= ============================================================== ========
column        type    meaning                                                        must be
============= ======= ============================================================== ========
technique     str     what predicted                                                 yes
window        int     epochs that it saw                                             yes
strategy      str     how runs were divided, a key of ``STRATEGIES``                 yes
repeat        int     number of the draw, from 0; always 0 where nothing is drawn    yes
run_id        str     the tested run                                                 yes
program       str     its program                                                    yes
configuration str     its configuration                                              no
fold          int     fold in which it was tested, from 0                            yes
label         str     its class                                                      yes
predicted     str     the class predicted for it                                     yes
p_<class>     float   probability of the class; all missing in rows without any      no
============= ======= ============================================================== ========

A file is about one set of labels. Other columns are kept. The file's metadata hold the name and
version of the format and what the writer adds (label set, corpus, code version), as JSON.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis_lib.errors import InputError
from analysis_lib.evaluation.scores import MIN_RUNS, score_table

__all__ = [
    "KEY",
    "check_predictions",
    "load_predictions",
    "read_table",
    "save_predictions",
    "score_predictions",
    "write_table",
]

KEY = ["technique", "window", "strategy", "repeat", "run_id"]
"""Columns that name a prediction."""

TEXT = ["technique", "strategy", "run_id", "program", "label", "predicted"]
WHOLE = ["window", "repeat", "fold"]
FORMAT = ("analysis_lib.predictions", 1)


def check_predictions(predictions: pd.DataFrame) -> pd.DataFrame:
    """Check a table of predictions against the format.

    Parameters
    ----------
    predictions : DataFrame

    Returns
    -------
    DataFrame
        The same rows, with the documented types, key columns first.

    Raises
    ------
    InputError
        If it is empty, a column or value is missing, a number is no whole number from 0, a
        prediction occurs twice, a run has several labels or programs, or probabilities are not
        ones that add up to 1.

    Examples
    --------
    >>> table = pd.DataFrame({"technique": "t", "window": 5, "strategy": "E4", "repeat": 0,
    ...     "run_id": ["a", "b"], "program": ["p", "q"], "fold": [0, 1], "label": "x",
    ...     "predicted": ["x", "y"]})
    >>> check_predictions(table).shape
    (2, 9)
    """
    needed = [*KEY, "program", "fold", "label", "predicted"]
    missing = [c for c in needed if c not in predictions]
    if missing:
        raise InputError(
            f"predictions lack the columns {', '.join(missing)}; cross_predict makes them, and "
            "run_study adds technique, window, strategy and repeat"
        )
    if predictions.empty:
        raise InputError("there are no predictions; expected one row per run")
    holes = predictions[needed].isna().sum()
    if holes.any():
        raise InputError(f"{holes.max()} predictions have no {holes.idxmax()}; leave them out")
    table = predictions.reset_index(drop=True)
    for column in WHOLE:
        values = pd.to_numeric(table[column], errors="coerce")
        if not ((values >= 0) & (values % 1 == 0)).all():
            raise InputError(f"column {column} must hold whole numbers from 0 only")
        table[column] = values.astype("int64")
    texts = [*TEXT, "configuration"] if "configuration" in table else TEXT
    table[texts] = table[texts].astype("str")
    twice = table.duplicated(KEY)
    if twice.any():
        raise InputError(
            f"{int(twice.sum())} predictions occur twice, such as that of run "
            f"{table.loc[twice, 'run_id'].iloc[0]}; draws of folds need a repeat each"
        )
    for column in ("label", "program"):
        if table.drop_duplicates(["run_id", column])["run_id"].duplicated().any():
            raise InputError(f"a run has several values of {column}; save label sets apart")
    _check_probabilities(table)
    return table[[*KEY, *(c for c in table if c not in KEY)]]


def save_predictions(
    predictions: pd.DataFrame, path: str | Path, *, metadata: Mapping | None = None
) -> Path:
    """Write predictions as a Parquet file.

    Parameters
    ----------
    predictions : DataFrame
        See the module's description; ``run_study`` returns such a table.
    path : path
        Folders are made; an existing file is replaced at once, never left half written.
    metadata : mapping, optional
        What else a reader should know; anything that JSON can hold.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        As :func:`check_predictions`.

    Examples
    --------
    >>> import tempfile
    >>> table = pd.DataFrame({"run_id": ["a", "b"], "program": ["p", "q"], "fold": [0, 1],
    ...                       "technique": "mine", "window": 5, "strategy": "E4", "repeat": 0,
    ...                       "label": ["x", "y"], "predicted": ["x", "x"]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = save_predictions(table, Path(folder, "mine.parquet"), metadata={"seed": 0})
    ...     load_predictions(file)["predicted"].tolist()
    ['x', 'x']
    """
    return write_table(check_predictions(predictions), path, FORMAT, metadata)


def load_predictions(path: str | Path) -> pd.DataFrame:
    """Read predictions written by :func:`save_predictions`.

    Parameters
    ----------
    path : path
        A file, or a folder whose ``.parquet`` files are put together.

    Returns
    -------
    DataFrame
        Its ``attrs`` hold the metadata of a single file.

    Raises
    ------
    InputError
        If there is no file, it is of another format or version, or what it holds does not pass
        :func:`check_predictions`.

    Examples
    --------
    >>> import tempfile
    >>> table = pd.DataFrame({"run_id": ["a", "b"], "program": ["p", "q"], "fold": [0, 1],
    ...                       "technique": "mine", "window": 5, "strategy": "E4", "repeat": 0,
    ...                       "label": ["x", "y"], "predicted": ["x", "x"]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = save_predictions(table, f"{folder}/mine.parquet", metadata={"seed": 7})
    ...     load_predictions(folder).shape, load_predictions(file).attrs["seed"]
    ((2, 9), 7)
    """
    path = Path(path)
    if not path.is_dir():
        table = read_table(path, FORMAT)
        return _with(check_predictions(table), table.attrs)
    files = sorted(path.glob("*.parquet"))
    if not files:
        raise InputError(f"folder {path} holds no .parquet file; give one with predictions")
    return check_predictions(
        pd.concat([_with(read_table(f, FORMAT), {}) for f in files], ignore_index=True)
    )


def score_predictions(
    predictions: pd.DataFrame,
    *,
    by: Sequence[str] = ("technique", "window", "strategy"),
    min_runs: int = MIN_RUNS,
) -> pd.DataFrame:
    """Score every group of predictions.

    Parameters
    ----------
    predictions : DataFrame
        As :func:`load_predictions` returns it; repeats are averaged.
    by : sequence of str
    min_runs : int, default=5

    Returns
    -------
    DataFrame
        The columns of ``by`` and those of :func:`analysis_lib.evaluation.scores.score_table`.

    Examples
    --------
    >>> table = pd.DataFrame({"run_id": range(4), "program": list("ppqq"), "label": list("abab"),
    ...                       "predicted": list("aabb"), "technique": "mine", "window": 5,
    ...                       "strategy": "E4", "repeat": 0})
    >>> score_predictions(table, min_runs=1)["program_macro_recall"].tolist()
    [0.5]
    """
    by = list(by)
    rows = [
        dict(zip(by, name, strict=True)) | score_table(group, min_runs=min_runs).to_dict()
        for name, group in predictions.groupby(by, sort=False)
    ]
    return pd.DataFrame(rows)


def write_table(
    table: pd.DataFrame, path: str | Path, form: tuple[str, int], metadata: Mapping | None
) -> Path:
    """Write a Parquet file with metadata: beside the target first, then renamed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    note = {"format": form[0], "version": form[1]} | dict(metadata or {})
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.replace_schema_metadata(
        {**(arrow.schema.metadata or {}), b"analysis_lib": json.dumps(note).encode()}
    )
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    pq.write_table(arrow, draft, compression="zstd")
    draft.replace(path)
    return path


def read_table(path: str | Path, form: tuple[str, int]) -> pd.DataFrame:
    """Read a Parquet file of a given format, with its metadata in ``attrs``."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}; give one that was saved before")
    try:
        arrow = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is no Parquet file; make it anew") from error
    note = json.loads((arrow.schema.metadata or {}).get(b"analysis_lib", b"{}"))
    if (note.get("format"), note.get("version")) != form:
        found = f"{note.get('format', 'no known format')} {note.get('version', '')}".strip()
        raise InputError(f"{path} holds {found}; expected {form[0]} {form[1]}")
    return _with(arrow.to_pandas(), note)


def _with(table: pd.DataFrame, attrs: Mapping) -> pd.DataFrame:
    table.attrs = dict(attrs)
    return table


def _check_probabilities(table: pd.DataFrame) -> None:
    shares = table[[c for c in table if str(c).startswith("p_")]]
    if shares.empty or shares.shape[1] == 0:
        return
    values = shares.to_numpy(dtype=float)
    none = np.isnan(values).all(axis=1)
    good = (values >= 0).all(axis=1) & np.isclose(values.sum(axis=1), 1, atol=1e-6)
    if not (none | good).all():
        raise InputError(
            f"probabilities of {int((~(none | good)).sum())} runs are not between 0 and 1 with "
            "sum 1; give all classes, or none"
        )
