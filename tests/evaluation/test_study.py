import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.errors import InputError
from analysis_lib.evaluation import study
from analysis_lib.evaluation.folds import make_folds
from analysis_lib.evaluation.gap import evaluation_gap
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.evaluation.predictions import load_predictions
from analysis_lib.evaluation.splits import make_splits
from analysis_lib.evaluation.study import run_study
from analysis_lib.evaluation.worlds import simulate_world
from analysis_lib.features import FeatureSet, extract
from analysis_lib.techniques import Technique

FEATURES, RUNS = simulate_world("transferable", programs=4, classes=2, configurations=3, seeds=3)
SET = FeatureSet(
    "world",
    tuple(FEATURES.columns),
    lambda cube: {c: cube.values[:, -1, j] for j, c in enumerate(cube.channels)},
    "the features of the world",
)
TREE = Technique("tree", SET, lambda seed: DecisionTreeClassifier(random_state=seed), "")
STUMP = Technique(
    "stump", SET, lambda seed: DecisionTreeClassifier(max_depth=1, random_state=seed), ""
)


@pytest.fixture
def epochs():
    after = FEATURES.reset_index().assign(epoch=0)
    before = after.assign(epoch=-1)
    before[FEATURES.columns] = 0.1 * np.random.default_rng(0).normal(size=FEATURES.shape)
    return pd.concat([before, after], ignore_index=True)


OPTIONS = {"label": "label", "techniques": [TREE, STUMP], "windows": [0, 1]}


def test_the_table_holds_every_combination(epochs):
    table = run_study(epochs, RUNS, strategies=["E2", "E4"], **OPTIONS)
    sizes = table.groupby(["technique", "window", "strategy"]).size()
    assert len(sizes) == 8 and (sizes == len(RUNS)).all()
    one = table[(table["technique"] == "tree") & (table["window"] == 1)]
    one = one[one["strategy"] == "E4"].reset_index(drop=True)
    x = extract(epochs, SET, window=1)
    expected = cross_predict(x, RUNS, TREE, "E4", "label")
    pd.testing.assert_frame_equal(one[expected.columns], expected)


def test_the_cache_gives_the_same_table_without_fitting(epochs, tmp_path, monkeypatch):
    first = run_study(epochs, RUNS, strategies=["E4"], cache=tmp_path / "deep", **OPTIONS)
    assert len(list((tmp_path / "deep").iterdir())) == 4

    def refuse(*args, **kwargs):
        raise AssertionError("fitted again")

    monkeypatch.setattr(study, "fold_tasks", refuse)
    again = run_study(epochs, RUNS, strategies=["E4"], cache=tmp_path / "deep", **OPTIONS)
    pd.testing.assert_frame_equal(first, again)


@pytest.mark.parametrize(
    "change",
    [
        {"content_hash": "other"},
        {"random_state": 1},
        {"probabilities": True},
        {"strategies": ["E2"]},
        {"windows": [0]},
        {
            "techniques": [
                Technique("tree", SET, lambda seed: DecisionTreeClassifier(max_depth=2), "")
            ]
        },
    ],
)
def test_whatever_changes_the_result_changes_the_key(epochs, tmp_path, change):
    base = {"label": "label", "techniques": [TREE], "windows": [1], "strategies": ["E4"]}
    run_study(epochs, RUNS, cache=tmp_path, **base)
    run_study(epochs, RUNS, cache=tmp_path, **(base | change))
    assert len(list(tmp_path.iterdir())) == 2


def test_labels_and_values_are_part_of_the_key(epochs, tmp_path):
    base = {"label": "label", "techniques": [TREE], "windows": [1], "strategies": ["E4"]}
    run_study(epochs, RUNS, cache=tmp_path, **base)
    flipped = RUNS.assign(label=RUNS["label"].iloc[::-1].to_numpy())
    run_study(epochs, flipped, cache=tmp_path, **base)
    epochs.loc[len(epochs) - 1, "x0"] += 1
    run_study(epochs, RUNS, cache=tmp_path, **base)
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_to_do_is_an_error(epochs):
    with pytest.raises(InputError, match="nothing to do"):
        run_study(epochs, RUNS, label="label", techniques=[])


def test_only_folds_that_are_drawn_are_drawn_again(epochs):
    options = OPTIONS | {"techniques": [TREE], "windows": [1]}
    table = run_study(epochs, RUNS, strategies=["E1", "E4"], repeats=3, **options)
    assert table.groupby("strategy")["repeat"].nunique().to_dict() == {"E1": 3, "E4": 1}
    folds = table[table["strategy"] == "E1"].pivot(index="run_id", columns="repeat", values="fold")
    assert not folds[0].equals(folds[1])
    x = extract(epochs, SET, window=1)
    second = cross_predict(x, RUNS, TREE, "E1", "label", random_state=1)
    shown = table[(table["strategy"] == "E1") & (table["repeat"] == 1)].reset_index(drop=True)
    pd.testing.assert_frame_equal(shown[second.columns], second)
    with pytest.raises(InputError, match="repeats is 0"):
        run_study(epochs, RUNS, strategies=["E1"], repeats=0, **options)


class _Constant(DecisionTreeClassifier):
    """Predicts one of the classes, whatever it sees."""

    place = 0

    def predict(self, X):
        return np.repeat(self.classes_[self.place], len(X))


class _Other(_Constant):
    place = -1


def test_another_class_with_the_same_parameters_is_another_technique(epochs, tmp_path):
    found = [
        run_study(
            epochs, RUNS, label="label", techniques=[Technique("same", SET, kind, "")],
            windows=[1], strategies=["E1"], cache=tmp_path,
        )["predicted"].unique().tolist()
        for kind in (lambda seed: _Constant(), lambda seed: _Other())
    ]  # fmt: skip
    assert found[0] != found[1]


def test_balanced_strategies_share_folds_and_the_decomposition_is_complete(epochs):
    options = OPTIONS | {"techniques": [TREE], "windows": [1]}
    names = ["E1", "E2", "E2bal", "E4bal", "E4"]
    table = run_study(epochs, RUNS, strategies=names, repeats=2, **options)
    counts = table.groupby("strategy")["repeat"].nunique().to_dict()
    assert counts == dict.fromkeys(names, 2) | {"E4": 1}
    fold = table[table["repeat"] == 1].pivot(index="run_id", columns="strategy", values="fold")
    assert fold["E2"].equals(fold["E2bal"].rename("E2"))
    gap = evaluation_gap(table, min_runs=1, n_resamples=20)
    assert gap.waterfall()["estimate"].sum() == pytest.approx(
        gap.decomposition.loc[("program_macro_recall", "total"), "estimate"]
    )


def test_stored_folds_are_used_and_checked(epochs):
    options = OPTIONS | {"techniques": [TREE], "windows": [1]}
    folds = make_folds(RUNS, label="label", strategies=["E2", "E4"], repeats=2, random_state=7)
    table = run_study(epochs, RUNS, strategies=["E2bal"], folds=folds, repeats=2, **options)
    for repeat, part in table.groupby("repeat"):
        expected = make_splits(RUNS, strategy="E2", label="label", random_state=7 + repeat)
        assert part["fold"].tolist() == expected["fold"].tolist()
    with pytest.raises(InputError, match="no folds of E1"):
        run_study(epochs, RUNS, strategies=["E1"], folds=folds, **options)
    with pytest.raises(InputError, match="have no fold"):
        run_study(epochs, RUNS, strategies=["E2"], folds=folds.iloc[2:], **options)


def test_the_cache_is_in_the_documented_format(epochs, tmp_path):
    table = run_study(epochs, RUNS, strategies=["E4"], cache=tmp_path, **OPTIONS)
    found = load_predictions(tmp_path)
    order = ["technique", "window", "run_id"]
    pd.testing.assert_frame_equal(
        found.sort_values(order, ignore_index=True), table.sort_values(order, ignore_index=True)
    )


def test_workers_do_not_change_the_table(epochs):
    options = OPTIONS | {"techniques": [TREE], "strategies": ["E1", "E3", "E4"], "repeats": 2}
    one, two = (run_study(epochs, RUNS, n_jobs=jobs, **options) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_what_is_found_and_what_is_fitted_stand_in_the_order_asked_for(epochs, tmp_path):
    options = OPTIONS | {"cache": tmp_path}
    run_study(epochs, RUNS, strategies=["E4"], **options)
    mixed = run_study(epochs, RUNS, strategies=["E2", "E4"], **options)
    fresh = run_study(epochs, RUNS, strategies=["E2", "E4"], **OPTIONS)
    pd.testing.assert_frame_equal(mixed, fresh)


def test_groups_of_programs_are_held_out_together(epochs, tmp_path):
    options = {"label": "label", "techniques": [TREE], "windows": [1], "cache": tmp_path}
    table = run_study(epochs, RUNS, strategies=["E4", "E4bal"], n_groups=2, **options)
    fold = table.groupby(["strategy", "program"])["fold"]
    assert (fold.nunique() == 1).all() and table["fold"].nunique() == 2
    assert fold.first()["E4"].equals(fold.first()["E4bal"])
    alone = run_study(epochs, RUNS, strategies=["E4"], **options)
    assert alone["fold"].nunique() == 4


def test_seconds_are_noted_and_kept(epochs, tmp_path):
    options = OPTIONS | {"techniques": [TREE], "strategies": ["E1", "E4"], "repeats": 2}
    first = run_study(epochs, RUNS, cache=tmp_path, **options).attrs["costs"]
    tags = [(c["window"], c["strategy"], c["repeat"]) for c in first]
    assert tags == [(w, *s) for w in (0, 1) for s in (("E1", 0), ("E1", 1), ("E4", 0))]
    assert all(c["seconds"] > 0 for c in first)
    assert run_study(epochs, RUNS, cache=tmp_path, **options).attrs["costs"] == first
