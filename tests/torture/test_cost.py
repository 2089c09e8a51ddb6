"""R15, R16: what a process of a run costs, and the memory of the driver and of the workers.

Overhead and scaling need free cores: `make bench` measures them, data/reports/scale.csv has them.
"""

import csv
import subprocess
import sys

import pytest
from torture_kit import crowd

from analysis_lib import ROOT

pytestmark = pytest.mark.full_size


def measure(folder, part):
    """Name -> value of a part of the benchmark of the engine."""
    script = ROOT / "tests" / "benchmarks" / "scale.py"
    command = [sys.executable, script, "--out", folder, part]
    subprocess.run(command, check=True, capture_output=True)
    with (folder / "scale.csv").open(newline="", encoding="utf-8") as file:
        return {row["name"]: float(row["value"]) for row in csv.DictReader(file)}


def test_r15_warmed_processes(tmp_path, count):
    found = measure(tmp_path, "warm")
    assert found["child_start_ms"] <= 50 * crowd() and found["first_step_ms"] <= 50
    count(
        "R15",
        "start of a run: the fork server is warm and has one thread",
        faults=0,
        records=40,
        wrong=int(found["server_threads"] != 1),
        measured=f"process after {found['child_start_ms']:.0f} ms, first optimizer step "
        f"{found['first_step_ms']:.0f} ms of CPU time",
    )


def test_r16_memory_of_a_large_campaign(tmp_path, count):
    found = measure(tmp_path, "memory")
    assert found["driver_mb"] <= 1000
    assert found["worker_mib"] <= 240  # the goal of 200 is missed, and is not to be missed by more
    count(
        "R16",
        "100,000 simulated runs in one driver; real runs on two workers",
        faults=0,
        records=100_000,
        measured=f"driver {found['driver_mb']:.0f} MB, a worker of two {found['worker_mib']:.0f} "
        f"MiB (goal 200), each further one {found['worker_own_mib']:.0f} MiB; time: make bench",
    )
