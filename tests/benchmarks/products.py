"""Hessian-vector products, traces, eigenvalues and memory, against other packages."""

import gc
import time
import warnings
from collections.abc import Iterable
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pandas as pd

from benchmarks import ours, peers
from benchmarks.cases import Case, case_names, make_case
from benchmarks.eigenvalues import measure_eigenvalues
from benchmarks.timing import cpu_seconds, paired_ratio, peak_memory, reason

__all__ = ["COLUMNS", "measure_products"]

COLUMNS = [
    "case", "kind", "parameters", "rows", "quantity", "method", "status", "repeats",
    "gradient_ms", "ratio", "ratio_q1", "ratio_q3", "against_ours", "against_ours_q1",
    "against_ours_q3", "error", "error_worst", "peak_mib", "peak_ratio",
]  # fmt: skip

MANY = ("eight_hvps", "trace_8")
"""Quantities of many products, which are repeated three times where others are five."""

WRONG = 1e-3
"""Relative error beyond which a product counts as that of another matrix."""


def measure_products(
    *,
    cases: Iterable[str] | None = None,
    repeats: int = 15,
    budget: float = 0.5,
    with_peers: bool = True,
    eigenvalues: bool = True,
) -> pd.DataFrame:
    """Return one row per case, quantity and method.

    ``ratio`` is processor time over that of one plain gradient of the same batch (median and
    quartiles over paired repeats), ``against_ours`` over that of this library.
    """
    rows = []
    for name in case_names() if cases is None else cases:
        case, start = make_case(name), time.perf_counter()
        with case.around(), warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            for quantity, tasks in ours.METHODS.items():
                methods = tasks | (peers.METHODS[quantity] if with_peers else {})
                fewer = -(-3 * repeats // 5) if quantity in MANY else repeats
                rows += _quantity(case, quantity, methods, repeats=fewer, budget=budget)
            if eigenvalues:
                rows += measure_eigenvalues(
                    case, peers.EIGENVALUES if with_peers else {}, repeats=-(-3 * repeats // 5)
                )
        gc.collect()
        print(f"  {name}: {time.perf_counter() - start:.0f} s", flush=True)
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def _quantity(case: Case, quantity: str, methods: dict, *, repeats: int, budget: float) -> list:
    def guarded(task):
        def prepare():
            case.restore()
            return task(case)

        return prepare

    tasks = {ours.GRADIENT: guarded(ours.gradient)}
    tasks |= {name: guarded(task) for name, task in methods.items()}
    exempt = (ours.GRADIENT, "ours")
    seconds, failures = cpu_seconds(tasks, repeats=repeats, budget=budget, unlimited=exempt)
    products = quantity in ("first_hvp", "further_hvp", "eight_hvps")
    case.restore()
    truth = ours.plain_product(case) if products else None
    memory = quantity == "first_hvp"
    base = peak_memory(tasks[ours.GRADIENT]()) if memory else np.nan
    rows = []
    for name in methods:
        row = {
            "case": case.name,
            "kind": case.kind,
            "parameters": case.layout.size,
            "rows": len(case.target),
            "quantity": quantity,
            "method": name,
            "gradient_ms": 1e3 * np.median(seconds[ours.GRADIENT]),
        }
        if name in failures:
            rows.append({**row, "status": f"failed: {failures[name]}"})
            continue
        row |= _ratios(seconds, name)
        try:
            run = tasks[name]()
            if memory:
                row["peak_mib"] = peak_memory(run)
                row["peak_ratio"] = row["peak_mib"] / base
            if products:
                error = float((run() - truth).norm() / truth.norm())
                row["error"] = error
        except Exception as error:
            row["status"] = f"failed: {reason(error)}"
        rows.append({"status": _status(name, row.get("error")), **row})
    case.restore()
    return rows


def _status(name: str, error: float | None) -> str:
    if error is None or error <= WRONG:
        return "ok"
    return "another matrix: " + peers.NOTES.get(name, f"relative error {error:.1e}")


def _ratios(seconds: dict[str, np.ndarray], name: str) -> dict[str, float]:
    middle, low, high, count = paired_ratio(seconds[name], seconds[ours.GRADIENT])
    own, own_low, own_high, _ = paired_ratio(seconds[name], seconds["ours"])
    return {
        "repeats": count,
        "ratio": middle,
        "ratio_q1": low,
        "ratio_q3": high,
        "against_ours": own,
        "against_ours_q1": own_low,
        "against_ours_q3": own_high,
    }
