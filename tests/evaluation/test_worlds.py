"""Strategies and controls must tell worlds apart in which the truth is known."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from analysis_lib.errors import InputError
from analysis_lib.evaluation.controls import (
    balanced_runs,
    permutation_scores,
    prior_oracle,
    rename_within_program,
)
from analysis_lib.evaluation.gap import evaluation_gap
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.evaluation.scores import pooled_balanced_accuracy
from analysis_lib.evaluation.worlds import WORLDS, simulate_world

CHANCE = 0.25
FOREST = RandomForestClassifier(n_estimators=20, min_samples_leaf=2)
SIZE = {"programs": 10, "classes": 4, "configurations": 4, "seeds": 5}


def predict(world, strategies=("E1", "E2", "E4")):
    features, runs = world
    return {s: cross_predict(features, runs, FOREST, s, "label") for s in strategies}


def scores(world, strategies=("E1", "E2", "E4")):
    return {s: pooled_balanced_accuracy(p) for s, p in predict(world, strategies).items()}


def test_without_signal_and_with_equal_mixes_only_replicates_leak():
    got = scores(simulate_world("none", replicate=1.5, random_state=0, **SIZE))
    assert got["E1"] > CHANCE + 0.3
    assert got["E2"] == pytest.approx(CHANCE, abs=0.08)
    assert got["E4"] == pytest.approx(CHANCE, abs=0.08)


def test_without_signal_unequal_mixes_alone_open_a_gap_that_permutation_keeps():
    world = simulate_world("none", replicate=0.0, skew=0.5, random_state=0, **SIZE)
    got = scores(world)
    assert got["E2"] > CHANCE + 0.15 and got["E4"] < CHANCE + 0.08
    permuted = permutation_scores(*world, FOREST, "E2", "label", repeats=2)
    assert permuted["pooled_balanced_accuracy"].mean() == pytest.approx(got["E2"], abs=0.07)
    assert pooled_balanced_accuracy(prior_oracle(world[1], "label")) > got["E2"] - 0.05


def test_balancing_closes_a_gap_that_came_from_class_mixes():
    size = SIZE | {"programs": 24}
    features, runs = simulate_world("none", replicate=0.0, skew=1.0, random_state=1, **size)
    kept = balanced_runs(runs, "label", complete=True)
    before, after = scores((features, runs), ["E2"]), scores((features, kept), ["E2"])
    assert before["E2"] > CHANCE + 0.15 and after["E2"] < CHANCE + 0.1


def test_a_transferable_signal_survives_program_hold_out():
    world = simulate_world("transferable", identity=0.5, replicate=0.3, random_state=2, **SIZE)
    got = scores(world)
    assert got["E4"] > 0.6 and got["E2"] - got["E4"] < 0.15
    features, runs = world
    renamed = scores((features, rename_within_program(runs, "label")), ["E4"])
    assert renamed["E4"] < CHANCE + 0.12


def test_a_program_specific_signal_does_not_transfer_and_permutation_cannot_see_it():
    world = simulate_world("specific", replicate=0.3, random_state=3, **SIZE)
    predictions = predict(world)
    got = {s: pooled_balanced_accuracy(p) for s, p in predictions.items()}
    assert got["E2"] > 0.55 and got["E4"] < CHANCE + 0.1
    part = evaluation_gap(predictions).decomposition.loc[("program_macro_recall", "program part")]
    assert part["low"] > 0.2 and part["p_value"] < 0.01
    permuted = permutation_scores(*world, FOREST, "E2", "label", repeats=1)
    assert permuted["pooled_balanced_accuracy"].mean() < CHANCE + 0.08
    features, runs = world
    renamed = scores((features, rename_within_program(runs, "label")), ["E2"])
    assert renamed["E2"] == pytest.approx(got["E2"], abs=0.12)


@pytest.mark.parametrize("world", WORLDS)
def test_worlds_have_the_shape_they_promise(world):
    features, runs = simulate_world(world, programs=3, classes=2, configurations=2, seeds=4)
    assert (
        features.index.tolist() == runs["run_id"].tolist()
        and np.isfinite(features.to_numpy()).all()
    )
    sizes = runs.groupby(["program", "label"]).size()
    assert (sizes == 8).all() and len(sizes) == 6
    assert runs.groupby("configuration")["label"].nunique().max() == 1
    assert runs.groupby("configuration").size().eq(4).all()
    with pytest.raises(InputError, match="unknown world"):
        simulate_world("flat")
