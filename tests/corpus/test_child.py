"""Whatever a run does, its process ends with the right status and nobody else notices."""

import multiprocessing
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import corpus_stub
import pytest
from corpus_kit import plan_of, row_of
from corpus_stub import TRAINER
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis_lib.configuration import Configuration, Run
from analysis_lib.corpus.child import TRAINER as PROJECT
from analysis_lib.corpus.child import clean, run_child
from analysis_lib.errors import InputError

LIMITS = {"trainer": TRAINER, "cpu_s": 2, "wall_s": 3600}
FAULTS = {
    "RAISE": ("raised", r"ValueError: shape mismatch x+\.\.\. \[corpus_stub.py:\d+ in fail\]"),
    "UNPICKLABLE": ("raised", r"Unpicklable: this and that \[corpus_stub.py:\d+ in fail\]"),
    "SILENT": ("raised", r"Silent: \(a message that cannot be shown\) \[.*\]"),
    "MEMORY": ("oom", r"MemoryError: too much \[.*\]"),
    "EXIT": ("crashed", "left with exit code 3"),
    "SYSEXIT": ("crashed", "left with exit code 4"),
    "KILL": ("killed", "SIGKILL"),
    "SEGFAULT": ("crashed", "died by SIGSEGV"),
    "BUSY": ("cpu_limit", "used more than 2 s of CPU time"),
    "SLEEP": ("timeout", "took longer than 1.0 s"),
    "CLOSE": ("crashed", "closed its pipe without a result"),
    "NONFINITE": ("nonfinite", "loss is NaN at epoch 2"),
}


@pytest.fixture(scope="module")
def rows():
    """Every fault and as many healthy runs, on three threads."""
    plan = plan_of(["alpha"], FAULTS, seeds=1) + plan_of(["alpha"], ["healthy"], seeds=len(FAULTS))
    plan = [run for pair in zip(plan, plan[::-1], strict=True) for run in pair][: len(plan)]

    def train(run):
        short = {"wall_s": 1} if run.configuration.operator == "SLEEP" else {}
        return run_child(run.spec, **LIMITS | short)

    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(train, plan))


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named_rightly(rows, fault):
    (row,) = {row.run_id: row for row in rows if row.spec["operator"] == fault}.values()
    status, reason = FAULTS[fault]
    assert row.status == status
    assert row.reason.isprintable() and len(row.reason) <= 500
    assert re.fullmatch(reason, row.reason)
    assert row.attempts == (2 if status == "killed" else 1)
    assert (row.epochs is None) == (status != "nonfinite")
    assert row.record["wall_s"] >= 0


def test_healthy_runs_beside_faults_are_whole(rows):
    healthy = [row for row in rows if row.spec["operator"] == "healthy"]
    assert len(healthy) >= len(FAULTS) // 2
    for row in healthy:
        expected = row_of(Run.from_spec(row.spec))
        assert (row.status, row.epochs, row.layers) == ("ok", expected.epochs, expected.layers)
        assert row.record["parameters_count"] == 42
        assert not row.torn


def test_killed_once_from_outside_is_tried_again(tmp_path):
    run = Run(Configuration("alpha", "ONCE", {"mark": str(tmp_path / "mark")}), 0, 3)
    row = run_child(run.spec, **LIMITS)
    assert (row.status, row.attempts) == ("ok", 2)


def test_memory_limit():
    run = Run(Configuration("alpha", "HUNGRY"), 0, 3)
    row = run_child(run.spec, **LIMITS | {"cpu_s": 20, "memory_gib": 2.0})
    assert row.status == "oom"


def test_wrong_trace_is_a_reason():
    row = run_child(plan_of()[0].spec, **LIMITS | {"trainer": "corpus_stub:wrong"})
    assert row.status == "raised"
    assert re.search("missing column 'train_loss'; .*'grad_norm' is double", row.reason)


@pytest.mark.parametrize(
    ("changes", "trainer", "reason"),
    [
        ({}, "corpus_stub:nothing", "no trainer 'corpus_stub:nothing' .*no attribute 'nothing'"),
        ({}, "no_such_module:train", "No module named 'no_such_module'"),
        ({"recipe": 99}, TRAINER, "recipe 99, this version trains recipe"),
        ({}, PROJECT, "unknown program 'alpha'"),
        ({"program": "snn_wine", "operator": "HRL"}, PROJECT, "unknown operator 'HRL'; did you"),
        ({"program": "snn_wine", "operator": "LCF"}, PROJECT, "'LCF' does not apply to 'snn_wine"),
    ],
)
def test_what_the_process_does_not_know_is_refused(changes, trainer, reason):
    with pytest.raises(InputError, match=f"the process that trains refuses .*{reason}"):
        run_child(plan_of()[0].spec | changes, **LIMITS | {"trainer": trainer, "cpu_s": 20})


def test_process_that_may_not_start_others_says_so(monkeypatch):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    with pytest.raises(InputError, match="may not start processes; start Dask workers with"):
        run_child(plan_of(["alpha"])[0].spec, **LIMITS)


def test_processes_are_forked_warm_from_a_single_thread():
    """Lazy imports of an optimizer are paid once, and forking is safe."""
    from multiprocessing import forkserver

    row = run_child(plan_of()[0].spec, **LIMITS | {"trainer": "corpus_stub:look"})
    assert row.record["optimizer_ready"] is True
    assert row.record["threads"] == 1
    server = Path("/proc", str(forkserver._forkserver._forkserver_pid), "status").read_text()
    assert "\nThreads:\t1\n" in server


def test_driver_keeps_its_main_module_and_no_processes_or_files():
    main, descriptors = sys.modules["__main__"], Path("/proc/self/fd")
    run_child(plan_of()[0].spec, **LIMITS)
    before = len(list(descriptors.iterdir()))
    for run in plan_of(["alpha"], ["healthy", "EXIT"], seeds=5):
        run_child(run.spec, **LIMITS)
    assert len(list(descriptors.iterdir())) == before
    assert sys.modules["__main__"] is main


@settings(deadline=None)
@given(st.text(max_size=300), st.integers(10, 100))
def test_clean_is_one_short_printable_line(text, limit):
    line = clean(text, limit)
    assert line.isprintable() and len(line) <= limit
    assert clean(line, limit) == line


def test_clean_keeps_ordinary_text_and_drops_colours():
    assert clean("größe: 3 × 4") == "größe: 3 × 4"
    assert clean("\x1b[31;1mred\x1b[0m\r\n  next\x00") == "red next"
    assert clean("x" * 10**7, 50) == "x" * 47 + "..."
    assert clean(corpus_stub.Silent()) == "(a message that cannot be shown)"
