import numpy as np
import pytest
from sklearn.base import clone

from analysis_lib.errors import InputError
from analysis_lib.features.rules import NONFINITE
from analysis_lib.techniques import PUBLISHED_GRID, HierarchicalForest, get_technique
from analysis_lib.techniques.hierarchy import Winsorizer


def toy(rows=30, noise=30, random_state=0):
    """Column 0 tells faulty from healthy, columns 1 to 3 the categories, the rest nothing."""
    rng = np.random.default_rng(random_state)
    y = np.repeat(["Healthy", "Activation", "Loss", "Weights"], rows)
    x = rng.normal(size=(len(y), 4 + noise))
    x[:, 0] += 12 * (y != "Healthy")
    for j, name in enumerate(["Activation", "Loss", "Weights"], start=1):
        x[:, j] += 12 * (y == name)
    return x, y


def test_both_levels_find_what_decides_in_a_toy_with_a_known_answer():
    x, y = toy()
    model = HierarchicalForest(keep=3, trees=20, random_state=0).fit(x, y)
    fresh, truth = toy(random_state=1)
    assert (model.predict(fresh) == truth).mean() > 0.97
    assert model.detector_["choose"].get_support()[0]
    assert sorted(model.experts_) == ["Activation", "Loss", "Weights"]
    for j, name in enumerate(["Activation", "Loss", "Weights"], start=1):
        support = model.experts_[name]["choose"].get_support()
        assert support[j] and support.sum() == 3
        assert model.experts_[name]["forest"].n_features_in_ == 3


def test_level_1_decides_alone_whether_a_run_is_healthy():
    x, y = toy()
    model = HierarchicalForest(trees=20, random_state=0).fit(x, y)
    odd = np.zeros((2, x.shape[1]))
    odd[0, 1] = 12  # looks like Activation, but level 1 sees nothing
    odd[1, 0] = 12  # faulty, and none of the experts knows why
    answers = model.predict(odd)
    assert answers[0] == "Healthy" and answers[1] != "Healthy"
    share = model.predict_proba(odd)
    np.testing.assert_allclose(share.sum(axis=1), 1)
    faulty = model.detector_.predict_proba(odd)[:, 1]
    np.testing.assert_allclose(share[:, model.classes_ == "Healthy"][:, 0], 1 - faulty)


def test_levels_that_a_task_does_not_have_are_left_out():
    x, y = toy()
    faulty = y != "Healthy"
    model = HierarchicalForest(trees=20, random_state=0).fit(x[faulty], y[faulty])
    assert model.detector_ is None and (model.predict(x[faulty]) == y[faulty]).mean() > 0.97
    detector = HierarchicalForest(trees=20, random_state=0).fit(
        x, np.where(faulty, "Faulty", "Healthy")
    )
    assert detector.experts_ == {} and (detector.predict(x) == "Faulty").sum() == faulty.sum()
    with pytest.raises(InputError, match="nothing to tell apart"):
        HierarchicalForest().fit(x, np.full(len(x), "Loss"))


def test_level_2_learns_from_equal_numbers(monkeypatch):
    x, y = toy()
    seen = []
    original = HierarchicalForest._binary

    def spy(self, X, positive, *rest):
        seen.append((int(positive.sum()), int((~positive).sum())))
        return original(self, X, positive, *rest)

    monkeypatch.setattr(HierarchicalForest, "_binary", spy)
    keep = np.r_[0:30, 30:40, 60:75, 90:120]  # 30 healthy, 10 Activation, 15 Loss, 30 Weights
    HierarchicalForest(trees=20, random_state=0).fit(x[keep], y[keep])
    assert seen == [(55, 30), (10, 10), (15, 15), (30, 25)]


def test_the_search_chooses_from_the_grid():
    x, y = toy(rows=12, noise=0)
    grid = {"n_estimators": (3, 5), "max_depth": (1,)}
    model = HierarchicalForest(grid=grid, trees=20, random_state=0).fit(x, y)
    forests = [model.detector_["forest"], *(e["forest"] for e in model.experts_.values())]
    assert {f.n_estimators for f in forests} <= {3, 5} and {f.max_depth for f in forests} == {1}
    points = np.prod([len(values) for values in PUBLISHED_GRID.values()])
    assert points == 216
    faithful = get_technique("DEFault-faithful").make_estimator(1)
    assert faithful.grid == dict(PUBLISHED_GRID) and not faithful.as_released
    assert get_technique("DEFault-hierarchy").make_estimator(1).grid is None


def test_missing_values_get_the_mean_of_the_training_column():
    x, y = toy(rows=10)
    model = HierarchicalForest(trees=20, random_state=0).fit(x, y)
    marked, filled = x[:1].copy(), x[:1].copy()
    marked[0, 5] = NONFINITE
    filled[0, 5] = x[:, 5].mean()
    prepare = model.detector_["prepare"].transform
    np.testing.assert_allclose(prepare(marked), prepare(filled), atol=1e-12)


def test_the_fold_keeps_test_rows_out_and_the_release_does_not():
    x, y = toy(rows=16, noise=1)
    x, y = x[:48], y[:48]  # level 1 and two experts
    x[:, 0] *= 1e3
    train, test = slice(0, None, 2), slice(1, None, 2)
    far = x[test].copy()
    far[0] = 1e9
    for released in (False, True):
        model = HierarchicalForest(as_released=released, trees=20, random_state=0).fit(
            x[train], y[train]
        )
        one, two = model.predict_proba(x[test]), model.predict_proba(far)
        same = np.array_equal(one[1:], two[1:])
        assert same is not released
        np.testing.assert_array_equal(one, model.predict_proba(x[test]))
        assert (model.predict(x[test]) == y[test]).mean() > 0.9


def test_clone_keeps_parameters():
    model = HierarchicalForest(grid={"max_depth": (1, 2)}, keep=4, as_released=True)
    assert clone(model).get_params() == model.get_params()


def test_winsorizer_moves_to_the_percentiles_of_the_training_rows():
    values = np.arange(101.0)[:, None]
    clip = Winsorizer().fit(values)
    assert clip.transform([[-5.0], [50.0], [1e9]]).ravel().tolist() == [1, 50, 99]
