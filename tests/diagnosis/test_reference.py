"""Distances to known runs against loops."""

import numpy as np
import pandas as pd
import pytest

from analysis_lib.diagnosis.abstention import unlike_p_values
from analysis_lib.diagnosis.reference import FAR, NEIGHBOURS, STEP, Reference, standardise


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((60, 4, 6)) + 2 * rng.standard_normal((60, 1, 6))
    values[rng.random(values.shape) < 0.1] = np.nan
    runs = pd.DataFrame(
        {
            "program": np.repeat([f"p{i}" for i in range(10)], 6),
            "configuration": [f"c{i}" for i in range(60)],
        }
    )
    return Reference.of(runs, values, np.arange(60)), values


def brute(reference, a, b):
    gap = np.square(a - b)
    return np.sqrt(np.nanmean(gap)) if np.isfinite(gap).any() else np.inf


def test_distances_are_root_mean_squares_over_what_both_have(world):
    reference, values = world
    trace = values[0].copy()
    trace[3] = np.nan  # a shorter trace
    trace[:, 2] = np.nan  # without a channel
    z = standardise(values, reference.centre, reference.scale)
    own = standardise(trace, reference.centre, reference.scale)
    expected = [brute(reference, own, other) for other in z]
    np.testing.assert_allclose(reference.distances(trace), expected, atol=STEP)
    among = reference.distances(trace, others=True)
    mask = np.where(np.isfinite(trace), 0.0, np.nan)
    expected = [[brute(reference, a + mask, b) for b in z[:8]] for a in z[:8]]
    np.testing.assert_allclose(among[:8, :8], expected, atol=STEP)


def test_the_nearest_run_of_a_known_run_is_itself(world):
    reference, values = world
    found = reference.nearest(values[17], count=3)
    assert found["configuration"].iloc[0] == "c17" and found["distance"].iloc[0] < STEP
    assert found["distance"].is_monotonic_increasing and len(found) == 3


def test_the_p_value_compares_with_leave_one_program_out(world):
    reference, values = world
    trace = values[5] + 0.7
    trace[3] = np.nan
    program = reference.runs["program"].to_numpy()
    among = reference.distances(trace, others=True)
    known = [reference.strangeness(among[i], without=program[i]) for i in range(len(program))]
    score = reference.strangeness(reference.distances(trace))
    expected = unlike_p_values([score], known, program)[0]
    assert reference.unlike(trace) == pytest.approx(expected)


def test_strangeness_is_the_mean_over_the_three_nearest_programs(world):
    reference, _ = world
    distance = np.arange(60, 0, -1.0)
    nearest = sorted(distance.reshape(10, 6).min(axis=1))[:NEIGHBOURS]
    assert reference.strangeness(distance) == pytest.approx(np.mean(nearest))
    assert reference.strangeness(distance, without="p9") > np.mean(nearest)


def test_a_run_far_from_everything_is_unlike_and_a_typical_one_is_not(world):
    reference, values = world
    assert reference.unlike(np.full((4, 6), 1e6)) == pytest.approx(1 / 11)
    assert reference.unlike(np.tile(reference.centre, (4, 1))) > 0.5


def test_nothing_in_common_is_as_strange_as_can_be(world):
    reference, _ = world
    assert reference.unlike(np.full((4, 6), np.nan)) == 0.0


def test_kept_curves_are_within_half_a_step(world):
    reference, values = world
    z = standardise(values, reference.centre, reference.scale)
    kept = np.where(reference.codes == -128, np.nan, reference.codes * STEP)
    assert np.nanmax(np.abs(kept - z)) <= STEP / 2 + 1e-9
    assert np.array_equal(np.isnan(kept), np.isnan(z))
    assert np.nanmax(np.abs(kept)) <= FAR
