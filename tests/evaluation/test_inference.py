import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from analysis_lib.errors import InputError
from analysis_lib.evaluation.inference import (
    bca_interval,
    bootstrap_programs,
    cluster_bootstrap,
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
    for function in (t_interval, bca_interval):
        with pytest.raises(InputError, match="one finite number per program"):
            function(bad)
    with pytest.raises(InputError, match="level"):
        t_interval([0.1, 0.2], level=95)


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


def test_overlap_widens_by_the_correction_of_nadeau_and_bengio():
    values = np.random.default_rng(0).normal(size=20)
    plain, wide = t_interval(values), t_interval(values, overlap=1 / 19)
    assert wide.estimate == plain.estimate
    ratio = (wide.high - wide.low) / (plain.high - plain.low)
    assert ratio == pytest.approx(np.sqrt(1 + 20 / 19))
    with pytest.raises(InputError, match="overlap is -1"):
        t_interval(values, overlap=-1)
