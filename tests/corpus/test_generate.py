"""A generation loses nothing and makes nothing twice, whoever dies on the way."""

import json
import signal
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
from corpus_kit import CATEGORIES, PROGRAMS, label, plan_of, slow_plan
from corpus_stub import TRAINER

from analysis_lib.configuration import Configuration, Run
from analysis_lib.corpus.generate import generate
from analysis_lib.corpus.journal import Journal
from analysis_lib.corpus.publish import publish
from analysis_lib.errors import InputError

QUIET = {"trainer": TRAINER, "progress": False}
PLAN = plan_of(["alpha", "007"], seeds=2)
STORE = {"programs": PROGRAMS, "categories": CATEGORIES, "label": label}

DRIVER = """
import sys
from corpus_kit import slow_plan
from corpus_stub import TRAINER
from analysis_lib.corpus.generate import generate

summary = generate(slow_plan(), sys.argv[1], trainer=TRAINER, workers=2)
print(summary.remaining, summary.interrupted, summary.recorded.total())
"""  # without a guard for __main__, as people write scripts

SERVER_KILLER = """
import os, signal, sys
from multiprocessing import forkserver
from corpus_kit import plan_of
from corpus_stub import TRAINER
from analysis_lib.corpus.generate import generate

def kill(summary):
    if summary.recorded.total() % 8 == 4:
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)

plan = plan_of(["alpha", "007"], seeds=2)
summary = generate(plan, sys.argv[1], trainer=TRAINER, workers=3, on_result=kill)
print(summary.recorded.total(), summary.remaining, len(summary.lost))
"""


def contents(path):
    with Journal(path) as journal:
        rows = list(journal.rows())
    return {row.run_id: (row.status, row.reason, row.epochs, row.layers) for row in rows}


def stored(path):
    try:
        with Journal(path) as journal:
            return journal.statuses()
    except InputError:
        return {}


def until(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """A journal made in one go by one worker."""
    path = tmp_path_factory.mktemp("complete") / "j.db"
    summary = generate(PLAN, path, workers=1, **QUIET)
    assert summary.complete and summary.recorded.total() == len(PLAN)
    return path


def test_every_run_has_the_status_it_earned(complete):
    statuses = stored(complete)
    for run in PLAN:
        special = {"RAISE": "raised", "NONFINITE": "nonfinite"}
        assert statuses[run.run_id] == special.get(run.configuration.operator, "ok")


def test_results_depend_neither_on_workers_nor_on_order(complete, tmp_path):
    generate(PLAN[::-1], tmp_path / "j.db", workers=2, random_state=5, **QUIET)
    assert contents(tmp_path / "j.db") == contents(complete)


def test_second_call_makes_only_what_is_missing(complete, tmp_path):
    path = tmp_path / "j.db"
    first = generate(PLAN[:7] + PLAN[:3], path, **QUIET)
    assert (first.planned, first.already, first.recorded.total()) == (7, 0, 7)
    second = generate(PLAN, path, **QUIET)
    assert (second.already, second.recorded.total()) == (7, len(PLAN) - 7)
    third = generate(PLAN, path, **QUIET)
    assert (third.already, third.recorded.total(), third.complete) == (len(PLAN), 0, True)
    assert contents(path) == contents(complete)


def test_runs_outside_the_plan_stay(tmp_path):
    generate(PLAN[:2], tmp_path / "j.db", **QUIET)
    summary = generate(PLAN[2:3], tmp_path / "j.db", **QUIET)
    assert (summary.planned, summary.already, summary.complete) == (1, 0, True)
    assert len(stored(tmp_path / "j.db")) == 3


def test_any_executor_will_do_and_stays_open(complete, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        assert generate(PLAN, tmp_path / "j.db", executor=pool, **QUIET).complete
        assert pool.submit(int).result() == 0
    assert contents(tmp_path / "j.db") == contents(complete)


def test_killed_drivers_lose_and_repeat_nothing(script, tmp_path):
    path, kept = tmp_path / "j.db", {}
    for kill in range(3):
        driver = script(DRIVER, path)
        until(lambda: len(stored(path)) >= 5 * (kill + 1), driver)  # noqa: B023
        before = stored(path)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        after = stored(path)
        assert kept.items() <= before.items() <= after.items()
        assert len(after) < len(slow_plan())
        kept = after
    driver = script(DRIVER, path)
    out, err = driver.communicate()
    assert (out.split(), driver.returncode) == (
        ["0", "False", str(len(slow_plan()) - len(kept))],
        0,
    ), err
    assert kept.items() <= stored(path).items()

    whole = tmp_path / "whole.db"
    generate(slow_plan(), whole, **QUIET)
    assert contents(path) == contents(whole)
    one = publish(path, tmp_path / "one", plan=slow_plan(), **STORE)
    two = publish(whole, tmp_path / "two", plan=slow_plan(), **STORE)
    measured = ("runs.parquet", "README.md", "croissant.json")  # hold seconds, or their sha256
    for manifest in (one, two):
        for name in measured:
            manifest["files"].pop(name)
        for name in ("limits", "versions", "seal"):
            manifest.pop(name)
    assert one == two


def test_interrupt_keeps_what_is_recorded_and_returns(script, tmp_path):
    path = tmp_path / "j.db"
    driver = script(DRIVER, path)
    until(lambda: len(stored(path)) >= 4, driver)
    driver.send_signal(signal.SIGINT)
    out, err = driver.communicate()
    remaining, interrupted, recorded = out.split()
    assert (interrupted, driver.returncode) == ("True", 0), err
    assert len(stored(path)) == int(recorded) >= 4
    assert int(remaining) > 0
    assert "interrupted; everything recorded so far is kept" in err
    assert "the same command continues" in err
    assert "Traceback" not in err


def test_second_driver_is_refused_and_does_no_harm(script, tmp_path):
    path = tmp_path / "j.db"
    driver = script(DRIVER, path)
    until(lambda: stored(path), driver)
    with pytest.raises(InputError, match=f"in use: process {driver.pid} on"):
        generate(PLAN, path, **QUIET)
    out, _ = driver.communicate()
    assert out.split()[:2] == ["0", "False"]


def test_program_that_never_works_is_given_up(tmp_path):
    plan = plan_of(["hopeless", "alpha"], ["healthy"], seeds=20)
    options = QUIET | {"trainer": "corpus_stub:broken"}
    summary = generate(plan, tmp_path / "j.db", workers=2, **options)
    assert 5 <= summary.recorded["raised"] <= 10
    assert summary.recorded["ok"] == 20
    assert summary.remaining == 20 - summary.recorded["raised"] and not summary.lost
    assert list(summary.given_up) == ["hopeless"]
    assert "its first 5 runs all raised, the last one: RuntimeError: no data" in str(summary)


def test_plan_of_another_version_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="refuses .*unknown program '(alpha|007)'; known: "):
        generate(PLAN, tmp_path / "j.db", workers=2, progress=False)
    assert not stored(tmp_path / "j.db")


def test_first_failure_is_shown_at_once_and_only_once(tmp_path, capsys):
    plan, seen = plan_of(["alpha"], ["RAISE", "healthy"], seeds=6), []
    generate(
        plan,
        tmp_path / "j.db",
        workers=1,
        trainer=TRAINER,
        on_result=lambda s: seen.append((s.recorded["raised"], capsys.readouterr().err)),
    )
    told = [(raised, text) for raised, text in seen if "first raised: " in text]
    assert [raised for raised, _ in told] == [1]
    assert "first raised: alpha/RAISE/seed=" in told[0][1]
    assert "ValueError: shape mismatch" in told[0][1] and "\x1b" not in told[0][1]


def test_nothing_works_so_the_call_stops(tmp_path, capsys):
    plan, path = plan_of([f"p{n}" for n in range(40)], ["RAISE"], seeds=3), tmp_path / "j.db"
    summary = generate(plan, path, workers=1, trainer=TRAINER)
    assert 20 <= summary.recorded.total() <= 21 and not summary.lost  # one may be under way
    said = capsys.readouterr().err
    assert said.count("stopped: the first 20 runs all raised, the last one: ValueError") == 2
    again = generate(plan, path, retry=["raised"], workers=1, **QUIET)
    assert again.recorded["raised"] == 120 and again.complete and not again.stopped


def test_few_runs_at_a_time_are_handed_over(tmp_path, monkeypatch):
    class Counting(ThreadPoolExecutor):
        most = 0

        def submit(self, *arguments, **options):
            Counting.most = max(Counting.most, self._work_queue.qsize())
            return super().submit(*arguments, **options)

    monkeypatch.setattr("analysis_lib.corpus.generate._AHEAD", 4)
    with Counting(2) as pool:
        assert generate(PLAN, tmp_path / "j.db", executor=pool, **QUIET).complete
    assert 1 <= Counting.most <= 4


def test_program_that_fails_at_times_is_not_given_up(tmp_path):
    plan = plan_of(["alpha"], ["RAISE", "healthy"], seeds=9)
    summary = generate(plan, tmp_path / "j.db", random_state=1, **QUIET)
    assert summary.complete and summary.recorded["raised"] == 9


def test_executor_of_processes(complete, tmp_path, monkeypatch):
    monkeypatch.setenv("ANALYSIS_LIB_COLD", "1")
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert generate(PLAN[:6], tmp_path / "j.db", executor=pool, **QUIET).complete
    made = contents(tmp_path / "j.db")
    assert made.items() <= contents(complete).items() and len(made) == 6


def test_killed_fork_server_is_started_anew(complete, script, tmp_path):
    driver = script(SERVER_KILLER, tmp_path / "j.db")
    out, err = driver.communicate()
    assert out.split() == [str(len(PLAN)), "0", "0"], err
    assert contents(tmp_path / "j.db") == contents(complete)


class Lossy(Executor):
    """Loses every third run, cancels every fifth."""

    def __init__(self):
        self.count = 0

    def submit(self, function, /, *arguments, **options):
        future, self.count = Future(), self.count + 1
        if self.count % 5 == 0:
            future.cancel()
            future.set_running_or_notify_cancel()
        elif self.count % 3 == 0:
            future.set_exception(OSError("worker\x1b[0m died"))
        else:
            future.set_result(function(*arguments, **options))
        return future


class Silent(ThreadPoolExecutor):
    """Has futures that are pending until they are done, as those of Dask are."""

    def submit(self, function, /, *arguments, **options):
        future = Future()
        done = super().submit(function, *arguments, **options)
        done.add_done_callback(lambda done: future.set_result(done.result()))
        return future


@pytest.mark.parametrize(("kind", "known"), [(ThreadPoolExecutor, True), (Silent, False)])
def test_running_is_noted_where_the_executor_tells_it(tmp_path, kind, known):
    plan, noted = [Run(Configuration("alpha", "SLOW", {"s": 1.2}), s, 3) for s in range(3)], []

    def look(summary):
        with Journal(tmp_path / "j.db") as journal:
            noted.append(journal.noted("running"))

    with kind(1) as pool:
        generate(plan, tmp_path / "j.db", executor=pool, on_result=look, **QUIET)
    assert noted[1] == ({"alpha": 1} if known else None)
    with Journal(tmp_path / "j.db") as journal:
        assert journal.noted("running") == {}


def test_lost_runs_are_counted_shown_and_made_next_time(tmp_path, capsys):
    path = tmp_path / "j.db"
    summary = generate(PLAN[:10], path, executor=Lossy(), trainer=TRAINER)
    assert (summary.recorded.total(), summary.remaining, len(summary.lost)) == (5, 5, 5)
    assert set(summary.lost.values()) == {"OSError: worker died", "cancelled"}
    assert "5 runs lost by the engine" in capsys.readouterr().err
    assert generate(PLAN[:10], path, **QUIET).complete


def test_closed_executor_loses_all_and_says_so(tmp_path):
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    summary = generate(PLAN[:3], tmp_path / "j.db", executor=pool, **QUIET)
    assert len(summary.lost) == summary.remaining == 3


def test_retry_makes_runs_of_a_status_again(tmp_path):
    run = Run(Configuration("alpha", "SLOW", {"s": 0.0}), 0, 3)
    plan, path = [run, *plan_of(["alpha"], ["RAISE"], seeds=2)], tmp_path / "j.db"
    generate(plan, path, **QUIET)
    summary = generate(plan, path, retry=("raised", "killed"), **QUIET)
    assert (summary.already, dict(summary.recorded)) == (1, {"raised": 2})


def test_full_disk_stops_with_one_sentence(tmp_path, monkeypatch):
    def full(self, row, **notes):
        raise InputError("no space left for j.db")

    monkeypatch.setattr(Journal, "add", full)
    with pytest.raises(InputError, match="no space left"):
        generate(PLAN, tmp_path / "j.db", workers=2, **QUIET)
    monkeypatch.undo()
    assert generate(PLAN[:4], tmp_path / "j.db", **QUIET).complete


def test_progress_line_counts_and_estimates(tmp_path, capsys):
    seen = []
    summary = generate(
        PLAN[:10], tmp_path / "j.db", trainer=TRAINER, on_result=lambda s: seen.append(s.remaining)
    )
    assert seen == list(range(9, -1, -1))
    assert "10 runs planned, 0 there before, 10 recorded now" in capsys.readouterr().err
    summary.seconds, summary.planned = 5.0, 130
    assert summary.line.startswith("10/130 ok ")
    assert summary.line.endswith("| 2.0 run/s | 1 min left")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": Lossy(), "workers": 2}, "not both"),
        ({"workers": 0}, "workers is 0"),
        ({"cpu_s": -1}, "cpu_s is -1"),
        ({"wall_s": float("nan")}, "wall_s is nan"),
        ({"memory_gib": 0}, "memory_gib is 0"),
        ({"retry": ["kiled"]}, "did you mean 'killed'"),
    ],
)
def test_wrong_options(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        generate(PLAN, tmp_path / "j.db", **QUIET | options)
    assert not stored(tmp_path / "j.db")


def test_limits_are_noted(tmp_path):
    generate(PLAN[:1], tmp_path / "j.db", cpu_s=7, wall_s=70, **QUIET)
    with Journal(tmp_path / "j.db") as journal:
        assert journal.noted("limits") == {"cpu_s": 7, "wall_s": 70, "memory_gib": 4.0}
        assert json.dumps(journal.noted("running")) == "{}"
