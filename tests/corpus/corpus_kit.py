"""Journals and stores of the stand-in trainer, made without processes."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from corpus_stub import trace_of

from analysis_lib.configuration import Configuration, Run
from analysis_lib.corpus.journal import Journal, Row, digest
from analysis_lib.corpus.load import file_digest, seal
from analysis_lib.corpus.publish import publish, write_parquet
from analysis_lib.corpus.schema import to_bytes, trace_tables

OPERATORS = ("RAISE", "NONFINITE", "HLR", "HBS")
CATEGORIES = {"HLR": "Hyperparameter", "HBS": "Hyperparameter"} | {
    name: "Loop"
    for name in ("RAISE", "UNPICKLABLE", "SILENT", "MEMORY", "HUNGRY", "EXIT", "SYSEXIT", "KILL")
    + ("ONCE", "SEGFAULT", "BUSY", "SLEEP", "FROZEN", "WORK", "SLOW", "CLOSE", "NONFINITE")
}
NAMES = ("alpha", "beta", "007")
PROGRAMS = pd.DataFrame(
    {
        "program": [*NAMES, "hopeless"],
        "modality": "tabular",
        "family": "mlp",
        "source": "made up",
        "metric_name": "accuracy",
        "higher_is_better": True,
    }
)


def plan_of(programs=NAMES, operators=("healthy", *OPERATORS), seeds=2, epochs=3):
    """Every program with every operator."""
    return [
        Run(Configuration(program, operator), seed, epochs)
        for program in programs
        for operator in operators
        for seed in range(seeds)
    ]


def row_of(run):
    """What a process would have sent for a run, made here."""
    environment = {"python": "3", "torch": "2"}
    if run.configuration.operator == "RAISE":
        return Row(run.run_id, run.spec, "raised", "ValueError: no", environment=environment)
    trace = trace_of(run, bad=1 if run.configuration.operator == "NONFINITE" else None)
    epochs, layers = map(to_bytes, trace_tables(trace.epochs, trace.layers, expected=run.epochs))
    record = trace.record | {"parameters_count": 42, "cpu_s": 1.0, "wall_s": 2.0}
    record["final_metric"] = None if trace.status == "nonfinite" else record["final_metric"]
    blobs = (epochs, layers, digest(epochs), digest(layers))
    return Row(run.run_id, run.spec, trace.status, trace.reason, 1, record, environment, *blobs)


def journal_of(path, plan):
    """A journal that holds a plan."""
    with Journal(path, write=True) as journal:
        for run in plan:
            journal.add(row_of(run))
    return path


def label(runs, epochs):
    """Labels by the simplest rules that agree with each other."""
    bad = epochs[epochs["train_loss"].isna()].groupby("run_id")["epoch"].min()
    first = runs["run_id"].map(bad).astype("Int64")
    killed = runs["operator"] == "HLR"
    healthy = runs["operator"] == "healthy"
    return pd.DataFrame(
        {
            "killed": killed,
            "unstable": first.notna(),
            "first_bad_epoch": first,
            "mismatch": (runs["seed"] > 0).astype("boolean").mask(first.notna()),
            "label": runs["category"].where(killed | healthy),
        },
        index=runs.index,
    )


def store_of(folder, plan):
    """A published store of a plan."""
    journal = journal_of(folder / "journal.db", plan)
    options = {"programs": PROGRAMS, "categories": CATEGORIES, "label": label}
    publish(journal, folder / "store", plan=plan, **options)
    return folder / "store"


def rewrite(store, name, change):
    """Change a Parquet table of a store and let the manifest agree with it."""
    table = pq.read_table(store / name, partitioning=None)
    frame = change(table.to_pandas(types_mapper=pd.ArrowDtype))
    table = pa.Table.from_pandas(frame, preserve_index=False)
    write_parquet(table.replace_schema_metadata(None), store / name)
    relist(store)


def relist(store, **changes):
    """Write the manifest anew for the files that are there."""
    manifest = json.loads((store / "manifest.json").read_text()) | changes
    for name, about in manifest["files"].items():
        file = store / name
        if len(name) < 100 and file.exists():
            about |= {"bytes": file.stat().st_size, "sha256": file_digest(file)}
            if name.endswith(".parquet"):
                about["rows"] = pq.read_metadata(file).num_rows
    manifest["seal"] = seal(manifest)
    (store / "manifest.json").write_text(json.dumps(manifest))


def slow_plan():
    """Thirty runs that take a moment each."""
    slow = {"s": 0.05}
    return [Run(Configuration(n, "SLOW", slow), seed, 3) for n in NAMES for seed in range(10)]
