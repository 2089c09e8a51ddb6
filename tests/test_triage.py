"""The triage rule: clusters that are there are found, and counted."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from analysis_lib.errors import InputError
from analysis_lib.triage import (
    TRIAGE_CHANNELS,
    TriageRule,
    cluster_table,
    fit_triage,
    triage_features,
)


@pytest.fixture
def world():
    """Four magnitudes apart: 40 runs each; the largest 90 % unstable, the others stable."""
    rng = np.random.default_rng(0)
    size = np.repeat([1e-6, 1e-2, 1e2, 1e6], 40)
    x = size[:, None] * 10 ** rng.normal(0, 0.2, (160, 4))
    y = (size == 1e6) & (np.arange(160) % 10 > 0)
    return x, y


def test_the_number_of_clusters_is_found(world):
    rule = TriageRule().fit(*world)
    assert rule.n_clusters_ == 4
    assert rule.silhouettes_[4] == max(rule.silhouettes_.values())


def test_clusters_are_in_falling_order_with_their_shares(world):
    x, y = world
    rule = TriageRule().fit(x, y)
    assert rule.centers_.mean(axis=1).round().tolist() == [6, 2, -2, -6]
    assert rule.assign(x).tolist() == np.repeat([3, 2, 1, 0], 40).tolist()
    assert rule.shares_ == {0: pytest.approx(0.9), 1: 0, 2: 0, 3: 0, -1: 1}


def test_it_flags_what_is_like_the_unstable(world):
    rule = TriageRule().fit(*world)
    new = np.array([[2e6] * 4, [2e-2] * 4, [np.nan, 1, 1, 1], [np.inf] * 4])
    assert rule.predict(new).tolist() == [True, False, True, True]
    assert rule.predict_proba(new).sum(axis=1).tolist() == [1] * 4
    strict = TriageRule(threshold=0.95).fit(*world)
    assert strict.predict(new).tolist() == [False, False, True, True]


def test_values_that_are_not_finite_are_a_group_of_their_own(world):
    x, y = world
    x = np.vstack([x, np.full((4, 4), np.nan)])
    rule = TriageRule().fit(x, np.append(y, [True, False, False, False]))
    assert rule.shares_[-1] == 0.25
    assert not rule.predict([[np.nan] * 4])[0]
    assert rule.n_clusters_ == 4


def test_units_do_not_matter(world):
    x, y = world
    rule, other = TriageRule().fit(x, y), TriageRule().fit(x * [1e3, 1, 1e-4, 7], y)
    assert (rule.assign(x) == other.assign(x * [1e3, 1, 1e-4, 7])).all()


def test_wide_channels_do_not_outweigh_narrow_ones():
    rng = np.random.default_rng(2)
    narrow = np.repeat([-0.3, 0.3], 60) + rng.normal(0, 0.03, 120)
    x = 10 ** np.column_stack([rng.normal(0, 6, 120), narrow])
    rule = TriageRule(clusters=2).fit(x, narrow > 0)
    assert sorted(rule.shares_.values()) == [0, 1, 1]
    assert (rule.predict(x) == (narrow > 0)).all()


def test_it_is_an_estimator(world):
    rule = clone(TriageRule(clusters=3, threshold=0.2))
    assert rule.get_params()["clusters"] == 3
    assert rule.fit(*world).n_clusters_ == 3
    assert rule.score(*world) > 0.9


def test_zeros_do_not_break_it(world):
    x, y = world
    x[:40] = 0
    rule = TriageRule().fit(x, y)
    assert np.isfinite(rule.centers_).all()
    assert rule.predict([[1e6] * 4]).tolist() == [True]


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        (np.ones((3, 2)), [True, True, True], "stable and unstable"),
        (np.ones((3, 2)), [True, False], "label for each"),
        (np.full((3, 2), np.nan), [True, False, True], "too few"),
        (np.ones((30, 2)), [True] * 15 + [False] * 15, "too few"),
        (np.ones(3), [True, False, True], "one row per run"),
    ],
)
def test_what_it_cannot_learn_from_is_an_error(x, y, match):
    with pytest.raises(InputError, match=match):
        TriageRule().fit(x, y)


@pytest.fixture
def tables(world):
    x, y = world
    ids = [f"r{i}" for i in range(len(x))]
    epochs = pd.DataFrame(x, columns=list(TRIAGE_CHANNELS)).assign(run_id=ids, epoch=0)
    epochs = pd.concat([epochs, epochs.assign(epoch=1)])
    runs = pd.DataFrame({"run_id": ids, "program": list("pq") * 80, "unstable": y})
    runs["mismatch"] = pd.array([True, False, None, None] * 40, dtype="boolean")
    return epochs, runs


def test_the_table_of_clusters(tables):
    epochs, runs = tables
    rule = fit_triage(epochs, runs)
    found = cluster_table(rule, triage_features(epochs), runs).set_index("cluster")
    assert found.loc["0", ["runs", "programs"]].tolist() == [40, 2]
    assert found["unstable"].tolist() == [pytest.approx(0.9), 0, 0, 0]
    assert (found["mismatch"] == 0.5).all()
    assert found["median_hvp"].between(found["median_hvp"].min(), 2e6).all()
    assert found.loc["0", "median_grad_std"] == pytest.approx(1e6, rel=0.3)
    epochs.loc[(epochs["run_id"] == "r0"), "grad_tensor_std"] = np.nan
    found = cluster_table(rule, triage_features(epochs), runs)
    assert found["cluster"].tolist() == ["0", "1", "2", "3", "not finite"]
    assert found["runs"].iloc[-1] == 1


def test_a_missing_snapshot_or_channel_is_an_error(tables):
    epochs, runs = tables
    with pytest.raises(InputError, match="epoch 7"):
        triage_features(epochs, epoch=7)
    with pytest.raises(InputError, match="hvp_layer_std"):
        triage_features(epochs.drop(columns="hvp_layer_std"))
    with pytest.raises(InputError, match="no snapshot"):
        fit_triage(epochs[epochs["run_id"] != "r3"], runs)
