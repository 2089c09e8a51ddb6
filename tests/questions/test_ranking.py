"""Rankings with the program as the unit: against scikit-learn, brute force and coverage."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from analysis_lib.errors import InputError
from analysis_lib.evaluation import bootstrap_programs
from analysis_lib.questions.ranking import (
    auc_by_program,
    bootstrap_ranking,
    flag_scores,
    pooled_ranking,
    precision_recall,
)


@pytest.fixture
def predictions():
    rng = np.random.default_rng(3)
    n = 300
    table = pd.DataFrame({"program": rng.choice(list("abcde"), n), "positive": rng.random(n) < 0.2})
    noise = rng.normal(size=n) + table["positive"]
    return table.assign(score=noise.round(1))  # with ties


def test_pooled_measures_are_those_of_scikit_learn(predictions):
    found = pooled_ranking(predictions)
    positive, score = predictions["positive"], predictions["score"]
    assert found["auc"] == pytest.approx(roc_auc_score(positive, score))
    assert found["average_precision"] == pytest.approx(average_precision_score(positive, score))
    assert found["prevalence"] == pytest.approx(positive.mean())


def test_the_auc_of_a_program_is_that_of_its_runs_alone(predictions):
    found = auc_by_program(predictions)
    for program, rows in predictions.groupby("program"):
        expected = roc_auc_score(rows["positive"], rows["score"])
        assert found.loc[program, "auc"] == pytest.approx(expected)


def test_runs_of_different_folds_are_not_compared():
    """A model that knows the rate of its training runs alone must not score below guessing."""
    rng = np.random.default_rng(0)
    n = 200
    p = pd.DataFrame({"program": "a", "positive": rng.random(n) < 0.3, "fold": np.arange(n) % 5})
    rate = [p.loc[p["fold"] != k, "positive"].mean() for k in range(5)]
    p["score"] = np.array(rate)[p["fold"]]
    assert auc_by_program(p).loc["a", "auc"] == 0.5
    assert auc_by_program(p.drop(columns="fold")).loc["a", "auc"] < 0.45
    parts = [roc_auc_score(q["positive"], q["positive"] + q.index) for _, q in p.groupby("fold")]
    pairs = [q["positive"].sum() * (~q["positive"]).sum() for _, q in p.groupby("fold")]
    found = auc_by_program(p.assign(score=p["positive"] + p.index)).loc["a", "auc"]
    assert found == pytest.approx(np.average(parts, weights=pairs))


def test_programs_with_too_few_runs_of_a_kind_have_no_auc():
    p = pd.DataFrame({"program": list("aaabb"), "positive": [1, 1, 0, 1, 0], "score": range(5)})
    p["positive"] = p["positive"].astype(bool)
    assert auc_by_program(p)["auc"].notna().all()
    assert auc_by_program(p, min_runs=2)["auc"].isna().all()


def test_infinite_scores_rank_above_all_others():
    p = pd.DataFrame({"program": "a", "positive": [True, False, False], "score": [np.inf, 9e9, 1]})
    assert auc_by_program(p).loc["a", "auc"] == 1
    assert pooled_ranking(p)["auc"] == 1


def test_precision_and_recall_at_every_threshold(predictions):
    curve = precision_recall(predictions)
    assert curve["recall"].iloc[-1] == 1
    for row in curve.iloc[::5].itertuples():
        flagged = predictions["score"] >= row.threshold
        hits = flagged & predictions["positive"]
        assert row.precision == pytest.approx(hits.sum() / flagged.sum())
        assert row.recall == pytest.approx(hits.sum() / predictions["positive"].sum())


@pytest.mark.parametrize("metric", ["auc", "average_precision"])
def test_a_weighted_measure_is_that_of_repeated_programs(predictions, metric):
    seen = []

    def spy(statistic, n, **options):
        weights = np.array([[2.0, 0, 1, 1, 3]])
        seen.append(float(statistic(weights)[0]))
        return bootstrap_programs(statistic, n, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis_lib.questions.ranking.bootstrap_programs", spy)
        bootstrap_ranking(predictions, metric=metric, n_resamples=10)
    parts = [predictions[predictions["program"] == p] for p in "aacdeee"]
    assert seen[0] == pytest.approx(pooled_ranking(pd.concat(parts))[metric])


def test_the_difference_of_a_score_to_itself_is_zero(predictions):
    i = bootstrap_ranking(predictions, predictions, n_resamples=50)
    assert (i.estimate, i.low, i.high) == (0, 0, 0)
    worse = predictions.assign(score=-predictions["score"])
    assert bootstrap_ranking(predictions, worse, n_resamples=200).low > 0


def test_resamples_without_a_positive_run_are_left_out():
    p = pd.DataFrame(
        {"program": list("aabbcc"), "positive": [True] + [False] * 5, "score": [5, 1, 2, 3, 4, 6]}
    )
    i = bootstrap_ranking(p)
    assert np.isfinite([i.low, i.high]).all()


def test_flags_are_counted():
    rng = np.random.default_rng(1)
    p = pd.DataFrame({"program": rng.choice(list("abc"), 99), "positive": rng.random(99) < 0.3})
    p["flagged"] = rng.random(99) < 0.4
    found = flag_scores(p)
    both = (p["positive"] & p["flagged"]).sum()
    assert found["precision"] == pytest.approx(both / p["flagged"].sum())
    assert found["recall"] == pytest.approx(both / p["positive"].sum())
    clear = (~p["positive"] & ~p["flagged"]).sum()
    assert found["specificity"] == pytest.approx(clear / (~p["positive"]).sum())
    assert found["recall_low"] <= found["recall"] <= found["recall_high"]
    nothing = flag_scores(p.assign(flagged=False))
    assert np.isnan([nothing["precision"], nothing["precision_low"]]).all()
    assert nothing["recall"] == 0


def test_what_cannot_be_ranked_is_an_error(predictions):
    with pytest.raises(InputError, match="one kind"):
        pooled_ranking(predictions.assign(positive=True))
    with pytest.raises(InputError, match="lack the columns score"):
        auc_by_program(predictions.drop(columns="score"))
    with pytest.raises(InputError, match="metric"):
        bootstrap_ranking(predictions, metric="f1")
    other = predictions[predictions["program"] != "a"]
    with pytest.raises(InputError, match="same programs"):
        bootstrap_ranking(predictions, other)
