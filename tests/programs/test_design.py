"""Activations and initial values."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from analysis_lib.errors import InputError
from analysis_lib.programs.design import (
    ACTIVATIONS,
    INITIALIZERS,
    Activation,
    Design,
    initialize,
)

BUILT_IN = {
    "relu": F.relu, "elu": F.elu, "selu": F.selu, "gelu": F.gelu, "silu": F.silu, "mish": F.mish,
    "softplus": F.softplus, "softsign": F.softsign, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "hard_sigmoid": F.hardsigmoid, "exponential": torch.exp, "linear": lambda x: x,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1), "softmax": lambda x: torch.softmax(x, -1),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations_are_what_their_names_say(name):
    x = torch.linspace(-6, 6, 101, dtype=torch.float64)
    assert torch.allclose(ACTIVATIONS[name](x, -1), BUILT_IN[name](x))


def second_derivative(function, at):
    x = torch.tensor(at, requires_grad=True)
    (first,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
    if not first.requires_grad:
        return torch.zeros_like(x)
    return torch.autograd.grad(first.sum(), x, allow_unused=True, materialize_grads=True)[0]


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"exponential"}))
def test_second_derivatives_are_finite_far_out(name):
    far = second_derivative(lambda x: ACTIVATIONS[name](x, -1), [-300.0, -50.0, 0.5, 50.0, 300.0])
    assert torch.isfinite(far).all()


def test_the_built_in_mish_still_has_no_second_derivative_far_out():
    """Once this fails, torch has mended it and the hand-written form may go."""
    assert not torch.isfinite(second_derivative(F.mish, [-300.0, 300.0])).all()


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


def test_a_slot_name_serves_once():
    design = Design()
    design.dense("hidden", 3, 4)
    with pytest.raises(InputError, match="two slots are called 'hidden'"):
        design.dense("hidden", 4, 4)


def test_an_unknown_activation_is_named():
    with pytest.raises(InputError, match="did you mean 'softplus'"):
        Activation("softpluss")


def test_initial_values_follow_the_slot_wherever_it_stands():
    """Removing or adding a layer before it leaves a slot's values as they were."""
    alone = torch.nn.Sequential(Design().dense("hidden", 3, 4))
    behind = torch.nn.Sequential(torch.nn.Identity(), Design().dense("hidden", 3, 4))
    renamed = torch.nn.Sequential(Design().dense("other", 3, 4))
    for model in (alone, behind, renamed):
        initialize(model, 1)
    weights = [model[-1][0].weight for model in (alone, behind, renamed)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
