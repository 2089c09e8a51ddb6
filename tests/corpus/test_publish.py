"""A journal becomes a store: the same bytes every time, and never half of one."""

import json
import sqlite3

import pandas as pd
import pyarrow as pa
import pyarrow.dataset  # noqa: F401
import pyarrow.parquet as pq
import pytest
from corpus_kit import CATEGORIES, PROGRAMS, journal_of, label, plan_of, row_of

from analysis_lib.channels import CHANNELS, LAYER_CHANNELS
from analysis_lib.corpus import schema
from analysis_lib.corpus.card import Card
from analysis_lib.corpus.load import file_digest, load_corpus
from analysis_lib.corpus.publish import publish
from analysis_lib.corpus.verify import verify_store
from analysis_lib.errors import InputError

PLAN = plan_of()
OPTIONS = {"programs": PROGRAMS, "categories": CATEGORIES, "label": label}

PUBLISHER = """
import os, signal, sys
from corpus_kit import CATEGORIES, PROGRAMS, label
from analysis_lib.corpus import publish as module

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[3] == "while labelling":
    label = die
else:
    module._swap = die
module.publish(sys.argv[1], sys.argv[2], programs=PROGRAMS, categories=CATEGORIES, label=label)
"""


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    return journal_of(tmp_path_factory.mktemp("journal") / "j.db", PLAN)


def files(folder):
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_publishing_twice_gives_the_same_bytes(journal, tmp_path):
    one = publish(journal, tmp_path / "one", **OPTIONS)
    two = publish(journal, tmp_path / "two", **OPTIONS)
    assert one == two
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert publish(journal, tmp_path / "one", **OPTIONS) == one  # replaces it
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_order_of_plan_and_journal_does_not_matter(journal, tmp_path):
    other = journal_of(tmp_path / "other.db", PLAN[::-1])
    one = publish(journal, tmp_path / "one", plan=PLAN, **OPTIONS)
    assert publish(other, tmp_path / "two", plan=PLAN[::-1], **OPTIONS) == one


def test_manifest_describes_every_file(journal, tmp_path):
    manifest = publish(journal, tmp_path / "s", **OPTIONS)
    assert manifest == json.loads((tmp_path / "s" / "manifest.json").read_text())
    listed = {name: about["sha256"] for name, about in manifest["files"].items()}
    there = files(tmp_path / "s")
    del there["manifest.json"]
    assert listed == there
    assert manifest["statuses"] == {"ok": 18, "nonfinite": 6, "raised": 6}
    assert (manifest["runs"], manifest["planned"], manifest["programs"]) == (30, 30, 3)
    assert manifest["versions"]["torch"] == ["2"]
    specs = json.loads((tmp_path / "s" / "plan.json").read_text())
    assert {json.dumps(s, sort_keys=True) for s in specs} == {
        json.dumps(run.spec, sort_keys=True) for run in PLAN
    }


def test_digest_ignores_times_but_no_result(journal, tmp_path):
    before = publish(journal, tmp_path / "s", **OPTIONS)["digest"]
    other = tmp_path / "other.db"
    other.write_bytes(journal.read_bytes())
    raw = sqlite3.connect(other)
    raw.execute("update runs set record = json_set(record, '$.cpu_s', 99)")
    raw.commit()
    assert publish(other, tmp_path / "s", **OPTIONS)["digest"] == before
    raw.execute("update runs set record = json_set(record, '$.steps', 99) where status = 'ok'")
    raw.commit()
    raw.close()
    assert publish(other, tmp_path / "s", **OPTIONS)["digest"] != before


def test_files_are_written_as_promised(journal, tmp_path):
    publish(journal, tmp_path / "s", **OPTIONS)
    for kind, channels in (("epochs", CHANNELS), ("layers", LAYER_CHANNELS)):
        file = pq.ParquetFile(tmp_path / "s" / kind / "program=007" / "part-0.parquet")
        assert file.num_row_groups == 1
        for at in range(file.metadata.num_columns):
            column = file.metadata.row_group(0).column(at)
            assert column.compression == "ZSTD"
            if column.path_in_schema in channels:
                assert "BYTE_STREAM_SPLIT" in column.encodings
                assert not column.has_dictionary_page
        for name, (unit, meaning) in channels.items():
            field = file.schema_arrow.field(name)
            assert field.type == pa.float32()
            assert field.metadata[b"unit"] == unit.encode()
            assert field.metadata[b"meaning"] == meaning.encode()


def test_any_reader_can_read_the_partitions(journal, tmp_path):
    publish(journal, tmp_path / "s", **OPTIONS)
    text = pa.dataset.partitioning(pa.schema([("program", pa.string())]), flavor="hive")
    frame = pd.read_parquet(tmp_path / "s" / "epochs", partitioning=text)
    assert set(frame["program"]) == {"alpha", "beta", "007"}
    assert len(frame) == 24 * 4


def test_values_arrive_unchanged(journal, tmp_path):
    publish(journal, tmp_path / "s", **OPTIONS)
    corpus = load_corpus(tmp_path / "s")
    by_run = dict(tuple(corpus.epochs.groupby("run_id")))
    for run in PLAN:
        row = row_of(run)
        if row.epochs is None:
            assert run.run_id not in by_run
            continue
        expected = pa.ipc.open_stream(row.epochs).read_all().to_pandas()
        found = by_run[run.run_id].drop(columns="run_id").reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected)


def test_card_counts_and_explains(journal, tmp_path):
    card = Card(title="Little", limits="Only three programs.", command="make corpus")
    publish(journal, tmp_path / "s", card=card, **OPTIONS)
    text = (tmp_path / "s" / "README.md").read_text()
    assert text.startswith("---\nlicense: ")
    for part in ("# Little", "Only three programs.", "make corpus", "| raised | 6 |", "30 runs"):
        assert part in text
    assert all(f"| `{name}` |" in text for name in (*CHANNELS, *LAYER_CHANNELS, "first_bad_epoch"))


def test_missing_runs_need_permission(journal, tmp_path):
    plan = PLAN + plan_of(["alpha"], ["SLOW"], seeds=3)
    with pytest.raises(InputError, match="lacks 3 of 33 planned runs; continue `corpus generate`"):
        publish(journal, tmp_path / "s", plan=plan, **OPTIONS)
    assert not (tmp_path / "s").exists()
    manifest = publish(journal, tmp_path / "s", plan=plan, partial=True, **OPTIONS)
    assert (manifest["runs"], manifest["planned"]) == (30, 33)


def test_plan_selects_runs(journal, tmp_path):
    assert publish(journal, tmp_path / "s", plan=PLAN[:4], **OPTIONS)["runs"] == 4
    with pytest.raises(InputError, match="holds no run of the plan"):
        publish(journal, tmp_path / "t", plan=plan_of(["x"]), partial=True, **OPTIONS)


def test_torn_trace_is_not_published(tmp_path):
    path = journal_of(tmp_path / "j.db", PLAN[:3])
    raw = sqlite3.connect(path)
    raw.execute("update runs set epochs = substr(epochs, 2) where run_id = ?", [PLAN[0].run_id])
    raw.commit()
    raw.close()
    with pytest.raises(InputError, match=f"1 runs are damaged, e.g. {PLAN[0].run_id}.*repair"):
        publish(path, tmp_path / "s", **OPTIONS)


def test_all_unknown_names_come_at_once(tmp_path):
    plan = plan_of(["alpha", "odd/../name"], ["healthy", "NEW", "ODD"], seeds=1)
    path = journal_of(tmp_path / "j.db", plan)
    with pytest.raises(InputError) as caught:
        publish(path, tmp_path / "s", **OPTIONS)
    for part in (
        "program 'odd/../name' is not in programs",
        "operator 'NEW' has no category",
        "operator 'ODD' has no category",
        "cannot be a folder name",
    ):
        assert part in str(caught.value)


def test_lacking_program_columns(journal, tmp_path):
    with pytest.raises(InputError, match=r"lacks the columns \['family'\]"):
        publish(journal, tmp_path / "s", **OPTIONS | {"programs": PROGRAMS.drop(columns="family")})


@pytest.mark.parametrize("what", ["file", "folder"])
def test_other_things_are_not_overwritten(journal, tmp_path, what):
    place = tmp_path / "mine"
    if what == "file":
        place.write_text("precious")
    else:
        place.mkdir()
        (place / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="mine exists and is not a published corpus"):
        publish(journal, place, **OPTIONS)
    assert "precious" in (place if what == "file" else place / "thesis.txt").read_text()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda runs, epochs: 1 / 0,
        lambda runs, epochs: label(runs, epochs).drop(columns="killed"),
        lambda runs, epochs: label(runs, epochs)[::-1],
    ],
)
def test_failing_labels_leave_the_old_store(journal, tmp_path, wrong):
    publish(journal, tmp_path / "s", plan=PLAN[:4], **OPTIONS)
    before = files(tmp_path / "s")
    with pytest.raises((InputError, ZeroDivisionError)):
        publish(journal, tmp_path / "s", **OPTIONS | {"label": wrong})
    assert files(tmp_path / "s") == before
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("when", ["while labelling", "before the swap"])
def test_kill_leaves_the_old_store_and_rubbish_is_swept(journal, tmp_path, script, when):
    place = tmp_path / "s"
    publish(journal, place, plan=PLAN[:4], **OPTIONS)
    before = files(place)
    process = script(PUBLISHER, journal, place, when)
    _, err = process.communicate()
    assert process.returncode == -9, err
    assert files(place) == before
    left = tmp_path / f".s.building-{process.pid}"
    assert left.is_dir()
    publish(journal, place, **OPTIONS)
    assert not left.exists()
    assert verify_store(place)["ok"].all()


def test_without_atomic_exchange_the_store_is_replaced_too(journal, tmp_path, monkeypatch):
    publish(journal, tmp_path / "s", plan=PLAN[:4], **OPTIONS)
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    assert publish(journal, tmp_path / "s", **OPTIONS)["runs"] == 30
    assert verify_store(tmp_path / "s")["ok"].all()
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_the_digest_is_of_values_not_of_what_is_said_of_them(journal, tmp_path, monkeypatch):
    first = publish(journal, tmp_path / "s", **OPTIONS)
    monkeypatch.setitem(schema._RUNS, "reason", (pa.string(), "", "in other words"))
    second = publish(journal, tmp_path / "t", **OPTIONS)
    assert "in other words" in (tmp_path / "t" / "columns.csv").read_text()
    assert second["digest"] == first["digest"] and second["seal"] != first["seal"]
