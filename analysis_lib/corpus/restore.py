"""Fill a journal from a published corpus, so that it can be extended without training it anew."""

import json
from pathlib import Path

import pandas as pd

from analysis_lib.configuration import RECIPE
from analysis_lib.corpus.journal import Journal, Row, digest
from analysis_lib.corpus.load import load_corpus
from analysis_lib.corpus.schema import TRACED, spec_id, to_bytes, trace_tables
from analysis_lib.errors import InputError

__all__ = ["restore"]

_RECORD = {
    "final_metric": "final_metric",
    "weights_digest": "weights_digest",
    "metric_name": "metric_name",
    "learning_rate": "meta_learning_rate",
    "batch_size": "meta_batch_size",
    "steps": "meta_steps",
    "parameters_count": "meta_parameters_count",
    "cpu_s": "meta_cpu_s",
    "wall_s": "meta_wall_s",
}


def restore(path: str | Path, journal_path: str | Path) -> int:
    """Write the runs of a published corpus into a journal that lacks them.

    Publishing the journal again gives the same contents (the same ``digest``), if the store keeps
    every snapshot of the layers. Versions of the environment are restored as far as the runs table
    has them.

    Parameters
    ----------
    path : str or Path
        Folder of the published corpus.
    journal_path : str or Path
        Made if it is not there; runs that it holds already stay as they are.

    Returns
    -------
    int
        Runs written.

    Raises
    ------
    InputError
        If there is no corpus, its recipe is another one, or the journal cannot be written.
    """
    corpus = load_corpus(path)
    recipes = sorted(set(corpus.runs["meta_recipe"]))
    if recipes != [RECIPE]:
        raise InputError(
            f"{path} was made with recipe {recipes}, this version trains recipe {RECIPE}; its runs "
            "cannot stand beside new ones"
        )
    text = (Path(path) / "plan.json").read_text(encoding="utf-8")
    specs = {spec_id(spec): spec for spec in json.loads(text)}
    written = 0
    with Journal(journal_path, write=True) as journal:
        known = journal.statuses()
        for program, runs in corpus.runs.groupby("program", sort=False):
            part = load_corpus(path, programs=[program])
            epochs = dict(list(part.epochs.groupby("run_id")))
            layers = dict(list(part.layers.groupby("run_id")))
            none = part.layers.iloc[:0]
            for run in runs[~runs["run_id"].isin(known)].to_dict("records"):
                traces = epochs.get(run["run_id"]), layers.get(run["run_id"], none)
                written += journal.add(_row(run, specs[run["run_id"]], *traces))
    return written


def _row(run: dict, spec: dict, epochs: pd.DataFrame | None, layers: pd.DataFrame) -> Row:
    record = {name: _plain(run[column]) for name, column in _RECORD.items()}
    blobs: tuple[bytes | None, ...] = (None, None)
    if run["status"] in TRACED:
        tables = trace_tables(_own(epochs), _own(layers), expected=spec["epochs"])
        blobs = tuple(map(to_bytes, tables))
    return Row(
        run_id=run["run_id"],
        spec=spec,
        status=run["status"],
        reason=run["reason"],
        record=record,
        environment={"torch": run["meta_torch"]} if run["meta_torch"] else {},
        epochs=blobs[0],
        layers=blobs[1],
        epochs_sha256=digest(blobs[0]),
        layers_sha256=digest(blobs[1]),
    )


def _own(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="run_id").reset_index(drop=True)


def _plain(value: object) -> object:
    if value is None or value is pd.NA or value != value:
        return None
    return value.item() if hasattr(value, "item") else value
