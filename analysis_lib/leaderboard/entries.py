"""Entries of the leaderboard: predictions of one technique, and what is to be known of them.

An entry is read from a file in the format of :mod:`analysis_lib.evaluation.predictions`, as Parquet
or as CSV. Beyond the columns of that format it has these fields, each as a column or, in Parquet,
as an entry of the file's metadata; only the task must be known:

============ ===== ============================================================================
field        type  meaning
============ ===== ============================================================================
task         str   key of ``TASKS``
track        str   what it gets of the new program: Z nothing, U unlabelled runs, H healthy
                   runs, K labelled runs; Z unless given
target_runs  int   how many of these runs it needs; 0 on track Z
seconds      float CPU seconds of fitting and predicting all folds
corpus       str   seal of the corpus, see :func:`analysis_lib.corpus.load.seal`
versions     dict  of packages, in metadata alone
============ ===== ============================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from analysis_lib.corpus.load import seal
from analysis_lib.errors import InputError, unknown
from analysis_lib.evaluation.predictions import (
    check_predictions,
    load_predictions,
    save_predictions,
)
from analysis_lib.evaluation.splits import get_strategy
from analysis_lib.leaderboard.tasks import get_task, task_digest
from analysis_lib.transfer import TRACKS

__all__ = ["Entry", "read_entries", "save_entry", "split_entries"]

IDENTITY = ["technique", "window", "strategy", "track", "task"]
FIELDS = ("task", "track", "target_runs", "seconds", "corpus")


@dataclass(frozen=True)
class Entry:
    """Predictions of one technique for one task, window and split.

    Attributes
    ----------
    technique, task, strategy, track : str
    window : int
    held_out : str
        "one" if one program is held out at a time, else into how many groups programs or families
        are put, such as "5 groups"; empty where rows or configurations are held out.
    predictions : DataFrame
    seconds : float
        CPU time of all fits and predictions; missing if nobody took it.
    target_runs : float
        Runs of the new program that it needs; missing if nobody said.
    corpus : str
        Seal of the corpus; empty if unknown.
    source : str
        Where the entry comes from; empty if unknown.
    versions : mapping
    """

    technique: str
    task: str
    strategy: str
    window: int
    predictions: pd.DataFrame = field(repr=False)
    track: str = "Z"
    held_out: str = ""
    seconds: float = np.nan
    target_runs: float = np.nan
    corpus: str = ""
    source: str = ""
    versions: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Task, technique, strategy, window and track as text."""
        kind = f"{self.strategy} {self.held_out}".strip()
        return f"{self.technique} ({self.task}, {kind}, k = {self.window}, track {self.track})"


def read_entries(path: str | Path, **fields: Any) -> list[Entry]:
    """Read the entries of a file, or of every file of a folder.

    Parameters
    ----------
    path : path
        A ``.parquet`` or ``.csv`` file, or a folder of these.
    **fields
        Of the module's description, for what the file does not say.

    Returns
    -------
    list of Entry
        One per technique, task, strategy, window and track in it.

    Raises
    ------
    InputError
        If there is no file, it is not in the documented format, or a field is missing or unknown.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted([*path.glob("*.parquet"), *path.glob("*.csv")])
        return [entry for file in files for entry in read_entries(file, **fields)]
    if path.suffix == ".csv":
        if not path.is_file():
            raise InputError(f"there is no file {path}; give one with predictions")
        try:
            table, note = pd.read_csv(path, dtype={"run_id": "str"}), {}
        except (ValueError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is no CSV table ({error}); save it anew") from error
        if "repeat" not in table:
            table["repeat"] = 0
    else:
        table = load_predictions(path)
        note, table.attrs = table.attrs, {}
    try:
        return split_entries(table, **fields | _known(note), source=path.name)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def split_entries(predictions: pd.DataFrame, *, source: str = "", **fields: Any) -> list[Entry]:
    """Return the entries that a table of predictions holds.

    Parameters
    ----------
    predictions : DataFrame
        In the documented format. ``attrs["costs"]``, which
        :func:`~analysis_lib.evaluation.study.run_study` adds, gives the seconds.
    source : str
    **fields
        Of the module's description; a column of the table goes before.

    Returns
    -------
    list of Entry
        In the order of the table.

    Raises
    ------
    InputError
        As ``check_predictions``, or if a field is missing or unknown.

    Examples
    --------
    >>> table = pd.DataFrame({"run_id": ["a", "b"], "program": ["p", "q"], "fold": [0, 1],
    ...                       "technique": "mine", "window": 5, "strategy": "E4", "repeat": 0,
    ...                       "label": ["x", "y"], "predicted": ["x", "x"]})
    >>> (entry,) = split_entries(table, task="typing-4")
    >>> entry.technique, entry.held_out
    ('mine', 'one')
    """
    if strange := sorted(set(fields) - {*FIELDS, "versions"}):
        raise unknown("field of an entry", strange[0], (*FIELDS, "versions"))
    costs = pd.DataFrame(predictions.attrs.get("costs", []))
    table = predictions.copy()
    table.attrs = {}
    for name in ("task", "track"):
        if name not in table and (value := fields.get(name, "Z" if name == "track" else None)):
            table[name] = value
    if "task" not in table:
        raise InputError("it does not say which task it is for; give one in a column 'task'")
    if not set(IDENTITY) <= set(table):
        check_predictions(table)  # says what is missing
    parts = []
    for identity, part in table.groupby(IDENTITY, sort=False, dropna=False):
        values = dict(zip(IDENTITY, identity, strict=True))
        own = fields | {name: part[name].iloc[0] for name in FIELDS if name in part}
        if len(costs):
            mine = costs[(costs[IDENTITY[:3]] == list(identity[:3])).all(axis=1)]
            own = {"seconds": mine["seconds"].astype(float).mean(skipna=False)} | own
        part = part.drop(columns=[c for c in FIELDS if c in part]).reset_index(drop=True)
        part = part if len(costs) else check_predictions(part)  # run_study has checked its own
        parts.append(_entry(part, values, own, source))
    return parts


def save_entry(
    entry: Entry, folder: str | Path, *, runs: pd.DataFrame | None = None, corpus: Any = None
) -> Path:
    """Write an entry as a file that the leaderboard reads.

    Parameters
    ----------
    entry : Entry
    folder : path
        Made if needed.
    runs : DataFrame, optional
        The runs of the task, whose digest is noted.
    corpus : corpus, optional
        Its seal is noted.

    Returns
    -------
    Path
        Its name tells the entry and the number of programs; a file of the same entry is replaced.
    """
    note = {name: getattr(entry, name) for name in ("technique", "task", "strategy", "window")}
    note |= {"track": entry.track, "versions": dict(entry.versions)}
    note |= {n: v for n in ("seconds", "target_runs") if np.isfinite(v := getattr(entry, n))}
    if known := entry.corpus or seal_of(corpus):
        note["corpus"] = known
    if runs is not None:
        note["runs"] = task_digest(runs)
    programs = f"{entry.predictions['program'].nunique()}programs"
    parts = (entry.task, entry.technique, entry.track, f"k{entry.window}", entry.strategy, programs)
    name = "-".join([*parts, *([entry.held_out] if entry.held_out else [])])
    name = "".join(c if c.isalnum() or c in "-_+." else "_" for c in name)
    return save_predictions(entry.predictions, Path(folder) / f"{name}.parquet", metadata=note)


def seal_of(corpus: Any) -> str:
    manifest = getattr(corpus, "manifest", None)
    return "" if manifest is None else seal(manifest)


def _held_out(part: pd.DataFrame) -> str:
    """Count the groups of programs that no fold connects."""
    program, fold = (pd.factorize(part[c])[0] for c in ("program", "fold"))
    links = csr_array((np.ones(len(part)), (program, fold + program.max() + 1)))
    size = max(links.shape)
    links.resize((size, size))
    groups = connected_components(links, directed=False, return_labels=False)
    return "one" if groups == program.max() + 1 else f"{groups} groups"


def _known(note: Mapping) -> dict:
    return {n: note[n] for n in (*FIELDS, "versions") if note.get(n) is not None}


def _entry(part: pd.DataFrame, values: Mapping, fields: Mapping, source: str) -> Entry:
    track, strategy = str(values["track"]), get_strategy(str(values["strategy"]))
    get_task(str(values["task"]))
    if track not in TRACKS:
        raise unknown("track", track, TRACKS)
    numbers: dict[str, Any] = {}
    for name, absent in (("seconds", np.nan), ("target_runs", 0 if track == "Z" else np.nan)):
        value = pd.to_numeric(fields.get(name, absent), errors="coerce")
        if value is not None and value < 0:
            raise InputError(f"{name} is {value}; expected a number from 0")
        numbers[name] = float(np.nan if value is None else value)
    text: dict[str, Any] = {
        name: str(values[name]) for name in ("technique", "task", "strategy", "track")
    }
    return Entry(
        **text,
        **numbers,
        window=int(part["window"].iloc[0]),
        predictions=part,
        held_out=_held_out(part) if strategy.unit else "",
        corpus=str(fields.get("corpus") or ""),
        source=source,
        versions=fields.get("versions") or {},
    )
