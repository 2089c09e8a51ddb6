import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.metrics import balanced_accuracy_score

from analysis_lib.errors import InputError
from analysis_lib.features import FEATURE_SETS
from analysis_lib.techniques import SLOW_TECHNIQUES, TECHNIQUES, get_technique


def blobs(n=120, features=70, classes=3, random_state=0):
    rng = np.random.default_rng(random_state)
    y = np.arange(n) % classes
    centre = 3 * rng.standard_normal((classes, features))
    return centre[y] + rng.standard_normal((n, features)), np.array(["a", "b", "c"])[y]


RULES = {"AutoTrainer", "DeepLocalize", "UMLAUT", "DeepDiagnosis"}  # see test_rules.py
LEARNED = sorted(set(TECHNIQUES) - RULES)


@pytest.mark.parametrize("name", LEARNED)
def test_every_technique_is_complete_and_reproducible(name):
    technique = get_technique(name)
    assert technique.name == name and technique.feature_set in FEATURE_SETS
    x, y = blobs()
    first, second = (technique.make_estimator(3).fit(x, y) for _ in range(2))
    assert is_classifier(first)
    np.testing.assert_array_equal(first.predict(x), second.predict(x))
    np.testing.assert_allclose(first.predict_proba(x).sum(axis=1), 1)
    clone(first)


@pytest.mark.parametrize("name", sorted(set(LEARNED) - {"dummy"}))
def test_every_technique_learns_what_is_easy(name):
    x, y = blobs(n=240)
    model = get_technique(name).make_estimator(0).fit(x[:120], y[:120])
    assert balanced_accuracy_score(y[120:], model.predict(x[120:])) > 0.95


@pytest.mark.parametrize("name", LEARNED)
def test_permuted_test_rows_and_labels_change_nothing(name):
    x, y = blobs()
    x[:, :20] += 4 * np.random.default_rng(1).standard_normal((len(x), 20))
    train, test = slice(0, 60), slice(60, 120)
    order = np.random.default_rng(2).permutation(60)
    one = get_technique(name).make_estimator(0).fit(x[train], y[train])
    two = get_technique(name).make_estimator(0).fit(x[train], y[train])
    together = one.predict_proba(x[test])
    apart = two.predict_proba(np.vstack([1e6 * x[test], x[test][order]]))[60:]
    if name == "dummy":  # draws by the place of a row
        return
    np.testing.assert_array_equal(together[order], apart)


@pytest.mark.parametrize("name", sorted({**TECHNIQUES, **SLOW_TECHNIQUES}))
def test_estimators_can_be_cloned_with_their_parameters(name):
    model = get_technique(name).make_estimator(5)
    copy = clone(model)
    assert type(copy) is type(model) and str(copy.get_params()) == str(model.get_params())
    assert get_technique(name).description and is_classifier(model)


@pytest.mark.parametrize("name", LEARNED)
def test_extreme_but_finite_features_are_survived(name):
    x, y = blobs()
    x[:, 0] = 0.0
    x[::7, 1] = 1e30
    model = get_technique(name).make_estimator(0).fit(x[:60], y[:60])
    assert set(model.predict(x[60:] * 10)) <= {"a", "b", "c"}


def test_deepfd_survives_a_held_out_value_far_beyond_a_narrow_training_range():
    x, y = blobs()
    x[:, 2] *= 1e-12
    model = get_technique("DeepFD").make_estimator(0).fit(x[:60], y[:60])
    x[60:, 2] = 1e30
    assert balanced_accuracy_score(y[60:], model.predict(x[60:])) > 0.9


def test_deepfd_votes_with_the_sum_of_three_probabilities():
    x, y = blobs(n=150, features=180)
    x += 6 * np.random.default_rng(1).standard_normal(x.shape)
    model = get_technique("DeepFD").make_estimator(0).fit(x[:100], y[:100])
    scaled = model[0].transform(x[100:])
    votes = [m.predict_proba(scaled) for m in model[1].estimators_]
    ranking = np.round(sum(votes), 6) + 1e-8 * votes[2]
    np.testing.assert_array_equal(model.predict(x[100:]), model.classes_[ranking.argmax(axis=1)])
    winners = {tuple(v.argmax(axis=1)) for v in votes}
    assert len(winners) == 3, "the members agree, so this says nothing about the vote"


def test_deepfd_also_takes_tables_with_fewer_features_than_it_draws():
    x, y = blobs(features=10)
    model = get_technique("DeepFD").make_estimator(0).fit(x, y)
    assert balanced_accuracy_score(y, model.predict(x)) > 0.95


def test_a_mistyped_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'DeepFD'"):
        get_technique("DeepFT")
