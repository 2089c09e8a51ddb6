"""Strategies and controls must tell worlds apart in which the truth is known."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier

from analysis_lib.errors import InputError
from analysis_lib.evaluation.controls import (
    balanced_runs,
    permutation_scores,
    prior_oracle,
    rename_within_program,
)
from analysis_lib.evaluation.erasure import IdentityErasure
from analysis_lib.evaluation.gap import STEPS, evaluation_gap
from analysis_lib.evaluation.identity import identity_predictions, identity_scores
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.evaluation.scores import pooled_balanced_accuracy
from analysis_lib.evaluation.shares import variance_shares
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


STRATEGIES = ("E1", "E2", "E2bal", "E4bal", "E4")
NEIGHBOURS = KNeighborsClassifier(7)
WORLD = {"programs": 8, "configurations": 5, "seeds": 3, "least": 1, "replicate": 0.3}


@pytest.mark.parametrize("skew", [None, 0.7])
@pytest.mark.parametrize("world", ["none", "transferable", "specific"])
def test_the_decomposition_tells_worlds_apart(world, skew):
    """Pooled balanced accuracy; a program's macro recall hardly sees a class mix by itself."""
    identity = 1.0 if world == "transferable" else 2.0
    features, runs = simulate_world(world, skew=skew, identity=identity, random_state=1, **WORLD)
    gap = evaluation_gap(
        {s: cross_predict(features, runs, NEIGHBOURS, s, "label") for s in STRATEGIES},
        n_resamples=100,
    )
    part = gap.decomposition.loc["pooled_balanced_accuracy"]["estimate"]
    score = gap.scores["pooled_balanced_accuracy"].astype(float)
    assert part[list(STEPS)].sum() == pytest.approx(part["total"], abs=1e-12)
    assert abs(part["replicate leak"]) < 0.1
    if skew is None:
        assert part["class-prior leak"] == part["prior-shift cost"] == 0
    if world == "none":
        assert part["program-specific part"] < 0.13 and score["E4"] < CHANCE + 0.1
        assert skew is None or part["class-prior leak"] > 0.1
    elif world == "transferable":
        assert score["E4"] > 0.8 and part[list(STEPS)].abs().max() < 0.13
    else:
        assert part["program-specific part"] > 0.35 and score["E4"] < CHANCE + 0.12
        assert part["program-specific part"] > part["class-prior leak"]


def test_controls_tell_worlds_apart():
    """Where a gap comes from, by controls alone, with equal mixes: what is recognised (identity),
    what is left when names lose their meaning (renaming) and when identity is erased."""
    found = {}
    for world in ("none", "transferable", "specific"):
        size = WORLD | {"features": 20}
        features, runs = simulate_world(world, identity=2.0, random_state=2, **size)
        renamed = rename_within_program(runs, "label")
        erased = IdentityErasure(n_directions=7)
        shares = variance_shares(features, runs, "label").mean()
        found[world] = {
            "E2": scores_of(features, runs, "E2"),
            "renamed": scores_of(features, renamed, "E2"),
            "E4": scores_of(features, runs, "E4"),
            "E4 erased": scores_of(features, runs, "E4", erasure=erased),
            "fault": shares["fault"],
            "interaction": shares["interaction"],
        }
        known = identity_predictions(features, runs, "label", technique=NEIGHBOURS)
        assert identity_scores(known).loc["all", "accuracy"] > 0.9, "all worlds have identity"
    none, same, own = (found[w] for w in ("none", "transferable", "specific"))
    assert max(none[k] for k in ("E2", "renamed", "E4", "E4 erased")) < CHANCE + 0.12
    assert max(abs(none[k]) for k in ("fault", "interaction")) < 0.03
    assert same["E4 erased"] > 0.85 and same["E4 erased"] > same["E4"] - 0.06
    assert own["renamed"] > 0.75 and own["E4 erased"] < CHANCE + 0.15
    assert same["fault"] > 0.3 > own["fault"] and own["interaction"] > 0.3 > same["interaction"]


def scores_of(features, runs, strategy, **options):
    predictions = cross_predict(features, runs, NEIGHBOURS, strategy, "label", **options)
    return pooled_balanced_accuracy(predictions)


def test_every_program_has_the_least_number_of_configurations_of_every_class():
    _, runs = simulate_world("none", skew=0.2, least=2)
    units = runs.drop_duplicates("configuration").groupby(["program", "label"]).size()
    assert len(units) == 16 * 4 and units.min() == 2 and units.groupby("program").sum().eq(16).all()
    with pytest.raises(InputError, match="least is 9"):
        simulate_world("none", least=9)


def test_worlds_can_share_what_transfers():
    def centres(state, directions):
        x, runs = simulate_world(
            "transferable", programs=200, direction_state=directions, random_state=state
        )
        means = x.groupby(runs["label"].to_numpy()).mean()
        return (means - means.mean()).to_numpy().ravel()

    assert np.corrcoef(centres(0, 5), centres(1, 5))[0, 1] > 0.95
    assert np.corrcoef(centres(0, 5), centres(0, 6))[0, 1] < 0.5


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
