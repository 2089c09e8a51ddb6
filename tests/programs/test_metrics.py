"""The metrics of the programs, against other implementations."""

import numpy as np
import pytest
from sklearn.metrics import d2_pinball_score, roc_auc_score

from analysis_lib.programs.metrics import METRICS


def test_pinball_skill_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(200, 1))
    levels = (0.1, 0.3, 0.5, 0.7, 0.9)
    outputs = target * 0.5 + np.quantile(target, levels)
    skill = METRICS["pinball_skill"].compute
    median = skill(outputs[:, 2:3], target)
    assert median == pytest.approx(d2_pinball_score(target, outputs[:, 2:3], alpha=0.5))
    assert skill(np.tile(np.quantile(target, levels), (200, 1)), np.repeat(target, 5, 1)) == 0
    assert 0 < skill(outputs, np.repeat(target, 5, axis=1)) < 1


@pytest.mark.parametrize("decimals", [None, 2, 1, 0], ids=["no ties", "few", "many", "most"])
def test_auc_is_that_of_scikit_learn_to_the_last_bit(decimals):
    rng = np.random.default_rng(0)
    for _ in range(300):
        count = int(rng.integers(2, 400))
        target = rng.permutation(np.arange(count) % rng.integers(2, 9) == 0).astype(np.int64)
        output = rng.random((count, 1), dtype=np.float32)
        if decimals is not None:
            output = output.round(decimals)
        expected = float(roc_auc_score(target, output.reshape(-1)))
        assert METRICS["auc"].compute(output, target) == expected


@pytest.mark.parametrize(("output", "expected"), [([0.5] * 4, 0.5), ([0, 0.1, 0.9, 1], 1.0)])
def test_auc_of_guesses_and_of_a_perfect_order(output, expected):
    assert METRICS["auc"].compute(np.array(output), np.array([0, 0, 1, 1])) == expected


def test_auc_of_one_class_is_missing():
    assert np.isnan(METRICS["auc"].compute(np.array([0.1, 0.9]), np.array([1, 1])))
