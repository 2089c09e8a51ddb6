from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.errors import InputError
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.evaluation.splits import make_splits
from analysis_lib.evaluation.worlds import simulate_world
from analysis_lib.techniques import Technique


@pytest.fixture(scope="module")
def world():
    return simulate_world("transferable", programs=4, classes=3, configurations=3)


TREE = DecisionTreeClassifier(max_features=2)


def test_predictions_are_what_a_plain_loop_over_folds_gives(world):
    features, runs = world
    model = make_pipeline(StandardScaler(), LogisticRegression())
    got = cross_predict(features, runs, model, "E4", "label", probabilities=True)
    expected = np.empty(len(runs), dtype=object)
    for program in runs["program"].unique():
        test = (runs["program"] == program).to_numpy()
        model.fit(features[~test].to_numpy(), runs.loc[~test, "label"])
        expected[test] = model.predict(features[test].to_numpy())
    assert (got["predicted"] == expected).all()
    assert got["run_id"].tolist() == runs["run_id"].tolist()
    assert (got["label"] == runs["label"]).all()
    shares = got.filter(regex="^p_class")
    assert list(shares) == ["p_class 0", "p_class 1", "p_class 2"]
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (shares.idxmax(axis=1).str.removeprefix("p_") == got["predicted"]).all()


@pytest.mark.parametrize("strategy", ["E1", "E2", "E4"])
def test_workers_do_not_change_the_result(world, strategy):
    features, runs = world
    alone = cross_predict(features, runs, TREE, strategy, "label", random_state=1)
    pd.testing.assert_frame_equal(
        alone, cross_predict(features, runs, TREE, strategy, "label", random_state=1, n_jobs=2)
    )
    with ThreadPoolExecutor(2) as pool:
        threaded = cross_predict(
            features, runs, TREE, strategy, "label", random_state=1, executor=pool
        )
    pd.testing.assert_frame_equal(alone, threaded)
    other = cross_predict(features, runs, TREE, strategy, "label", random_state=2)
    assert not alone["predicted"].equals(other["predicted"])


def test_order_of_runs_and_of_features_does_not_matter_under_program_hold_out(world):
    features, runs = world
    model = make_pipeline(StandardScaler(), LogisticRegression())
    first = cross_predict(features, runs, model, "E4", "label").set_index("run_id")
    shuffled = cross_predict(
        features.sample(frac=1, random_state=0),
        runs.sample(frac=1, random_state=1),
        model,
        "E4",
        "label",
    ).set_index("run_id")
    assert (first["predicted"] == shuffled["predicted"].loc[first.index]).mean() > 0.99


class Spy(ClassifierMixin, BaseEstimator):
    """Remember which rows each fit saw; predicts the first class."""

    seen: list = []

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        Spy.seen.append(set(x[:, 0]))
        return self

    def predict(self, x):
        assert not Spy.seen[-1] & set(x[:, 0]), "a tested row was trained on"
        return np.full(len(x), self.classes_[0])


def test_estimators_never_see_the_rows_they_are_tested_on(world):
    _, runs = world
    marks = pd.DataFrame({"x": np.arange(len(runs), dtype=float)}, index=runs["run_id"])
    Spy.seen = []
    got = cross_predict(marks, runs, Spy(), "E4", "label", probabilities=True)
    assert [len(s) for s in Spy.seen] == [len(runs) * 3 // 4] * 4
    assert got["p_class 0"].isna().all(), "no probabilities to give"


def test_given_splits_are_used_and_must_cover_the_runs(world):
    features, runs = world
    splits = make_splits(runs, strategy="E2", label="label", random_state=9, n_splits=3)
    got = cross_predict(features, runs, TREE, "E2", "label", splits=splits)
    assert got["fold"].tolist() == splits["fold"].tolist()
    with pytest.raises(InputError, match="1 runs have no fold"):
        cross_predict(features, runs, TREE, "E2", "label", splits=splits.iloc[1:])


def test_a_technique_of_ones_own_needs_no_registration(world):
    features, runs = world
    own = Technique("own", "curvature", lambda seed: DecisionTreeClassifier(random_state=seed), "")
    assert len(cross_predict(features, runs, own, "E2", "label")) == len(runs)


def test_a_class_unknown_in_training_gets_probability_0(world):
    features, runs = world
    only = runs.assign(label=runs["label"].where(runs["program"] == "p00", "class 0"))
    got = cross_predict(features, only, TREE, "E2", "label", probabilities=True)
    assert got.filter(regex="^p_").notna().all(axis=None)
    unseen = runs[(runs["label"] != "class 2") | (runs["program"] == "p00")]
    got = cross_predict(features, unseen, TREE, "E4", "label", probabilities=True)
    assert (got.loc[got["program"] == "p00", "p_class 2"] == 0).all()


def test_bad_input_is_named(world):
    features, runs = world
    leak = features.rename(columns={"x0": "meta_learning_rate"})
    with pytest.raises(InputError, match="meta_learning_rate"):
        cross_predict(leak, runs, TREE, "E2", "label")
    with pytest.raises(InputError, match="3 runs have no features"):
        cross_predict(features.iloc[3:], runs, TREE, "E2", "label")
    with pytest.raises(InputError, match="not finite"):
        cross_predict(features.replace(features.iloc[0, 0], np.inf), runs, TREE, "E2", "label")
    with pytest.raises(InputError, match="unknown technique"):
        cross_predict(features, runs, "forest", "E2", "label")
    with pytest.raises(InputError, match="no technique"):
        cross_predict(features, runs, 3, "E2", "label")
    split = runs.assign(label=np.where(runs["program"] == "p00", "a", "b"))
    with pytest.raises(InputError, match="fewer than two classes"):
        cross_predict(features, split, TREE, "E4", "label")
