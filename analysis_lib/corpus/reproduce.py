"""Train runs of a corpus again and compare them with what is stored."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from analysis_lib.configuration import Run
from analysis_lib.corpus.generate import generate
from analysis_lib.corpus.journal import Journal, Row
from analysis_lib.corpus.load import Corpus
from analysis_lib.corpus.schema import TRACED, from_bytes
from analysis_lib.corpus.thinning import Thinning
from analysis_lib.errors import InputError

__all__ = ["difference", "reproduce"]


def difference(one: pd.DataFrame, two: pd.DataFrame) -> pd.Series:
    """Return the largest relative difference of two traces by channel.

    max over snapshots of ``|a - b| / max(|a|, |b|)``, which lies in [0, 2]; 0 where both are
    missing or both the same infinity, 2 where only one is finite. Traces of different
    length differ by 2.

    Parameters
    ----------
    one : DataFrame
        Channels of a run, one row per snapshot.
    two : DataFrame
        The same of another, or of the same run made again.

    Returns
    -------
    Series indexed by channel

    Examples
    --------
    >>> difference(pd.DataFrame({"loss": [1.0, np.nan]}), pd.DataFrame({"loss": [1.1, np.nan]}))
    loss    0.090909
    dtype: float64
    """
    if len(one) != len(two):
        return pd.Series(2.0, index=one.columns)
    a, b = one.to_numpy(float), two[one.columns].to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.abs(a - b) / np.maximum(np.abs(a), np.abs(b))
    relative = np.where(np.isfinite(a) & np.isfinite(b), relative, 2.0)
    relative = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, relative)
    return pd.Series(relative.max(axis=0, initial=0.0), index=one.columns)


def reproduce(
    corpus: Corpus,
    *,
    count: int = 100,
    programs: list[str] | None = None,
    random_state: int = 0,
    workers: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Train a random sample of the runs anew and compare every channel with the stored trace.

    What a published corpus left out (:class:`~analysis_lib.corpus.thinning.Thinning`) is left out
    of the new traces, too.

    On the kind of processor that made the corpus, with the same version of torch, traces are equal
    bit for bit. Elsewhere sums are taken in another order; runs that are stable stay close for
    the first epochs, and chaotic ones part company.

    Parameters
    ----------
    corpus : Corpus
        With all channels and epochs.
    count : int, default=100
        Runs in the sample, of those with a trace.
    programs : list of str, optional
        Sample from these programs only.
    random_state : int, default=0
    workers : int, optional
        Processes at a time; default as in :func:`~analysis_lib.corpus.generate.generate`.
    progress : bool, default=False

    Returns
    -------
    DataFrame
        One row per run: run_id, program, configuration, seed, status, again (the status now),
        equal (all channels and the final weights, bit for bit), start (largest relative difference
        of a channel before training), worst (at any time), channel (where).

    Raises
    ------
    InputError
        If no run with a trace is left, or a run was made by another recipe.
    """
    runs = corpus.runs[corpus.runs["status"].isin(TRACED)]
    if programs is not None:
        runs = runs[runs["program"].isin(programs)]
    if runs.empty:
        raise InputError("no run with a trace to train again; give programs of this corpus")
    runs = runs.sample(min(count, len(runs)), random_state=random_state)
    stored = dict(
        list(corpus.epochs[corpus.epochs["run_id"].isin(runs["run_id"])].groupby("run_id"))
    )
    plan = [_run(r, epochs=len(stored[r["run_id"]]) - 1) for r in runs.to_dict("records")]
    rows, thinning = [], Thinning.of(corpus.manifest or {})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "again.sqlite"
        generate(plan, path, workers=workers, progress=progress)
        with Journal(path) as journal:
            for row in journal.rows():
                rows.append(_compare(row, runs, stored, thinning))
    return pd.DataFrame(rows).sort_values("run_id", ignore_index=True)


def _run(record: dict, *, epochs: int) -> Run:
    return Run.from_spec(
        {
            "program": record["program"],
            "operator": record["operator"],
            "parameters": json.loads(record["parameters"]),
            "seed": record["seed"],
            "epochs": epochs,
            "recipe": record["meta_recipe"],
        }
    )


def _compare(row: Row, runs: pd.DataFrame, stored: dict, thinning: Thinning | None) -> dict:
    about = runs.loc[runs["run_id"] == row.run_id].iloc[0]
    before = stored[row.run_id].set_index("epoch").drop(columns="run_id")
    found = {name: about[name] for name in ("run_id", "program", "configuration", "seed", "status")}
    if row.epochs is None:
        return {**found, "again": row.status, "equal": False, "start": 2.0, "worst": 2.0}
    now = from_bytes(row.epochs).to_pandas().set_index("epoch")
    now = now if thinning is None else thinning.frame(now)
    worst = difference(before, now)
    same = row.record.get("weights_digest") == about["weights_digest"]
    return {
        **found,
        "again": row.status,
        "equal": bool(same and worst.max() == 0),
        "start": difference(before.iloc[:1], now.iloc[:1]).max(),
        "worst": worst.max(),
        "channel": worst.idxmax() if worst.max() > 0 else "",
    }
