"""Keys, ids and seeds of runs."""

import json
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis_lib.configuration import STREAMS, Configuration, Run
from analysis_lib.errors import InputError, unknown

NAMES = st.text("abcdefgh_", min_size=1, max_size=8)
VALUES = (
    st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.text(max_size=8)
)
PARAMETERS = st.dictionaries(NAMES, VALUES, max_size=4)


@given(PARAMETERS, st.integers(0, 10_000), st.integers(1, 10_000))
def test_a_specification_rebuilds_its_run(parameters, seed, epochs):
    run = Run(Configuration("p", "O", parameters), seed, epochs)
    again = Run.from_spec(json.loads(json.dumps(run.spec)))
    assert again == run and again.run_id == run.run_id and hash(again) == hash(run)
    assert [again.seed_of(s) for s in STREAMS] == [run.seed_of(s) for s in STREAMS]


def test_the_order_of_parameters_does_not_matter():
    items = [("a", 1), ("b", 2.0), ("c", "x")]
    assert len({Run(Configuration("p", "O", dict(o))).run_id for o in permutations(items)}) == 1


def test_types_are_part_of_the_key():
    ids = {Run(Configuration("p", "O", {"a": v})).run_id for v in (1, 1.0, True, "1")}
    assert len(ids) == 4
    assert Configuration("p", "O", {"a": 1}) != Configuration("p", "O", {"a": True})


def test_ids_and_seeds_are_the_same_forever():
    run = Run(Configuration("snn_wine", "HLR", {"factor": 100.0}), 3)
    assert run.run_id == "a2ffaa3d3a1d91e4"
    assert run.seed_of("weights") == 6244023734685841925


def test_streams_of_twins():
    faulty = Run(Configuration("p", "O", {"a": 1}), 2)
    healthy = Run(faulty.configuration.twin, 2)
    same = {s: faulty.seed_of(s) == healthy.seed_of(s) for s in STREAMS}
    assert same == {"weights": True, "data": True, "order": True, "fault": False}
    assert len({faulty.seed_of(s) for s in STREAMS}) == 4
    assert faulty.seed_of("weights") != Run(faulty.configuration, 3).seed_of("weights")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Configuration("p", "O", {"a": float("nan")}), "is nan; expected a finite number"),
        (lambda: Configuration("p", "O", {"a": np.float64(1)}), "is a float64; expected str"),
        (lambda: Configuration("p", "O", {"a": [1]}), "is a list"),
        (lambda: Run(Configuration("p"), -1), "seed is -1"),
        (lambda: Run(Configuration("p"), 0, 0), "epochs is 0"),
        (lambda: Run(Configuration("p"), 1.0), "seed is 1.0"),
    ],
)
def test_wrong_content_is_named(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_run_of_another_recipe_is_refused():
    spec = Run(Configuration("p")).spec | {"recipe": 99}
    with pytest.raises(InputError, match="planned with recipe 99"):
        Run.from_spec(spec)


def test_an_unknown_name_gets_a_suggestion_only_if_one_is_near():
    assert "did you mean 'relu'" in str(unknown("activation", "rleu", ["relu", "tanh"]))
    far = str(unknown("activation", "zzzzzz", ["relu", "tanh"]))
    assert "did you mean" not in far and "relu, tanh" in far
