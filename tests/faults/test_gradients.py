"""Losses and outputs that train alike are found by the gradient they send back."""

import pytest

from analysis_lib.configuration import Configuration
from analysis_lib.faults import list_operators
from analysis_lib.faults.gradients import distinct, gradient_direction, training_of
from analysis_lib.programs import get_program


def training(program, id="healthy", **parameters):
    return training_of(Configuration(program, id, parameters))


@pytest.mark.parametrize("loss", ["kld", "poisson"])
def test_losses_of_one_gradient_train_alike(loss):
    """On a softmax and one class each, they are the cross-entropy up to a factor."""
    assert training("snn_wine", "LCH", loss=loss) == training("snn_wine")


def test_a_factor_on_the_loss_is_no_other_loss():
    assert training("snn_wine", "LCH", loss="hinge") == training("snn_wine", "LCH", loss="mae")
    assert training("snn_wine", "LCH", loss="huber") == training("snn_wine", "LCH", loss="mse")
    assert training("gru_storms", "LCH", loss="mse") != training("gru_storms")


def test_the_same_change_under_two_names_trains_alike():
    rows = len(get_program("snn_wine").arrays().train[-1])
    assert training("snn_wine", "HDB") == training("snn_wine", "HBS", size=rows + 100)
    removed = training("snn_wine", "ARM", layer="act1")
    assert removed == training("snn_wine", "ACH", layer="act1", activation="linear")
    assert removed != training("snn_wine", "ARM", layer="act2")
    assert training("snn_wine", "LCH", loss="mse") == training("snn_wine", "FLO", loss="mse")


@pytest.mark.parametrize(
    ("program", "loss", "output", "why"),
    [
        ("mlp_breast_cancer", "cce", "sigmoid", "one output's share is one"),
        ("mlp_breast_cancer", "bce", "softmax", "one output's softmax is one"),
        ("dcn_diamonds", "poisson", "linear", "logarithm of a negative number"),
    ],
)
def test_without_a_gradient_nothing_is_trained(program, loss, output, why):
    assert gradient_direction(program, loss, output) is None, why


def test_distinct_leaves_repetitions_out():
    wine = get_program("snn_wine")
    pairs = [(loss, "softmax") for loss in ("poisson", "mae", "hinge", "mse", "huber")]
    assert distinct(wine, pairs) == [("mae", "softmax"), ("mse", "softmax")]


def test_an_unusable_loss_is_never_drawn():
    assert not training("mlp_breast_cancer", "LCH", loss="cce").usable
    assert training("mlp_breast_cancer").usable


def test_a_loss_and_an_output_apply_wherever_a_gradient_is_left():
    for name in ("snn_wine", "dcn_diamonds", "vae_digits", "gat_digits_knn"):
        applying = {o.id for o in list_operators() if o.applies(get_program(name)) is None}
        assert {"LCH", "FLO", "FAC"} <= applying
