"""The plan: balanced, seeded, independent of what else is planned."""

from collections import Counter, defaultdict

import pytest

from analysis_lib.configuration import HEALTHY
from analysis_lib.corpus import make_plan
from analysis_lib.errors import InputError
from analysis_lib.faults import CATEGORIES, get_operator, list_operators
from analysis_lib.faults.gradients import training_of
from analysis_lib.programs import list_programs


def test_every_program_has_the_same_mix():
    plan = make_plan()
    mixes = {}
    for program in list_programs():
        runs = [r for r in plan if r.configuration.program == program.name]
        mixes[program.name] = Counter(get_operator(r.configuration.operator).category for r in runs)
    expected = {"Healthy": 15, **dict.fromkeys(CATEGORIES, 20), "Data": 15, "Loop": 15}
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


def test_two_operators_per_category_where_two_apply():
    used = defaultdict(set)
    for run in make_plan(seeds=1):
        operator = get_operator(run.configuration.operator)
        used[run.configuration.program, operator.category].add(operator.id)
    for program in list_programs():
        for category in CATEGORIES:
            applying = [o for o in list_operators(category) if o.applies(program) is None]
            planned = sum(o.weight > 0 for o in applying)
            assert len(used[program.name, category]) >= min(2, planned), (program.name, category)
            assert planned >= 2, (program.name, category)


def test_real_parameters_never_recur():
    drawn = defaultdict(list)
    for run in make_plan(seeds=1):
        if run.configuration.operator != HEALTHY:
            for name, value in run.configuration.parameters.items():
                if isinstance(value, float):
                    drawn[run.configuration.operator, name].append(value)
    assert len(drawn) >= 15
    assert all(len(set(values)) == len(values) for values in drawn.values())


def test_no_two_configurations_of_a_program_train_alike():
    trainings = defaultdict(list)
    for run in make_plan(seeds=1, healthy=1):
        new = training_of(run.configuration)
        assert new.usable
        assert new not in trainings[run.configuration.program], run.key
        trainings[run.configuration.program].append(new)


def test_operators_of_weight_0_are_never_drawn():
    drawn = {r.configuration.operator for r in make_plan(seeds=1, configurations=8)}
    assert not drawn & {o.id for o in list_operators() if not o.weight}
    applying = {
        o.id
        for o in list_operators()
        if o.weight and any(o.applies(p) is None for p in list_programs())
    }
    assert len(drawn & applying) > 0.9 * len(applying)


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
