"""Every kind of damage and contradiction has a check that finds it."""

import json
import re
import shutil
import sqlite3

import numpy as np
import pandas as pd
import pytest
from corpus_kit import NAMES, journal_of, label, plan_of, relist, rewrite, row_of, store_of

from analysis_lib.cli import main
from analysis_lib.corpus.generate import generate
from analysis_lib.corpus.journal import Journal
from analysis_lib.corpus.repair import repair
from analysis_lib.corpus.verify import status, verify_store

PLAN = plan_of()
PART = "epochs/program=alpha/part-0.parquet"
LAYERS = "layers/program=alpha/part-0.parquet"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return store_of(tmp_path_factory.mktemp("store"), PLAN)


@pytest.fixture
def store(shared, tmp_path):
    return shutil.copytree(shared, tmp_path / "store")


def test_sound_store_passes(shared):
    checks = verify_store(shared, label=label)
    assert checks["ok"].all() and not checks["detail"].any()
    assert checks["code"].is_unique


def at(mask_of, **values):
    """A change of the rows of a table."""

    def change(frame):
        rows = frame[mask_of(frame)].index[:1]
        for name, value in values.items():
            frame.loc[rows, name] = value
        return frame

    return change


def operator(name):
    return lambda frame: frame["operator"] == name


def twins(frame):
    same = frame.loc[operator("healthy")(frame), "weights_digest"].iloc[0]
    frame.loc[frame.index[operator("HLR")(frame)][0], "weights_digest"] = same
    return frame


def some_ok(frame):
    return ~frame["train_loss"].isna() & (frame["epoch"] == 1)


def edit_plan(change):
    def edit(store):
        specs = json.loads((store / "plan.json").read_text())
        (store / "plan.json").write_text(json.dumps(change(specs)))
        relist(store)

    return edit


def table(name, change):
    return lambda store: rewrite(store, name, change)


DAMAGE = {
    "altered text": ("C01", lambda s: (s / "README.md").write_text("trust me")),
    "missing file": ("C01", lambda s: (s / "plan.json").unlink()),
    "extra file": ("C02", lambda s: (s / "epochs" / "more.parquet").write_text("x")),
    "extra column": ("C03", table(PART, lambda f: f.assign(extra=1.0))),
    "wrong type": ("C03", table("runs.parquet", lambda f: f.assign(seed=f["seed"].astype(str)))),
    "planned twice": ("C04", edit_plan(lambda specs: [*specs, specs[0]])),
    "not planned": ("C04", edit_plan(lambda specs: specs[1:])),
    "not made": ("C04", edit_plan(lambda specs: [*specs, specs[0] | {"seed": 77}])),
    "plan is no plan": ("C04", edit_plan(lambda specs: [1, 2])),
    "another seed": ("C05", table("runs.parquet", at(operator("HBS"), seed=5))),
    "repeated run": ("C06", table("runs.parquet", lambda f: pd.concat([f, f[:1]]))),
    "unknown run": ("C06", table(PART, at(some_ok, run_id="nobody"))),
    "hole": ("C06", table(PART, lambda f: f.drop(index=f.index[1]))),
    "repeated layer": ("C06", table(LAYERS, lambda f: pd.concat([f, f[:1]]))),
    "too short": ("C07", table(PART, lambda f: f[f["epoch"] < 2])),
    "NaN loss": ("C08", table(PART, at(some_ok, train_loss=np.nan))),
    "infinite norm": ("C08", table(PART, at(some_ok, weight_norm=np.inf))),
    "NaN channel": ("C08", table(PART, at(some_ok, hvp_norm=np.nan))),
    "NaN kappa": ("C08", table(PART, at(some_ok, kappa=np.nan))),
    "no effect": ("C09", table("runs.parquet", twins)),
    "killed healthy": ("C10", table("runs.parquet", at(operator("healthy"), killed=True))),
    "labelled survivor": ("C10", table("runs.parquet", at(operator("HBS"), label="Loop"))),
    "unlabelled": ("C10", table("runs.parquet", at(operator("HLR"), label=None))),
    "bad epoch": ("C10", table("runs.parquet", at(operator("NONFINITE"), first_bad_epoch=None))),
    "counts": ("C11", lambda s: relist(s, statuses={"ok": 30})),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_found_by_its_check(store, how):
    code, damage = DAMAGE[how]
    damage(store)
    checks = verify_store(store).set_index("code")
    assert not checks.loc[code, "ok"]
    assert checks.loc[code, "detail"]


@pytest.mark.parametrize(
    ("name", "value"), [("mismatch", True), ("first_bad_epoch", 0), ("unstable", False)]
)
def test_labels_are_computed_anew(store, name, value):
    at_nonfinite = at(operator("NONFINITE"), **{name: value})
    at_healthy = at(lambda f: f["seed"] == 0, **{name: value})
    rewrite(store, "runs.parquet", at_healthy if name == "mismatch" else at_nonfinite)
    checks = verify_store(store, label=label).set_index("code")
    assert f"{name} differs when computed anew" in checks.loc["C10", "detail"]


def test_damaged_contents_are_not_judged(store):
    (store / PART).write_bytes(b"x")
    checks = verify_store(store).set_index("code")
    assert not checks.loc["C01", "ok"]
    assert pd.isna(checks.loc["C06", "ok"]) and checks.loc["C06", "detail"] == "not checked"


def test_operator_that_changes_no_weights_on_purpose(store):
    rewrite(store, "runs.parquet", twins)
    assert verify_store(store, inert=["HLR"]).set_index("code").loc["C09", "ok"]


def test_status_counts_by_program(tmp_path):
    path = journal_of(tmp_path / "j.db", PLAN[:-3])
    table = status(path, PLAN)
    assert list(table.index) == [*sorted(NAMES), "all"]
    counts = ["planned", "done", "failed", "running", "missing"]
    assert table.loc["alpha", counts].tolist() == [10, 8, 2, 0, 0]
    assert table.loc["007", counts].tolist() == [10, 5, 2, 0, 3]
    assert table.loc["all", counts].tolist() == [30, 21, 6, 0, 3]
    whole = table.loc["all"]
    assert whole["per_minute"] > 0
    assert whole["minutes_left"] == pytest.approx(3 / whole["per_minute"])


def test_status_while_a_driver_works(tmp_path):
    with Journal(tmp_path / "j.db", write=True) as journal:
        journal.add(row_of(PLAN[0]), running={"alpha": 2, "beta": 99})
        table = status(tmp_path / "j.db", PLAN)
        assert table["running"].to_dict() == {"alpha": 2, "beta": 10, "007": 0, "all": 12}
        assert table.loc["alpha", "missing"] == 7
    assert status(tmp_path / "j.db", PLAN).loc["all", "running"] == 0


def test_status_when_the_executor_does_not_tell_what_is_running(tmp_path):
    with Journal(tmp_path / "j.db", write=True) as journal:
        journal.add(row_of(PLAN[0]), running=None)
        table = status(tmp_path / "j.db", PLAN)
        assert table["running"].isna().all()
        assert table.loc["alpha", "missing"] == 9 and table.loc["all", "missing"] == 29
        assert table["per_minute"].isna().all()  # of one run


def test_status_on_the_screen_when_nothing_is_known(tmp_path, capsys):
    with Journal(tmp_path / "j.db", write=True) as journal:
        journal.note(running=None)
        options = ["--program", "snn_wine", "--configurations", "1", "--seeds", "1"]
        assert main(["corpus", "status", *options, "--journal", str(journal.path)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"all +12 +0 +0 +- +12 +- +-\n", out) and "NA" not in out
    assert "how many are running is not known: Dask does not tell" in out


def test_status_of_an_empty_journal_and_an_empty_plan(tmp_path):
    Journal(tmp_path / "j.db", write=True).close()
    table = status(tmp_path / "j.db", PLAN)
    assert table.loc["all", "missing"] == 30 and table["minutes_left"].isna().all()
    assert status(tmp_path / "j.db", []).loc["all", "planned"] == 0


def test_repair_drops_torn_runs_which_are_then_made_again(tmp_path):
    plan = plan_of(["alpha"], ["healthy"], seeds=4)
    path = journal_of(tmp_path / "j.db", plan)
    assert len(repair(path)) == 0
    raw = sqlite3.connect(path)
    for run in plan[:2]:
        raw.execute("update runs set layers = x'00' where run_id = ?", [run.run_id])
    raw.commit()
    raw.close()
    dropped = repair(path)
    assert set(dropped["run_id"]) == {run.run_id for run in plan[:2]}
    assert set(dropped["status"]) == {"ok"}
    summary = generate(plan, path, trainer="corpus_stub:train", progress=False)
    assert (summary.already, summary.recorded["ok"], summary.complete) == (2, 2, True)


def test_what_can_be_read_of_a_damaged_journal_is_saved(tmp_path):
    plan = plan_of(["alpha"], ["healthy"], seeds=30)
    path = journal_of(tmp_path / "j.db", plan)
    content = bytearray(path.read_bytes())
    assert len(content) > 200_000
    content[100_000:120_000] = bytes(20_000)
    path.write_bytes(content)
    dropped = repair(path)
    assert (tmp_path / "j.db.damaged").read_bytes()[100_000:120_000] == bytes(20_000)
    with Journal(path) as journal:
        kept = {row.run_id: row for row in journal.rows()}
        assert journal.integrity() == "ok" and not journal.busy
    assert 10 < len(kept) < 30 and not set(dropped["run_id"]) & set(kept)
    by_id = {run.run_id: run for run in plan}
    assert all(row == row_of(by_id[run_id]) for run_id, row in kept.items())
    summary = generate(plan, path, trainer="corpus_stub:train", progress=False)
    assert (summary.already, summary.complete) == (len(kept), True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["j.db", "j.db.damaged", "j.db.lock"]


def test_overflow_of_an_exploding_run_is_no_gap(store):
    first = {}

    def explode(frame):
        first["id"] = frame.loc[some_ok(frame), "run_id"].iloc[0]
        frame.loc[frame["run_id"] == first["id"], ["weight_norm", "hvp_norm"]] = np.inf
        return frame

    def admit(frame):
        frame.loc[frame["run_id"] == first["id"], ["unstable", "first_bad_epoch"]] = [True, 0]
        frame.loc[frame["run_id"] == first["id"], "mismatch"] = None
        return frame

    rewrite(store, PART, explode)
    assert not verify_store(store).set_index("code").loc["C08", "ok"]
    rewrite(store, "runs.parquet", admit)
    assert verify_store(store)["ok"].all()
