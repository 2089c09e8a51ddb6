"""The plan: balanced, seeded, independent of what else is planned."""

from collections import Counter

import pytest

from analysis_lib.corpus import make_plan
from analysis_lib.errors import InputError
from analysis_lib.faults import CATEGORIES, get_operator
from analysis_lib.programs import list_programs


def test_every_program_has_the_same_mix():
    plan = make_plan()
    mixes = {}
    for program in list_programs():
        runs = [r for r in plan if r.configuration.program == program.name]
        mixes[program.name] = Counter(get_operator(r.configuration.operator).category for r in runs)
    expected = {"Healthy": 15, **dict.fromkeys(CATEGORIES, 20)}
    assert all(mix == expected for mix in mixes.values())


def test_runs_are_distinct_and_every_configuration_has_all_seeds():
    plan = make_plan()
    assert len({r.run_id for r in plan}) == len(plan)
    seeds = Counter(r.configuration.key for r in plan)
    assert set(seeds.values()) == {5}


def test_the_draw_of_a_program_does_not_depend_on_the_others():
    alone = [r.key for r in make_plan(["vae_digits"])]
    together = [r.key for r in make_plan() if r.configuration.program == "vae_digits"]
    assert alone == together


def test_fault_parameters_differ_between_programs():
    factors = {
        r.configuration.parameters["factor"]
        for r in make_plan(seeds=1)
        if r.configuration.operator == "HLR"
    }
    assert len(factors) >= 14


def test_another_random_state_is_another_plan():
    a, b = ({r.key for r in make_plan(["snn_wine"], random_state=s)} for s in (0, 1))
    assert a != b
    assert {r.key for r in make_plan(["snn_wine"], random_state=0)} == a


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"programs": ["snn_wnie"]}, "did you mean 'snn_wine'"),
        ({"configurations": 0}, "configurations is 0; expected an integer from 1"),
        ({"healthy": 4}, "healthy is 4; expected an integer from 1 to 3"),
        ({"seeds": 2.0}, "seeds is 2.0"),
    ],
)
def test_wrong_counts_are_named(options, message):
    with pytest.raises(InputError, match=message):
        make_plan(**options)
