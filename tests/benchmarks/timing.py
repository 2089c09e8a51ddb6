"""Processor time of tasks, interleaved and paired; and the memory they peak at."""

import gc
import time
from collections.abc import Callable, Mapping

import numpy as np
from torch.profiler import ProfilerActivity, profile

__all__ = ["Task", "cpu_seconds", "paired_ratio", "peak_memory", "reason"]

Task = Callable[[], Callable[[], object]]
"""Prepares, untimed, what is then called and timed."""

REFERENCE = "gradient"


def reason(error: BaseException) -> str:
    """One line that says how a task failed."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}"


def _once(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def cpu_seconds(
    tasks: Mapping[str, Task],
    *,
    repeats: int,
    budget: float,
    unlimited: tuple[str, ...] = (REFERENCE,),
    sample: float = 0.005,
    seed: int = 0,
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Time tasks in random order, one after the other, ``repeats`` times.

    Processor time of one thread, because wall time says nothing on a shared machine. A sample is
    the mean of as many calls as take ``sample`` seconds.

    Parameters
    ----------
    tasks : mapping of str to Task
    repeats : int
    budget : float
        Seconds after which a task is left out of further repeats, once it had three.
    unlimited : tuple of str
        Tasks without a budget.
    sample : float
    seed : int

    Returns
    -------
    seconds : dict of str to ndarray of shape (repeats,)
        NaN where a task was left out.
    failures : dict of str to str
        Tasks that raised, and what.
    """
    seconds = {name: np.full(repeats, np.nan) for name in tasks}
    failures, calls, spent = {}, {}, dict.fromkeys(tasks, 0.0)
    for name, task in tasks.items():
        try:
            run = task()
            took = _once(run)
            if took < 0.1:  # the first call also warms up
                took = _once(run)
            calls[name] = int(np.clip(sample / max(took, 1e-6), 1, 200))
        except Exception as error:
            failures[name] = reason(error)
    rng = np.random.default_rng(seed)
    enabled = gc.isenabled()
    gc.freeze()  # what exists already need not be looked at before every repeat
    try:
        for repeat in range(repeats):
            gc.collect()
            gc.disable()
            for name in rng.permutation([n for n in tasks if n not in failures]):
                over = spent[name] > budget and name not in unlimited
                if over and repeat >= min(3, repeats):
                    continue
                run = tasks[name]()
                start = time.process_time()
                for _ in range(calls[name]):
                    run()
                took = time.process_time() - start
                seconds[name][repeat] = took / calls[name]
                spent[name] += took
            gc.enable()
    finally:
        gc.unfreeze()
        (gc.enable if enabled else gc.disable)()
    return {n: s for n, s in seconds.items() if n not in failures}, failures


def paired_ratio(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float, int]:
    """Median and quartiles of a / b over the repeats that have both, and their number."""
    ratio = (a / b)[np.isfinite(a / b)]
    if not len(ratio):
        return np.nan, np.nan, np.nan, 0
    low, middle, high = np.percentile(ratio, [25, 50, 75])
    return float(middle), float(low), float(high), len(ratio)


def peak_memory(run: Callable[[], object]) -> float:
    """MiB of tensors that a call had allocated at its peak, beyond what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        kept = run()
    del kept
    events = record.profiler.kineto_results.events()
    memory = [(e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"]
    sizes = np.array([size for _, size in sorted(memory, key=lambda e: e[0])])
    return float(np.cumsum(sizes).max(initial=0) / 2**20)
