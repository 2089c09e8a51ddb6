"""The metrics of the programs, against other implementations."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from analysis_lib.programs.metrics import METRICS


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
