"""Generate on a Dask cluster: any set of machines that Dask can start workers on.

Each worker only waits for the processes of its runs, as the threads of one machine do, so a run
gives the same bytes there. Nothing is shared but the network: results go to the journal of the
driver as soon as they are there. joblib's Dask backend would hang when a worker dies; the
executor of a client does not.
"""

import contextlib
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from analysis_lib.errors import InputError

__all__ = ["SETTINGS", "connect", "count_workers", "local_cluster"]

SETTINGS = {
    "distributed.worker.daemon": False,
    "distributed.scheduler.allowed-failures": 10,
}
"""What workers and scheduler need. Workers must be allowed to start processes, and a run must
outlive more lost workers than Dask's default of 3, because it may share them with a bad neighbour.

In the shell: ``DASK_DISTRIBUTED__WORKER__DAEMON=False`` where workers start,
``DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=10`` where the scheduler does."""


def _what_a_worker_is() -> tuple[bool, int]:
    from analysis_lib.configuration import RECIPE

    return multiprocessing.current_process().daemon, RECIPE


def _check_workers(client: Any) -> None:
    from analysis_lib.configuration import RECIPE

    try:
        found = client.run(_what_a_worker_is, on_error="return")
    except OSError as error:
        raise InputError(f"the Dask cluster stopped answering: {error}") from None
    for worker, answer in found.items():
        if isinstance(answer, BaseException):
            raise InputError(
                f"Dask worker {worker} cannot import this project ({answer}); start it from the "
                "same environment"
            )
        daemon, recipe = answer
        if daemon:
            raise InputError(
                f"Dask worker {worker} may not start processes; start workers with "
                "DASK_DISTRIBUTED__WORKER__DAEMON=False in their environment"
            )
        if recipe != RECIPE:
            raise InputError(
                f"Dask worker {worker} trains recipe {recipe}, this version has {RECIPE}; start "
                "it from the same environment"
            )


def count_workers(executor: Executor) -> int | None:
    """Return how many workers the cluster of a Dask executor has now; None for any other one."""
    client = getattr(executor, "_client", None)
    if client is None or not hasattr(client, "nthreads"):
        return None
    try:
        return len(client.nthreads(callback_timeout=10))
    except (OSError, RuntimeError, ValueError):  # the connection is lost, or being made anew
        return None


@contextlib.contextmanager
def connect(
    address: str | None = None, *, scheduler_file: str | Path | None = None, wait_s: float = 30
) -> Iterator[Executor]:
    """Connect to a running Dask scheduler and give its executor.

    Parameters
    ----------
    address : str, optional
        For example ``"tcp://head:8786"``.
    scheduler_file : str or Path, optional
        File that ``dask scheduler --scheduler-file FILE`` wrote.
    wait_s : float, default=30
        Seconds to wait for an answer. Workers may come and go later.

    Yields
    ------
    concurrent.futures.Executor
        For ``generate(..., executor=...)``.

    Raises
    ------
    InputError
        If nothing answers, or a worker that is there cannot train.

    Examples
    --------
    >>> connect("tcp://head:8786", scheduler_file="cluster.json").__enter__()
    Traceback (most recent call last):
    analysis_lib.errors.InputError: give either the address of a Dask scheduler or its file
    """
    if (address is None) == (scheduler_file is None):
        raise InputError("give either the address of a Dask scheduler or its file")
    if scheduler_file is not None and not Path(scheduler_file).is_file():
        raise InputError(
            f"no scheduler file {scheduler_file}; `dask scheduler --scheduler-file "
            f"{scheduler_file}` writes it"
        )
    from distributed import Client

    where = str(address or scheduler_file)
    known = {"address": address} if scheduler_file is None else {"scheduler_file": scheduler_file}
    try:
        client = Client(**known, timeout=wait_s, set_as_default=False)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"no Dask scheduler answers at {where} ({str(error)[:200]}); start one with "
            "`dask scheduler`"
        ) from None
    with client:
        _check_workers(client)
        yield client.get_executor(pure=False)


@contextlib.contextmanager
def local_cluster(workers: int = 2, *, threads: int = 1) -> Iterator[Executor]:
    """Start Dask workers on this machine and give their executor.

    One machine needs no Dask; this is for trying out and testing what a cluster will do.

    Parameters
    ----------
    workers : int, default=2
        Worker processes.
    threads : int, default=1
        Runs at a time of each. They share one fork server, so on a large machine few workers
        with many threads take the least memory.
    """
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set(SETTINGS),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        # a worker killed while it starts is not started again by its nanny, but by the cluster
        cluster.adapt(minimum=workers, maximum=workers, interval="5s")
        yield client.get_executor(pure=False)
