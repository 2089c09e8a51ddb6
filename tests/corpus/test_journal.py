"""The journal keeps what it was given, and says what is wrong with a file."""

import dataclasses
import os
import sqlite3

import pytest
from corpus_kit import journal_of, plan_of, row_of
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis_lib.configuration import RECIPE
from analysis_lib.corpus.journal import Journal, digest
from analysis_lib.corpus.schema import SCHEMA_VERSION
from analysis_lib.errors import InputError

PLAN = plan_of(["alpha"], seeds=2)


def test_rows_come_back_as_they_were_given(tmp_path):
    path = journal_of(tmp_path / "j.db", PLAN)
    with Journal(path) as journal:
        assert list(journal.rows()) == sorted(map(row_of, PLAN), key=lambda row: row.run_id)
        assert journal.statuses() == {run.run_id: row_of(run).status for run in PLAN}
        assert list(journal.rows(program="beta")) == []


PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.text(max_size=9))


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(max_size=9), PLAIN, max_size=4), st.binary(max_size=99))
def test_any_plain_record_and_blob_survive(tmp_path_factory, record, blob):
    row = dataclasses.replace(
        row_of(PLAN[0]), record=record, epochs=blob, epochs_sha256=digest(blob)
    )
    with Journal(tmp_path_factory.mktemp("j") / "j.db", write=True) as journal:
        journal.add(row)
        (back,) = journal.rows()
    assert back == row and not back.torn


def test_the_first_result_of_a_run_stays(tmp_path):
    row = row_of(PLAN[0])
    with Journal(tmp_path / "j.db", write=True) as journal:
        assert journal.add(row)
        assert not journal.add(dataclasses.replace(row, status="raised"))
        assert journal.statuses() == {row.run_id: "ok"}


def test_notes_are_stored_with_a_run(tmp_path):
    with Journal(tmp_path / "j.db", write=True) as journal:
        journal.add(row_of(PLAN[0]), running={"alpha": 2})
        assert journal.noted("running") == {"alpha": 2}
        assert journal.noted("nothing", 7) == 7


def test_second_driver_is_refused_while_readers_are_not(tmp_path):
    path = tmp_path / "j.db"
    with Journal(path, write=True) as journal:
        journal.add(row_of(PLAN[0]))
        with pytest.raises(InputError, match=rf"j.db is in use: process {os.getpid()} on .*status"):
            Journal(path, write=True)
        with Journal(path) as reader:
            assert reader.busy
            assert len(reader.statuses()) == 1
            journal.add(row_of(PLAN[1]))
            assert len(reader.statuses()) == 2
    with Journal(path, write=True) as journal:
        assert len(journal.statuses()) == 2
    with Journal(path) as reader:
        assert not reader.busy


def test_reading_changes_nothing(tmp_path):
    with Journal(journal_of(tmp_path / "j.db", PLAN)) as journal, pytest.raises(InputError):
        journal.add(row_of(PLAN[0]))


def test_removed_runs_are_gone(tmp_path):
    path = journal_of(tmp_path / "j.db", PLAN)
    with Journal(path, write=True) as journal:
        assert journal.remove([PLAN[0].run_id, "unknown"]) == 1
        assert PLAN[0].run_id not in journal.statuses()


def spoil(path, how):
    match how:
        case "random bytes":
            path.write_bytes(bytes(range(256)) * 64)
        case "text":
            path.write_text("run_id,status\n" * 500)
        case "header gone":
            path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])
        case "cut":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


@pytest.mark.parametrize("how", ["random bytes", "text", "header gone", "cut"])
@pytest.mark.parametrize("write", [False, True])
def test_damaged_file_is_named_with_what_to_do(tmp_path, how, write):
    path = journal_of(tmp_path / "j.db", PLAN)
    spoil(path, how)
    for _ in range(2):  # the second time also shows that the lock was released
        with (
            pytest.raises(InputError, match="j.db is not a journal of this program, or it is dam"),
            Journal(path, write=write) as journal,
        ):
            list(journal.rows())


def test_database_of_another_program_is_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("create table t (a)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="other.db is a database of another program"):
        Journal(path, write=True)
    assert path.read_bytes()[100:] == before[100:]


@pytest.mark.parametrize(("name", "ours"), [("recipe", RECIPE), ("schema_version", SCHEMA_VERSION)])
def test_journal_of_another_version_is_refused(tmp_path, name, ours):
    path = journal_of(tmp_path / "j.db", PLAN[:1])
    with Journal(path, write=True) as journal:
        journal.note(**{name: 999})
    with pytest.raises(InputError, match=f"{name} 999, this version has {ours}"):
        Journal(path, write=True)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".", "is a folder"),
        ("no/j.db", "a folder that does not exist"),
        ("j.db", "no journal at"),
    ],
)
def test_wrong_place(tmp_path, path, message):
    with pytest.raises(InputError, match=message):
        Journal(tmp_path / path)


def test_empty_file_holds_nothing_yet(tmp_path):
    (tmp_path / "j.db").touch()
    with pytest.raises(InputError, match="is empty"):
        Journal(tmp_path / "j.db")
    Journal(tmp_path / "j.db", write=True).close()
    with Journal(tmp_path / "j.db") as journal:
        assert journal.statuses() == {}


def test_full_disk_loses_only_what_was_not_stored(tmp_path):
    path = journal_of(tmp_path / "j.db", PLAN[:3])
    with Journal(path, write=True) as journal:
        journal._connection.execute("pragma max_page_count = 1")  # SQLite: not below the present
        with pytest.raises(InputError, match="no space left"):
            for run in PLAN[3:]:
                journal.add(row_of(run))
        kept = journal.statuses()
        assert {run.run_id for run in PLAN[:3]} <= set(kept) < {run.run_id for run in PLAN}
    with Journal(path, write=True) as journal:
        assert journal.integrity() == "ok"
        for run in PLAN:
            journal.add(row_of(run))
        assert len(journal.statuses()) == len(PLAN)


def test_flipped_bit_in_a_trace_is_noticed(tmp_path):
    path = journal_of(tmp_path / "j.db", PLAN[:1])
    blob = bytearray(row_of(PLAN[0]).layers)
    blob[len(blob) // 2] ^= 1
    with sqlite3.connect(path) as raw:
        raw.execute("update runs set layers = ?", [bytes(blob)])
    raw.close()
    with Journal(path) as journal:
        (row,) = journal.rows()
    assert row.torn
