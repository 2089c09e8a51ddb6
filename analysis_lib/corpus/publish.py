"""Turn a journal into a published store: Parquet by program, manifest, plan and data card.

The store is built beside its place and swapped in with one rename, so at no moment, and after no
kill, is there half a store. The same journal always gives the same bytes.
"""

import ctypes
import hashlib
import itertools
import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis_lib.configuration import HEALTHY, RECIPE, Configuration, Run, canonical
from analysis_lib.corpus.card import Card, citation_file, columns_table, render
from analysis_lib.corpus.croissant import CROISSANT, describe
from analysis_lib.corpus.journal import Journal, Row
from analysis_lib.corpus.licences import licence_text
from analysis_lib.corpus.load import MANIFEST, file_digest, read_manifest, seal
from analysis_lib.corpus.schema import (
    LABELS,
    SCHEMA_VERSION,
    STATUSES,
    check_tables,
    epochs_schema,
    from_bytes,
    layers_schema,
    runs_schema,
    to_bytes,
)
from analysis_lib.corpus.thinning import Thinning
from analysis_lib.errors import InputError

__all__ = ["PROGRAM_COLUMNS", "describe_store", "publish", "write_parquet"]

PROGRAM_COLUMNS = ("program", "modality", "family", "source", "metric_name", "higher_is_better")
"""Columns of the ``programs`` table that :func:`publish` takes."""

TEXTS = (CROISSANT, "columns.csv", "LICENSE", "CITATION.cff", "README.md")
"""Files of a store that say what its tables are."""

_MEASURED = ("meta_cpu_s", "meta_wall_s", "meta_torch")


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table with byte-stream-split floats and a checksum on every page."""
    kinds = {field.name: field.type for field in table.schema}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table.replace_schema_metadata({"schema_version": str(SCHEMA_VERSION)}),
        path,
        compression="zstd",
        compression_level=3,
        use_dictionary=[name for name, kind in kinds.items() if pa.types.is_string(kind)],
        use_byte_stream_split=[n for n, kind in kinds.items() if pa.types.is_floating(kind)],
        write_page_checksum=True,
        write_statistics=[n for n in ("run_id", "program", "epoch") if n in kinds],
        row_group_size=2**30,
    )


def _number(value: object, kind: type) -> object:
    return kind(value) if isinstance(value, int | float) else None


def _record(row: Row, about: Mapping, categories: Mapping[str, str]) -> dict:
    spec, record = row.spec, row.record
    configuration = Configuration(spec["program"], spec["operator"], spec["parameters"])
    healthy = configuration.operator == HEALTHY
    return {
        "run_id": row.run_id,
        "program": configuration.program,
        "modality": about["modality"],
        "family": about["family"],
        "operator": configuration.operator,
        "category": "Healthy" if healthy else categories[configuration.operator],
        "parameters": canonical(spec["parameters"]),
        "configuration": configuration.key,
        "seed": spec["seed"],
        "status": row.status,
        "reason": row.reason,
        "metric_name": about["metric_name"],
        "higher_is_better": bool(about["higher_is_better"]),
        "final_metric": _number(record.get("final_metric"), float),
        "weights_digest": record.get("weights_digest"),
        "meta_learning_rate": _number(record.get("learning_rate"), float),
        "meta_batch_size": _number(record.get("batch_size"), int),
        "meta_steps": _number(record.get("steps"), int),
        "meta_parameters_count": _number(record.get("parameters_count"), int),
        "meta_cpu_s": _number(record.get("cpu_s"), float),
        "meta_wall_s": _number(record.get("wall_s"), float),
        "meta_torch": row.environment.get("torch"),
        "meta_recipe": spec["recipe"],
    }


def _runs_table(records: list[dict], schema: pa.Schema) -> pa.Table:
    columns: dict[str, Any] = {name: [record[name] for record in records] for name in schema.names}
    for field in schema:
        if pa.types.is_floating(field.type):
            column = [np.nan if v is None else v for v in columns[field.name]]
            columns[field.name] = np.array(column, dtype=float)
    return pa.table(columns, schema=schema)


def _stacked(rows: list[Row], blob: str, schema: pa.Schema) -> pa.Table:
    tables = []
    for row in rows:
        table = from_bytes(getattr(row, blob))
        ids = pa.array([row.run_id] * table.num_rows, pa.string())
        tables.append(table.add_column(0, schema.field("run_id"), ids).select(schema.names))
    if not tables:
        return schema.empty_table()
    return pa.concat_tables(tables).cast(schema).combine_chunks()


def _labelled(runs: pa.Table, label: Callable, epochs: pd.DataFrame) -> pa.Table:
    frame = runs.to_pandas(ignore_metadata=True)
    labels = label(frame, epochs)
    missing = [name for name in LABELS if name not in labels]
    if missing or not labels.index.equals(frame.index):
        raise InputError(
            f"the label function returned columns {list(labels)}; expected {list(LABELS)}, "
            "indexed like runs"
        )
    schema = runs_schema()
    columns = dict(zip(runs.column_names, runs.columns, strict=True))
    for name in LABELS:
        columns[name] = pa.Array.from_pandas(labels[name], type=schema.field(name).type)
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def _selected(
    journal: Journal, plan: Iterable[Run] | None, partial: bool
) -> tuple[list[Row], list[dict]]:
    rows, torn = [], []
    for row in journal.rows():
        torn += [row.run_id] if row.torn else []
        rows.append(replace(row, epochs=None, layers=None))  # traces are read by program, later
    if torn:
        raise InputError(
            f"{journal.path}: {len(torn)} runs are damaged, e.g. {torn[0]}; drop them with "
            "`corpus repair` and generate again"
        )
    if plan is None:
        specs = {row.run_id: row.spec for row in rows}
    else:
        specs = {run.run_id: run.spec for run in plan}
    rows = [row for row in rows if row.run_id in specs]
    missing = len(specs) - len(rows)
    if missing and not partial:
        raise InputError(
            f"{journal.path} lacks {missing} of {len(specs)} planned runs; continue `corpus "
            "generate`, or publish what is there with partial=True"
        )
    if not rows:
        raise InputError(f"{journal.path} holds no run of the plan; `corpus generate` makes them")

    def order(spec: Mapping) -> tuple:
        parts = Configuration(spec["program"], spec["operator"], spec["parameters"])
        return parts.program, parts.operator != HEALTHY, parts.key, spec["seed"], spec["epochs"]

    rows.sort(key=lambda row: order(row.spec))
    return rows, sorted(specs.values(), key=order)


def _check_names(rows: list[Row], about: Mapping, categories: Mapping[str, str]) -> None:
    programs = {row.program for row in rows}
    operators = {row.spec["operator"] for row in rows} - {HEALTHY}
    problems = [f"program '{p}' is not in programs" for p in sorted(programs - set(about))]
    problems += [f"operator '{o}' has no category" for o in sorted(operators - set(categories))]
    problems += [
        f"program name '{p}' cannot be a folder name; use letters, digits, _, - and ."
        for p in sorted(programs)
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", p)
    ]
    if problems:
        raise InputError("cannot publish: " + "; ".join(problems))


def _versions(rows: list[Row]) -> dict[str, list[str]]:
    names = ("python", "torch", "numpy", "pyarrow", "machine", "cpu_capability", "threads")
    found = {
        name: sorted({str(row.environment[name]) for row in rows if name in row.environment})
        for name in names
    }
    return {**found, "publisher_python": [platform.python_version()], "parquet": [pa.__version__]}


def _swap(new: Path, place: Path) -> None:
    if not place.exists():
        os.rename(new, place)
        return
    old = new.with_name(new.name + "-old")
    try:  # one atomic exchange where the kernel has it
        exchange = ctypes.CDLL(None, use_errno=True).renameat2
        done = exchange(-100, os.fsencode(new), -100, os.fsencode(place), 2) == 0
    except (AttributeError, OSError):
        done = False
    if done:
        old = new
    else:
        os.rename(place, old)
        os.rename(new, place)
    shutil.rmtree(old)


def _sweep(place: Path) -> None:
    """Remove what a killed publication left beside the place."""
    for left in place.parent.glob(f".{place.name}.building-*"):
        process = left.name.rpartition(".building-")[2].removesuffix("-old")
        try:
            os.kill(int(process), 0)  # only asks whether the process is there
        except (ProcessLookupError, ValueError):
            shutil.rmtree(left, ignore_errors=True)
        except PermissionError:
            continue


def publish(
    journal_path: str | Path,
    directory: str | Path,
    *,
    programs: pd.DataFrame,
    categories: Mapping[str, str],
    label: Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame],
    plan: Iterable[Run] | None = None,
    partial: bool = False,
    card: Card | None = None,
    thinning: Thinning | None = None,
) -> dict:
    """Publish a journal as a store.

    Parameters
    ----------
    journal_path : str or Path
    directory : str or Path
        Folder of the store. A store that is there is replaced, any other folder refused.
    programs : DataFrame
        Columns program, modality, family, source, metric_name, higher_is_better.
    categories : mapping of str to str
        Operator id -> category.
    label : callable
        ``label(runs, epochs)`` -> DataFrame with killed, unstable, first_bad_epoch, mismatch and
        label, indexed like ``runs``. Called with the runs and traces of one program at a time.
    plan : iterable of Run, optional
        Publish these runs; by default everything in the journal.
    partial : bool, default=False
        Publish although planned runs are missing.
    card : Card, optional
        Sentences of the data card.
    thinning : Thinning, optional
        What to leave out of the traces; labels follow from what is left. By default nothing is.

    Returns
    -------
    dict
        The manifest. Its ``digest`` covers all contents but measured times and versions, so
        equal digests mean equal results.

    Raises
    ------
    InputError
        If runs are missing or damaged, names are unknown, or the folder is something else.
    """
    place = Path(directory)
    if (
        place.exists()
        and not (place / MANIFEST).is_file()
        and (not place.is_dir() or any(place.iterdir()))
    ):
        raise InputError(f"{place} exists and is not a published corpus; choose another folder")
    if missing := [name for name in PROGRAM_COLUMNS if name not in programs]:
        raise InputError(f"programs lacks the columns {missing}; expected {list(PROGRAM_COLUMNS)}")
    about = programs.set_index("program", drop=False).to_dict("index")
    with Journal(journal_path) as journal:
        rows, specs = _selected(journal, plan, partial)
        _check_names(rows, about, categories)
        new = place.absolute().with_name(f".{place.name}.building-{os.getpid()}")
        try:
            place.absolute().parent.mkdir(parents=True, exist_ok=True)
            _sweep(place.absolute())
            new.mkdir()
            manifest = _build(
                new, journal, rows, specs, about, categories, label, card or Card(), thinning
            )
            _swap(new, place.absolute())
        except OSError as error:
            raise InputError(
                f"cannot write {place} ({error.strerror or error}); free space, or choose "
                "another folder"
            ) from error
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return manifest


def _build(
    new: Path,
    journal: Journal,
    rows: list[Row],
    specs: list[dict],
    about: Mapping[str, dict],
    categories: Mapping[str, str],
    label: Callable,
    card: Card,
    thinning: Thinning | None,
) -> dict:
    """Write everything, one program at a time, so that memory holds the traces of one only."""
    digest, counts, labelled, problems = hashlib.sha256(), {"runs.parquet": len(rows)}, [], []
    for program, group in itertools.groupby(rows, key=lambda row: row.program):
        mine = list(group)
        records = [_record(row, about[program], categories) for row in mine]
        runs = _runs_table(records, runs_schema(labels=False))
        wanted = {row.run_id: at for at, row in enumerate(mine) if row.epochs_sha256}
        traced = [row for row in journal.rows(program=program) if row.run_id in wanted]
        traced.sort(key=lambda row: wanted[row.run_id])
        epochs = _stacked(traced, "epochs", epochs_schema())
        layers = _stacked(traced, "layers", layers_schema())
        del traced
        if thinning is not None:
            epochs, layers = thinning.epochs(epochs), thinning.layers(layers)
        seen = epochs.to_pandas(ignore_metadata=True)
        head = runs.select(["run_id", "status"]).to_pandas()
        problems += check_tables(head, seen, layers.to_pandas())
        for kind, table in (("epochs", epochs), ("layers", layers)):
            digest.update(_contents(table))
            if table.num_rows:
                name = f"{kind}/program={program}/part-0.parquet"
                counts[name] = table.num_rows
                write_parquet(table, new / name)
        if not problems:
            labelled.append(_labelled(runs, label, seen))
    if problems:
        raise InputError("the journal contradicts itself: " + "; ".join(problems))
    runs = pa.concat_tables(labelled).combine_chunks()
    digest.update(_contents(runs.drop_columns(list(_MEASURED))))
    write_parquet(runs, new / "runs.parquet")
    text = "[\n" + ",\n".join(canonical(spec) for spec in specs) + "\n]\n"
    (new / "plan.json").write_text(text, encoding="utf-8")
    statuses = [row.status for row in rows]
    manifest: dict[str, Any] = {
        "name": card.title,
        "schema_version": SCHEMA_VERSION,
        "recipe": RECIPE,
        "digest": digest.hexdigest(),
        "runs": len(rows),
        "planned": len(specs),
        "programs": len(labelled),
        "sources": sorted({str(about[row.program]["source"]) for row in rows}),
        "statuses": {s: statuses.count(s) for s in STATUSES if s in statuses},
        "limits": journal.noted("limits", {}),
        "versions": _versions(rows),
        "thinning": None if thinning is None else thinning.about,
        "files": {},
    }
    for file in sorted(path for path in new.rglob("*") if path.is_file()):
        name = file.relative_to(new).as_posix()
        manifest["files"][name] = _entry(file) | ({"rows": counts[name]} if name in counts else {})
    _describe(new, manifest, card)
    return manifest


def _contents(table: pa.Table) -> bytes:
    """Return the bytes of a table, without what is said of its columns."""
    fields = [field.remove_metadata() for field in table.schema]
    return to_bytes(table.cast(pa.schema(fields, metadata=table.schema.metadata)))


def _entry(file: Path) -> dict:
    return {"bytes": file.stat().st_size, "sha256": file_digest(file)}


def _describe(folder: Path, manifest: dict, card: Card) -> None:
    """Write the texts beside the tables, list them, and seal the manifest."""
    texts = {
        CROISSANT: describe(card, manifest),
        "columns.csv": columns_table(),
        "LICENSE": licence_text(card.title),
        "CITATION.cff": citation_file(card),
        "README.md": render(card, manifest),
    }
    for name, content in sorted(texts.items()):
        (folder / name).write_text(content, encoding="utf-8")
        manifest["files"][name] = _entry(folder / name)
    manifest["seal"] = seal(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def describe_store(directory: str | Path, *, card: Card | None = None) -> dict:
    """Write the texts of a published store anew, and nothing else.

    These are the data card, the column dictionary, the licence, the citation and the Croissant
    description. The tables, the plan and the digest of the contents stay as they are, also where
    they are damaged; only the seal of the manifest changes.

    Parameters
    ----------
    directory : str or Path
        Folder of the store. Until the new texts are complete, it holds the old ones.
    card : Card, optional
        Sentences of the data card.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    InputError
        If there is no store, its manifest is damaged, or it cannot be written.
    """
    manifest = read_manifest(directory)
    place = Path(directory).absolute()
    manifest.pop("seal", None)
    for name in TEXTS:
        manifest["files"].pop(name, None)
    new = place.with_name(f".{place.name}.building-{os.getpid()}")
    try:
        _sweep(place)
        shutil.copytree(place, new)
        _describe(new, manifest, card or Card())
        _swap(new, place)
    except OSError as error:
        raise InputError(
            f"cannot write {place} ({error.strerror or error}); free space, or choose another "
            "folder"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return manifest
