"""Activations and slots."""

import pytest
import torch
import torch.nn.functional as F

from analysis_lib.errors import InputError
from analysis_lib.programs.design import (
    ACTIVATIONS,
    Activation,
    Design,
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


def test_a_slot_name_serves_once():
    design = Design()
    design.dense("hidden", 3, 4)
    with pytest.raises(InputError, match="two slots are called 'hidden'"):
        design.dense("hidden", 4, 4)


def test_an_unknown_activation_is_named():
    with pytest.raises(InputError, match="did you mean 'softplus'"):
        Activation("softpluss")
