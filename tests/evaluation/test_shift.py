import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import InputError
from analysis_lib.evaluation import shift
from analysis_lib.evaluation.shift import mmd_ratio, mmd_squared
from analysis_lib.evaluation.worlds import simulate_world

SIZE = {"programs": 6, "classes": 3}


def test_mmd_of_shifted_normal_samples_has_its_closed_form():
    """For unit normals in d dimensions at distance m, with bandwidth h:
    MMD² = 2 (h² / (h² + 2))^(d/2) (1 - exp(-m² / (2 (h² + 2))))."""
    rng = np.random.default_rng(0)
    h, d, m = 1.5, 3, 1.2
    got = []
    for _ in range(60):
        x, y = rng.normal(size=(100, d)), rng.normal(size=(120, d))
        y[:, 0] += m
        got.append(mmd_squared(x, y, bandwidth=h))
    expected = 2 * (h**2 / (h**2 + 2)) ** (d / 2) * (1 - np.exp(-(m**2) / (2 * (h**2 + 2))))
    assert np.mean(got) == pytest.approx(expected, abs=4 * np.std(got) / np.sqrt(60))


def test_mmd_of_samples_of_the_same_distribution_is_0_on_average():
    rng = np.random.default_rng(1)
    got = [
        mmd_squared(rng.normal(size=(20, 2)), rng.normal(size=(30, 2)), bandwidth=1.0)
        for _ in range(300)
    ]
    assert np.mean(got) == pytest.approx(0, abs=4 * np.std(got) / np.sqrt(300))
    assert min(got) < 0
    with pytest.raises(InputError, match="two rows each"):
        mmd_squared([[0.0]], [[0.0], [1.0]], bandwidth=1.0)


def test_averages_are_those_of_plain_loops_over_pairs(monkeypatch):
    monkeypatch.setattr(shift, "CHUNK", 37)
    features, runs = simulate_world("mixed", seeds=1, **SIZE)
    features = features / features.std(ddof=0)
    got = mmd_ratio(features, runs, "label", bandwidth=2.0, n_resamples=10)
    cells = {
        key: features.loc[own["run_id"]].to_numpy()
        for key, own in runs.groupby(["program", "label"])
    }
    across, inside = [], []
    for a in cells:
        for b in cells:
            if a < b and a[1] == b[1]:
                across.append(mmd_squared(cells[a], cells[b], bandwidth=2.0))
            if a < b and a[0] == b[0]:
                inside.append(mmd_squared(cells[a], cells[b], bandwidth=2.0))
    assert got["estimate"].tolist() == pytest.approx(
        [np.mean(across), np.mean(inside), np.mean(across) / np.mean(inside)]
    )
    assert got["pairs"].tolist() == [45, 18, 45]


def test_copies_of_a_run_are_no_evidence():
    """Seeds that are exact copies change nothing: pairs of one configuration are left out."""
    features, runs = simulate_world("mixed", seeds=1, **SIZE)
    copies = pd.concat([runs.assign(run_id=runs["run_id"] + f"/{i}") for i in range(4)])
    many = features.loc[copies["run_id"].str.split("/").str[0]].set_index(copies["run_id"])
    options = {"bandwidth": 2.0, "n_resamples": 10, "max_runs": 100}
    one, four = (mmd_ratio(f, r, "label", **options) for f, r in ((features, runs), (many, copies)))
    assert four["estimate"].tolist() == pytest.approx(one["estimate"].tolist())


def test_the_ratio_tells_worlds_apart():
    def ratio(world, **options):
        return mmd_ratio(*simulate_world(world, **SIZE, **options), "label", n_resamples=200)

    strong = ratio("transferable", identity=4.0).loc["ratio"]
    weak = ratio("transferable", identity=0.0).loc["ratio"]
    assert strong["low"] > 1 > weak["high"]
    assert weak["estimate"] == pytest.approx(0, abs=0.1)
    no_fault = ratio("none", identity=4.0)
    assert abs(no_fault.loc["between classes", "estimate"]) < 0.03
    assert no_fault.loc["ratio", "high"] > 20
    specific = ratio("specific", identity=0.0)
    assert specific.loc["ratio", "estimate"] == pytest.approx(1, abs=0.3)


def test_intervals_are_wide_enough_to_hold_another_draw_of_programs():
    first, second = (
        mmd_ratio(*simulate_world("mixed", random_state=s, **SIZE), "label", n_resamples=300)
        for s in (0, 1)
    )
    one = first.loc["ratio"]
    assert one["low"] < one["estimate"] < one["high"]
    assert (second["low"] < first["high"]).all() and (first["low"] < second["high"]).all()


def test_too_little_to_compare_is_refused():
    features, runs = simulate_world("none", **SIZE)
    split = runs[runs["program"].str[-1] == runs["label"].str[-1]]
    with pytest.raises(InputError, match="two programs with a class in common"):
        mmd_ratio(features, split, "label")
    one = runs.groupby(["program", "label"]).head(5)
    with pytest.raises(InputError, match="two configurations"):
        mmd_ratio(features, one, "label")
