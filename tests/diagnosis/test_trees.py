"""Exported trees predict what scikit-learn's do."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from analysis_lib.diagnosis.trees import ROWS, Trees
from analysis_lib.errors import InputError


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 8))
    y = np.array(list("abc"))[(x[:, 0] > 0).astype(int) + (x[:, 1] + x[:, 2] > 0.5)]
    x[rng.random(x.shape) < 0.2] = np.nan
    return HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(x, y), x


def test_scores_are_those_of_scikit_learn(fitted):
    model, x = fitted
    new = np.random.default_rng(1).standard_normal((ROWS + 50, 8))
    new[::3, :4] = np.nan
    new[0] = np.nan
    for rows in (x, new):
        scores = Trees.of(model).scores(rows)
        p = np.exp(scores - scores.max(1, keepdims=True))
        np.testing.assert_allclose(
            p / p.sum(1, keepdims=True), model.predict_proba(rows), atol=1e-12
        )


def test_missing_features_never_seen_missing_go_where_scikit_learn_sends_them(fitted):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((400, 5))
    y = np.digitize(x[:, 0] + 0.3 * x[:, 1], [-0.5, 0.5])
    model = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(x, y)
    x[:, 0] = np.nan
    scores = Trees.of(model).scores(x)
    p = np.exp(scores - scores.max(1, keepdims=True))
    np.testing.assert_allclose(p / p.sum(1, keepdims=True), model.predict_proba(x), atol=1e-12)


def test_arrays_there_and_back(fitted):
    trees = Trees.of(fitted[0])
    again = Trees.from_arrays(trees.arrays())
    np.testing.assert_array_equal(again.scores(fitted[1]), trees.scores(fitted[1]))
    assert trees.scores(np.empty((0, 8))).shape == (0, 3)


def test_two_classes_are_refused():
    x = np.arange(100.0)[:, None]
    model = HistGradientBoostingClassifier(max_iter=2).fit(x, x[:, 0] > 50)
    with pytest.raises(InputError, match="three classes"):
        Trees.of(model)
