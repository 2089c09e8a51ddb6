"""Metrics of the programs against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import d2_pinball_score

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
