"""p-values over programs, and risk-coverage curves."""

import numpy as np
import pandas as pd
import pytest

from analysis_lib.diagnosis.abstention import risk_coverage, unlike_p_values
from analysis_lib.errors import InputError


def hierarchical(rng, sizes, spread):
    """Scores with a program effect: (calibration, programs, score of a run of a new program)."""
    effect = spread * rng.standard_normal(len(sizes) + 1)
    program = np.repeat(np.arange(len(sizes)), sizes)
    scores = effect[program] + rng.standard_normal(len(program))
    return scores, program, effect[-1] + rng.standard_normal()


def rejections(sizes, spread, unit, alpha=0.1, draws=1500):
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(draws):
        calibration, program, new = hierarchical(rng, sizes, spread)
        hits += unlike_p_values([new], calibration, program, unit=unit)[0] <= alpha
    return hits / draws


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("sizes", [(10,) * 24, (120, 60, 20, 20) + (4,) * 20])
def test_by_program_the_promised_share_is_kept(sizes, spread):
    assert rejections(sizes, spread, "programs") <= 0.1 + 3 * np.sqrt(0.09 / 1500)


def test_by_row_it_is_not():
    """Two large programs decide for all: far more than a tenth of new programs look strange."""
    assert rejections((120, 60, 20, 20) + (4,) * 20, 3.0, "rows") > 0.13
    assert rejections((60, 4, 4, 4, 4, 4, 4, 4, 4), 3.0, "rows") > 0.17
    assert rejections((60, 4, 4, 4, 4, 4, 4, 4, 4), 3.0, "programs") <= 0.12


def test_the_mean_over_all_draws_is_what_repeated_draws_approach():
    rng = np.random.default_rng(0)
    calibration, program, _ = hierarchical(rng, (3, 5, 9, 2), 1.0)
    new, draws = 0.4, []
    for _ in range(20_000):
        one = [rng.choice(calibration[program == g]) for g in range(4)]
        draws.append((1 + np.sum(np.array(one) >= new)) / 5)
    exact = unlike_p_values([new], calibration, program)[0]
    assert exact == pytest.approx(np.mean(draws), abs=0.005)


def test_one_run_per_program_is_the_textbook_p_value():
    p = unlike_p_values([2.5, 0.0, 9.0], [1.0, 2.0, 3.0], list("abc"))
    assert p.tolist() == [0.5, 1.0, 0.25]
    tied = unlike_p_values([2.0], [1.0, 2.0, 3.0], list("abc"))
    assert tied.tolist() == [0.75]  # a score as large counts as reached


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (([1.0], [], []), "0 calibration"),
        (([1.0], [1.0], ["a", "b"]), "expected one each"),
        (([np.nan], [1.0], ["a"]), "missing"),
    ],
)
def test_wrong_scores_are_named(arguments, what):
    with pytest.raises(InputError, match=what):
        unlike_p_values(*arguments)
    with pytest.raises(InputError, match="unit"):
        unlike_p_values([1.0], [1.0], ["a"], unit="runs")


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    n = 1200
    sure = rng.random(n)
    right = rng.random(n) < 0.2 + 0.8 * sure
    label = rng.choice(list("ab"), n)
    other = np.where(label == "a", "b", "a")
    program = np.sort(rng.integers(0, 10, n)).astype(str)
    predicted = np.where(right, label, other)
    return pd.DataFrame({"program": program, "label": label, "predicted": predicted, "sure": sure})


def test_the_sure_half_errs_less_and_all_is_the_macro_error(predictions):
    from analysis_lib.evaluation import program_macro_recall

    curve = risk_coverage(predictions, score="sure").set_index("coverage")
    assert curve.loc[1.0, "risk"] == pytest.approx(1 - program_macro_recall(predictions))
    assert curve.loc[0.5, "risk"] < curve.loc[1.0, "risk"] - 0.15
    assert curve["risk"].is_monotonic_increasing or curve["risk"].diff().min() > -0.03
    assert curve.loc[0.5, "kept"] == pytest.approx(0.5, abs=0.05)
    assert (curve["low"] <= curve["risk"]).all() and (curve["risk"] <= curve["high"]).all()
    assert (curve["worst"] >= curve["risk"]).all()


def test_risk_against_masks(predictions):
    row = risk_coverage(predictions, score="sure", coverages=[0.3]).iloc[0]
    kept = predictions["sure"] >= np.sort(predictions["sure"])[::-1][359]
    risks = []
    for _, part in predictions.groupby("program"):
        good = kept[part.index]
        w = 1 / part.groupby("label")["sure"].transform("size")
        wrong = part["label"] != part["predicted"]
        risks.append((w * wrong)[good].sum() / w[good].sum())
    assert row["risk"] == pytest.approx(np.mean(risks))
    assert row["programs"] == 10


def test_an_uninformative_score_buys_nothing(predictions):
    random = predictions.assign(sure=np.random.default_rng(1).random(len(predictions)))
    curve = risk_coverage(random, score="sure", coverages=[0.5, 1.0])
    assert curve["risk"].iloc[0] == pytest.approx(curve["risk"].iloc[1], abs=0.04)


def test_programs_without_a_kept_run_are_counted_out(predictions):
    tilted = predictions.assign(sure=predictions["sure"] + 10 * (predictions["program"] == "3"))
    row = risk_coverage(tilted, score="sure", coverages=[0.05]).iloc[0]
    assert row["programs"] == 1 and row["low"] == 0 and row["high"] == 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"score": "absent"}, "absent"),
        ({"score": "sure", "coverages": [0.0]}, "coverages"),
        ({"score": "sure", "coverages": [1.1]}, "coverages"),
    ],
)
def test_wrong_risk_coverage_requests_are_named(predictions, change, what):
    with pytest.raises(InputError, match=what):
        risk_coverage(predictions, **change)
    with pytest.raises(InputError, match="missing values"):
        risk_coverage(predictions.assign(sure=np.nan), score="sure")
