"""R1 to R8, R10, R11, R18: whatever dies, no recorded run is lost, doubled or named wrongly."""

import os
import random
import signal
import time

import psutil
import pytest
from corpus_stub import TRAINER
from torture_kit import (
    DRIVER,
    contents,
    count_rows,
    crowd,
    digest_of,
    result_of,
    runs_of,
    save,
    stored,
    until,
)

from analysis_lib.corpus.generate import generate

FAULTS = {
    "RAISE": "raised",
    "UNPICKLABLE": "raised",
    "NONFINITE": "nonfinite",
    "SLEEP": "timeout",
    "FROZEN": "timeout",
    "SEGFAULT": "crashed",
    "KILL": "killed",
    "EXIT": "crashed",
    "SYSEXIT": "crashed",
}
ENGINES = {"threads": "threads", "dask": "local Dask", "file": "Dask from the command line"}
SHORT = '{"cpu_s": 5, "wall_s": 8, "progress": false}'
QUIET = {"trainer": TRAINER, "progress": False}


@pytest.fixture
def scheduler_file(start, tmp_path):
    """A Dask cluster as the command line starts it."""
    file = tmp_path / "scheduler.json"
    options = ["--port", "0", "--no-dashboard", "--scheduler-file", file]
    scheduler = start("-m", "distributed.cli.dask_scheduler", *options)
    assert until(lambda: file.exists() and file.stat().st_size, scheduler)
    options = ["--scheduler-file", file, "--nworkers", "2", "--nthreads", "2", "--no-dashboard"]
    start("-m", "distributed.cli.dask_worker", *options)
    return file


@pytest.mark.parametrize(
    "engine",
    ["threads:2"] + [pytest.param(e, marks=pytest.mark.full_size) for e in ("dask:2x1", "file")],
)
def test_r01_nine_faults_are_named_rightly(engine, request, start, tmp_path, count):
    plan = [run for name in FAULTS for run in runs_of(1, name)] + runs_of(15, "healthy")
    if engine == "file":
        engine = f"file:{request.getfixturevalue('scheduler_file')}"
    result_of(start(DRIVER, tmp_path / "j.db", save(tmp_path, plan), engine, SHORT))
    found = stored(tmp_path / "j.db")
    expected = {run.run_id: FAULTS.get(run.configuration.operator, "ok") for run in plan}
    wrong = [key for key, status in found.items() if status != expected[key]]
    count(
        "R1",
        f"nine faults of a run among 24, {ENGINES[engine.partition(':')[0]]}",
        faults=len(FAULTS),
        records=len(found),
        lost=len(plan) - len(found),
        doubled=count_rows(tmp_path / "j.db") - len(found),
        wrong=len(wrong),
    )


def killed_driver(start, folder, plan, engine, kills):
    """Kill a driver again and again, let it finish; return runs that were there and are not."""
    path, file, lost, kept, done = folder / "killed.db", save(folder, plan), 0, {}, 0
    while done < kills:
        driver = start(DRIVER, path, file, engine, '{"progress": false}')
        step = max(1, (len(plan) - len(kept)) // (kills - done + 1))
        reached = until(lambda: len(stored(path)) >= len(kept) + step, driver)  # noqa: B023
        if not reached or driver.poll() is not None:
            break
        before = stored(path)
        driver.kill()
        driver.communicate()
        after = stored(path)
        lost += len(kept.items() - after.items()) + len(before.items() - after.items())
        kept, done = after, done + 1
    result_of(start(DRIVER, path, file, engine, '{"progress": false}'))
    lost += len(kept.items() - stored(path).items())
    return path, done, lost


@pytest.mark.parametrize(
    "engine", ["threads:2", pytest.param("dask:2x1", marks=pytest.mark.full_size)]
)
def test_r02_killed_drivers(engine, start, tmp_path, size, count):
    runs, kills = (30, 3) if size(True, False) else (300, 20) if "dask" not in engine else (200, 10)
    plan = runs_of(runs, s=0.05)
    path, done, lost = killed_driver(start, tmp_path, plan, engine, kills)
    assert done >= kills
    generate(plan, tmp_path / "whole.db", **QUIET)
    same = digest_of(path, tmp_path, plan) == digest_of(tmp_path / "whole.db", tmp_path, plan)
    count(
        "R2",
        f"SIGKILL of the driver, {ENGINES[engine.partition(':')[0]]}",
        faults=done,
        records=len(stored(path)),
        lost=lost + len(plan) - len(stored(path)),
        doubled=count_rows(path) - len(plan),
        wrong=int(not same),
        measured="corpus equal to an uninterrupted one",
    )


@pytest.mark.full_size
def test_r03_killed_dask_workers(start, tmp_path, count):
    plan = runs_of(300, s=0.1)
    options = '{"attack": "worker", "every": 13, "progress": false}'
    found = result_of(start(DRIVER, tmp_path / "j.db", save(tmp_path, plan), "dask:2x1", options))
    generate(plan, tmp_path / "whole.db", **QUIET)
    digests = [digest_of(tmp_path / f"{n}.db", tmp_path, plan) for n in ("j", "whole")]
    assert len(found["faults"]) >= 20
    count(
        "R3",
        "SIGKILL and SIGSEGV of Dask workers",
        faults=len(found["faults"]),
        records=len(stored(tmp_path / "j.db")),
        lost=found["remaining"] + len(found["lost"]),
        doubled=count_rows(tmp_path / "j.db") - len(plan),
        wrong=int(digests[0] != digests[1]),
        measured="corpus equal to that of threads",
    )


def run_processes(driver):
    """Processes of runs: what the fork server of a driver has started."""
    try:
        return [c for s in psutil.Process(driver.pid).children() for c in s.children()]
    except psutil.NoSuchProcess:
        return []


@pytest.mark.full_size
def test_r04_killed_run_processes(start, tmp_path, count):
    plan, rng, kills = runs_of(120, s=0.3), random.Random(0), 0
    path, file = tmp_path / "j.db", save(tmp_path, plan)
    driver = start(DRIVER, path, file, "threads:4", '{"progress": false}')
    while driver.poll() is None:
        running = run_processes(driver)
        if running and kills < 130:
            try:
                rng.choice(running).kill()
                kills += 1
            except psutil.NoSuchProcess:
                pass
        time.sleep(0.04)
    assert result_of(driver)["remaining"] == 0
    found = stored(path)
    wrong = [status for status in found.values() if status not in ("ok", "killed")]
    again = result_of(
        start(DRIVER, path, file, "threads:4", '{"progress": false, "retry": ["killed"]}')
    )
    killed = sum(status == "killed" for status in found.values())
    assert again["recorded"].get("ok", 0) == killed and kills >= 100
    generate(plan, tmp_path / "whole.db", **QUIET)
    count(
        "R4",
        "SIGKILL of the processes of runs",
        faults=kills,
        records=len(found),
        lost=len(plan) - len(found),
        doubled=count_rows(path) - len(plan),
        wrong=len(wrong) + int(contents(path) != contents(tmp_path / "whole.db")),
        measured=f"{killed} named killed, all ok when tried again",
    )


@pytest.mark.full_size
def test_r05_killed_fork_server(start, tmp_path, count):
    plan = runs_of(80, s=0.05)
    options = '{"attack": "fork server", "every": 12, "progress": false}'
    found = result_of(start(DRIVER, tmp_path / "j.db", save(tmp_path, plan), "threads:3", options))
    generate(plan, tmp_path / "whole.db", **QUIET)
    assert len(found["faults"]) >= 5
    count(
        "R5",
        "SIGKILL of the fork server",
        faults=len(found["faults"]),
        records=len(stored(tmp_path / "j.db")),
        lost=found["remaining"] + len(found["lost"]),
        doubled=count_rows(tmp_path / "j.db") - len(plan),
        wrong=int(contents(tmp_path / "j.db") != contents(tmp_path / "whole.db")),
    )


@pytest.mark.full_size
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_r06_interrupted_commands(number, start, tmp_path, count):
    path, rng, left, lost, codes = tmp_path / "j.db", random.Random(1), 0, 0, []
    waits, late = [], 0
    command = ["-m", "analysis_lib", "corpus", "generate", "--program", "snn_wine"]
    for _ in range(10):
        here = len(stored(path))
        driver = start(*command, "--workers", 2, "--journal", path, cold=False)
        assert until(lambda: len(stored(path)) > here, driver)  # noqa: B023
        time.sleep(rng.uniform(0, 0.5))
        family = psutil.Process(driver.pid).children(recursive=True)
        before, at = stored(path), time.monotonic()
        driver.send_signal(number)
        driver.wait(timeout=60)
        waits.append(time.monotonic() - at)
        late += waits[-1] > 3 * crowd()
        codes.append(driver.returncode)
        lost += len(before.items() - stored(path).items())
        left += len(psutil.wait_procs(family, timeout=5 * crowd())[1])
    assert set(codes) == {130}, (codes, driver.communicate())
    assert late == 0, waits
    count(
        "R6",
        f"{signal.Signals(number).name} to the command",
        faults=len(waits),
        records=len(stored(path)),
        lost=lost,
        doubled=count_rows(path) - len(stored(path)),
        wrong=left,
        measured=f"at most {max(waits):.1f} s until the prompt, {left} orphans",
    )


def test_r07_same_corpus_whatever_the_engine(start, tmp_path, size, count):
    plan = runs_of(size(20, 200), "healthy")
    file, digests = save(tmp_path, plan), []
    few = ["threads:1", "threads:2", "dask:1x2"]
    for engine in size(few, [*few, "threads:4", "dask:2x1"]):
        path = tmp_path / f"{engine.replace(':', '-')}.db"
        result_of(start(DRIVER, path, file, engine, '{"progress": false}'))
        digests.append(digest_of(path, tmp_path, plan))
    mixed, parts = plan[::-1], tmp_path / "parts.db"
    for seed, part in enumerate([mixed[::3], mixed[1::3], mixed]):
        generate(part, parts, random_state=seed, workers=3, **QUIET)
    digests.append(digest_of(parts, tmp_path, plan))
    count(
        "R7",
        "engines, workers, order, and a plan in three parts",
        faults=len(digests),
        records=len(digests) * len(plan),
        wrong=len(set(digests)) - 1,
        measured="one digest of contents",
    )


@pytest.mark.full_size
def test_r08_out_of_memory(start, tmp_path, count):
    plan = runs_of(17, "healthy") + runs_of(3, "HUNGRY")
    options = '{"memory_gib": 1.0, "progress": false}'
    result_of(start(DRIVER, tmp_path / "j.db", save(tmp_path, plan), "threads:2", options))
    found = stored(tmp_path / "j.db")
    hungry = {run.run_id for run in plan if run.configuration.operator == "HUNGRY"}
    wrong = [k for k, status in found.items() if status != ("oom" if k in hungry else "ok")]
    count(
        "R8",
        "runs that want more memory than their limit",
        faults=len(hungry),
        records=len(found),
        lost=len(plan) - len(found),
        wrong=len(wrong),
    )


@pytest.mark.full_size
def test_r10_no_false_limits_on_a_crowded_machine(tmp_path, count):
    plan = runs_of(200, "WORK", s=0.2)
    summary = generate(plan, tmp_path / "j.db", workers=8, cpu_s=1, wall_s=120, **QUIET)
    count(
        "R10",
        "eight runs at a time, 1 s of CPU time allowed, 0.2 s used",
        faults=0,
        records=summary.recorded.total(),
        lost=summary.remaining,
        wrong=len(plan) - summary.recorded["ok"],
    )


@pytest.mark.full_size
@pytest.mark.parametrize(
    ("operator", "status"), [("SLEEP", "timeout"), ("FROZEN", "timeout"), ("BUSY", "cpu_limit")]
)
def test_r11_hangs_end(operator, status, tmp_path, count):
    plan, at = runs_of(4, operator), time.monotonic()
    wall_s = 15 if status == "timeout" else 300
    generate(plan, tmp_path / "j.db", workers=4, cpu_s=3, wall_s=wall_s, **QUIET)
    seconds = time.monotonic() - at
    found = stored(tmp_path / "j.db")
    limit = 15 if status == "timeout" else 3 * 4 * crowd()  # four of them may share one core
    assert seconds <= limit + 5 * crowd()
    count(
        "R11",
        f"hangs: {operator.lower()}",
        faults=4,
        records=len(found),
        lost=4 - len(found),
        wrong=sum(s != status for s in found.values()),
        measured=f"over after {seconds:.0f} s",
    )


@pytest.mark.full_size
def test_r18_nothing_leaks(tmp_path, count):
    process = psutil.Process(os.getpid())
    generate(runs_of(60, "healthy"), tmp_path / "warm.db", workers=2, **QUIET)
    memory, files = process.memory_info().rss, process.num_fds()
    summary = generate(runs_of(2000, "healthy"), tmp_path / "j.db", workers=2, **QUIET)
    growth = (process.memory_info().rss - memory) / 2**20
    dead = [c for c in process.children() if c.status() == psutil.STATUS_ZOMBIE]
    assert growth <= 20
    count(
        "R18",
        "2,000 runs in one driver",
        faults=0,
        records=summary.recorded.total(),
        lost=summary.remaining,
        wrong=len(dead) + abs(process.num_fds() - files),
        measured=f"{growth:.1f} MiB more memory, {len(dead)} zombies",
    )
