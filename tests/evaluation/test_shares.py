import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.formula.api import ols

from analysis_lib.errors import InputError
from analysis_lib.evaluation.shares import variance_shares
from analysis_lib.evaluation.worlds import simulate_world


def test_shares_are_those_of_the_analysis_of_variance():
    features, runs = simulate_world("mixed", programs=5, classes=3, skew=2.0, least=1)
    got = variance_shares(features, runs, "label", healthy=None)
    units = features.groupby(runs["configuration"].to_numpy()).mean()
    units = units.join(runs.drop_duplicates("configuration").set_index("configuration"))
    centred = units.copy()
    for name in ("x0", "x7"):
        table = sm.stats.anova_lm(ols(f"{name} ~ C(program) * C(label)", units).fit(), typ=1)
        mse = table.loc["Residual", "mean_sq"]
        centred[name] = units[name] - units.groupby("program")[name].transform("mean")
        total = (centred[name] ** 2).sum()
        expected = {
            part: (table.loc[row, "sum_sq"] - table.loc[row, "df"] * mse) / (total + mse)
            for part, row in (("fault", "C(label)"), ("interaction", "C(program):C(label)"))
        }
        for part, value in expected.items():
            assert got.loc[name, part] == pytest.approx(value), (name, part)


def test_program_share_is_the_intraclass_correlation_of_healthy_runs():
    three = simulate_world("transferable", programs=6, classes=3, seeds=3)
    got = variance_shares(*three, "label", healthy="class 0")
    own = three[1][three[1]["label"] == "class 0"]
    x = three[0].loc[own["run_id"], "x3"].groupby(own["configuration"].to_numpy()).mean()
    program = own.drop_duplicates("configuration").set_index("configuration")["program"]
    table = sm.stats.anova_lm(ols("x ~ C(p)", pd.DataFrame({"x": x, "p": program})).fit())
    between, within = table["mean_sq"]
    assert got.loc["x3", "program"] == pytest.approx((between - within) / (between + 3 * within))


def test_shares_tell_worlds_apart_and_find_the_truth():
    size = {"programs": 24, "configurations": 6, "features": 30, "identity": 2.0, "signal": 1.5}

    def mean(world):
        return variance_shares(*simulate_world(world, **size), "label").mean()

    # a configuration's mean of 5 seeds has variance 1 + 1/5 around its cell
    none, same, own = mean("none"), mean("transferable"), mean("specific")
    assert none["program"] == pytest.approx(4 / (4 + 1.2), abs=0.05)
    assert abs(none["fault"]) < 0.01 and abs(none["interaction"]) < 0.02
    assert same["fault"] > 0.4 and abs(same["interaction"]) < 0.02
    assert own["interaction"] > 0.4 and own["fault"] < 0.1
    assert 0 < none["replicate"] < same["program"]


def test_constant_features_and_missing_seeds_are_missing():
    features, runs = simulate_world("mixed", programs=3, classes=2, seeds=1)
    got = variance_shares(features.assign(c=2.0), runs, "label")
    assert got.loc["c"].isna().all() and got["replicate"].isna().all()
    assert got.drop(index="c")[["program", "fault", "interaction"]].notna().all(axis=None)


def test_shift_and_scale_do_not_matter():
    features, runs = simulate_world("mixed", programs=4, classes=3)
    pd.testing.assert_frame_equal(
        variance_shares(features, runs, "label"),
        variance_shares(features * 1e4 - 5, runs, "label"),
        rtol=1e-6,
    )


def test_mistakes_are_named():
    features, runs = simulate_world("none", programs=3, classes=2)
    with pytest.raises(InputError, match="unknown label 'class 5'"):
        variance_shares(features, runs, "label", healthy="class 5")
    with pytest.raises(InputError, match="1 fault classes"):
        variance_shares(features, runs, "label", healthy="class 0")
    mixed = runs.assign(label=np.where(runs.index % 2, "x", "y"))
    with pytest.raises(InputError, match="several programs or labels"):
        variance_shares(features, mixed, "label")
    with pytest.raises(InputError, match="needs two programs"):
        variance_shares(features, runs[runs["program"] == "p00"], "label")
