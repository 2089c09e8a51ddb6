"""The quick mode writes whole tables; timing and judging do what they say."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.__main__ import TABLES, write_tables
from benchmarks.cases import make_case
from benchmarks.loggers import measure_loggers
from benchmarks.ours import METHODS, gradient
from benchmarks.products import COLUMNS, measure_products
from benchmarks.targets import TARGETS, judge
from benchmarks.telemetry import VARIANTS, measure_groups, measure_telemetry
from benchmarks.timing import cpu_seconds, paired_ratio, peak_memory


def test_products_of_a_program():
    table = measure_products(
        cases=["snn_wine"], repeats=2, budget=0, with_peers=False, eigenvalues=True
    )
    assert list(table.columns) == COLUMNS
    assert set(table.quantity) == {*METHODS, "largest_eigenvalue"}
    assert (table.status == "ok").all() and (table.repeats == 2).all()
    assert table[table.quantity.str.contains("hvp")].error.max() < 1e-5
    assert table.ratio.gt(0).all() and table.ratio_q1.le(table.ratio_q3).all()
    assert table[table.quantity == "first_hvp"].peak_ratio.gt(1).all()


def test_telemetry_by_steps_and_groups():
    table = measure_telemetry(
        programs=["snn_wine"], factors=(1, 2), longer=["snn_wine"], epochs=1, repeats=1
    )
    assert table.factor.tolist() == [1, 2]
    assert table.steps_per_epoch[1] == 2 * table.steps_per_epoch[0]
    groups = measure_groups(programs=["snn_wine"], epochs=1, repeats=1)
    assert groups.recorded.tolist() == list(VARIANTS)
    assert np.isfinite(groups.ratio).all()


def test_the_quick_mode_writes_every_table(tmp_path, monkeypatch):
    frames = {
        "products": pd.DataFrame({"quantity": ["first_hvp"], "method": "ours", "case": "mlp",
                                  "ratio": 3.0, "status": "ok"}),
        "loggers": measure_loggers(nets=["mlp"], repeats=1, with_peers=False),
    }  # fmt: skip
    for name in TABLES:
        frame = frames.get(name, pd.DataFrame({"factor": [1], "ratio": [1.1]}))
        monkeypatch.setitem(TABLES, name, (None, lambda peers, frame=frame: frame))
    write_tables(tmp_path, quick=True, with_peers=False)
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {*(f"{n}.csv" for n in TABLES), "targets.csv", "machine.json"}
    targets = pd.read_csv(tmp_path / "targets.csv")
    assert len(targets) == len(TARGETS)
    first = targets[(targets.on == "mlp") & targets.quantity.str.startswith("first")]
    assert first.met.tolist() == ["yes", "no"] and first.reached.tolist() == [3.0, 3.0]
    machine = json.loads((tmp_path / "machine.json").read_text())
    assert machine["quick"] and machine["versions"]["torch"] == torch.__version__


def test_a_target_without_a_figure_is_not_measured():
    verdict = judge({name: pd.DataFrame() for name in TABLES})
    assert set(verdict.met) == {"not measured"} and verdict.reached.isna().all()


def test_seconds_are_those_of_the_task_and_failures_have_a_reason():
    def fails():
        raise ValueError("no such thing")

    calls = []
    tasks = {"gradient": lambda: lambda: calls.append(1), "broken": lambda: fails}
    seconds, failures = cpu_seconds(tasks, repeats=4, budget=0.0)
    assert list(seconds) == ["gradient"] and np.isfinite(seconds["gradient"]).all()
    assert failures == {"broken": "ValueError: no such thing"}
    assert len(calls) >= 4


def test_ratios_are_paired():
    a, b = np.array([2.0, 40.0, np.nan]), np.array([1.0, 10.0, 1.0])
    assert paired_ratio(a, b) == (3.0, 2.5, 3.5, 2)


def test_peak_memory_counts_what_is_alive_together():
    def run():
        first = torch.empty(2**18)  # 1 MiB
        del first
        return torch.empty(2**19)

    assert peak_memory(run) == pytest.approx(2.0, rel=0.01)


def test_restoring_a_case_undoes_training():
    case = make_case("mlp")
    before = float(case.closure().detach())
    states = case.checkpoints(2, 3)
    assert float(case.closure().detach()) == before
    case.restore(states[1])
    assert float(case.closure().detach()) < before
    assert len(gradient(case)()) == len(case.layout.parameters)
