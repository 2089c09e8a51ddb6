import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from analysis_lib.errors import InputError
from analysis_lib.evaluation.inference import (
    bca_interval,
    bootstrap_programs,
    cluster_bootstrap,
    max_t_test,
    sign_flip_test,
    smallest_resolvable_gap,
    t_interval,
)
from analysis_lib.evaluation.scores import pooled_balanced_accuracy

VALUES = np.random.default_rng(5).normal(0.2, 0.1, size=38)


def test_t_interval_is_that_of_statsmodels_and_scipy():
    got = t_interval([*VALUES, np.nan], level=0.9)
    assert (got.low, got.high) == pytest.approx(DescrStatsW(VALUES).tconfint_mean(alpha=0.1))
    expected = stats.ttest_1samp(VALUES, 0).confidence_interval(0.9)
    assert (got.low, got.high) == pytest.approx((expected.low, expected.high))
    assert (got.n, got.level, got.estimate) == (38, 0.9, pytest.approx(VALUES.mean()))


def test_one_program_says_nothing_about_the_others():
    got = t_interval([0.3])
    assert (got.low, got.high) == (-np.inf, np.inf)
    with pytest.raises(InputError, match="two of them"):
        bca_interval([0.3])


def test_bca_interval_is_close_to_t_for_normal_values_and_shifts_with_skew():
    t, bca = t_interval(VALUES), bca_interval(VALUES)
    assert (bca.low, bca.high) == pytest.approx((t.low, t.high), abs=0.004)
    assert bca == bca_interval(VALUES)
    skewed = np.exp(np.random.default_rng(0).normal(size=38))
    got = bca_interval(skewed)
    assert got.high - got.estimate > got.estimate - got.low
    flat = bca_interval([0.5] * 8)
    assert (flat.low, flat.high) == (0.5, 0.5)


def test_t_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    truth, covered = 0.6, 0
    for _ in range(300):
        sizes = rng.integers(4, 200, size=20)
        skill = np.clip(rng.normal(truth, 0.1, size=20), 0, 1)
        scores = rng.binomial(sizes, skill) / sizes
        interval = t_interval(scores)
        covered += interval.low <= truth <= interval.high
    assert 0.90 <= covered / 300 <= 0.99


@pytest.mark.parametrize("bad", [[], [np.nan], [np.inf, 1.0]])
def test_values_without_meaning_are_refused(bad):
    for function in (t_interval, bca_interval, sign_flip_test):
        with pytest.raises(InputError, match="one finite number per program"):
            function(bad)
    with pytest.raises(InputError, match="level"):
        t_interval([0.1, 0.2], level=95)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_sign_flip_is_enumeration(differences):
    observed = sum(differences)
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in itertools.product([-1, 1], repeat=len(differences))
    ]
    expected = {
        "greater": np.mean([s >= observed for s in sums]),
        "less": np.mean([s <= observed for s in sums]),
        "two-sided": np.mean([abs(s) >= abs(observed) for s in sums]),
    }
    for alternative, p in expected.items():
        assert sign_flip_test(differences, alternative=alternative) == pytest.approx(p)


def test_sampled_sign_flips_approach_the_exact_ones():
    rng = np.random.default_rng(3)
    x = rng.normal(0.4, 1, size=17)
    exact = stats.permutation_test(
        (x,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    ).pvalue
    assert sign_flip_test(x, n_resamples=20_000) == pytest.approx(exact, abs=0.01)
    assert sign_flip_test([1.0] * 30, n_resamples=999) == pytest.approx(1 / 1000)
    assert sign_flip_test([0.0] * 30, n_resamples=999) == 1.0
    with pytest.raises(InputError, match="two-sided, greater or less"):
        sign_flip_test(x, alternative="both")


def make_predictions(sizes, hit, seed=0):
    rng = np.random.default_rng(seed)
    parts = []
    for program, n in enumerate(sizes):
        label = np.array(["a", "b", "c"])[np.arange(n) % 3]
        right = rng.random(n) < hit[program]
        parts.append(
            pd.DataFrame(
                {
                    "program": f"p{program:02d}",
                    "label": label,
                    "predicted": np.where(right, label, "d"),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_cluster_bootstrap_agrees_with_resampling_rows_of_whole_programs():
    sizes = [9, 30, 60, 12, 90, 33]
    hit = [0.2, 0.5, 0.8, 0.4, 0.9, 0.6]
    predictions = make_predictions(sizes, hit)
    got = cluster_bootstrap(predictions, level=0.8, n_resamples=4000)
    assert got.estimate == pytest.approx(pooled_balanced_accuracy(predictions))
    rng = np.random.default_rng(1)
    groups = [g for _, g in predictions.groupby("program")]
    scores = []
    for _ in range(600):
        drawn = pd.concat([groups[i] for i in rng.integers(0, 6, size=6)])
        scores.append((drawn["label"] == drawn["predicted"]).groupby(drawn["label"]).mean().mean())
    tail = stats.norm.cdf(np.sqrt(6 / 5) * stats.t.ppf(0.1, 5))
    low, high = np.quantile(scores, [tail, 1 - tail])
    assert (got.low, got.high) == pytest.approx((low, high), abs=0.03)


def test_cluster_bootstrap_of_a_difference_is_paired():
    sizes = [30] * 12
    good = make_predictions(sizes, np.linspace(0.1, 0.9, 12))
    worse = good.copy()
    lost = worse.groupby(["program", "label"]).cumcount() == 0
    worse.loc[lost, "predicted"] = "d"
    paired = cluster_bootstrap(good, worse)
    assert 0 < paired.low <= paired.estimate <= paired.high < 0.1
    alone = cluster_bootstrap(good)
    assert paired.high - paired.low < 0.25 * (alone.high - alone.low)
    with pytest.raises(InputError, match="not of the same runs"):
        cluster_bootstrap(good, worse.iloc[1:])
    same = cluster_bootstrap(good, good)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)


def test_resampling_programs_is_wider_than_resampling_rows_would_be():
    predictions = make_predictions([60] * 15, np.linspace(0.2, 0.9, 15))
    width = cluster_bootstrap(predictions)
    correct = predictions["label"] == predictions["predicted"]
    row_width = 2 * 1.96 * correct.std() / np.sqrt(len(correct))
    assert width.high - width.low > 2 * row_width


def test_intervals_over_programs_cover():
    rng = np.random.default_rng(0)
    covered = 0
    for k in range(200):
        values = rng.normal(size=12)
        i = bootstrap_programs(lambda w, v=values: w @ v / w.sum(1), 12, random_state=k)
        covered += i.low <= 0 <= i.high
    assert 0.9 <= covered / 200 <= 0.985


def test_a_statistic_that_is_undefined_has_no_interval():
    nothing = bootstrap_programs(lambda w: np.full(len(w), np.nan), 5)
    assert np.isnan([nothing.estimate, nothing.low, nothing.high]).all()
    alone = bootstrap_programs(lambda w: w @ [0.5], 1)
    assert (alone.estimate, alone.low, alone.high) == (0.5, -np.inf, np.inf)


def test_max_t_with_one_column_is_the_sign_flip_test_of_the_mean():
    x = np.random.default_rng(2).normal(0.3, 1, size=25)
    got = max_t_test(pd.DataFrame({"a": x}), n_resamples=20_000).loc["a"]
    assert got["p_adjusted"] == pytest.approx(sign_flip_test(x), abs=0.01)
    assert got["t"] == pytest.approx(stats.ttest_1samp(x, 0).statistic)


def test_max_t_charges_for_many_comparisons():
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(20, 30))
    noise[:, 0] += 1.6
    table = pd.DataFrame(noise)
    adjusted = max_t_test(table, n_resamples=2000)["p_adjusted"]
    alone = pd.Series({c: sign_flip_test(table[c], n_resamples=2000) for c in table})
    assert adjusted[0] < 0.01
    assert alone[20] < 0.01 and 0.02 < adjusted[20] < 1 - (1 - alone[20]) ** 29 + 0.02
    assert (adjusted >= alone - 0.002).all() and (adjusted[alone > 0.1] > 0.9).all()
    with pytest.raises(InputError, match="two programs"):
        max_t_test(table.head(1))


def test_simultaneous_intervals_agree_with_the_adjusted_p_values_and_grow_with_their_number():
    rng = np.random.default_rng(4)
    table = pd.DataFrame(rng.normal(0.3, 1, size=(20, 30)))
    found = max_t_test(table, n_resamples=2000)
    outside = (found["low"] > 0) | (found["high"] < 0)
    assert (outside == (found["p_adjusted"] < 0.05)).all()
    np.testing.assert_allclose((found["low"] + found["high"]) / 2, found["mean"])
    alone = max_t_test(table[[0]], n_resamples=20_000).loc[0]
    half = stats.t.ppf(0.975, 19) * table[0].std() / np.sqrt(20)
    assert alone["high"] - alone["mean"] == pytest.approx(half, rel=0.05)
    assert found.loc[0, "high"] - found.loc[0, "mean"] > 1.4 * half
    narrow = max_t_test(table, level=0.8, n_resamples=2000)
    assert (narrow["high"] < found["high"]).all()
    with pytest.raises(InputError, match="level is 1"):
        max_t_test(table, level=1)


@pytest.mark.parametrize(("n", "power"), [(5, 0.8), (38, 0.8), (52, 0.9)])
def test_smallest_resolvable_gap_inverts_the_power_of_statsmodels(n, power):
    gap = smallest_resolvable_gap(0.2, n, power=power)
    got = TTestPower().power(gap / 0.2, nobs=n, alpha=0.05, alternative="two-sided")
    assert got == pytest.approx(power, abs=1e-6)


def test_smallest_resolvable_gap_refuses_nonsense():
    assert smallest_resolvable_gap(0.0, 10) == 0
    for arguments in ({"sd": -1, "n": 5}, {"sd": 1, "n": 1}, {"sd": 1, "n": 5, "power": 0.01}):
        with pytest.raises(InputError, match="need sd >= 0"):
            smallest_resolvable_gap(**arguments)


def test_overlap_widens_by_the_correction_of_nadeau_and_bengio():
    values = np.random.default_rng(0).normal(size=20)
    plain, wide = t_interval(values), t_interval(values, overlap=1 / 19)
    assert wide.estimate == plain.estimate
    ratio = (wide.high - wide.low) / (plain.high - plain.low)
    assert ratio == pytest.approx(np.sqrt(1 + 20 / 19))
    with pytest.raises(InputError, match="overlap is -1"):
        t_interval(values, overlap=-1)
