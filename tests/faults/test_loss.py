"""Faults of the loss beside the plain exchange of one for another."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from analysis_lib.configuration import Configuration, Run
from analysis_lib.faults import get_operator
from analysis_lib.programs import get_program
from analysis_lib.programs.losses import weighted_loss
from analysis_lib.training import train


def trained(program, id="healthy", **parameters):
    return train(Run(Configuration(program, id, parameters), 0, epochs=1), monitor=False)


def test_a_summed_loss_is_the_mean_times_the_rows():
    healthy, summed = trained("lenet5_mnist"), trained("lenet5_mnist", "LSM")
    ratio = summed.epochs.train_loss.iloc[0] / healthy.epochs.train_loss.iloc[0]
    assert ratio == pytest.approx(512, rel=1e-5)
    reason = get_operator("LSM").applies(get_program("snn_wine"))
    assert "divides the scale of the loss out" in reason


def test_classes_weigh_in_equal_ratios():
    raw, target = torch.randn(30, 3), torch.arange(30) % 3
    weights = torch.tensor([1.0, 10.0, 100.0])
    expected = F.cross_entropy(raw, target, weight=weights)
    torch.testing.assert_close(weighted_loss(raw, target, 100.0), expected)
    torch.testing.assert_close(weighted_loss(raw, target, 1.0), F.cross_entropy(raw, target))


def test_of_two_classes_the_second_weighs_more():
    raw, target = torch.randn(30, 1), (torch.arange(30) % 2).float()[:, None]
    each = F.binary_cross_entropy_with_logits(raw, target, reduction="none")
    expected = torch.where(target > 0, 50 * each, each).mean()
    torch.testing.assert_close(weighted_loss(raw, target, 50.0), expected)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("gru_storms", "its loss knows no weights of classes"),
        ("vae_digits", "its target is not a class"),
        ("widedeep_churn", "its metric ranks"),
    ],
)
def test_class_weights_need_classes(program, reason):
    assert reason in get_operator("LWC").applies(get_program(program))


def test_the_other_family_is_drawn_under_one_id_alone():
    rng = np.random.default_rng(0)
    for name in ("snn_wine", "mlp_breast_cancer", "gru_storms", "vae_digits"):
        program = get_program(name)
        changed, swapped = (
            {get_operator(id).sample(program, rng)["loss"] for _ in range(40)}
            for id in ("LCH", "FLO")
        )
        assert changed and swapped and not changed & swapped
