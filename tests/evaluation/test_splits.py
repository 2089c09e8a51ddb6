import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis_lib.errors import InputError
from analysis_lib.evaluation.checks import check_splits
from analysis_lib.evaluation.splits import STRATEGIES, make_splits, train_rows
from analysis_lib.evaluation.worlds import simulate_world

PROGRAM_FAMILIES = {f"p{i:02d}": "mlp" if i % 2 else "cnn" for i in range(40)}


def world_runs(**options) -> pd.DataFrame:
    _, runs = simulate_world("none", **({"programs": 6} | options))
    return runs.assign(family=runs["program"].map(PROGRAM_FAMILIES))


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@given(
    programs=st.integers(2, 5),
    classes=st.integers(2, 4),
    skew=st.sampled_from([None, 1.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=12, deadline=None)
def test_training_never_shares_what_the_strategy_keeps_apart(
    strategy, programs, classes, skew, seed
):
    runs = world_runs(programs=programs, classes=classes, skew=skew, random_state=seed)
    runs = runs[runs.groupby("label")["label"].transform("size") >= 5]
    if runs["label"].nunique() < 2:
        return
    sizes = runs.drop_duplicates("configuration").groupby(["program", "label"]).size()
    if strategy == "E3" and ((sizes >= 2).groupby("program").sum() < 2).any():
        with pytest.raises(InputError, match="two classes with two configurations"):
            make_splits(runs, strategy=strategy, label="label", random_state=seed)
        return
    splits = make_splits(runs, strategy=strategy, label="label", random_state=seed)
    assert splits["run_id"].tolist() == runs["run_id"].tolist()
    for fold in splits["fold"].unique():
        test = (splits["fold"] == fold).to_numpy()
        train = train_rows(runs, test, STRATEGIES[strategy])
        assert not (train & test).any()
        for column in STRATEGIES[strategy].disjoint:
            assert not set(runs.loc[test, column]) & set(runs.loc[train, column])
        for column in STRATEGIES[strategy].within:
            assert set(runs.loc[test, column]) == set(runs.loc[train, column])
        assert runs.loc[train, "label"].nunique() > 1 or strategy != "E3"


def test_partitions_train_on_everything_that_is_not_tested():
    runs = world_runs()
    for strategy in ("E1", "E2", "E4", "E5"):
        splits = make_splits(runs, strategy=strategy, label="label")
        test = (splits["fold"] == splits["fold"].iloc[0]).to_numpy()
        assert (train_rows(runs, test, STRATEGIES[strategy]) == ~test).all()


def test_e1_stratifies_runs_by_class():
    runs = world_runs(skew=1.0)
    folds = make_splits(runs, strategy="E1", label="label")["fold"].to_numpy()
    counts = pd.crosstab(runs["label"].to_numpy(), folds).to_numpy()
    assert (np.ptp(counts, axis=1) <= 1).all() and counts.shape[1] == 5
    together = pd.Series(folds).groupby(runs["configuration"].to_numpy()).nunique()
    assert (together > 1).mean() > 0.9


def test_e2_keeps_configurations_whole_and_deals_them_evenly_by_program_and_class():
    runs = world_runs(configurations=7)
    splits = make_splits(runs, strategy="E2", label="label")
    fold = splits["fold"].to_numpy()
    units = runs.assign(fold=fold).drop_duplicates("configuration")
    assert runs.assign(fold=fold).groupby("configuration")["fold"].nunique().max() == 1
    cells = pd.crosstab([units["program"], units["label"]], units["fold"])
    assert set(np.unique(cells)) == {1, 2}
    in_step = cells.groupby("program").nunique()
    assert (in_step == 1).all(axis=None), "a fold takes as many of each class from a program"
    assert np.ptp(units["fold"].value_counts()) <= 4  # 6 programs in 5 folds, 4 classes


def test_labels_that_differ_between_seeds_still_keep_a_configuration_whole():
    runs = world_runs()
    runs["unstable"] = np.arange(len(runs)) % 5 == 0
    fold = make_splits(runs, strategy="E2", label="unstable")["fold"].to_numpy()
    assert runs.assign(fold=fold).groupby("configuration")["fold"].nunique().max() == 1


def test_e4_has_a_fold_per_program_and_e6_one_per_program_and_operator():
    runs = world_runs()
    fold = make_splits(runs, strategy="E4", label="label")["fold"].to_numpy()
    assert (fold == pd.factorize(runs["program"], sort=True)[0]).all()
    assert make_splits(runs, strategy="E6", label="label")["fold"].nunique() == 24


def test_e3_is_e2_inside_each_program():
    runs = world_runs(configurations=5)
    outer = make_splits(runs, strategy="E3", label="label")["fold"].to_numpy()
    table = runs.assign(fold=outer)
    assert table.groupby("fold")["program"].nunique().eq(1).all()
    assert table.groupby("program")["fold"].nunique().eq(5).all()
    assert table.groupby("configuration")["fold"].nunique().eq(1).all()
    assert table.groupby("fold")["label"].nunique().eq(4).all()
    test = outer == 7
    train = train_rows(runs, test, STRATEGIES["E3"])
    own = (runs["program"] == runs.loc[test, "program"].iloc[0]).to_numpy()
    assert (train == (own & ~test)).all()


@pytest.mark.parametrize("strategy", ["E2", "E4"])
def test_balanced_strategies_use_the_folds_of_their_base(strategy):
    runs = world_runs(skew=1.0, least=1)
    plain, balanced = (
        make_splits(runs, strategy=s, label="label") for s in (strategy, f"{strategy}bal")
    )
    pd.testing.assert_frame_equal(plain, balanced)


@pytest.mark.parametrize("strategy", ["E1", "E2", "E3"])
def test_folds_depend_on_the_seed_alone(strategy):
    runs = world_runs()
    first, again, other = (
        make_splits(runs, strategy=strategy, label="label", random_state=s) for s in (3, 3, 4)
    )
    assert first.equals(again) and not first.equals(other)


@pytest.mark.parametrize(
    ("change", "strategy", "message"),
    [
        (lambda r: r, "E9", "unknown strategy 'E9'"),
        (lambda r: r.drop(columns="configuration"), "E2", "configuration"),
        (lambda r: r.drop(columns="label"), "E1", "label"),
        (lambda r: pd.concat([r, r]), "E1", "twice"),
        (lambda r: r.assign(label=r["label"].where(r.index > 3)), "E1", "4 of 480 runs have no"),
        (lambda r: r.assign(label="x"), "E4", "at least two classes"),
        (lambda r: r[r["program"] == "p00"], "E4", "two values of program"),
        (lambda r: r.assign(configuration="same"), "E2", "two programs"),
        (lambda r: r[r["seed"] == 0].groupby("label").head(3), "E1", "3 runs"),
        (lambda r: r.groupby("label").head(1), "E2", "as many configurations"),
    ],
)
def test_impossible_divisions_are_refused(change, strategy, message):
    with pytest.raises(InputError, match=message):
        make_splits(change(world_runs()), strategy=strategy, label="label")


def test_a_single_fold_is_refused():
    with pytest.raises(InputError, match="at least 2"):
        make_splits(world_runs(), strategy="E1", label="label", n_splits=1)


def test_checks_find_what_is_wrong_and_only_that():
    runs = world_runs(programs=12)

    def failed(runs, strategy):
        splits = make_splits(runs, strategy=strategy, label="label")
        table = check_splits(runs, splits, strategy=strategy, label="label")
        return table.loc[~table["passed"]].set_index("check")["count"].to_dict()

    assert failed(runs, "E2") == failed(runs, "E4") == {}
    (leak,) = failed(runs, "E1").items()
    assert leak[0].startswith("configurations in several folds") and leak[1] > 150
    lonely = runs[~((runs["program"] == "p03") & (runs["label"] != "class 1"))]
    (single,) = failed(lonely, "E4").items()
    assert single[0].startswith("programs with one class") and single[1] == 1
    rare = runs[(runs["label"] != "class 0") | (runs["program"] == "p05")]
    found = failed(rare, "E4")
    assert {name.split(" (")[0] for name in found} == {
        "classes in one program only",
        "classes tested in a fold but absent from its training runs",
    }
    assert "fewer than 10 programs (wide intervals)" in failed(world_runs(), "E4")


def test_splits_of_other_runs_are_refused():
    runs = world_runs()
    splits = make_splits(runs.iloc[:-5], strategy="E4", label="label")
    with pytest.raises(InputError, match="5 runs have no fold"):
        check_splits(runs, splits, strategy="E4", label="label")


@pytest.mark.parametrize(("strategy", "unit"), [("E4", "program"), ("E4bal", "program")])
def test_programs_are_dealt_evenly_to_groups(strategy, unit):
    runs = world_runs(programs=7)
    splits = make_splits(runs, strategy=strategy, label="label", n_groups=3)
    groups = splits.groupby(runs[unit].to_numpy())["fold"]
    assert (groups.nunique() == 1).all()
    assert sorted(groups.first().value_counts()) == [2, 2, 3]
    other = make_splits(runs, strategy=strategy, label="label", n_groups=3, random_state=1)
    assert not splits.equals(other)
    many = make_splits(runs, strategy=strategy, label="label", n_groups=99)
    assert many["fold"].nunique() == 7


def test_groups_of_e6_are_those_of_e4_times_operators():
    runs = world_runs(programs=7)
    whole, parts = (
        make_splits(runs, strategy=s, label="label", n_groups=3)["fold"] for s in ("E4", "E6")
    )
    table = pd.DataFrame({"whole": whole, "part": parts, "operator": runs["operator"].to_numpy()})
    assert (table.groupby("part")[["whole", "operator"]].nunique() == 1).all(axis=None)
    assert len(table.drop_duplicates(["whole", "operator"])) == parts.nunique()
    test = (parts == 0).to_numpy()
    train = train_rows(runs, test, STRATEGIES["E6"])
    assert train.any() and not set(runs["program"][train]) & set(runs["program"][test])


def test_a_single_group_is_refused():
    with pytest.raises(InputError, match="n_groups is 1"):
        make_splits(world_runs(), strategy="E4", label="label", n_groups=1)
