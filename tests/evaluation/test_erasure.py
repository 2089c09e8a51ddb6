import numpy as np
import pandas as pd
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from analysis_lib.errors import InputError
from analysis_lib.evaluation.erasure import IdentityErasure, erasure_scores
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.evaluation.worlds import simulate_world

SIZE = {"programs": 6, "classes": 3, "features": 20}
ALL = IdentityErasure(n_directions=5)


def offsets(x, runs):
    """Offsets of programs, with classes held fixed."""
    design = pd.get_dummies(runs[["program", "label"]], dtype=float).to_numpy()
    return np.linalg.lstsq(design, x, rcond=None)[0][:6]


def test_all_directions_leave_no_difference_between_programs_of_the_same_class():
    features, runs = simulate_world("transferable", skew=1.0, least=1, **SIZE)
    erasure = IdentityErasure(n_directions=5).fit(features, runs["label"], runs["program"])
    z = erasure.transform(features)
    assert erasure.n_directions_ == 5 and erasure.erased_ == pytest.approx(1)
    left = offsets(z, runs)
    np.testing.assert_allclose(left - left.mean(axis=0), 0, atol=1e-8)
    linear = LogisticRegression(max_iter=2000, C=0.1).fit(z, runs["program"])
    mix = pd.crosstab(runs["program"], runs["label"], normalize="index").max(axis=1)
    assert linear.score(z, runs["program"]) < 0.45 < mix.max() + 0.2
    np.testing.assert_allclose(erasure.transform(features), z)


def test_erasing_twice_changes_nothing_and_scales_do_not_matter():
    features, runs = simulate_world("transferable", **SIZE)
    fit = (runs["label"], runs["program"])
    erasure = IdentityErasure(n_directions=3).fit(features, *fit)
    p = erasure.projection_
    np.testing.assert_allclose(p @ p, p, atol=1e-10)
    assert np.linalg.matrix_rank(p, tol=1e-8) == 3
    scaled = features * np.geomspace(1e-6, 1e6, features.shape[1]) + 7
    other = IdentityErasure(n_directions=3).fit(scaled, *fit)
    np.testing.assert_allclose(other.transform(scaled), erasure.transform(features), atol=1e-6)


def test_the_share_decides_how_many_directions_go():
    features, runs = simulate_world("none", **SIZE)
    counts = [
        IdentityErasure(share=s).fit(features, runs["label"], runs["program"]).n_directions_
        for s in (0.2, 0.6, 0.9, 1.0)
    ]
    assert counts == sorted(counts) and counts[0] >= 1 and counts[-1] == 5
    narrow = features.iloc[:, :3]
    got = IdentityErasure(share=1.0).fit(narrow, runs["label"], runs["program"])
    assert got.n_directions_ == 2, "one direction is left at least"


def test_constant_columns_do_no_harm():
    features, runs = simulate_world("none", **SIZE)
    z = ALL.fit(features.assign(c=3.0), runs["label"], runs["program"])
    assert np.isfinite(z.transform(features.assign(c=3.0))).all()


def test_erasure_is_fitted_on_training_runs_alone(monkeypatch):
    features, runs = simulate_world("transferable", **SIZE)
    seen = []

    class Spy(IdentityErasure):
        def fit(self, x, y, programs):
            seen.append((len(x), set(programs), set(y)))
            return super().fit(x, y, programs)

    cross_predict(features, runs, LinearDiscriminantAnalysis(), "E4", "label", erasure=Spy())
    everything = set(runs["program"])
    assert [everything - p for _, p, _ in seen] == [{p} for p in sorted(everything)]
    assert {n for n, _, _ in seen} == {len(runs) * 5 // 6}
    assert all(y == {"class 0", "class 1", "class 2"} for _, _, y in seen)


def test_only_what_rests_on_identity_is_lost():
    forest = RandomForestClassifier(15, min_samples_leaf=2)
    mixes = simulate_world("none", replicate=0.0, skew=0.5, random_state=1, **SIZE)
    got = erasure_scores(*mixes, forest, "label", strategies=["E2", "E4"], erasure=ALL)
    assert got.loc["E2", "pooled_before"] > 0.45 and got.loc["E2", "pooled_after"] < 0.42
    assert got.loc["E2", "pooled_before"] - got.loc["E2", "pooled_after"] > 0.1
    fault = simulate_world("transferable", replicate=0.3, random_state=1, **SIZE)
    got = erasure_scores(*fault, forest, "label", strategies=["E2", "E4"], erasure=ALL)
    assert got.loc["E2", "after"] > 0.9 and got.loc["E4", "change"] > -0.05
    assert got.loc["E4", "low"] <= got.loc["E4", "change"] <= got.loc["E4", "high"]


def test_mistakes_are_named():
    features, runs = simulate_world("none", **SIZE)
    fit = (features, runs["label"], runs["program"])
    for wrong, message in (({"share": 0}, "share is 0"), ({"n_directions": 20}, "0 to 19")):
        with pytest.raises(InputError, match=message):
            IdentityErasure(**wrong).fit(*fit)
    with pytest.raises(InputError, match="one program"):
        IdentityErasure().fit(features, runs["label"], ["p"] * len(runs))
