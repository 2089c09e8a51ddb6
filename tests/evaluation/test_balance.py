import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.errors import InputError
from analysis_lib.evaluation import predict
from analysis_lib.evaluation.balance import balance_weights, balanced_rows, fit
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.evaluation.splits import make_splits
from analysis_lib.evaluation.worlds import simulate_world

rows = st.lists(st.tuples(st.sampled_from("pqr"), st.sampled_from("abc")), min_size=1, max_size=40)


@given(rows, st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_drawn_rows_and_weights_even_out_every_program(pairs, seed):
    program, label = np.array(pairs).T
    table = pd.DataFrame({"program": program, "label": label})
    kinds = table.groupby("program")["label"].nunique()
    taking_part = list(kinds.index[kinds > 1]) if (kinds > 1).any() else list(kinds.index)
    kept = balanced_rows(program, label, random_state=seed)
    assert (np.diff(kept) > 0).all()
    before = table.groupby(["program", "label"]).size()
    after = table.iloc[kept].groupby(["program", "label"]).size()
    for name in kinds.index:
        if name in taking_part:
            assert after[name].to_dict() == dict.fromkeys(before[name].index, before[name].min())
        else:
            assert name not in after.index.get_level_values("program")
    weights = balance_weights(program, label)
    sums = table.assign(w=weights).groupby(["program", "label"])["w"].sum()
    for name in kinds.index:
        share = before[name].sum() / kinds[name] if name in taking_part else 0
        assert sums[name].tolist() == pytest.approx([share] * kinds[name])


def test_drawing_is_seeded_and_fair():
    program, label = ["p"] * 6, list("xxxxxy")
    assert (balanced_rows(program, label) == balanced_rows(program, label)).all()
    drawn = [balanced_rows(program, label, random_state=s)[0] for s in range(200)]
    assert np.bincount(drawn, minlength=5).min() > 20


def test_weights_reach_the_last_step_of_a_pipeline_and_mean_what_they_say():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 2)), np.array(list("aab") * 20)
    weights = rng.integers(1, 4, size=60)
    model = make_pipeline(StandardScaler(with_mean=False, with_std=False), LogisticRegression())
    weighted = fit(model, x, y, weights)[-1].coef_
    repeated = LogisticRegression().fit(np.repeat(x, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(weighted, repeated.coef_, rtol=1e-3)
    with pytest.raises(InputError, match="KNeighborsClassifier cannot weight runs; use balance="):
        fit(KNeighborsClassifier(), x, y, weights)


@pytest.mark.parametrize("balance", ["subsample", "weights"])
def test_balanced_strategies_train_on_even_mixes_and_test_every_run(balance, monkeypatch):
    features, runs = simulate_world("none", programs=5, skew=1.0, least=1, random_state=3)
    seen = []

    def spy(make, x_train, y_train, x_test, seed, weights=None, eraser=None):
        seen.append((x_train[:, 0], y_train, weights))
        return np.full(len(x_test), "class 0"), None, None

    monkeypatch.setattr(predict, "fit_predict", spy)
    tree = DecisionTreeClassifier()
    got = cross_predict(features, runs, tree, "E2bal", "label", balance=balance)
    assert got["run_id"].tolist() == runs["run_id"].tolist()
    folds = make_splits(runs, strategy="E2", label="label")["fold"]
    assert got["fold"].tolist() == folds.tolist()
    by_value = runs.set_index(features.iloc[:, 0].to_numpy())
    for values, classes, weights in seen:
        trained = by_value.loc[values].assign(w=1.0 if weights is None else weights)
        assert trained["label"].tolist() == classes.tolist()
        mix = trained.groupby(["program", "label"])["w"].sum().groupby("program")
        np.testing.assert_allclose(mix.min(), mix.max())


def test_an_unknown_balance_is_refused():
    features, runs = simulate_world("none", programs=3, classes=2)
    with pytest.raises(InputError, match="unknown balance 'weight'"):
        cross_predict(features, runs, DecisionTreeClassifier(), "E4", "label", balance="weight")
    with pytest.raises(InputError, match="cannot weight runs"):
        cross_predict(features, runs, KNeighborsClassifier(), "E4bal", "label", balance="weights")
