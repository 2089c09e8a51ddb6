"""Generate a plan, in a process that tests may kill: driver.py JOURNAL PLAN ENGINE [OPTIONS]."""

import contextlib
import json
import os
import random
import signal
import sys

from analysis_lib.configuration import Run
from analysis_lib.corpus.cluster import connect, local_cluster
from analysis_lib.corpus.generate import generate


def killer(attack, every, executor):
    """What to do after a result: kill the fork server, or a worker, now and then."""
    done = []

    def fork_server(summary):
        from multiprocessing import forkserver

        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)

    def worker(summary):
        nannies = [n for n in executor._client.cluster.workers.values() if n.pid]
        number = signal.SIGSEGV if len(done) % 2 else signal.SIGKILL
        os.kill(random.Random(len(done)).choice(nannies).pid, number)

    def after(summary):
        if attack and summary.recorded.total() >= every * (len(done) + 1) and summary.remaining:
            with contextlib.suppress(ProcessLookupError, IndexError, TypeError):
                {"fork server": fork_server, "worker": worker}[attack](summary)
                done.append(summary.recorded.total())

    return after, done


def main(journal, plan, engine, options="{}"):
    options = json.loads(options)
    with open(plan, encoding="utf-8") as file:
        runs = [Run.from_spec(spec) for spec in json.load(file)]
    kind, _, what = engine.partition(":")
    attack, every = options.pop("attack", None), options.pop("every", 10)
    with contextlib.ExitStack() as stack:
        executor = None
        if kind == "dask":
            workers, threads = map(int, what.split("x"))
            executor = stack.enter_context(local_cluster(workers, threads=threads))
        elif kind == "file":
            executor = stack.enter_context(connect(scheduler_file=what))
        else:
            options["workers"] = int(what)
        after, done = killer(attack, every, executor)
        summary = generate(
            runs,
            journal,
            executor=executor,
            trainer=options.pop("trainer", "corpus_stub:train"),
            on_result=after,
            **options,
        )
    found = {"recorded": dict(summary.recorded), "remaining": summary.remaining, "faults": done}
    print(json.dumps(found | {"lost": summary.lost, "interrupted": summary.interrupted}))


if __name__ == "__main__":
    main(*sys.argv[1:])
