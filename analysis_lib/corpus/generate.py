"""Train every run of a plan, on any executor, into a journal that survives whatever happens."""

import os
import queue
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from analysis_lib.configuration import Run
from analysis_lib.corpus.child import TRAINER, clean, resume_all, run_child, stop_all
from analysis_lib.corpus.journal import Journal
from analysis_lib.corpus.schema import STATUSES
from analysis_lib.errors import InputError, unknown

__all__ = ["Summary", "generate"]

_GIVE_UP = 5
_EVERY = 30.0


@dataclass
class Summary:
    """What a call of :func:`generate` did.

    Parameters
    ----------
    planned : int
        Runs of the plan.
    already : int
        Runs the journal held before.
    recorded : Counter
        Status -> runs recorded by this call.
    lost : dict of str to str
        run_id -> why the engine lost it. Nothing is recorded of these; the next call tries again.
    given_up : dict of str to str
        Program -> why the rest of its runs were not started.
    interrupted : bool
        Whether the call was ended by Ctrl-C.
    seconds : float
        Duration of the call in seconds.
    """

    planned: int
    already: int = 0
    recorded: Counter = field(default_factory=Counter)
    lost: dict[str, str] = field(default_factory=dict)
    given_up: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def remaining(self) -> int:
        """Runs of the plan that the journal does not hold."""
        return self.planned - self.already - self.recorded.total()

    @property
    def complete(self) -> bool:
        """Whether the journal holds every run of the plan."""
        return self.remaining == 0

    @property
    def line(self) -> str:
        """Progress in one line: counts, rate, minutes left."""
        made = self.recorded.total()
        rate = made / self.seconds if self.seconds > 0 else 0.0
        counts = " ".join(f"{s} {self.recorded[s]}" for s in STATUSES if self.recorded[s])
        parts = [f"{self.already + made}/{self.planned} {counts}".strip(), f"{rate:.1f} run/s"]
        if rate > 0:
            parts.append(f"{self.remaining / rate / 60:.0f} min left")
        if self.lost:
            parts.append(f"{len(self.lost)} lost")
        return " | ".join(parts)

    def __str__(self):
        counts = ", ".join(f"{s} {self.recorded[s]}" for s in STATUSES if self.recorded[s])
        lines = [
            f"{self.planned} runs planned, {self.already} there before, "
            f"{self.recorded.total()} recorded now ({counts or 'none'}) in {self.seconds:.0f} s"
        ]
        lines += [f"gave up on {program}: {why}" for program, why in self.given_up.items()]
        if self.lost:
            run_id, why = next(iter(self.lost.items()))
            lines.append(f"{len(self.lost)} runs lost by the engine, e.g. {run_id}: {why}")
        if self.interrupted:
            lines.append("interrupted; everything recorded so far is kept")
        if not self.complete:
            lines.append(f"{self.remaining} runs remain; the same command continues")
        return "\n".join(lines)


class _Progress:
    """A bar on a terminal, a line every 30 s elsewhere, or nothing."""

    def __init__(self, summary: Summary, show: bool | None):
        self.summary, self.show, self.bar = summary, show is not False, None
        self.start = self.last = time.monotonic()
        if self.show and sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(
                total=summary.planned, initial=summary.already, unit="run", file=sys.stderr
            )

    def tick(self, made: int = 0) -> None:
        now = time.monotonic()
        self.summary.seconds = now - self.start
        if self.bar is not None and made:
            self.bar.set_postfix(self.summary.recorded, refresh=False)
            self.bar.update(made)
        elif self.bar is None and self.show and now - self.last >= _EVERY:
            self.last = now
            self.say(self.summary.line)

    def say(self, text: str) -> None:
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        elif self.show:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        self.tick()
        if self.bar is not None:
            self.bar.close()


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
    """First results of each program, to notice one that never works."""

    def __init__(self):
        self.first: dict[str, list[str]] = {}

    def hopeless(self, program: str, status: str, reason: str) -> str | None:
        first = self.first.setdefault(program, [])
        if len(first) == _GIVE_UP:
            return None
        first.append(reason if status == "raised" else "")
        if len(first) == _GIVE_UP and all(first):
            return f"its first {_GIVE_UP} runs all raised, the last one: {reason}"
        return None


def _cores() -> int:
    """Usable cores, which may be fewer than those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _running(runs: dict[Future, Run]) -> dict[str, int]:
    return dict(Counter(run.configuration.program for f, run in runs.items() if f.running()))


def generate(
    plan: Iterable[Run],
    journal_path: str | Path,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    cpu_s: int = 60,
    wall_s: float = 600,
    memory_gib: float | None = None,
    trainer: str = TRAINER,
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
        Where runs are started, for example ``dask.distributed.Client(...).get_executor()``. By
        default threads of this process, which only wait for the processes of the runs.
    workers : int, optional
        Number of threads; by default the usable cores. Not together with ``executor``.
    cpu_s, wall_s, memory_gib : float, optional
        Limits of one run in seconds of CPU time, seconds, and GiB.
    trainer : str
        ``"module:function"`` with ``train(run) -> Trace``.
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
        If the journal is in use, damaged or of another recipe, and if a limit is not positive.
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
        shown = _Progress(summary, progress)
        pool = executor
        if executor is None:
            pool = ThreadPoolExecutor(workers or _cores())
        journal.note(limits=limits, running={})
        runs: dict[Future, Run] = {}
        finished: queue.SimpleQueue[Future] = queue.SimpleQueue()
        try:
            _submit(todo, pool, limits | {"trainer": trainer}, runs, finished, summary)
            _drain(runs, finished, journal, summary, shown, on_result)
        except BaseException as error:
            for future in runs:
                future.cancel()
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


def _submit(todo, pool, options, runs, finished, summary) -> None:
    for run in todo:
        try:
            future = pool.submit(run_child, run.spec, **options)
        except RuntimeError as error:  # a broken or closed executor
            summary.lost[run.run_id] = clean(f"{type(error).__name__}: {error}")
            continue
        runs[future] = run
        future.add_done_callback(finished.put)


def _drain(runs, finished, journal, summary, shown, on_result) -> None:
    tally, noted, running = _Tally(), 0.0, {}
    while runs:
        if time.monotonic() - noted > 1:
            noted, running = time.monotonic(), _running(runs)
        try:
            future = finished.get(timeout=1.0)
        except queue.Empty:
            journal.note(running=running)
            shown.tick()
            continue
        run = runs.pop(future)
        program = run.configuration.program
        if future.cancelled() or (error := future.exception()) is not None:
            if program not in summary.given_up:
                why = "cancelled" if future.cancelled() else f"{type(error).__name__}: {error}"
                summary.lost[run.run_id] = clean(why)
            continue
        row = future.result()
        if journal.add(row, running=running):
            summary.recorded[row.status] += 1
        shown.tick(made=1)
        if on_result is not None:
            on_result(summary)
        if why := tally.hopeless(program, row.status, row.reason):
            summary.given_up[program] = why
            shown.say(f"gave up on {program}: {why}")
            for other in [f for f, r in runs.items() if r.configuration.program == program]:
                other.cancel()
