"""Check a published store, and look at a running generation."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis_lib.configuration import HEALTHY, Run
from analysis_lib.corpus.audit import without_kappa
from analysis_lib.corpus.journal import Journal
from analysis_lib.corpus.load import MANIFEST, Corpus, file_digest, load_corpus, read_manifest
from analysis_lib.corpus.schema import (
    LABELS,
    TRACED,
    check_columns,
    check_tables,
    epochs_schema,
    layers_schema,
    runs_schema,
    some,
    spec_id,
)

__all__ = ["status", "verify_store"]

_CORE = ("train_loss", "valid_loss", "probe_loss", "weight_norm")
_RECENT_S = 600.0


def _files(path: Path, manifest: dict) -> tuple[list[str], list[str]]:
    wrong, there = [], {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}
    for name, about in manifest["files"].items():
        if name not in there:
            wrong.append(f"{name} is missing")
        elif file_digest(path / name) != about["sha256"]:
            wrong.append(f"{name} is damaged or altered")
    extra = sorted(there - set(manifest["files"]) - {MANIFEST})
    return wrong, [f"{name} is not in the manifest" for name in extra]


def _columns(path: Path, manifest: dict) -> list[str]:
    problems = []
    schemas = {"runs": runs_schema(), "epochs": epochs_schema(), "layers": layers_schema()}
    for name in manifest["files"]:
        if not name.endswith(".parquet") or not (path / name).is_file():
            continue
        try:
            found = pq.read_schema(path / name)
        except (pa.ArrowException, OSError) as error:
            problems.append(f"{name}: {str(error)[:100]}")
            continue
        kind = name.partition("/")[0].removesuffix(".parquet")
        problems += check_columns(found, schemas.get(kind, pa.schema([])), name)
    return problems


def _plan(path: Path, runs: pd.DataFrame, epochs: pd.DataFrame) -> dict[str, list[str]]:
    try:
        specs = json.loads((path / "plan.json").read_text(encoding="utf-8"))
        ids = pd.Series([spec_id(spec) for spec in specs], dtype="str")
        fields = ("program", "operator", "seed", "recipe")
        keys = {spec_id(s): tuple(s[name] for name in fields) for s in specs}
        length = pd.Series({spec_id(s): int(s["epochs"]) for s in specs})
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return {"C04": [f"plan.json cannot be read: {repr(error)[:200]}"]}
    problems = []
    have = set(runs["run_id"])
    for what, those in (
        ("planned twice", set(ids[ids.duplicated()])),
        ("planned but not there", set(ids) - have),
        ("there but not planned", have - set(ids)),
    ):
        if those:
            problems.append(f"{len(those)} {what}: {some(sorted(those))}")
    columns = ["run_id", "program", "operator", "seed", "meta_recipe"]
    rows = runs[columns].itertuples(index=False, name=None)
    differ = [run_id for run_id, *rest in rows if keys.get(run_id, tuple(rest)) != tuple(rest)]
    last = epochs.groupby("run_id")["epoch"].max() + 1
    planned = length.reindex(last.index)
    wrong = last.index[planned.notna() & (last != planned)]
    return {
        "C04": problems,
        "C05": [f"not as specified: {some(differ)}"] if differ else [],
        "C07": [f"another number of epochs: {some(wrong)}"] if len(wrong) else [],
    }


def _gaps(runs: pd.DataFrame, epochs: pd.DataFrame, channels: Sequence[str]) -> list[str]:
    stable = (runs["status"] == "ok") & ~runs["unstable"]  # explosions overflow rightly
    fine = epochs[epochs["run_id"].isin(runs.loc[stable, "run_id"])]
    problems = []
    core = [name for name in _CORE if name in channels]
    bad = fine.loc[~np.isfinite(fine[core]).all(axis=1), "run_id"].unique()
    if len(bad):
        problems.append(f"stable runs with a non-finite loss or norm: {some(bad)}")
    # a norm may overflow in a run that survives, and leaves its spread undefined
    overflown = np.isinf(fine[list(channels)]).any(axis=1)
    if "kappa" in channels:
        fine = fine.assign(kappa=fine["kappa"].mask(without_kappa(fine), 0.0))
    later = fine[(fine["epoch"] >= 0) & ~overflown]
    share = later[channels].isna().groupby(later["run_id"], sort=False).mean()
    torn = (share > 0) & (share < 1)
    for name in torn.columns[torn.any()]:
        problems.append(
            f"{name} is NaN in some epochs of stable runs: {some(torn.index[torn[name]])}"
        )
    return problems


def _no_effect(runs: pd.DataFrame, inert: Iterable[str]) -> list[str]:
    known = runs[runs["weights_digest"].notna() & ~runs["operator"].isin(list(inert))]
    plain = (known["operator"] == HEALTHY) & (known["parameters"] == "{}")
    twins = known.loc[plain].set_index(["program", "seed"])["weights_digest"]
    twins = twins[~twins.index.duplicated()]
    others = known[~plain]
    at = pd.MultiIndex.from_frame(others[["program", "seed"]])
    same = others["weights_digest"].to_numpy() == twins.reindex(at).to_numpy()
    names = others.loc[same, "configuration"].unique()
    return [f"end with the weights of the healthy program: {some(names)}"] if len(names) else []


def _labels(corpus: Corpus, label: Callable | None) -> list[str]:
    runs = corpus.runs
    healthy = runs["operator"] == HEALTHY
    expected = runs["category"].where(runs["killed"] | healthy)
    agree = (runs["label"] == expected) | (runs["label"].isna() & expected.isna())
    rules = {
        "healthy but killed": healthy & runs["killed"],
        "category of healthy": healthy != (runs["category"] == "Healthy"),
        "label against killed and category": ~agree.fillna(False),
        "unstable without first_bad_epoch": runs["unstable"] != runs["first_bad_epoch"].notna(),
        "mismatch of an unstable run": runs["unstable"] & runs["mismatch"].notna(),
    }
    problems = [f"{why}: {some(runs.loc[b, 'run_id'])}" for why, b in rules.items() if b.any()]
    if label is not None:
        computed = label(runs.drop(columns=list(LABELS)), corpus.epochs)
        for name in LABELS:
            one, two = runs[name].astype("string"), computed[name].astype("string")
            if not one.equals(two):
                differ = runs.loc[~((one == two).fillna(False) | (one.isna() & two.isna()))]
                problems.append(f"{name} differs when computed anew: {some(differ['run_id'])}")
    return problems


def verify_store(
    path: str | Path,
    *,
    label: Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame] | None = None,
    inert: Iterable[str] = ("VRM",),
) -> pd.DataFrame:
    """Check everything that can be checked about a published store.

    Parameters
    ----------
    path : str or Path
    label : callable, optional
        Compute the labels anew with this function and compare.
    inert : iterable of str
        Operators that leave the weights alone on purpose.

    Returns
    -------
    DataFrame
        One row per check: ``code``, ``check``, ``ok``, ``detail`` (what is wrong). If files are
        damaged the checks of contents are not made and have ``ok`` missing.

    Raises
    ------
    InputError
        If there is no store, or its manifest cannot be read.
    """
    path = Path(path)
    manifest = read_manifest(path)
    damaged, extra = _files(path, manifest)
    found = {"C01": damaged, "C02": extra, "C03": _columns(path, manifest)}
    if not (damaged or found["C03"]):
        corpus = load_corpus(path, verify=False)  # all digests were compared above
        runs, epochs = corpus.runs, corpus.epochs
        found |= _plan(path, runs, epochs)
        found["C06"] = check_tables(runs, epochs, corpus.layers)
        found["C08"] = _gaps(runs, epochs, corpus.channels)
        found["C09"] = _no_effect(runs, inert)
        # labels of runs that are there twice, or not at all, cannot be computed
        found["C10"] = _labels(corpus, None if found["C06"] else label)
        counts = runs["status"].value_counts().to_dict()
        said = manifest.get("statuses", {})
        found["C11"] = [f"manifest {said}, runs {counts}"] if said != counts else []
    return pd.DataFrame(
        {
            "code": list(_CHECKS),
            "check": list(_CHECKS.values()),
            "ok": pd.array(
                [not found[c] if c in found else pd.NA for c in _CHECKS], dtype="boolean"
            ),
            "detail": ["; ".join(found.get(c, ["not checked"])) for c in _CHECKS],
        }
    )


_CHECKS = {
    "C01": "every file has the sha256 of the manifest",
    "C02": "no file beside those of the manifest",
    "C03": "columns and types are those of the schema",
    "C04": "the runs are the planned ones",
    "C05": "every run matches its specification",
    "C06": "ids and epochs agree across the tables",
    "C07": "every trace has the planned number of epochs",
    "C08": "no gap in a stable run that ended well",
    "C09": "no fault leaves the healthy weights",
    "C10": "labels follow from each other",
    "C11": "counts by status are those of the manifest",
}


def status(journal_path: str | Path, plan: Iterable[Run]) -> pd.DataFrame:
    """Say how far a generation is, also while it runs.

    Parameters
    ----------
    journal_path : str or Path
    plan : iterable of Run

    Returns
    -------
    DataFrame indexed by program, with a last row "all"
        ``planned`` = ``done`` (a trace) + ``failed`` (another status) + ``running`` + ``missing``;
        ``per_minute`` over the last 10 minutes, ``minutes_left`` at that rate (NaN if unknown).
        Dask does not tell what it has begun: ``running`` is NA then, and counts as ``missing``.
    """
    program_of = {run.run_id: run.configuration.program for run in plan}
    with Journal(journal_path) as journal:
        rows = pd.DataFrame(journal.finished(), columns=["run_id", "program", "status", "finished"])
        running = journal.noted("running", {}) if journal.busy else {}
    rows = rows[rows["run_id"].isin(program_of)]
    done = rows["status"].isin(TRACED)
    table = pd.Series(program_of, dtype="str").value_counts().sort_index().to_frame("planned")
    table["done"] = rows.loc[done, "program"].value_counts()
    table["failed"] = rows.loc[~done, "program"].value_counts()
    table["running"] = pd.Series(running or {}, dtype="float64")
    table = table.fillna(0).astype(int)
    open_runs = table["planned"] - table["done"] - table["failed"]
    table["running"] = table["running"].clip(upper=open_runs)
    table["missing"] = open_runs - table["running"]
    recent = rows[rows["finished"] > rows["finished"].max() - _RECENT_S]
    span = recent["finished"].max() - recent["finished"].min() if len(recent) else 0.0
    table["per_minute"] = recent["program"].value_counts() * 60 / span if span > 0 else np.nan
    table.loc["all"] = table.sum()
    if span == 0:  # no rate yet
        table["per_minute"] = np.nan
    left = table["missing"] + table["running"]
    table["minutes_left"] = left / table["per_minute"].where(table["per_minute"] > 0)
    table.index.name = "program"
    counts = ["planned", "done", "failed", "running", "missing"]
    table = table.astype(dict.fromkeys(counts, int))
    if running is None:
        table["running"] = pd.array([pd.NA] * len(table), dtype="Int64")
    return table
