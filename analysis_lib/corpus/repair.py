"""Mend a journal: drop what is torn, and save what can be read of a damaged file."""

import os
from pathlib import Path

import pandas as pd

from analysis_lib.corpus.journal import Journal
from analysis_lib.errors import InputError

__all__ = ["repair"]


def repair(journal_path: str | Path) -> pd.DataFrame:
    """Drop the runs of a journal whose traces are torn; the next generation makes them again.

    If the file itself is damaged, every run that can still be read is copied to a new journal in
    its place, and the damaged one is kept beside it, with ``.damaged`` added to its name.

    Parameters
    ----------
    journal_path : str or Path

    Returns
    -------
    DataFrame
        ``run_id``, ``program`` and ``status`` of the dropped runs; those that could not be read
        at all are not known.

    Raises
    ------
    InputError
        If there is no journal, it is in use, or too damaged to be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Journal(f"{folder}/journal.sqlite", write=True):
    ...         pass
    ...     len(repair(f"{folder}/journal.sqlite"))
    0
    """
    path = Path(journal_path)
    if not path.is_file():
        raise InputError(f"no journal at {path}; `corpus generate` makes one")
    with Journal(path, write=True) as journal:
        if journal.integrity() != "ok":
            torn = _save(journal, path)
        else:
            torn = [(r.run_id, r.program, r.status) for r in journal.rows() if r.torn]
            journal.remove(run_id for run_id, _, _ in torn)
    return pd.DataFrame(torn, columns=["run_id", "program", "status"])


def _save(journal: Journal, path: Path) -> list[tuple[str, str, str]]:
    rescued, torn = path.with_name(path.name + ".rescued"), []
    for suffix in ("", "-wal", "-shm"):
        rescued.with_name(rescued.name + suffix).unlink(missing_ok=True)
    with Journal(rescued, write=True) as new:
        new.note(limits=journal.noted("limits", {}))
        for row in journal.readable():
            if row.torn:
                torn.append((row.run_id, row.program, row.status))
            else:
                new.add(row)
    journal.disconnect()  # the lock stays
    os.replace(path, path.with_name(path.name + ".damaged"))
    for suffix in ("-wal", "-shm"):  # they belong to the damaged file
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.replace(rescued, path)
    rescued.with_name(rescued.name + ".lock").unlink(missing_ok=True)
    return torn
