"""Train every run of a plan, on any executor, into a journal that survives whatever happens."""

import os
import queue
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

from analysis_lib.configuration import Run
from analysis_lib.corpus.child import TRAINER, clean, resume_all, run_child, stop_all
from analysis_lib.corpus.cluster import count_workers
from analysis_lib.corpus.journal import Journal, Row
from analysis_lib.corpus.progress import Progress, Summary
from analysis_lib.corpus.schema import STATUSES, TRACED
from analysis_lib.errors import InputError, unknown

__all__ = ["Summary", "generate"]

_GIVE_UP = 5  # first results of a program
_STOP = 20  # first results of a call
_PATIENCE, _REMIND = 5.0, 300.0  # seconds without Dask workers until it is said, and said again
_AHEAD = 2000
"""Runs handed to the executor at a time: more than any cluster here has workers, and few enough
for the memory of the driver to stay small however long the plan is."""


def _todo(plan: Iterable[Run], journal: Journal, retry: Sequence[str]) -> tuple[list, int, int]:
    runs = {run.run_id: run for run in plan}
    for status in retry:
        if status not in STATUSES:
            raise unknown("status", status, STATUSES)
    found = journal.statuses()
    journal.remove(r for r, status in found.items() if status in retry and r in runs)
    done = sum(found.get(r) not in (None, *retry) for r in runs)
    todo = sorted(r for r in runs if found.get(r) is None or found[r] in retry)
    return [runs[r] for r in todo], len(runs), done


class _Tally:
    """First results, of each program and of all, to notice what never works."""

    def __init__(self):
        self.first: dict[str, list[Row]] = {}
        self.all: list[Row] = []

    def hopeless(self, row: Row) -> str | None:
        """Why no further run of the program is worth starting, or None."""
        first = self.first.setdefault(row.program, [])
        if len(first) == _GIVE_UP or row.status == "killed":
            return None
        first.append(row)
        if len(first) < _GIVE_UP or any(r.status in TRACED for r in first):
            return None
        counts = Counter(r.status for r in first)
        how = " or ".join(f"{status} ({n})" for status, n in counts.items())
        how = f"all {row.status}" if len(counts) == 1 else f"ended {how}"
        return f"its first {_GIVE_UP} runs {how}, the last one: {row.reason}"

    def broken(self, row: Row) -> str | None:
        """Why nothing at all works, or None."""
        if len(self.all) == _STOP or row.status == "killed":
            return None
        self.all.append(row)
        kinds = {(r.status, r.reason.partition(":")[0]) for r in self.all}
        if len(self.all) < _STOP or len(kinds) > 1 or row.status in TRACED:
            return None
        again = f"repeat with --retry {row.status}"
        why = f"the first {_STOP} runs all {row.status}, the last one: {row.reason}"
        return f"{why}; mend that, then {again}"


def _cores() -> int:
    """Usable cores, which may be fewer than those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def generate(
    plan: Iterable[Run],
    journal_path: str | Path,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    cpu_s: int = 60,
    wall_s: float = 600,
    memory_gib: float | None = 4.0,
    trainer: str | bytes = TRAINER,
    retry: Sequence[str] = (),
    random_state: int = 0,
    progress: bool | None = None,
    on_result: Callable[[Summary], object] | None = None,
) -> Summary:
    """Train the runs of a plan that the journal does not hold yet.

    Every run is a process of its own; each result is one durable commit. The call can be killed
    at any moment and repeated: nothing recorded is lost, nothing is made twice, and the results
    do not depend on the order, the executor or the number of workers.

    Parameters
    ----------
    plan : iterable of Run
        Repeated runs count once.
    journal_path : str or Path
        The journal; created if missing.
    executor : concurrent.futures.Executor, optional
        Where runs are started, for example that of :func:`analysis_lib.corpus.cluster.connect`.
        By default threads of this process, which only wait for the processes of the runs.
    workers : int, optional
        Number of threads; by default the usable cores. Not together with ``executor``.
    cpu_s : int, default=60
        Largest CPU time of a run in seconds.
    wall_s : float, default=600
        Longest time of a run by the clock, in seconds.
    memory_gib : float, optional
        Largest memory of a run in GiB; None sets no limit.
    trainer : str or bytes
        ``"module:function"`` with ``train(run) -> Trace``, or a pickle of such a function.
    retry : sequence of str
        Statuses whose runs are made again, for example ``("killed", "timeout")``.
    random_state : int
        Seed of the order in which runs are started.
    progress : bool, optional
        False prints nothing.
    on_result : callable, optional
        Called with the summary after every commit.

    Returns
    -------
    Summary
        ``.complete`` is false if runs remain. Ctrl-C returns, too, with ``.interrupted``.

    Raises
    ------
    InputError
        If the journal is in use, damaged or of another recipe, if a limit is not positive, and
        if the processes that train do not know a program or an operator of the plan.

    Notes
    -----
    A program whose first five runs all fail is given up, and a call whose first twenty runs all
    fail in the same way is stopped, with the reason; runs not started are not recorded.
    """
    if executor is not None and workers is not None:
        raise InputError("give either an executor or a number of workers, not both")
    limits = {"cpu_s": cpu_s, "wall_s": wall_s, "memory_gib": memory_gib}
    for name, value in [*limits.items(), ("workers", workers)]:
        if value is not None and not value > 0:
            raise InputError(f"{name} is {value}; expected a number above 0")
    resume_all()
    with Journal(journal_path, write=True) as journal:
        todo, planned, already = _todo(plan, journal, retry)
        random.Random(random_state).shuffle(todo)
        summary = Summary(planned, already)
        shown = Progress(summary, progress)
        pool = ThreadPoolExecutor(workers or _cores()) if executor is None else executor
        journal.note(limits=limits, running={})
        crew = _Crew(todo, pool, limits | {"trainer": trainer}, summary)
        try:
            _drain(crew, journal, shown, on_result, patient=bool(retry))
        except BaseException as error:
            crew.cancel()
            stop_all()
            if not isinstance(error, KeyboardInterrupt):
                raise
            summary.interrupted = True
        finally:
            if executor is None:
                pool.shutdown(wait=True)
            shown.close()
        journal.note(running={})
    if progress is not False:
        print(summary, file=sys.stderr, flush=True)
    return summary


_DESERTED = (
    "the Dask cluster has no workers, so nothing is trained; waiting for some to come. "
    "Ctrl-C stops and keeps what is recorded"
)


class _Deserted:
    """Whether to say that a Dask cluster has no workers: after some seconds, then rarely."""

    def __init__(self, pool: Executor):
        self.pool, self.pause = pool, _PATIENCE
        self.since: float | None = None

    def __call__(self) -> bool:
        if count_workers(self.pool) != 0:
            self.since, self.pause = None, _PATIENCE
            return False
        now = time.monotonic()
        if self.since is None:
            self.since = now
        if now - self.since < self.pause:
            return False
        self.since, self.pause = now, _REMIND
        return True


class _Crew:
    """The runs an executor works on, with the next ones of the plan behind them."""

    def __init__(self, todo: Iterable[Run], pool: Executor, options: dict, summary: Summary):
        self.todo, self.pool, self.options, self.summary = iter(todo), pool, options, summary
        self.runs: dict[Future, Run] = {}
        self.finished: queue.SimpleQueue[Future] = queue.SimpleQueue()

    def fill(self) -> None:
        """Hand over runs until enough are waiting."""
        while len(self.runs) < _AHEAD and (run := next(self.todo, None)) is not None:
            if run.configuration.program in self.summary.given_up:
                continue
            try:
                future = self.pool.submit(run_child, run.spec, **self.options)
            except RuntimeError as error:  # a broken or closed executor
                self.summary.lost[run.run_id] = clean(f"{type(error).__name__}: {error}")
                continue
            self.runs[future] = run
            future.add_done_callback(self.finished.put)

    def results(self) -> Iterator[tuple[Run, Future] | None]:
        """Yield what is finished, and None after every second without."""
        self.fill()
        while self.runs:
            try:
                future = self.finished.get(timeout=1.0)
            except queue.Empty:
                yield None
                continue
            yield self.runs.pop(future), future
            self.fill()

    def running(self) -> dict[str, int] | None:
        """Return program -> runs under way, or None if the executor does not tell."""
        under_way = [run for future, run in self.runs.items() if future.running()]
        if self.runs and not under_way:  # the futures of Dask are pending until they are done
            return None
        return dict(Counter(run.configuration.program for run in under_way))

    def cancel(self, program: str | None = None) -> None:
        """Take back what has not started: all, or the runs of one program."""
        if program is None:
            self.todo = iter(())
        for future, run in list(self.runs.items()):
            if program in (None, run.configuration.program):
                future.cancel()


def _drain(
    crew: _Crew,
    journal: Journal,
    shown: Progress,
    on_result: Callable[[Summary], object] | None,
    *,
    patient: bool,
) -> None:
    summary, tally, noted = crew.summary, _Tally(), 0.0
    running: dict[str, int] | None = {}
    deserted = _Deserted(crew.pool)
    for result in crew.results():
        if time.monotonic() - noted > 1:
            noted, running = time.monotonic(), crew.running()
        if result is None:
            journal.note(running=running)
            shown.tick()
            if deserted():
                shown.say(_DESERTED)
            continue
        run, future = result
        row = _outcome(run, future, summary, shown)
        if row is None:
            continue
        if journal.add(row, running=running):
            summary.recorded[row.status] += 1
        shown.tick(made=1)
        if row.status != "ok":
            shown.first(row.status, f"{run.key}: {row.reason}")
        if on_result is not None:
            on_result(summary)
        if patient:  # runs that failed before are being tried again
            continue
        if why := tally.hopeless(row):
            summary.given_up[row.program] = why
            shown.say(f"gave up on {row.program}: {why}")
            crew.cancel(row.program)
        if (why := tally.broken(row)) and not summary.stopped:
            summary.stopped = why
            shown.say(f"stopped: {why}")
            crew.cancel()


def _outcome(run: Run, future: Future, summary: Summary, shown: Progress) -> Row | None:
    """Return what the executor brought, or note that it lost the run."""
    if not future.cancelled() and (error := future.exception()) is None:
        return future.result()
    if not future.cancelled() and isinstance(error, InputError):  # true of every other run, too
        raise error
    if not summary.stopped and run.configuration.program not in summary.given_up:
        why = "cancelled" if future.cancelled() else f"{type(error).__name__}: {error}"
        summary.lost[run.run_id] = clean(why)
        shown.first("run lost by the engine", f"{run.key}: {clean(why)}")
    return None
