import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.errors import InputError
from analysis_lib.evaluation.controls import (
    balanced_runs,
    permutation_scores,
    permute_within_program,
    prior_oracle,
    program_indicator,
    rename_within_program,
)
from analysis_lib.evaluation.scores import pooled_balanced_accuracy
from analysis_lib.evaluation.worlds import simulate_world

_, SKEWED = simulate_world("none", programs=8, classes=3, skew=0.5, random_state=1)


@pytest.mark.parametrize("unit", ["run", "configuration"])
def test_permuting_keeps_the_class_counts_of_every_program(unit):
    new = permute_within_program(SKEWED, "label", unit=unit, random_state=2)
    before = pd.crosstab(SKEWED["program"], SKEWED["label"])
    pd.testing.assert_frame_equal(pd.crosstab(new["program"], new["label"]), before)
    assert new["run_id"].equals(SKEWED["run_id"])
    assert (new["label"] != SKEWED["label"]).mean() > 0.2
    labels = new.groupby("configuration")["label"].nunique().max()
    assert (labels == 1) == (unit == "configuration")
    assert new.equals(permute_within_program(SKEWED, "label", unit=unit, random_state=2))


def test_permutations_are_uniform():
    runs = pd.DataFrame({"program": "p", "label": list("xyz")}, index=[5, 3, 9])
    seen = pd.Series(
        "".join(permute_within_program(runs, "label", random_state=s)["label"]) for s in range(600)
    ).value_counts()
    assert len(seen) == 6 and seen.min() > 60


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_renaming_is_a_bijection_inside_each_program(seed):
    new = rename_within_program(SKEWED, "label", random_state=seed)
    for _, group in SKEWED.groupby("program"):
        pairs = set(zip(group["label"], new.loc[group.index, "label"], strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    assert set(new["label"]) <= set(SKEWED["label"])


def test_renaming_differs_between_programs():
    new = rename_within_program(SKEWED, "label", random_state=0)
    maps = SKEWED.assign(new=new["label"]).groupby(["label", "program"])["new"].first()
    assert maps.groupby("label").nunique().max() > 1


def test_prior_oracle_by_hand():
    runs = pd.DataFrame(
        {
            "run_id": range(10),
            "program": list("ppppqqqqqq"),
            "label": list("xxyyxyyyyy"),
        }
    )  # lift of x in p: 0.5 / 0.3, of y in q: (5/6) / 0.7
    got = prior_oracle(runs, "label")
    assert got["predicted"].tolist() == list("xxxxyyyyyy")
    assert pooled_balanced_accuracy(got) == pytest.approx((2 / 3 + 5 / 7) / 2)


def test_prior_oracle_is_at_chance_where_all_programs_have_the_same_mix():
    _, runs = simulate_world("none", programs=5, classes=4)
    assert pooled_balanced_accuracy(prior_oracle(runs, "label")) == pytest.approx(0.25)


def test_program_indicator_is_one_hot():
    table = program_indicator(SKEWED)
    assert table.shape == (len(SKEWED), 8) and (table.sum(axis=1) == 1).all()
    assert table.index.tolist() == SKEWED["run_id"].tolist()


@given(st.integers(0, 200), st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_balanced_runs_have_equal_counts_in_every_program(seed, min_runs):
    runs = SKEWED.sample(frac=0.8, random_state=seed)
    kept = balanced_runs(runs, "label", min_runs=min_runs, random_state=seed)
    assert set(kept["run_id"]) <= set(runs["run_id"]) and kept["run_id"].is_unique
    assert kept.index.equals(runs.index[runs.index.isin(kept.index)])
    sizes = kept.groupby(["program", "label"]).size()
    assert (sizes.groupby("program").nunique() == 1).all() and sizes.min() >= min_runs
    assert (sizes.groupby("program").size() >= 2).all()
    before = runs.groupby(["program", "label"]).size()
    before = before[before >= min_runs].groupby("program").agg(["min", "size"])
    assert sizes.groupby("program").first().to_dict() == (
        before.loc[before["size"] >= 2, "min"].to_dict()
    )


def test_complete_programs_have_every_class():
    kept = balanced_runs(SKEWED, "label", complete=True)
    assert (kept.groupby("program")["label"].nunique() == 3).all()
    assert 0 < kept["program"].nunique() < SKEWED["program"].nunique()


def test_balanced_runs_keep_configurations_together():
    _, runs = simulate_world("none", programs=3, classes=2, configurations=4)
    runs = runs[(runs["label"] == "class 0") | (runs.groupby("label").cumcount() % 20 < 10)]
    kept = balanced_runs(runs, "label")
    assert (kept.groupby("configuration").size() == 5).all()


def test_permutation_scores_repeat_and_reproduce():
    features, runs = simulate_world("transferable", programs=4, classes=2, configurations=2)
    tree = DecisionTreeClassifier()
    first, again = (
        permutation_scores(features, runs, tree, "E2", "label", repeats=3, n_splits=2)
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert first["repeat"].tolist() == [0, 1, 2]
    assert first["pooled_balanced_accuracy"].nunique() > 1
    assert np.allclose(first["chance"], 0.5)


def test_permutation_after_balancing_works_on_even_mixes():
    """Programs have all classes; where they lack some, which ones would still tell a little."""
    features, runs = simulate_world(
        "none", programs=8, classes=3, configurations=6, skew=0.5, least=2, random_state=1
    )
    tree = DecisionTreeClassifier(max_depth=6)
    plain, balanced = (
        permutation_scores(features, runs, tree, "E2", "label", repeats=4, balanced=b)
        for b in (False, True)
    )
    assert (balanced["runs"] < plain["runs"]).all() and balanced["runs"].gt(100).all()
    assert balanced["pooled_balanced_accuracy"].mean() == pytest.approx(1 / 3, abs=0.05)
    assert plain["pooled_balanced_accuracy"].mean() > 0.42


def test_mistakes_are_named():
    with pytest.raises(InputError, match="run or configuration"):
        permute_within_program(SKEWED, "label", unit="program")
    mixed = SKEWED.assign(label=np.where(SKEWED.index % 2, "x", "y"))
    with pytest.raises(InputError, match="several labels"):
        permute_within_program(mixed, "label", unit="configuration")
    with pytest.raises(InputError, match="lower min_runs"):
        balanced_runs(SKEWED, "label", min_runs=1000)
