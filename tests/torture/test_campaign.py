"""A campaign over the real programs, killed in ten ways or on dying workers, ends undisturbed."""

import random
import signal
import time

import pandas as pd
import psutil
import pytest
from torture_kit import DRIVER, contents, count_rows, result_of, save, stored, until

from analysis_lib import list_operators, list_programs, make_plan
from analysis_lib.configuration import Run
from analysis_lib.corpus.publish import publish
from analysis_lib.labels import label_runs

OPTIONS = '{"trainer": "analysis_lib.training:train", "progress": false, "retry": ["killed"]}'


def plan_of_programs(programs=None, configurations=1):
    """Healthy and faulty runs of the programs, one epoch each; every second of the plan."""
    plan = make_plan(programs, configurations=configurations, healthy=1, seeds=1)
    return [Run(run.configuration, run.seed, 1) for run in plan[::2]]


def digest(path, plan):
    names = ("program", "modality", "family", "source", "metric_name", "higher_is_better")
    rows = [
        (p.name, p.modality, p.family, p.source, p.metric, p.higher_is_better)
        for p in list_programs()
    ]
    return publish(
        path,
        path.with_suffix(".store"),
        programs=pd.DataFrame(rows, columns=names),
        categories={o.id: o.category for o in list_operators()},
        label=label_runs,
        plan=plan,
    )["digest"]


def family(driver):
    return psutil.Process(driver.pid).children(recursive=True)


def its_runs(driver):
    return [c for s in psutil.Process(driver.pid).children() for c in s.children()]


def all_of_it(driver):
    """What the end of a machine does."""
    victims = [*family(driver), psutil.Process(driver.pid)]
    for process in victims:
        process.kill()


def fork_server_then_driver(driver):
    for process in psutil.Process(driver.pid).children():
        process.kill()
    time.sleep(1)
    driver.kill()


def runs_then_driver(driver):
    for process in its_runs(driver):
        process.kill()
    time.sleep(0.5)
    driver.kill()


def frozen_then_killed(driver):
    driver.send_signal(signal.SIGSTOP)
    time.sleep(2)
    driver.kill()


def send(number):
    return lambda driver: driver.send_signal(number)


WAYS = {
    "SIGKILL": send(signal.SIGKILL),
    "SIGTERM": send(signal.SIGTERM),
    "SIGINT": send(signal.SIGINT),
    "SIGHUP": send(signal.SIGHUP),
    "SIGSEGV": send(signal.SIGSEGV),
    "SIGABRT": send(signal.SIGABRT),
    "everything": all_of_it,
    "fork server, then driver": fork_server_then_driver,
    "runs, then driver": runs_then_driver,
    "frozen, then killed": frozen_then_killed,
}


@pytest.mark.full_size
def test_r00_campaign_killed_in_ten_ways(start, tmp_path, count):
    plan, lost, kept, rng = plan_of_programs(), 0, {}, random.Random(0)
    file, path, whole = save(tmp_path, plan), tmp_path / "killed.db", tmp_path / "whole.db"
    for number, (way, kill) in enumerate(WAYS.items()):
        driver = start(DRIVER, path, file, "threads:2", OPTIONS, cold=False)
        goal = (number + 1) * len(plan) // (len(WAYS) + 2)
        assert until(lambda: len(stored(path)) >= goal, driver), way  # noqa: B023
        time.sleep(rng.uniform(0, 0.3))
        before = stored(path)
        assert driver.poll() is None, way
        kill(driver)
        driver.communicate(timeout=120)
        lost += len(kept.keys() - stored(path)) + len(before.keys() - stored(path))
        kept = stored(path)
    result_of(start(DRIVER, path, file, "threads:2", OPTIONS, cold=False))
    result_of(start(DRIVER, whole, file, "threads:2", OPTIONS, cold=False))
    differ = sum(contents(path)[key] != value for key, value in contents(whole).items())
    count(
        "R0",
        "campaign over all programs, killed in ten ways",
        faults=len(WAYS),
        records=len(stored(path)),
        lost=lost + len(plan) - len(stored(path)),
        doubled=count_rows(path) - len(plan),
        wrong=differ + int(digest(path, plan) != digest(whole, plan)),
        measured="corpus equal to an undisturbed one",
    )


@pytest.mark.full_size
def test_r00_campaign_on_dying_dask_workers(start, tmp_path, count):
    plan = plan_of_programs()
    file, path, whole = save(tmp_path, plan), tmp_path / "dask.db", tmp_path / "whole.db"
    attack = OPTIONS.replace("{", '{"attack": "worker", "every": 8, ', 1)
    found = result_of(start(DRIVER, path, file, "dask:2x1", attack, cold=False))
    result_of(start(DRIVER, whole, file, "threads:2", OPTIONS, cold=False))
    differ = sum(contents(path)[key] != value for key, value in contents(whole).items())
    assert len(found["faults"]) >= 5
    count(
        "R0",
        "campaign over all programs on Dask, workers killed",
        faults=len(found["faults"]),
        records=len(stored(path)),
        lost=found["remaining"] + len(found["lost"]),
        doubled=count_rows(path) - len(plan),
        wrong=differ + int(digest(path, plan) != digest(whole, plan)),
        measured="corpus equal to that of undisturbed threads",
    )


def test_r00_small_campaign_survives_a_kill(start, tmp_path, size, count):
    plan = plan_of_programs(["snn_wine"])
    file, path, whole = save(tmp_path, plan), tmp_path / "killed.db", tmp_path / "whole.db"
    driver = start(DRIVER, path, file, "threads:2", OPTIONS, cold=False)
    assert until(lambda: len(stored(path)) >= 3, driver)
    driver.kill()
    driver.communicate()
    kept = stored(path)
    result_of(start(DRIVER, path, file, "threads:2", OPTIONS, cold=False))
    result_of(start(DRIVER, whole, file, "threads:1", OPTIONS, cold=False))
    count(
        "R0",
        "one program, driver killed once",
        faults=1,
        records=len(stored(path)),
        lost=len(kept.items() - stored(path).items()) + len(plan) - len(stored(path)),
        wrong=int(contents(path) != contents(whole)),
    )
