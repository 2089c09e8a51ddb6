"""Measure, and write the tables: ``python -m benchmarks [--quick] [--only TABLE]``."""

import argparse
import json
import time
from pathlib import Path

import pandas as pd
import torch

from benchmarks.loggers import measure_loggers
from benchmarks.machine import describe_machine
from benchmarks.products import measure_products
from benchmarks.targets import judge
from benchmarks.telemetry import measure_groups, measure_telemetry

__all__ = ["TABLES", "write_tables"]

OUT = Path(__file__).parents[2] / "data" / "reports"

SMALL = ("mlp", "snn_wine")

TABLES = {
    "products": (
        lambda: measure_products(),
        lambda peers: measure_products(
            cases=SMALL, repeats=2, budget=0.0, with_peers=peers, eigenvalues=False
        ),
    ),
    "telemetry": (
        lambda: measure_telemetry(),
        lambda peers: measure_telemetry(
            programs=["snn_wine"], factors=(1, 2), longer=["snn_wine"], epochs=1, repeats=2
        ),
    ),
    "groups": (
        lambda: measure_groups(),
        lambda peers: measure_groups(programs=["snn_wine"], epochs=1, repeats=2),
    ),
    "loggers": (
        lambda: measure_loggers(),
        lambda peers: measure_loggers(nets=["mlp"], repeats=1, with_peers=peers),
    ),
}
"""Name -> (full, quick) measurement."""


def write_tables(
    out: Path, *, quick: bool = False, only: list[str] | None = None, with_peers: bool = True
) -> None:
    """Write one CSV file per table, ``targets.csv`` and ``machine.json``."""
    out.mkdir(parents=True, exist_ok=True)
    seconds = {}
    if (out / "machine.json").exists():
        seconds = json.loads((out / "machine.json").read_text()).get("seconds", {})
    for name in only or TABLES:
        full, short = TABLES[name]
        start = time.perf_counter()
        table = short(with_peers) if quick else full()
        seconds[name] = round(time.perf_counter() - start)
        table.to_csv(out / f"{name}.csv", index=False, float_format="%.5g")
        print(f"{name}: {len(table)} rows in {seconds[name]} s", flush=True)
    tables = {n: pd.read_csv(out / f"{n}.csv") for n in TABLES if (out / f"{n}.csv").exists()}
    if set(tables) == set(TABLES):
        judge(tables).to_csv(out / "targets.csv", index=False, float_format="%.4g")
    settings = {"seed": 0, "quick": quick, "seconds": seconds}
    text = json.dumps(describe_machine(**settings), indent=2)
    (out / "machine.json").write_text(text + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that it runs")
    parser.add_argument("--only", nargs="*", choices=TABLES, help="these tables alone")
    parser.add_argument("--out", type=Path, default=OUT, help="where the tables go")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    write_tables(chosen.out, quick=chosen.quick, only=chosen.only)


if __name__ == "__main__":
    main()
