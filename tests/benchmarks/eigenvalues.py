"""The largest eigenvalue along a training run: what it costs, and how far it is off."""

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

from analysis_lib.curvature import Hessian, lanczos, undisturbed
from analysis_lib.monitor.probe import COLD, WARM
from benchmarks import ours
from benchmarks.cases import Case
from benchmarks.timing import paired_ratio, reason

__all__ = ["measure_eigenvalues"]

CHECKPOINTS, BETWEEN = 3, 25
"""States looked at after the first, and optimizer steps between two of them."""

REFERENCE = 60
"""Largest number of Lanczos steps of the value that errors are taken against."""

FAR = 0.1
"""Relative error beyond which a value counts as off. Dropout drawn anew for every product, or
evaluation mode, make it that of another matrix."""

BUDGET = 1.0
"""Seconds for a package on a case; beyond, each state is measured once."""


def measure_eigenvalues(
    case: Case, packages: Mapping[str, Callable[[Case], float]], *, repeats: int
) -> list[dict]:
    """Return one row per method: ratio to a gradient, median and worst relative error.

    Ours starts from the vector found at the state before (whose own search is not counted, as it
    belongs to that state); a package starts anew with its own settings.
    """
    states = case.checkpoints(CHECKPOINTS + 1, BETWEEN)
    truth, starts = _prepare(case, states)
    methods = {"ours": None, **packages}
    samples = {name: [] for name in ("gradient", *methods)}
    found = {name: {} for name in methods}
    failures, spent = {}, dict.fromkeys(methods, 0.0)
    rng = np.random.default_rng(0)
    for repeat in range(repeats):
        at = 1 + repeat % CHECKPOINTS
        for name in rng.permutation(list(samples)):
            over = spent.get(name, 0) > BUDGET and name != "ours" and repeat >= CHECKPOINTS
            if name in failures or over:
                samples[name].append(np.nan)
                continue
            case.restore(states[at])
            run = ours.gradient(case)
            if name == "ours":
                run = _ours(case, starts[at])
            elif name != "gradient":
                run = _package(case, methods[name])
            calls = 5 if name == "gradient" else 1
            start = time.process_time()
            try:
                for _ in range(calls):
                    value = run()
            except Exception as error:
                failures[name] = reason(error)
                samples[name].append(np.nan)
                continue
            took = time.process_time() - start
            samples[name].append(took / calls)
            if name in methods:
                spent[name] += took
                found[name][at] = abs(value - truth[at]) / abs(truth[at])
    case.restore()
    samples = {name: np.array(values) for name, values in samples.items()}
    return [_row(case, name, samples, found, failures) for name in methods]


def _prepare(case: Case, states: list) -> tuple[list[float], list[torch.Tensor]]:
    """Reference value at each state, and the vector that ours starts from there."""
    truth, starts = [], [case.v]
    for index, state in enumerate(states):
        case.restore(state)
        with undisturbed(case.model, seed=0):
            hessian = Hessian.of(case.closure, case.layout)
            ends = lanczos(hessian.__matmul__, case.v, steps=REFERENCE, tolerance=1e-6)
            truth.append(ends.largest)
        _, vector = ours.warm_eigenvalue(case, starts[-1], steps=WARM if index else COLD)
        starts.append(vector)
    return truth, starts


def _ours(case: Case, start: torch.Tensor) -> Callable[[], float]:
    return lambda: ours.warm_eigenvalue(case, start, steps=WARM)[0]


def _package(case: Case, method: Callable[[Case], float]) -> Callable[[], float]:
    return lambda: method(case)


def _row(case: Case, name: str, samples: dict, found: dict, failures: dict) -> dict:
    row = {
        "case": case.name,
        "kind": case.kind,
        "parameters": case.layout.size,
        "rows": len(case.target),
        "quantity": "largest_eigenvalue",
        "method": name,
        "gradient_ms": 1e3 * np.nanmedian(samples["gradient"]),
    }
    if name in failures:
        return {**row, "status": f"failed: {failures[name]}"}
    middle, low, high, count = paired_ratio(samples[name], samples["gradient"])
    own, own_low, own_high, _ = paired_ratio(samples[name], samples["ours"])
    errors = list(found[name].values())
    return {
        **row,
        "status": "ok" if max(errors) <= FAR else "off: see error",
        "repeats": count,
        "ratio": middle,
        "ratio_q1": low,
        "ratio_q3": high,
        "against_ours": own,
        "against_ours_q1": own_low,
        "against_ours_q3": own_high,
        "error": float(np.median(errors)),
        "error_worst": float(np.max(errors)),
    }
