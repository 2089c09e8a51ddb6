"""Tests in which the program is the unit agree with enumeration, scipy and statsmodels."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from analysis_lib.errors import InputError
from analysis_lib.evaluation.significance import max_t_test, sign_flip_test, smallest_resolvable_gap


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


@pytest.mark.parametrize("bad", [[], [np.nan], [np.inf, 1.0]])
def test_values_without_meaning_are_refused(bad):
    with pytest.raises(InputError, match="one finite number per program"):
        sign_flip_test(bad)
