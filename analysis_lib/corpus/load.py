"""Load a published corpus, the shipped one by default. Nothing in a corpus is ever executed."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis_lib import ROOT
from analysis_lib.channels import CHANNELS
from analysis_lib.configuration import canonical
from analysis_lib.corpus.schema import (
    SCHEMA_VERSION,
    check_columns,
    epochs_schema,
    layers_schema,
    runs_schema,
)
from analysis_lib.errors import InputError, unknown

__all__ = [
    "DEFAULT",
    "MANIFEST",
    "Corpus",
    "file_digest",
    "load_corpus",
    "read_manifest",
    "read_part",
    "seal",
]

DEFAULT = ROOT / "data" / "dynfault-torch"
"""Folder of the shipped corpus.

:meta hide-value:
"""

MANIFEST = "manifest.json"
_MOST_ROWS, _MOST_COLUMNS, _MOST_BYTES = 50_000_000, 4096, 8 * 2**30
_NULLABLE = {
    pa.int16(): pd.Int16Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


@dataclass(repr=False, eq=False)
class Corpus:
    """Runs with their traces.

    Parameters
    ----------
    runs : DataFrame
        One row per run: what was trained, how it ended, labels, ``meta_*``.
    epochs : DataFrame
        One row per run and snapshot: ``run_id``, ``epoch`` (-1 = init), channels as float32.
    layers : DataFrame or callable
        One row per run, snapshot and layer; a callable is called when it is first asked for.
    path : Path, optional
        Where it was loaded from.
    manifest : mapping, optional
        The manifest of the store.

    Examples
    --------
    >>> runs = pd.DataFrame({"run_id": ["a"], "program": ["p"], "operator": ["healthy"]})
    >>> epochs = pd.DataFrame({"run_id": ["a", "a"], "epoch": [-1, 0], "train_loss": [2.0, 1.0]})
    >>> Corpus(runs, epochs, pd.DataFrame())
    <Corpus: 1 runs of 1 programs, epochs -1 to 0, 1 channels>
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    layers: pd.DataFrame
    path: Path | None = None
    manifest: Mapping | None = None

    @property
    def channels(self) -> list[str]:
        """Names of the epoch channels."""
        return [name for name in self.epochs.columns if name not in ("run_id", "epoch")]

    def describe(self) -> pd.DataFrame:
        """Count runs by program: all, faulty, killed, unstable, and by status.

        Returns
        -------
        DataFrame indexed by program
        """
        runs = self.runs
        wanted = {"operators": ("operator", "nunique"), "seeds": ("seed", "nunique")}
        wanted |= {"killed": ("killed", "sum"), "unstable": ("unstable", "sum")}
        wanted = {name: by for name, by in wanted.items() if by[0] in runs}
        table = runs.groupby("program").agg(runs=("run_id", "size"), **wanted)
        if "status" in runs:
            table = table.join(pd.crosstab(runs["program"], runs["status"]))
        return table

    def __repr__(self) -> str:
        epoch = self.epochs["epoch"]
        span = f"epochs {epoch.min()} to {epoch.max()}" if len(epoch) else "no epochs"
        place = f" from {self.path}" if self.path else ""
        return (
            f"<Corpus: {len(self.runs)} runs of {self.runs['program'].nunique()} programs, "
            f"{span}, {len(self.channels)} channels{place}>"
        )


def _layers(self: Any) -> pd.DataFrame:
    if callable(self._layers):
        self._layers = self._layers()
    return self._layers


def _set_layers(self: Any, value: pd.DataFrame | Callable[[], pd.DataFrame]) -> None:
    self._layers = value


Corpus.layers = property(_layers, _set_layers, doc="One row per run, snapshot and layer.")


def _repair(path: Path) -> str:
    if path.resolve() == DEFAULT.resolve():
        return "restore it with `git checkout -- data`"
    if not any((path / name).is_file() for name in (MANIFEST, "runs.parquet")):
        return f"expected the folder of a published corpus, such as the shipped one, {DEFAULT}"
    return "publish it again from its journal with `python -m analysis_lib corpus publish`"


def file_digest(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(manifest: Mapping) -> str:
    """Return the sha256 of a manifest without its own ``seal``."""
    content = {name: value for name, value in manifest.items() if name != "seal"}
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def read_manifest(path: str | Path) -> dict:
    """Return the manifest of a store.

    Raises
    ------
    InputError
        If there is no store, or its manifest is damaged, of a newer schema, or names a file
        outside the store.
    """
    path = Path(path)
    file = path / MANIFEST
    if not file.is_file():
        what = f"{path} holds no {MANIFEST}" if path.is_dir() else f"no corpus at {path}"
        raise InputError(f"{what}; {_repair(path)}")
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        version, files = manifest["schema_version"], manifest["files"]
        sizes = [(name, int(about["bytes"]), str(about["sha256"])) for name, about in files.items()]
        whole = manifest.get("seal", seal(manifest)) == seal(manifest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{file} is damaged ({repr(error)[:200]}); {_repair(path)}") from None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema version {version}, this version reads {SCHEMA_VERSION}; "
            "install the version that wrote it"
        )
    base = path.resolve()
    for name, _, _ in sizes:
        if "\0" in name or not (path / name).resolve().is_relative_to(base):
            raise InputError(f"{file} names {name!r}, which is outside the corpus; do not use it")
    if not whole:
        raise InputError(f"{file} is damaged or altered (its seal does not fit); {_repair(path)}")
    return manifest


def read_part(
    path: Path,
    name: str,
    manifest: Mapping,
    schema: pa.Schema,
    *,
    window: int | None = None,
    verify: bool = True,
) -> pa.Table:
    """Read the columns of ``schema`` from one Parquet file of a store, with its cheap checks.

    Size and sha256 against the manifest, claimed size before anything is read, columns and types,
    and the checksum of every page that is read.

    Raises
    ------
    InputError
        Naming the file, what is wrong and the command that repairs it.
    """
    file = path / name
    try:
        about = manifest["files"][name]
        size = file.stat().st_size
    except KeyError:
        raise InputError(f"{path / MANIFEST} does not list {name}; {_repair(path)}") from None
    except OSError:
        raise InputError(f"{file} is missing; {_repair(path)}") from None
    if size != about["bytes"]:
        raise InputError(
            f"{file} has {size} bytes, the manifest says {about['bytes']}: damaged or altered; "
            + _repair(path)
        )
    if verify and file_digest(file) != about["sha256"]:
        raise InputError(
            f"{file} is damaged or altered: its sha256 is not that of the manifest; "
            + _repair(path)
        )
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as parquet:
            rows = parquet.metadata.num_rows
            if rows != about.get("rows", rows):
                raise InputError(
                    f"{file} has {rows} rows, the manifest says {about['rows']}; {_repair(path)}"
                )
            groups = range(parquet.metadata.num_row_groups)
            size = sum(parquet.metadata.row_group(at).total_byte_size for at in groups)
            for claimed, most, what in (
                (rows, _MOST_ROWS, "rows"),
                (parquet.metadata.num_columns, _MOST_COLUMNS, "columns"),
                (size, _MOST_BYTES, "bytes"),
            ):
                if claimed > most:
                    raise InputError(
                        f"{file} claims {claimed} {what}, over {most}; {_repair(path)}"
                    )
            found = parquet.schema_arrow
            have = pa.schema([f for f in found if f.name in schema.names])
            if problems := check_columns(have, schema, str(file)):
                raise InputError("; ".join(problems) + f"; {_repair(path)}")
            table = parquet.read(columns=schema.names, use_threads=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} is damaged ({str(error)[:200]}); {_repair(path)}") from None
    if window is not None:
        table = table.filter(pa.compute.less(table["epoch"], window))
    return table


def _frame(tables: list[pa.Table], schema: pa.Schema) -> pd.DataFrame:
    parts = [table.select(schema.names) for table in tables] or [schema.empty_table()]
    table = pa.concat_tables(parts, promote_options="default")  # nullability may differ
    frame = table.to_pandas(ignore_metadata=True)
    for field in schema:
        if field.nullable and field.type in _NULLABLE:
            column = table[field.name].to_pandas(types_mapper=_NULLABLE.get)
            frame[field.name] = column.array
    return frame


def _parts(path: Path, kind: str, manifest: Mapping, programs: Iterable[str]) -> list[str]:
    names = {program: f"{kind}/program={program}/part-0.parquet" for program in programs}
    return [name for name in names.values() if name in manifest["files"]]


def _chosen(kind: str, wanted: Iterable[str] | None, known: list[str]) -> list[str]:
    if wanted is None:
        return known
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in wanted:
        if name not in known:
            raise unknown(kind, name, known)
    return [name for name in known if name in set(wanted)]


def load_corpus(
    path: str | Path | None = None,
    *,
    channels: Iterable[str] | None = None,
    programs: Iterable[str] | None = None,
    window: int | None = None,
    verify: bool = True,
) -> Corpus:
    """Load a published corpus.

    Parameters
    ----------
    path : str or Path, optional
        Folder of the store; the shipped corpus by default.
    channels : iterable of str, optional
        Only these channels of ``epochs``; all by default.
    programs : iterable of str, optional
        Only the runs of these programs; all by default.
    window : int, optional
        Only what is visible after ``window`` epochs: rows with ``epoch < window``. 0 is the state
        before training alone.
    verify : bool, default=True
        Compare the sha256 of every file that is read with the manifest.

    Returns
    -------
    Corpus
        With ``runs``, ``epochs`` and ``layers``; ``layers`` is read when it is first asked for.

    Raises
    ------
    InputError
        If the store is missing, damaged or altered, or a channel or program is unknown. What the
        contents say is checked by ``corpus verify``.

    Examples
    --------
    >>> corpus = load_corpus(programs=["snn_wine"], channels=["train_loss"], window=2)
    >>> corpus.channels, sorted(corpus.epochs["epoch"].unique().tolist())
    (['train_loss'], [-1, 0, 1])
    """
    path = DEFAULT if path is None else Path(path)
    if window is not None and (
        not isinstance(window, int) or isinstance(window, bool) or window < 0
    ):
        raise InputError(f"window is {window!r}; expected the number of visible epochs, 0 or more")
    kept = _chosen("channel", channels, list(CHANNELS))
    manifest = read_manifest(path)
    runs = read_part(path, "runs.parquet", manifest, runs_schema(), verify=verify)
    runs = _frame([runs], runs_schema())
    chosen = _chosen("program", programs, sorted(runs["program"].unique()))
    if programs is not None:
        runs = runs[runs["program"].isin(chosen)].reset_index(drop=True)

    def read(kind: str, schema: pa.Schema) -> pd.DataFrame:
        names = _parts(path, kind, manifest, chosen)
        options: dict[str, Any] = {"window": window, "verify": verify}
        parts = [read_part(path, name, manifest, schema, **options) for name in names]
        return _frame(parts, schema)

    epochs = read("epochs", epochs_schema({name: CHANNELS[name] for name in kept}))
    return Corpus(runs, epochs, lambda: read("layers", layers_schema()), path, manifest)
