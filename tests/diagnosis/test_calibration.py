"""Temperatures, priors, Brier scores and reliability with known answers."""

import numpy as np
import pytest

from analysis_lib.diagnosis.calibration import (
    brier_score,
    fit_temperature,
    prior_of,
    probabilities,
    reliability,
    run_weights,
)
from analysis_lib.errors import InputError

CLASSES = ("Data", "Healthy", "Loss")


def draw(n=6000, temperature=1.0, prior=(1 / 3,) * 3, seed=0):
    """Scores whose probabilities are right at a temperature and prior."""
    rng = np.random.default_rng(seed)
    label = rng.choice(3, size=n, p=prior)
    mean = 1.5 * np.eye(3)[label]
    x = mean + rng.standard_normal((n, 3))
    score = 1.5 * x  # log density of N(1.5 e_c, 1), up to a constant
    return temperature * score, np.array(CLASSES)[label]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_found(temperature):
    scores, label = draw(temperature=temperature)
    prior = np.full(3, 1 / 3)
    found = fit_temperature(scores, label, CLASSES, prior=prior)
    assert found == pytest.approx(temperature, rel=0.07)


def test_it_is_found_under_another_mix_than_the_prior():
    scores, label = draw(temperature=2.0, prior=(0.1, 0.2, 0.7))
    found = fit_temperature(scores, label, CLASSES, prior=np.full(3, 1 / 3))
    assert found == pytest.approx(2.0, rel=0.1)


def test_the_prior_moves_the_odds_by_its_ratio():
    even = probabilities(np.array([[0.3, 1.0, -1.0]]), temperature=1, prior=np.full(3, 1 / 3))[0]
    half = probabilities(np.array([[0.3, 1.0, -1.0]]), temperature=1, prior=prior_of(CLASSES))[0]
    assert prior_of(CLASSES).tolist() == [0.25, 0.5, 0.25]
    assert half[1] / half[0] == pytest.approx(2 * even[1] / even[0])
    assert half[2] / half[0] == pytest.approx(even[2] / even[0])
    assert half.sum() == pytest.approx(1)


@pytest.mark.parametrize("bad", [0, 1, -0.1, "half", None])
def test_a_prior_outside_0_and_1_is_refused(bad):
    with pytest.raises(InputError, match="prior"):
        prior_of(CLASSES, bad)


def test_weights_make_the_mix_that_of_the_prior():
    label = np.array(["Data"] * 8 + ["Healthy"] * 2 + ["Loss"] * 10)
    w = run_weights(label, CLASSES, prior_of(CLASSES))
    shares = [w[label == c].sum() / w.sum() for c in CLASSES]
    assert shares == pytest.approx([0.25, 0.5, 0.25])
    assert w.mean() == pytest.approx(1)


def test_brier_score_of_certainty_and_of_ignorance():
    label, prior = np.array(CLASSES), np.full(3, 1 / 3)
    assert brier_score(np.eye(3), label, CLASSES, prior=prior) == 0
    assert brier_score(np.full((3, 3), 1 / 3), label, CLASSES, prior=prior) == pytest.approx(2 / 3)


def test_reliability_of_calibrated_and_of_boastful_confidence():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.3, 1.0, 20_000)
    right = rng.random(20_000) < sure
    program = rng.integers(0, 40, 20_000).astype(str)
    honest = reliability(sure, right, program)
    assert honest.attrs["error"] < 0.015
    assert (honest["low"] <= honest["confidence"]).mean() > 0.7
    boast = reliability(np.minimum(sure + 0.2, 1), right, program)
    assert boast.attrs["error"] > 0.1


def test_reliability_is_less_certain_where_programs_differ():
    """The same share right, once in every program, once all or nothing."""
    sure, program = np.full(400, 0.55), np.repeat(np.arange(20), 20).astype(str)
    alike = np.tile([True, False], 200)
    apart = np.repeat(np.arange(20) % 2 == 0, 20)
    narrow, wide = (reliability(sure, right, program).iloc[0] for right in (alike, apart))
    assert narrow["correct"] == wide["correct"] == 0.5
    assert wide["high"] - wide["low"] > 5 * (narrow["high"] - narrow["low"])
