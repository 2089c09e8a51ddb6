"""The journal: one SQLite file that holds every finished run of a generation.

Only the driver writes to it: one commit per run, durable before the next result is taken. A
``flock`` on ``<journal>.lock`` keeps a second driver out and lets everybody read meanwhile.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from analysis_lib.configuration import RECIPE, canonical
from analysis_lib.corpus.schema import SCHEMA_VERSION
from analysis_lib.errors import InputError

__all__ = ["Journal", "Row", "digest"]

_APPLICATION = 0x44594E46  # "DYNF"
_BLOBS = ("epochs", "layers")


def digest(blob: bytes | None) -> str | None:
    """Return the sha256 of a blob in hexadecimal digits, or None without one."""
    return None if blob is None else hashlib.sha256(blob).hexdigest()


@dataclass(frozen=True)
class Row:
    """One finished run, made of plain values only.

    Parameters
    ----------
    run_id, status, reason : str
    spec : dict
        The specification of the run.
    attempts : int
        2 if the first process was killed from outside.
    record : dict
        Plain scalars from the trainer, with ``cpu_s`` and ``wall_s`` in seconds.
    environment : dict
        Versions and processor of the process that trained.
    epochs, layers : bytes or None
        Arrow IPC streams; None without a trace.
    epochs_sha256, layers_sha256 : str or None
        Digests of the two, taken where they were made.
    """

    run_id: str
    spec: dict
    status: str
    reason: str = ""
    attempts: int = 1
    record: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)
    epochs: bytes | None = None
    layers: bytes | None = None
    epochs_sha256: str | None = None
    layers_sha256: str | None = None

    @property
    def program(self) -> str:
        """Program of the run."""
        return self.spec["program"]

    @property
    def torn(self) -> bool:
        """Whether a blob differs from its digest."""
        return any(digest(getattr(self, b)) != getattr(self, f"{b}_sha256") for b in _BLOBS)


_COLUMNS = tuple(f.name for f in fields(Row))
_JSON = ("spec", "record", "environment")
_TABLES = f"""
create table meta (name text primary key, value text not null) without rowid;
create table runs (
  {", ".join(_COLUMNS)}, program text not null, finished real not null,
  primary key (run_id), check (length(run_id) > 0)
);
create index runs_by_program on runs (program, status, finished);
"""


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        if "not a database" in text or "malformed" in text or "no such" in text:
            problem = (
                f"{path} is not a journal of this program, or it is damaged ({text}); "
                "restore a copy, or move it away and generate again"
            )
        elif "full" in text:
            problem = f"no space left for {path}; free some and start again, nothing is lost"
        elif "readonly" in text or "unable to open" in text:
            problem = f"cannot open or write {path} ({text}); check the folder and its permissions"
        else:
            problem = f"cannot use {path} ({text}); put the journal on a local disk"
        raise InputError(problem) from error


class Journal:
    """A journal, opened for reading or (by one driver at a time) for writing.

    Parameters
    ----------
    path : str or Path
        The SQLite file; created if missing and ``write`` is true.
    write : bool, default=False
        Take the lock and allow changes.

    Raises
    ------
    InputError
        If the file is missing (reading), in use by another driver (writing), damaged, not a
        journal, or of another recipe or schema version.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Journal(f"{folder}/journal.sqlite", write=True) as journal:
    ...         journal.note(why="an example")
    ...     with Journal(f"{folder}/journal.sqlite") as journal:
    ...         journal.statuses(), journal.noted("why")
    ({}, 'an example')
    """

    def __init__(self, path: str | Path, *, write: bool = False):
        self.path = Path(path)
        self._lock = None
        if self.path.is_dir() or not self.path.parent.is_dir():
            what = "is a folder" if self.path.is_dir() else "is in a folder that does not exist"
            raise InputError(f"{self.path} {what}; expected the path of a journal file")
        if not write and not self.path.exists():
            raise InputError(
                f"no journal at {self.path}; `corpus generate` makes one "
                "(a published corpus needs none)"
            )
        if write:
            self._lock = _acquire(self.path)
        try:
            with _explained(self.path):
                self._connection = self._open(write)
                self._check(write)
        except BaseException:
            self.close()
            raise

    def _open(self, write: bool) -> sqlite3.Connection:
        if write:
            connection = sqlite3.connect(self.path, isolation_level=None)
            with contextlib.suppress(sqlite3.OperationalError):  # no WAL on network file systems
                connection.execute("pragma journal_mode=wal")
            connection.execute("pragma synchronous=full")
            return connection
        options = "mode=ro"
        if not os.access(self.path.parent, os.W_OK) and not _beside(self.path, "-wal").exists():
            options += "&immutable=1"
        uri = f"{self.path.resolve().as_uri()}?{options}"
        return sqlite3.connect(uri, uri=True, isolation_level=None)

    def _check(self, write: bool) -> None:
        application = self._connection.execute("pragma application_id").fetchone()[0]
        objects = self._connection.execute("select count(*) from sqlite_schema").fetchone()[0]
        if application == objects == 0:
            if not write:
                raise InputError(f"{self.path} is empty; `corpus generate` fills it")
            self._connection.executescript(
                f"begin; {_TABLES} pragma application_id={_APPLICATION};"
                f"insert into meta values ('recipe', '{RECIPE}');"
                f"insert into meta values ('schema_version', '{SCHEMA_VERSION}'); commit;"
            )
        elif application != _APPLICATION:
            raise InputError(f"{self.path} is a database of another program; choose another path")
        for name, ours in (("recipe", RECIPE), ("schema_version", SCHEMA_VERSION)):
            found = self.noted(name)
            if found != ours:
                raise InputError(
                    f"{self.path} was made with {name} {found}, this version has {ours}; "
                    "use the version that made it, or generate into a new journal"
                )

    def add(self, row: Row, **notes: object) -> bool:
        """Store a run and some notes in one durable commit; False if it was there already."""
        values = [getattr(row, name) for name in _COLUMNS]
        values = [canonical(v) if n in _JSON else v for n, v in zip(_COLUMNS, values, strict=True)]
        marks = ", ".join("?" * (len(values) + 2))
        names = ", ".join((*_COLUMNS, "program", "finished"))
        with _explained(self.path), self._transaction():
            done = self._connection.execute(
                f"insert or ignore into runs ({names}) values ({marks})",
                [*values, row.program, time.time()],
            )
            self._write_notes(notes)
            return done.rowcount == 1

    def note(self, **notes: object) -> None:
        """Store named values (JSON) beside the runs."""
        with _explained(self.path), self._transaction():
            self._write_notes(notes)

    def noted(self, name: str, default: object = None) -> object:
        """Return a named value, or the default."""
        with _explained(self.path):
            found = self._connection.execute("select value from meta where name = ?", [name])
            found = found.fetchone()
        return default if found is None else json.loads(found[0])

    def statuses(self) -> dict[str, str]:
        """Return run_id -> status of every stored run."""
        return dict(self._select("select run_id, status from runs"))

    def finished(self) -> list[tuple[str, str, str, float]]:
        """Return run_id, program, status and time of the commit (s since 1970) of every run."""
        return list(self._select("select run_id, program, status, finished from runs"))

    def readable(self) -> Iterator[Row]:
        """Yield what can be read of a damaged file, run by run, in any order."""
        last = self._connection.execute("select max(rowid) from runs").fetchone()[0] or 0
        sql = f"select {', '.join(_COLUMNS)} from runs not indexed where rowid = ?"
        for at in range(1, last + 1):
            with contextlib.suppress(sqlite3.Error, ValueError, TypeError, KeyError):
                if found := self._connection.execute(sql, [at]).fetchone():
                    yield _row(found)

    def rows(self, *, program: str | None = None) -> Iterator[Row]:
        """Yield the stored runs ordered by run_id, all or those of one program."""
        where, values = ("", []) if program is None else ("where program = ?", [program])
        sql = f"select {', '.join(_COLUMNS)} from runs {where} order by run_id"
        for found in self._select(sql, values):
            yield _row(found)

    def remove(self, run_ids: Iterable[str]) -> int:
        """Delete runs, so that the next generation makes them again; return how many."""
        with _explained(self.path), self._transaction():
            sql = "delete from runs where run_id = ?"
            return sum(self._connection.execute(sql, [r]).rowcount for r in list(run_ids))

    def integrity(self) -> str:
        """Return "ok", or what SQLite finds damaged."""
        with contextlib.suppress(sqlite3.DatabaseError):
            return "; ".join(r[0] for r in self._connection.execute("pragma integrity_check(5)"))
        return "the file is damaged"

    @property
    def busy(self) -> bool:
        """Whether some driver holds the lock now."""
        return self._lock is not None or _held(self.path)

    def disconnect(self) -> None:
        """Close the file and keep the lock."""
        if connection := getattr(self, "_connection", None):
            connection.close()

    def close(self) -> None:
        """Close the file and release the lock."""
        self.disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _select(self, sql: str, values: Iterable = ()) -> Iterator[tuple]:
        with _explained(self.path):
            yield from self._connection.execute(sql, list(values))

    def _write_notes(self, notes: dict) -> None:
        sql = "insert or replace into meta values (?, ?)"
        self._connection.executemany(sql, [(n, json.dumps(v)) for n, v in notes.items()])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("begin immediate")
        try:
            yield
            self._connection.execute("commit")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise


def _row(found: tuple) -> Row:
    content = dict(zip(_COLUMNS, found, strict=True))
    return Row(**content | {name: json.loads(content[name]) for name in _JSON})


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _acquire(path: Path) -> int:
    lock = _beside(path, ".lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise InputError(f"cannot write {lock} ({error.strerror}); choose another folder") from None
    for attempt in range(10):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05 * (attempt < 9))  # a reader may be asking whether the lock is held
            continue
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
        return handle
    holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
    os.close(handle)
    raise InputError(
        f"{path} is in use: {holder} is generating into it; wait for it, stop it, or look at it "
        "with `corpus status`"
    )


def _held(path: Path) -> bool:
    try:
        handle = os.open(_beside(path, ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
