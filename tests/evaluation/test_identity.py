import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.errors import InputError
from analysis_lib.evaluation import identity
from analysis_lib.evaluation.erasure import IdentityErasure
from analysis_lib.evaluation.identity import identity_predictions, identity_scores
from analysis_lib.evaluation.worlds import simulate_world

FOREST = RandomForestClassifier(20)
SIZE = {"programs": 6, "classes": 3, "configurations": 3, "seeds": 3, "features": 20}


def accuracy(world, **options):
    found = identity_predictions(*world, "label", technique=FOREST, **options)
    return identity_scores(found).loc["all", "accuracy"]


def test_identity_is_found_where_it_is_and_only_there():
    known = simulate_world("transferable", identity=3.0, **SIZE)
    unknown = simulate_world("transferable", identity=0.0, **SIZE)
    assert accuracy(known) > 0.8
    assert accuracy(unknown) == pytest.approx(1 / 6, abs=0.15)
    assert accuracy(known, erasure=IdentityErasure(n_directions=5)) < 1 / 6 + 0.15


def test_signatures_of_faults_are_no_identity():
    """In a world of program-specific faults, another fault's signature does not name the program,
    though a classifier that was trained on the same faults would name it."""
    features, runs = simulate_world("specific", identity=0.0, replicate=0.0, signal=3.0, **SIZE)
    assert accuracy((features, runs)) < 0.45
    half = runs["seed"] == 0
    naive = FOREST.fit(features[half.to_numpy()], runs.loc[half, "program"])
    assert naive.score(features[~half.to_numpy()], runs.loc[~half, "program"]) > 0.9


def test_the_tested_class_is_never_trained_on_and_programs_weigh_the_same(monkeypatch):
    features, runs = simulate_world("none", skew=1.0, least=1, **SIZE)
    marks = pd.DataFrame({"x": np.arange(len(runs), dtype=float)}, index=runs["run_id"])
    seen = []

    def spy(make, x_train, y_train, x_test, seed, weights=None, eraser=None):
        seen.append((runs.iloc[x_train[:, 0].astype(int)], runs.iloc[x_test[:, 0].astype(int)]))
        return np.full(len(x_test), 0), None, None

    monkeypatch.setattr(identity, "fit_predict", spy)
    found = identity_predictions(marks, runs, "label", always=["class 1"])
    assert len(seen) == 2 and set(found["label"]) == {"class 0", "class 2"}
    assert set(found["predicted"]) == {"p00"}
    for train, test in seen:
        assert test["label"].nunique() == 1
        assert not set(test["label"]) & set(train["label"])
        assert train["program"].value_counts().nunique() == 1
        assert "class 1" in set(train["label"])


def test_scores_by_hand():
    table = pd.DataFrame(
        {"program": list("ppqqpq"), "label": list("aaaabb"), "predicted": list("pqqqpp")}
    )
    got = identity_scores(table)
    assert got["accuracy"].to_dict() == {"a": 0.75, "b": 0.5, "all": 0.625}
    assert got["chance"].unique().tolist() == [0.5] and got.loc["all", "runs"] == 6


def test_mistakes_are_named():
    features, runs = simulate_world("none", programs=2, classes=2)
    tree = DecisionTreeClassifier()
    with pytest.raises(InputError, match="unknown label 'class 9'"):
        identity_predictions(features, runs, "label", technique=tree, always=["class 9"])
    with pytest.raises(InputError, match="0 classes to hold out of 2"):
        identity_predictions(features, runs, "label", always=["class 0", "class 1"])
    one = runs[runs["program"] == "p00"]
    with pytest.raises(InputError, match="1 programs"):
        identity_predictions(features, one, "label")
    split = runs[(runs["program"] == "p00") == (runs["label"] == "class 0")]
    with pytest.raises(InputError, match="no class has runs in programs"):
        identity_predictions(features, split, "label")
    with pytest.raises(InputError, match="lack predicted"):
        identity_scores(runs)
