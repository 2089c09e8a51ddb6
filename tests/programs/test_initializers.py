"""Initial values have Keras' distributions, and follow the slot they belong to."""

import numpy as np
import pytest
import torch
from scipy import stats

from analysis_lib.programs.design import Design
from analysis_lib.programs.initializers import INITIALIZERS, initialize


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("glorot_uniform", (2 / 500) ** 0.5),
        ("glorot_normal", (2 / 500) ** 0.5),
        ("he_uniform", (2 / 300) ** 0.5),
        ("he_normal", (2 / 300) ** 0.5),
        ("lecun_uniform", (1 / 300) ** 0.5),
        ("lecun_normal", (1 / 300) ** 0.5),
        ("random_normal", 0.05),
        ("random_uniform", 0.05 / 3**0.5),
        ("wide_normal", 1.0),
    ],
)
def test_initial_values_have_keras_spread(name, deviation):
    weight = INITIALIZERS[name](torch.empty(200, 300), torch.Generator().manual_seed(0))
    assert float(weight.std()) == pytest.approx(deviation, rel=0.01)
    assert abs(float(weight.mean())) < 4 * deviation / 60_000**0.5
    if "uniform" in name:
        limit = deviation * 3**0.5
        uniform = stats.uniform(-limit, 2 * limit).cdf
        assert stats.kstest(weight.flatten().numpy(), uniform).pvalue > 1e-3


def test_orthogonal_rows_are_orthonormal():
    weight = INITIALIZERS["orthogonal"](torch.empty(5, 9), torch.Generator().manual_seed(0))
    assert np.allclose(weight @ weight.T, np.eye(5), atol=1e-6)


def test_initial_values_follow_the_slot_wherever_it_stands():
    """Removing or adding a layer before it leaves a slot's values as they were."""
    alone = torch.nn.Sequential(Design().dense("hidden", 3, 4))
    behind = torch.nn.Sequential(torch.nn.Identity(), Design().dense("hidden", 3, 4))
    renamed = torch.nn.Sequential(Design().dense("other", 3, 4))
    for model in (alone, behind, renamed):
        initialize(model, 1)
    weights = [model[-1][0].weight for model in (alone, behind, renamed)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
