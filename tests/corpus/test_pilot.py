"""The pilot draws what a plan would draw, and reports what is killed."""

from analysis_lib.corpus.pilot import PILOT_PROGRAMS, pilot, summarise
from analysis_lib.programs import list_programs


def test_programs_of_the_pilot_exist():
    assert set(PILOT_PROGRAMS) <= {p.name for p in list_programs()}


def test_a_fault_that_ruins_training_is_killed():
    table = pilot(["snn_wine"], operators=["PGB", "WCI"], draws=2, seeds=2)
    assert sorted(table["operator"]) == ["PGB", "WCI", "WCI"]
    row = table.set_index("operator").loc["PGB"]
    assert row.killed and row.effect > 1 and row.faulty < row.healthy and row.finite == 1
    found = summarise(table).set_index("operator")
    assert found.loc["PGB", "killed"] == 1 and found.loc["WCI", "configurations"] == 2


def test_the_pilot_repeats():
    options = {"operators": ["HLR"], "draws": 1, "seeds": 2}
    assert pilot(["snn_wine"], **options).equals(pilot(["snn_wine"], **options))
