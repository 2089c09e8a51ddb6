"""R19: every kind of bad input is named, with its place, and ends with exit status 2."""

import json
import re
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from corpus_kit import CATEGORIES, PROGRAMS, journal_of, plan_of, relist, rewrite

from analysis_lib.cli import main
from analysis_lib.corpus.child import clean
from analysis_lib.corpus.load import load_corpus
from analysis_lib.corpus.publish import publish
from analysis_lib.labels import label_runs

PART, LAYERS = "epochs/program=alpha/part-0.parquet", "layers/program=alpha/part-0.parquet"
RUNS = "runs.parquet"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder, plan = tmp_path_factory.mktemp("inputs"), plan_of(seeds=5)
    journal = journal_of(folder / "j.db", plan)
    options = {"programs": PROGRAMS, "categories": CATEGORIES, "label": label_runs}
    publish(journal, folder / "store", plan=plan, **options)
    return folder / "store"


def write(name, content):
    return lambda store: (store / name).write_bytes(content)


def cut(name, keep):
    return lambda store: (store / name).write_bytes((store / name).read_bytes()[:keep])


def table(name, change):
    return lambda store: rewrite(store, name, change)


def put(column, value, rows=slice(0, 1)):
    def change(frame):
        frame.loc[frame.index[rows], column] = value
        return frame

    return change


def flip(name, at):
    def change(store):
        content = bytearray((store / name).read_bytes())
        content[at] ^= 1
        (store / name).write_bytes(content)

    return change


def listed(name):
    """A manifest that names one more file, properly sealed."""

    def change(store):
        files = json.loads((store / "manifest.json").read_text())["files"]
        relist(store, files=files | {name: {"bytes": 1, "sha256": "0"}})

    return change


def plan_text(text):
    def change(store):
        (store / "plan.json").write_text(text)
        relist(store)

    return change


def copied(store):
    other = store / "epochs" / "program=beta" / "part-0.parquet"
    shutil.copyfile(store / PART, other)
    relist(store)


def outside(store):
    part = store / PART
    shutil.move(part, store.parent / "outside")
    part.symlink_to(store.parent / "outside")


def a_ok(frame):
    return frame.index[frame["train_loss"].notna() & (frame["epoch"] == 1)][:1]


def at_ok(column, value):
    def change(frame):
        frame.loc[a_ok(frame), column] = value
        return frame

    return change


CASES = {
    "1 no such folder": (lambda s: shutil.rmtree(s), "no corpus at {store}"),
    "1 empty folder": (lambda s: (shutil.rmtree(s), s.mkdir()), "{store} holds no manifest.json"),
    "1 a file": (lambda s: (shutil.rmtree(s), s.write_text("x")), "no corpus at {store}"),
    "2 empty": (write(PART, b""), f"{PART} is damaged"),
    "2 cut": (cut(PART, -100), f"{PART} is damaged"),
    "2 text": (write(PART, b"run_id,epoch\n"), f"{PART} is damaged"),
    "2 wrong magic": (flip(PART, 0), f"{PART} is damaged"),
    "2 empty manifest": (write("manifest.json", b""), "manifest.json is damaged"),
    "2 nested manifest": (write("manifest.json", b"[" * 100_000), "manifest.json is damaged"),
    "3 flipped bit": (flip(PART, 900), f"{PART} is damaged"),
    "3 altered manifest": (flip("manifest.json", 12), "manifest.json is damaged"),
    "3 missing": (lambda s: (s / PART).unlink(), f"{PART} is missing"),
    "3 extra": (write("epochs/x.parquet", b"x"), "epochs/x.parquet is not in the manifest"),
    "5 columns": (
        table(PART, lambda f: f.rename(columns={"hvp_norm": "x"}).astype({"grad_norm": "float64"})),
        f"{PART}: missing column 'hvp_norm'; {PART}: unknown column 'x'; {PART}: column "
        "'grad_norm' is double, expected float",
    ),
    "5 text in numbers": (
        table(PART, lambda f: f.assign(hvp_norm=f["hvp_norm"].astype(str))),
        f"{PART}: column 'hvp_norm' is ",
    ),
    "6 run twice": (
        table(RUNS, lambda f: pd.concat([f, f[:1]])),
        "run ids that appear more than once",
    ),
    "6 epoch twice": (
        table(PART, lambda f: pd.concat([f, f[:1]])),
        "a hole or a repetition in their epochs",
    ),
    "6 two files": (copied, "a hole or a repetition in their epochs"),
    "7 blank id": (table(RUNS, put("run_id", "  ")), "1 rows without a run_id"),
    "7 blank program": (table(RUNS, put("program", "")), "every run matches its specification"),
    "8 numbers as ids": (
        table(RUNS, lambda f: f.assign(run_id=np.arange(len(f)))),
        f"{RUNS}: column 'run_id' is int64, expected string",
    ),
    "9 orphan epochs": (table(PART, put("run_id", "zz")), "epochs: runs that are not in runs: zz"),
    "9 orphan layers": (table(LAYERS, put("run_id", "zz")), "layers: runs that are not in runs"),
    "9 hole": (table(PART, lambda f: f.drop(f.index[1])), "a hole or a repetition"),
    "9 epoch -5": (table(PART, put("epoch", -5)), "a hole or a repetition"),
    "9 order": (table(PART, lambda f: f[::-1]), "runs whose epochs are not in order"),
    "9 runs mixed": (
        table(PART, lambda f: f.sort_values("epoch", kind="stable")),
        "runs whose epochs are not in order",
    ),
    "10 NaN": (table(PART, at_ok("valid_loss", np.nan)), "non-finite loss or norm"),
    "10 inf": (table(PART, at_ok("weight_norm", np.inf)), "non-finite loss or norm"),
    "11 beyond float32": (
        table(PART, lambda f: f.assign(hvp_norm=1e39)),
        f"{PART}: column 'hvp_norm' is double, expected float",
    ),
    "15 fault": (table(RUNS, put("operator", "XYZ")), "every run matches its specification"),
    "15 category": (table(RUNS, put("category", "Luck")), "label against killed and category"),
    "15 status": (table(RUNS, put("status", "fine")), "runs: unknown status: fine"),
    "15 schema": (lambda s: relist(s, schema_version=99), "schema version 99"),
    "16 NaN in the plan": (plan_text('[{"seed": NaN}]'), "plan.json cannot be read"),
    "16 word for a number": (
        lambda s: plan_text((s / "plan.json").read_text().replace('"epochs":3', '"epochs":"x"'))(s),
        "plan.json cannot be read",
    ),
    "16 epochs": (
        lambda s: plan_text(
            (s / "plan.json").read_text().replace('"epochs":3', '"epochs":1000000000')
        )(s),
        "planned but not there",
    ),
    "16 plan of numbers": (plan_text("[1, 2]"), "plan.json cannot be read"),
    "16 huge number": (plan_text("[" + "9" * 5000 + "]"), "plan.json cannot be read"),
    "16 nested plan": (plan_text("[" * 100_000), "plan.json cannot be read"),
    "16 planned twice": (
        lambda s: plan_text(json.dumps(json.loads((s / "plan.json").read_text()) * 2))(s),
        "75 planned twice",
    ),
    "17 parent": (listed("../x"), "'../x', which is outside the corpus"),
    "17 absolute": (listed("/etc/passwd"), "'/etc/passwd', which is outside the corpus"),
    "17 NUL": (listed("a\0b"), "outside the corpus"),
    "17 link": (outside, "outside the corpus"),
    "17 long name": (listed("x" * 300), "xxx is missing"),
}


PASSED = set()


@pytest.mark.parametrize("case", CASES)
def test_r19_bad_corpora(case, shared, tmp_path, capsys):
    damage, message = CASES[case]
    store = shutil.copytree(shared, tmp_path / "store")
    damage(store)
    status = main(["corpus", "verify", str(store)])
    out, err = capsys.readouterr()
    assert status == 2 and err.startswith("error: ") and err.count("\n") == 1
    assert message.format(store=store) in out + err
    assert "Traceback" not in out + err
    PASSED.add(case)


def test_sound_corpus_passes(shared, capsys):
    assert main(["corpus", "verify", str(shared)]) == 0


def words(*words, message):
    return [*map(str, words)], message


COMMANDS = {
    "1 no journal": words("status", message="no journal at {journal}"),
    "16 no seeds": words("generate", "--seeds", 0, message="seeds is 0; expected an integer"),
    "16 many seeds": words("generate", "--seeds", 10**9, message="expected an integer from 1"),
    "16 healthy": words("generate", "--healthy", -1, message="healthy is -1; expected"),
    "16 word": words("generate", "--seeds", "ten", message="should be a valid integer"),
    "16 long number": words("generate", "--seeds", "9" * 5000, message="exceeded maximum size"),
    "16 unknown key": words("generate", "--sedes", 3, message="No such option"),
    "16 program": words("generate", "--program", "nix", message="unknown program 'nix'"),
    "16 limit": words("generate", "--cpu-s", -1, message="cpu_s is -1; expected a number above 0"),
    "16 NaN": words("generate", "--wall-s", "nan", message="wall_s is nan; expected a number"),
    "16 memory": words("generate", "--memory-gib", 0, message="memory_gib is 0"),
    "15 retry": words("generate", "--retry", "kiled", message="did you mean 'killed'"),
    "17 long path": words("generate", "--journal", "x" * 300, message="(File name too long)"),
    "17 long path, reading": words(
        "status", "--journal", "x" * 300, message="(File name too long)"
    ),
    "17 long path of a file of Dask": words(
        "generate", "--dask-file", "x" * 300, message="(File name too long)"
    ),
    "18 a folder": words("plan", "--save", "/tmp", message="cannot use '/tmp' (Is a directory)"),
    "18 no folder": words(
        "generate", "--journal", "/no/such/j.db", message="is in a folder that does not exist"
    ),
}
JOURNALS = {
    "18 another program's": ("create table t (x)", "is a database of another program"),
    "18 newer recipe": ("update meta set value = '99' where name = 'recipe'", "recipe 99, this"),
    "18 newer schema": (
        "update meta set value = '99' where name = 'schema_version'",
        "schema_version 99, this version has",
    ),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_r19_bad_options(case, tmp_path, capsys):
    options, message = COMMANDS[case]
    journal = tmp_path / "j.db"
    if "--journal" not in options and options[0] != "plan":
        options += ["--journal", str(journal)]
    if "--program" not in options:
        options += ["--program", "snn_wine"]
    status = main(["corpus", *options])
    out, err = capsys.readouterr()
    assert status == 2 and message.format(journal=journal) in err.replace("\n", " ")
    assert "Traceback" not in out + err
    PASSED.add(case)


@pytest.mark.parametrize("case", JOURNALS)
@pytest.mark.parametrize("command", ["generate", "status"])
def test_r19_bad_journals(case, command, tmp_path, capsys):
    sql, message = JOURNALS[case]
    journal = tmp_path / "j.db"
    if "another" not in case:
        journal_of(journal, plan_of(seeds=1))
    connection = sqlite3.connect(journal)
    connection.execute(sql)
    connection.commit()
    connection.close()
    status = main(["corpus", command, "--program", "snn_wine", "--journal", str(journal)])
    assert status == 2 and f"{journal}" in (err := capsys.readouterr().err) and message in err
    PASSED.add((case, command))


def test_r19_names_that_look_like_nothing(tmp_path):
    """pandas takes some words for missing values and digits for numbers; a corpus does not."""
    names = ["NA", "null", "0012", "nan", "1e5"]
    programs = pd.concat([PROGRAMS[:1].assign(program=name) for name in names])
    journal = journal_of(tmp_path / "j.db", plan_of(names, seeds=1))
    options = {"programs": programs, "categories": CATEGORIES, "label": label_runs}
    publish(journal, tmp_path / "s", **options)
    corpus = load_corpus(tmp_path / "s")
    assert sorted(corpus.runs["program"].unique()) == sorted(names)
    assert corpus.epochs["run_id"].isin(corpus.runs["run_id"]).all()
    PASSED.add("7 and 8 names")


def test_r19_publishing_over_something_else(tmp_path, capsys):
    journal, place = journal_of(tmp_path / "j.db", plan_of(["snn_wine"], seeds=1)), tmp_path / "s"
    place.mkdir()
    (place / "thesis.txt").write_text("precious")
    command = ["corpus", "publish", "--program", "snn_wine", "--journal", str(journal)]
    assert main([*command, "--to", str(place)]) == 2
    assert "s exists and is not a published corpus" in capsys.readouterr().err
    PASSED.add("18 publishing")


@pytest.mark.parametrize("limit", ["_MOST_ROWS", "_MOST_COLUMNS", "_MOST_BYTES"])
def test_r19_corpora_that_would_fill_the_memory(limit, shared, monkeypatch, capsys):
    monkeypatch.setattr(f"analysis_lib.corpus.load.{limit}", 8)
    assert main(["corpus", "verify", str(shared)]) == 2
    assert re.match(r"error: .*\.parquet claims \d+ \w+, over 8; ", capsys.readouterr().err)
    PASSED.add(f"4 {limit}")


@pytest.mark.parametrize("name", ["manifest.json", PART])
def test_r19_files_that_may_not_be_read(name, shared, monkeypatch, capsys):
    whole = Path.open

    def guarded(self, *arguments, **options):
        if self == shared / name:
            raise PermissionError(13, "Permission denied", str(self))
        return whole(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", guarded)
    assert main(["corpus", "verify", str(shared)]) == 2
    assert f"error: cannot use '{shared / name}' (Permission denied)" in capsys.readouterr().err
    PASSED.add(f"1 unreadable {name}")


def test_r19_messages_of_runs_that_are_no_text(tmp_path):
    """10 MB, control characters, colours and half a character become one short line."""
    reason = clean("\x1b[31m=cmd|'/C calc'\udcff\0\r\n" + "x" * 10_000_000)
    assert len(reason) == 500 and reason.isprintable() and reason.startswith("=cmd|'/C calc'")
    PASSED.add("22 message")


def test_r19_is_counted(count):
    if not PASSED:
        pytest.skip("counts the cases above")
    cases = len(CASES) + len(COMMANDS) + 2 * len(JOURNALS) + 2 + 3 + 2 + 1
    wrong = cases - len(PASSED)
    count("R19", "bad corpora, journals, options", faults=cases, records=len(PASSED), wrong=wrong)
