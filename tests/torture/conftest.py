"""Fault injection into the engine and the store, counted.

``make test`` runs a selection of a few minutes, ``make torture`` everything, at full size, and
writes ``data/reports/torture.csv``, which the book shows.
"""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis_lib import ROOT

HERE = Path(__file__).parent
KITS = [str(HERE), str(HERE.parent / "corpus")]
sys.path[:0] = [kit for kit in KITS if kit not in sys.path]

FULL = os.environ.get("TORTURE") == "full"
REPORT = ROOT / "data" / "reports" / "torture.csv"
COLUMNS = ["test", "attack", "faults", "records", "lost", "doubled", "wrong", "measured", "seconds"]


def pytest_collection_modifyitems(items):
    if not FULL:
        reason = "too long for every day: make torture"
        for item in items:
            if "full_size" in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def size():
    """Pick the size for every day, or the full one."""
    return lambda small, full: full if FULL else small


@pytest.fixture
def count(request):
    """Note what a test did and counted; the goal is nothing lost, doubled or wrong."""
    start, noted = time.monotonic(), []

    def note(test, attack, *, faults, records, lost=0, doubled=0, wrong=0, measured=""):
        row = [test, attack, faults, records, lost, doubled, wrong, measured]
        noted.append([*map(str, row), f"{time.monotonic() - start:.0f}"])
        assert (lost, doubled, wrong) == (0, 0, 0), row

    yield note
    if FULL and noted:
        rows = {}
        if REPORT.exists():
            with REPORT.open(newline="", encoding="utf-8") as file:
                rows = {(row[0], row[1]): row for row in list(csv.reader(file))[1:]}
        rows |= {(row[0], row[1]): row for row in noted}
        REPORT.parent.mkdir(exist_ok=True)
        with REPORT.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(sorted(rows.values(), key=lambda row: (int(row[0][1:]), row[1])))


@pytest.fixture
def start():
    """Start a process of Python in a session of its own; what it leaves is killed in the end."""
    started = []

    def run(*arguments, cold=True, **options):
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([*KITS, str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "10",
        }
        if cold:
            environment["ANALYSIS_LIB_COLD"] = "1"
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.communicate()
