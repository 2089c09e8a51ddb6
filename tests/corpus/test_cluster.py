"""On a Dask cluster: the same bytes, nothing lost when workers die, clear words if it is wrong."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from corpus_kit import plan_of, slow_plan
from corpus_stub import TRAINER

from analysis_lib.cli import main
from analysis_lib.corpus.cluster import connect, count_workers
from analysis_lib.corpus.generate import generate
from analysis_lib.corpus.journal import Journal
from analysis_lib.errors import InputError

PLAN = plan_of(["alpha"], seeds=2)

ON_CLUSTER = """
import sys
from corpus_kit import plan_of
from corpus_stub import TRAINER
from analysis_lib.corpus.cluster import connect, local_cluster
from analysis_lib.corpus.generate import generate

if __name__ == "__main__":
    with local_cluster(1, threads=2) as executor:
        address = executor._client.scheduler.address
        with connect(address) as found:
            summary = generate(
                plan_of(["alpha"], seeds=2), sys.argv[1], executor=found, trainer=TRAINER
            )
    print(summary.complete, summary.recorded.total(), len(summary.lost))
"""

WORKER_KILLER = """
import os, signal, sys
from corpus_kit import slow_plan
from corpus_stub import TRAINER
from analysis_lib.corpus.cluster import local_cluster
from analysis_lib.corpus.generate import generate

if __name__ == "__main__":
    with local_cluster(2) as executor:
        cluster, killed = executor._client.cluster, []

        def kill(summary):
            if summary.recorded.total() in (3, 9, 15):
                nanny = list(cluster.workers.values())[summary.recorded.total() // 3 % 2]
                os.kill(nanny.pid, signal.SIGKILL)
                killed.append(nanny.pid)

        summary = generate(
            slow_plan(), sys.argv[1], executor=executor, trainer=TRAINER, on_result=kill
        )
    assert len(set(killed)) == 3
    print(summary.complete, summary.recorded.total(), len(summary.lost))
"""

DAEMONS = """
import sys
from distributed import LocalCluster
from analysis_lib.cli import main

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        options = ["--program", "snn_wine", "--journal", sys.argv[1]]
        status = main(["corpus", "generate", *options, "--dask", cluster.scheduler_address])
    sys.exit(status)
"""


DESERTED = """
import sys, threading, time
from corpus_kit import plan_of
from corpus_stub import TRAINER
from distributed import Client, LocalCluster
from analysis_lib.corpus import generate as module
from analysis_lib.corpus.cluster import SETTINGS, count_workers
import dask

if __name__ == "__main__":
    module._PATIENCE = 2.0
    with (
        dask.config.set(SETTINGS),
        LocalCluster(n_workers=0, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        executor = client.get_executor(pure=False)
        print(count_workers(executor))
        threading.Timer(7.0, cluster.scale, [1]).start()
        plan = plan_of(["alpha"], ["healthy"], seeds=2)
        summary = module.generate(plan, sys.argv[1], executor=executor, trainer=TRAINER)
        print(count_workers(executor), summary.complete)
"""


def contents(path):
    with Journal(path) as journal:
        return {row.run_id: (row.status, row.epochs, row.layers) for row in journal.rows()}


@pytest.mark.parametrize(("text", "plan"), [(ON_CLUSTER, PLAN), (WORKER_KILLER, slow_plan())])
def test_same_bytes_as_on_threads_also_when_workers_are_killed(script, tmp_path, text, plan):
    cluster = script(text, tmp_path / "dask.db")
    out, err = cluster.communicate()
    assert out.split() == ["True", str(len(plan)), "0"], err
    generate(plan, tmp_path / "threads.db", workers=2, trainer=TRAINER, progress=False)
    assert contents(tmp_path / "dask.db") == contents(tmp_path / "threads.db")


def test_workers_that_may_not_start_processes_are_refused(script, tmp_path):
    driver = script(DAEMONS, tmp_path / "j.db")
    _, err = driver.communicate()
    assert driver.returncode == 2
    assert "error: Dask worker tcp://" in err and "DAEMON=False" in err
    assert not (tmp_path / "j.db").exists()


def test_cluster_without_workers_is_waited_for_and_said_once(script, tmp_path):
    out, err = script(DESERTED, tmp_path / "j.db").communicate()
    assert out.split() == ["0", "1", "True"], err
    assert err.count("the Dask cluster has no workers, so nothing is trained; waiting") == 1
    assert "Ctrl-C stops and keeps what is recorded" in err


def test_only_dask_executors_have_countable_workers():
    with ThreadPoolExecutor(1) as pool:
        assert count_workers(pool) is None


def test_no_scheduler_at_an_address():
    with pytest.raises(InputError, match="no Dask scheduler answers at tcp://127.0.0.1:9"):
        connect("tcp://127.0.0.1:9", wait_s=1).__enter__()


def test_scheduler_file_without_a_scheduler(tmp_path, capsys):
    file = tmp_path / "cluster.json"
    command = ["corpus", "generate", "--program", "snn_wine", "--dask-file", str(file)]
    assert main(command) == 2
    assert f"error: no scheduler file {file}; `dask scheduler" in capsys.readouterr().err
    file.write_text(json.dumps({"address": "tcp://127.0.0.1:9"}))
    with pytest.raises(InputError, match=f"no Dask scheduler answers at {file}"):
        connect(scheduler_file=file, wait_s=1).__enter__()


def test_workers_of_this_machine_and_of_a_cluster_exclude_each_other(capsys):
    assert main(["corpus", "generate", "--dask", "tcp://head:1", "--workers", "2"]) == 2
    assert "--workers is for this machine" in capsys.readouterr().err
