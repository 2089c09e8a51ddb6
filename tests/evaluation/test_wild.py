import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from analysis_lib.errors import InputError
from analysis_lib.evaluation.wild import wild_cluster_bootstrap


def make_data(seed=0, programs=8, runs=12, family="ols"):
    rng = np.random.default_rng(seed)
    group = np.repeat([f"p{i}" for i in range(programs)], runs)
    x = pd.DataFrame({"one": 1.0, "a": rng.normal(size=len(group))})
    x["b"] = np.repeat(rng.normal(size=programs), runs)
    eta = 0.5 * x["a"] + np.repeat(rng.normal(size=programs), runs)
    if family == "ols":
        return eta + rng.normal(size=len(group)), x, group
    return (rng.random(len(group)) < 1 / (1 + np.exp(-eta))).astype(float), x, group


def test_estimates_and_errors_are_those_of_statsmodels():
    y, x, group = make_data()
    codes = pd.factorize(group)[0]
    got = wild_cluster_bootstrap(y, x, group, intervals=False)
    fit = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds={"groups": codes})
    np.testing.assert_allclose(got["estimate"].astype(float), fit.params)
    np.testing.assert_allclose(got["se"].astype(float), fit.bse)
    y, x, group = make_data(family="logit", runs=30)
    got = wild_cluster_bootstrap(y, x, group, family="logit", intervals=False)
    fit = sm.Logit(y, x).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": codes.repeat(30)[::12]}
    )
    np.testing.assert_allclose(got["estimate"].astype(float), fit.params, rtol=1e-5)
    np.testing.assert_allclose(got["se"].astype(float), fit.bse, rtol=1e-4)


def test_least_squares_is_the_restricted_wild_bootstrap_refitted():
    """Every pattern of signs: outcomes are made anew under the hypothesis, and fitted anew."""
    y, x, group = make_data(seed=3, programs=6)
    codes = pd.factorize(group)[0]
    options = {"cov_type": "cluster", "cov_kwds": {"groups": codes}}
    restricted = sm.OLS(y, x[["one", "b"]]).fit()
    observed = abs(sm.OLS(y, x).fit(**options).tvalues["a"])
    signs = itertools.product([-1, 1], repeat=6)
    ts = [
        sm.OLS(restricted.fittedvalues + restricted.resid * np.array(w)[codes], x)
        .fit(**options)
        .tvalues["a"]
        for w in signs
    ]
    expected = np.mean(np.abs(ts) >= observed - 1e-9)
    got = wild_cluster_bootstrap(
        y, x, group, coefficients=["a"], weights="rademacher", intervals=False
    )
    assert got.loc["a", "p_value"] == pytest.approx(expected)


@pytest.mark.parametrize("family", ["ols", "logit"])
def test_the_interval_holds_what_is_not_rejected(family):
    y, x, group = make_data(family=family, programs=14)
    options = {"family": family, "coefficients": ["a"], "n_resamples": 399}
    row = wild_cluster_bootstrap(y, x, group, **options).loc["a"]
    assert row["low"] < row["estimate"] < row["high"]
    width = row["high"] - row["low"]
    for value, inside in (
        (row["low"] + 0.02 * width, True),
        (row["high"] - 0.02 * width, True),
        (row["low"] - 0.02 * width, False),
        (row["high"] + 0.02 * width, False),
    ):
        p = wild_cluster_bootstrap(y, x, group, null=value, intervals=False, **options)
        assert bool(p.loc["a", "p_value"] >= 0.05) is inside


def test_programs_count_not_rows():
    """A regressor of programs is certain by rows and uncertain by programs."""
    y, x, group = make_data(seed=1, programs=15, runs=60)
    got = wild_cluster_bootstrap(y, x, group, n_resamples=499, intervals=False)
    naive = sm.OLS(y, x).fit().bse
    assert got.loc["b", "se"] > 3 * naive["b"]
    assert got.loc["a", "p_value"] < 0.01


def test_repeating_gives_the_same_and_order_does_not_matter():
    y, x, group = make_data(programs=9)
    first, again = (wild_cluster_bootstrap(y, x, group, n_resamples=199) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    scaled = wild_cluster_bootstrap(y, x * [1, 100, 1], group, n_resamples=199)
    assert scaled.loc["a", "p_value"] == first.loc["a", "p_value"]
    assert scaled.loc["a", "high"] * 100 == pytest.approx(first.loc["a", "high"], rel=1e-3)


def test_mistakes_are_named():
    y, x, group = make_data()
    for arguments, options, message in (
        ((y, x, group), {"family": "probit"}, "unknown family 'probit'"),
        ((y, x, group), {"weights": "mammen"}, "unknown weights"),
        ((y, x, group), {"coefficients": ["c"]}, "unknown coefficient 'c'"),
        ((y, x, group), {"level": 95}, "level is 95"),
        ((y[:-1], x, group), {}, "95 outcomes, 96 rows"),
        ((y.where(y.index > 0), x, group), {}, "missing or infinite"),
        ((y, x, group), {"family": "logit"}, "must be 0 and 1"),
        ((y, x, ["p"] * 48 + ["q"] * 48), {}, "2 clusters are too few"),
        ((y, x.assign(c=x["a"]), group), {}, "collinear"),
        (((x["a"] > 0).astype(float), x, group), {"family": "logit"}, "no solution"),
    ):
        with pytest.raises(InputError, match=message):
            wild_cluster_bootstrap(*arguments, **options)
