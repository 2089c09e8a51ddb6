"""R21: the same corpus from a real SLURM (one node), also when jobs are cancelled."""

import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
from torture_kit import DRIVER, contents, count_rows, result_of, runs_of, save, stored, until

pytestmark = [
    pytest.mark.full_size,
    pytest.mark.skipif(
        not (shutil.which("slurmctld") and shutil.which("munged")) or os.geteuid() != 0,
        reason="needs root and: apt-get install slurm-wlm munge",
    ),
]

CONFIGURATION = """
ClusterName=torture
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
"""

WORKER = """#!/bin/bash
#SBATCH --ntasks=1 --cpus-per-task=1 --time=00:20:00 --output={folder}/worker-%j.log
exec {python} -m distributed.cli.dask_worker --scheduler-file {file} \
    --nworkers 1 --nthreads 1 --no-dashboard --no-nanny --death-timeout 60
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Start a controller and a node of SLURM for this test alone."""
    for name in ("state", "spool"):
        (tmp_path / name).mkdir()
    (tmp_path / "munge.key").write_bytes(os.urandom(1024))
    (tmp_path / "munge.key").chmod(0o400)
    tmp_path.chmod(0o755)
    text = CONFIGURATION.format(
        host=socket.gethostname().partition(".")[0], folder=tmp_path, cores=os.cpu_count()
    )
    (tmp_path / "slurm.conf").write_text(text)
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    munge = [f"--{n}-file={tmp_path}/munge.{n}" for n in ("key", "pid", "log", "seed")]
    options = [*munge, f"--socket={tmp_path}/munge.socket", "--foreground", "--force"]
    commands = [["munged", *options], ["slurmctld", "-D"], ["slurmd", "-D"]]
    started = []
    for command in commands:
        with (tmp_path / f"{command[0]}.out").open("w") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        time.sleep(2)
    end = time.monotonic() + 60
    while "idle" not in (found := ask("sinfo", "-h", "-o", "%t")) and time.monotonic() < end:
        time.sleep(1)
    try:
        if "idle" not in found:
            pytest.skip(f"SLURM does not start on this machine: {found.strip()}")
        yield tmp_path
    finally:
        ask("scancel", "--user=root")
        for process in started[::-1]:
            process.terminate()
            process.wait(20)


def ask(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    return done.stdout + done.stderr


def submit(folder, file):
    script = folder / "worker.sh"
    script.write_text(WORKER.format(folder=folder, python=sys.executable, file=file))
    return ask("sbatch", "--parsable", "--export=ALL", script).strip().partition(";")[0]


def test_r21_slurm_jobs_cancelled(slurm, start, tmp_path, monkeypatch, count):
    from conftest import KITS

    plan, file = runs_of(60, s=0.3), tmp_path / "sched.json"
    path, whole, saved = tmp_path / "j.db", tmp_path / "whole.db", save(tmp_path, plan)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(KITS))
    monkeypatch.setenv("ANALYSIS_LIB_COLD", "1")
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__DAEMON", "False")
    options = ["--port", "0", "--no-dashboard", "--scheduler-file", file]
    scheduler = start("-m", "distributed.cli.dask_scheduler", *options)
    assert until(lambda: file.exists() and file.stat().st_size, scheduler)
    jobs = [submit(slurm, file), submit(slurm, file)]
    driver = start(DRIVER, path, saved, f"file:{file}", '{"progress": false}')
    for at, goal in enumerate((6, 18, 30)):
        assert until(lambda: len(stored(path)) >= goal, driver)  # noqa: B023
        ask("scancel", jobs[at])
        jobs.append(submit(slurm, file))
    found = result_of(driver)
    result_of(start(DRIVER, whole, saved, "threads:2", '{"progress": false}'))
    count(
        "R21",
        "scancel of SLURM jobs that hold Dask workers",
        faults=3,
        records=len(stored(path)),
        lost=found["remaining"] + len(found["lost"]),
        doubled=count_rows(path) - len(plan),
        wrong=int(contents(path) != contents(whole)),
        measured="corpus equal to that of threads",
    )


def test_r21_one_node_by_sbatch(slurm, tmp_path, monkeypatch, count):
    from conftest import KITS

    plan = runs_of(24, "healthy")
    saved, path = save(tmp_path, plan), tmp_path / "j.db"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(KITS))
    monkeypatch.setenv("ANALYSIS_LIB_COLD", "1")
    command = f"{sys.executable} {DRIVER} {path} {saved} threads:2"
    ask("sbatch", "--wait", "--export=ALL", f"--output={tmp_path}/job.log", "--wrap", command)
    found = stored(path)
    count(
        "R21",
        "one SLURM job without Dask",
        faults=0,
        records=len(found),
        lost=len(plan) - len(found),
        wrong=sum(status != "ok" for status in found.values()),
    )
