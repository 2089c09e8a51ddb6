import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.errors import InputError
from analysis_lib.evaluation import study
from analysis_lib.evaluation.predict import cross_predict
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
STUMP = Technique("stump", SET, lambda seed: DecisionTreeClassifier(max_depth=1), "")


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

    monkeypatch.setattr(study, "cross_predict", refuse)
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
