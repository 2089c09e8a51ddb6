"""Plans, drivers and comparisons of the torture tests."""

import json
import os
import time
from pathlib import Path

from corpus_kit import CATEGORIES, PROGRAMS, label

from analysis_lib.configuration import Configuration, Run
from analysis_lib.corpus.journal import Journal
from analysis_lib.corpus.publish import publish
from analysis_lib.errors import InputError

DRIVER = Path(__file__).parent / "driver.py"
NAMES = ("alpha", "beta", "007")
STORE = {"programs": PROGRAMS, "categories": CATEGORIES, "label": label}


def runs_of(count, operator="SLOW", **parameters):
    """``count`` runs of one operator over the three programs."""
    return [
        Run(Configuration(NAMES[at % 3], operator, parameters), at // 3, 3) for at in range(count)
    ]


def save(folder, plan):
    """Write a plan for the driver."""
    path = folder / "plan.json"
    path.write_text(json.dumps([run.spec for run in plan]))
    return path


def stored(path):
    """run_id -> status; nothing if there is no journal yet."""
    try:
        with Journal(path) as journal:
            return journal.statuses()
    except InputError:
        return {}


def contents(path):
    """Everything of every run that does not depend on time."""
    with Journal(path) as journal:
        return {r.run_id: (r.status, r.epochs_sha256, r.layers_sha256) for r in journal.rows()}


def count_rows(path):
    """Rows of the journal, which the primary key keeps distinct."""
    with Journal(path) as journal:
        return len(journal.finished())


def digest_of(path, folder, plan):
    """Digest of the corpus published from a journal."""
    return publish(path, folder / f"store-{path.stem}", plan=plan, **STORE)["digest"]


def until(condition, process, patience=600):
    """Wait for a condition while a process lives; say whether it came true."""
    end = time.monotonic() + patience
    while time.monotonic() < end and process.poll() is None:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def crowd():
    """How many times slower than alone a process is on this machine now, because of other jobs."""
    return max(1.0, os.getloadavg()[0] / os.cpu_count())


def result_of(process):
    """What a driver printed."""
    out, err = process.communicate(timeout=3600)  # on a crowded machine
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])
