"""What the three tables of a corpus look like, and what is checked before they are believed."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis_lib.channels import CHANNELS, LAYER_CHANNELS
from analysis_lib.configuration import canonical
from analysis_lib.errors import InputError

__all__ = [
    "LABELS",
    "SCHEMA_VERSION",
    "STATUSES",
    "TRACED",
    "check_columns",
    "check_tables",
    "epochs_schema",
    "from_bytes",
    "layers_schema",
    "runs_schema",
    "some",
    "spec_id",
    "to_bytes",
    "trace_tables",
]

SCHEMA_VERSION = 1
"""Version of the tables; raised when a column changes its name, type or meaning."""

STATUSES = {
    "ok": "trained to the end with finite losses",
    "nonfinite": "a loss or a weight became NaN or infinite; later snapshots hold NaN",
    "raised": "the training code raised an exception",
    "crashed": "the process died by a signal or left with an exit code",
    "cpu_limit": "the process used up its CPU seconds",
    "timeout": "the process used up its wall-clock seconds",
    "oom": "memory ran out",
    "killed": "killed from outside, twice; a failure of the machine, not of the run",
}
"""Status of a run -> meaning."""

TRACED = ("ok", "nonfinite")
"""Statuses of runs that have a trace."""

LABELS = {
    "killed": (pa.bool_(), "", "significantly worse than the healthy program; False if healthy"),
    "unstable": (pa.bool_(), "", "the loss is not finite or explodes at some epoch"),
    "first_bad_epoch": (pa.int16(), "epoch", "first unstable epoch, -1 = init; null if stable"),
    "mismatch": (pa.bool_(), "", "train and validation accuracy differ; null where undefined"),
    "label": (pa.string(), "", "Healthy, or the category of a killed fault; null for survivors"),
}
"""Columns computed from the traces when a corpus is published: type, unit, meaning."""

_RUNS = {
    "run_id": (pa.string(), "", "hash of the run's specification"),
    "program": (pa.string(), "", "training program"),
    "modality": (pa.string(), "", "kind of data"),
    "family": (pa.string(), "", "architecture family"),
    "operator": (pa.string(), "", "fault operator, or healthy"),
    "category": (pa.string(), "", "category of the operator, or Healthy"),
    "parameters": (pa.string(), "", "parameters of the operator, canonical JSON"),
    "configuration": (pa.string(), "", "program, operator and parameters as one key"),
    "seed": (pa.int32(), "", "index of the replicate"),
    "status": (pa.string(), "", "how the run ended"),
    "reason": (pa.string(), "", "why it did not end well; empty if ok"),
    "metric_name": (pa.string(), "", "the program's metric"),
    "higher_is_better": (pa.bool_(), "", "whether larger values of the metric are better"),
    "final_metric": (pa.float64(), "metric", "validation metric after the last epoch"),
    "weights_digest": (pa.string(), "", "sha256 of the final weights"),
    **LABELS,
    "meta_learning_rate": (pa.float64(), "", "learning rate; never a feature"),
    "meta_batch_size": (pa.int64(), "rows", "batch size; never a feature"),
    "meta_steps": (pa.int64(), "steps", "optimizer steps; never a feature"),
    "meta_parameters_count": (pa.int64(), "", "trainable parameters; never a feature"),
    "meta_cpu_s": (pa.float64(), "s", "CPU time; never a feature"),
    "meta_wall_s": (pa.float64(), "s", "wall-clock time; never a feature"),
    "meta_torch": (pa.string(), "", "version of torch"),
    "meta_recipe": (pa.int32(), "", "version of the training code"),
}
_NULLABLE = {
    *("metric_name", "weights_digest", "first_bad_epoch", "mismatch", "label"),
    *("meta_batch_size", "meta_steps", "meta_parameters_count", "meta_torch"),
}
_EPOCH = ("", "epoch, 0-based, at its end; -1 = before the first step")


def _field(name: str, kind: pa.DataType, unit: str, meaning: str, nullable: bool) -> pa.Field:
    metadata = {"unit": unit, "meaning": meaning}
    return pa.field(name, kind, nullable=nullable, metadata=metadata)


def _schema(fields: Iterable[pa.Field]) -> pa.Schema:
    return pa.schema(fields, metadata={"schema_version": str(SCHEMA_VERSION)})


def runs_schema(*, labels: bool = True) -> pa.Schema:
    """Return the schema of ``runs``: one row per run.

    Parameters
    ----------
    labels : bool, default=True
        With the columns of :data:`LABELS`.
    """
    return _schema(
        _field(name, *about, nullable=name in _NULLABLE)
        for name, about in _RUNS.items()
        if labels or name not in LABELS
    )


def epochs_schema(
    channels: Mapping[str, tuple[str, str]] = CHANNELS, *, run_id: bool = True
) -> pa.Schema:
    """Return the schema of ``epochs``: one row per run and snapshot, one column per channel.

    Parameters
    ----------
    channels : mapping of str to (unit, meaning)
    run_id : bool, default=True
        False gives the table of one run as it leaves the training process.
    """
    keys = [_field("run_id", *_RUNS["run_id"], nullable=False)] if run_id else []
    keys.append(_field("epoch", pa.int16(), *_EPOCH, nullable=False))
    return _schema(
        keys + [_field(name, pa.float32(), *about, True) for name, about in channels.items()]
    )


def layers_schema(
    channels: Mapping[str, tuple[str, str]] = LAYER_CHANNELS, *, run_id: bool = True
) -> pa.Schema:
    """Return the schema of ``layers``: one row per run, snapshot and layer."""
    base = epochs_schema(channels, run_id=run_id)
    at = base.get_field_index("epoch") + 1
    layer = _field("layer", pa.string(), "", "name of the layer", False)
    depth = _field("depth", pa.float32(), "share", "position in the network, 0..1", False)
    return base.insert(at, depth).insert(at, layer)


def spec_id(spec: Mapping) -> str:
    """Return the run id of a stored specification, of any recipe version."""
    return hashlib.sha256(canonical(spec).encode()).hexdigest()[:16]


def check_columns(have: pa.Schema, want: pa.Schema, where: str) -> list[str]:
    """List every difference of names and types; column order does not matter."""
    counts, kinds = Counter(have.names), {field.name: field.type for field in have}
    wanted = {field.name: field.type for field in want}
    problems = [f"{where}: missing column '{name}'" for name in wanted if name not in counts]
    problems += [f"{where}: unknown column '{name}'" for name in counts if name not in wanted]
    for name, count in counts.items():
        if count > 1:
            problems.append(f"{where}: column '{name}' appears more than once")
        elif name in wanted and kinds[name] != wanted[name]:
            problems.append(f"{where}: column '{name}' is {kinds[name]}, expected {wanted[name]}")
    return problems


def _cast(frame: pd.DataFrame, schema: pa.Schema, where: str) -> tuple[pa.Table | None, list[str]]:
    columns = [series for _, series in frame.items()]
    arrays = [  # from numpy: NaN stays NaN and does not become null
        pa.array(c.to_numpy()) if c.dtype.kind == "f" else pa.Array.from_pandas(c) for c in columns
    ]
    kinds = [pa.string() if pa.types.is_large_string(a.type) else a.type for a in arrays]
    for at, (name, kind) in enumerate(zip(frame.columns, kinds, strict=True)):
        if name == "epoch" and pa.types.is_integer(kind):
            kinds[at] = pa.int16()
        if name == "depth" and pa.types.is_floating(kind):
            kinds[at] = pa.float32()
    found = pa.schema(list(zip(map(str, frame.columns), kinds, strict=True)))
    problems = check_columns(found, schema, where)
    if problems:
        return None, problems
    bare = pa.schema([field.remove_metadata() for field in schema])  # a third of the bytes
    return pa.table(arrays, names=found.names).select(schema.names).cast(bare), []


def trace_tables(
    epochs: pd.DataFrame, layers: pd.DataFrame, *, expected: int
) -> tuple[pa.Table, pa.Table]:
    """Turn the trace of one run into its two tables, or say everything that is wrong with it.

    Parameters
    ----------
    epochs : DataFrame
        ``epoch`` and every channel as float32.
    layers : DataFrame
        ``epoch``, ``layer``, ``depth`` and every layer channel as float32.
    expected : int
        Planned epochs E; ``epoch`` must be -1, 0, ..., E - 1.

    Raises
    ------
    InputError
        On missing, unknown or wrongly typed columns, and on a hole in the epochs.
    """
    first, problems = _cast(epochs, epochs_schema(run_id=False), "epochs")
    second, more = _cast(layers, layers_schema(run_id=False), "layers")
    problems += more
    wanted = list(range(-1, expected))
    if first is not None and first["epoch"].to_pylist() != wanted:
        problems.append(
            f"epochs: column 'epoch' is {first['epoch'].to_pylist()[:20]}, expected -1 to "
            f"{expected - 1} in order"
        )
    if second is not None:
        outside = sorted(set(second["epoch"].to_pylist()) - set(wanted))
        problems += [f"layers: epoch {epoch} was not planned" for epoch in outside[:3]]
        keys = second.group_by(["epoch", "layer"], use_threads=False).aggregate([])
        if keys.num_rows < second.num_rows:
            problems.append("layers: a layer appears twice in one epoch")
    if problems:
        raise InputError("the trace is wrong: " + "; ".join(problems))
    return first, second


def to_bytes(table: pa.Table) -> bytes:
    """Return the Arrow IPC stream of a table; equal tables give equal bytes."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(use_threads=False)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


def from_bytes(blob: bytes) -> pa.Table:
    """Read a table back from :func:`to_bytes`."""
    try:
        return pa.ipc.open_stream(blob).read_all()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"not an Arrow IPC stream, or a torn one: {error}") from None


def some(values: Iterable) -> str:
    """Return the first three values and how many more there are.

    Examples
    --------
    >>> some("abcde")
    'a, b, c and 2 more'
    """
    values = list(values)
    more = f" and {len(values) - 3} more" if len(values) > 3 else ""
    return ", ".join(map(str, values[:3])) + more


def _orphans(frame: pd.DataFrame, runs: pd.DataFrame, where: str) -> list[str]:
    lost = pd.Index(frame["run_id"].unique()).difference(pd.Index(runs["run_id"]))
    return [f"{where}: runs that are not in runs: {some(lost)}"] if len(lost) else []


def check_tables(
    runs: pd.DataFrame, epochs: pd.DataFrame, layers: pd.DataFrame | None = None
) -> list[str]:
    """List what contradicts itself across the tables: ids, statuses, epochs.

    Parameters
    ----------
    runs, epochs, layers : DataFrame
        As in a corpus.

    Returns
    -------
    list of str
        One line per problem; empty if there is none.

    Examples
    --------
    >>> runs = pd.DataFrame({"run_id": ["a", "a"], "status": ["ok", "fine"]})
    >>> epochs = pd.DataFrame({"run_id": ["a", "a", "b"], "epoch": [-1, 1, -1]})
    >>> for line in check_tables(runs, epochs):
    ...     print(line)
    runs: run ids that appear more than once: a
    runs: unknown status: fine
    epochs: runs that are not in runs: b
    epochs: runs with a hole or a repetition in their epochs: a
    """
    problems = []
    ids = runs["run_id"]
    blank = int((ids.isna() | (ids.astype(str).str.strip() == "")).sum())
    if blank:
        problems.append(f"runs: {blank} rows without a run_id")
    repeated = ids[ids.duplicated()].dropna().unique()
    if len(repeated):
        problems.append(f"runs: run ids that appear more than once: {some(repeated)}")
    strange = set(runs["status"].dropna()) - set(STATUSES)
    if strange or runs["status"].isna().any():
        problems.append(f"runs: unknown status: {some(sorted(strange) or ['(missing)'])}")
    problems += _orphans(epochs, runs, "epochs")
    traced = runs.loc[runs["status"].isin(TRACED), "run_id"]
    bare = traced[~traced.isin(epochs["run_id"])]
    if len(bare):
        problems.append(f"epochs: no rows of runs with status ok or nonfinite: {some(bare)}")
    by_run = epochs.groupby("run_id", sort=False)["epoch"].agg(["min", "max", "count", "nunique"])
    length = by_run["max"] + 2
    holes = by_run.index[
        (by_run["min"] != -1) | (by_run["count"] != length) | (by_run["nunique"] != length)
    ]
    holes = holes.intersection(pd.Index(ids))
    if len(holes):
        problems.append(f"epochs: runs with a hole or a repetition in their epochs: {some(holes)}")
    else:  # every row has to follow the one before it, whose run and epoch it continues
        before = epochs[["run_id", "epoch"]].shift()
        follows = (epochs["run_id"] == before["run_id"]) & (epochs["epoch"] == before["epoch"] + 1)
        apart = epochs.loc[~follows & (epochs["epoch"] != -1), "run_id"].unique()
        if len(apart):
            problems.append(f"epochs: runs whose epochs are not in order: {some(apart)}")
    if layers is not None:
        problems += _orphans(layers, runs, "layers")
        keys = layers[["run_id", "epoch", "layer"]]
        if bool(np.any(keys.duplicated())):
            twice = layers.loc[keys.duplicated(), "run_id"].unique()
            problems.append(f"layers: a layer appears twice in an epoch of: {some(twice)}")
    return problems
