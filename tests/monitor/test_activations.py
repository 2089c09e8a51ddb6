"""What is seen of layers and activations during one pass."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from loops import one_look
from torch import nn

from analysis_lib.monitor.activations import ForwardWatch, is_activation


def watch(model, x):
    layers = {n: m for n, m in model.named_modules() if list(m.parameters(recurse=False))}
    with ForwardWatch(model, layers) as seen:
        model(x)
    return seen


def with_weights(*values):
    layer = nn.Linear(1, len(values), bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(values)[:, None])
    return layer


@pytest.mark.parametrize("squash", [nn.Tanh(), nn.Sigmoid(), nn.Softsign(), nn.Hardtanh()])
def test_saturation_is_seen_before_the_activation(squash):
    model = nn.Sequential(with_weights(1.0, 4.0, 6.0, -9.0), squash)
    channels = watch(model, torch.ones(2, 1)).channels()
    assert channels["act_saturated_share"] == channels["act_saturated_share_max"] == 0.5
    assert np.isnan(channels["act_dead_share"])


def test_dead_share_is_that_of_the_outputs_of_rectifiers():
    model = nn.Sequential(
        with_weights(1.0, -1.0, -2.0, -3.0), nn.ReLU(), nn.Linear(4, 1), nn.ReLU6()
    )
    with torch.no_grad():
        model[2].weight.fill_(1), model[2].bias.zero_()
    seen = watch(model, torch.ones(2, 1))
    assert [a.dead for a in seen.activations] == [0.75, 0.0]
    assert [a.layer for a in seen.activations] == ["0", "2"]
    assert seen.channels()["act_dead_share"] == 0.375
    assert seen.channels()["act_dead_share_max"] == 0.75
    assert seen.layer_shares("0")[0] == 0.75 and seen.layer_shares("2")[0] == 0


class Functional(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.layer, self.function = with_weights(1.0, -6.0), function

    def forward(self, x):
        return self.function(self.layer(x))


@pytest.mark.parametrize(
    ("function", "dead", "saturated"),
    [
        (F.relu, 0.5, np.nan), (torch.relu, 0.5, np.nan), (torch.relu_, 0.5, np.nan),
        (lambda x: x.relu(), 0.5, np.nan), (lambda x: x.relu_(), 0.5, np.nan),
        (torch.tanh, np.nan, 0.5), (lambda x: x.sigmoid(), np.nan, 0.5), (F.gelu, np.nan, np.nan),
        (F.mish, np.nan, np.nan), (F.hardsigmoid, np.nan, 0.5),
    ],
)  # fmt: skip
def test_activations_called_as_functions_are_seen_once(function, dead, saturated):
    model = Functional(function)
    (seen,) = watch(model, torch.ones(3, 1)).activations
    assert seen.layer == "layer"
    assert (seen.dead, seen.saturated) == pytest.approx((dead, saturated), nan_ok=True)
    expected = function(model.layer(torch.ones(3, 1))).detach()
    assert seen.mean == pytest.approx(float(expected.mean()))
    assert seen.std == pytest.approx(float(expected.std(correction=0)))
    # under the forms with a second derivative too, in which one function is made of others
    row = one_look(model, probe=(torch.ones(4, 1), torch.zeros(4, 2)), loss=F.mse_loss).trace.iloc[
        0
    ]
    assert row.act_mean == pytest.approx(float(expected.mean()), rel=1e-5)


def test_a_module_that_calls_a_function_counts_once():
    model = nn.Sequential(with_weights(1.0, -1.0), nn.Mish(), nn.ReLU(inplace=True))
    assert len(watch(model, torch.ones(2, 1)).activations) == 2


def test_values_that_are_not_finite_are_counted():
    model = nn.Sequential(with_weights(1.0, -1.0), nn.ReLU())
    seen = watch(model, torch.tensor([[np.inf], [1.0], [np.nan]]))
    assert seen.channels()["act_nonfinite"] == 3
    assert np.isnan(seen.channels()["act_mean"])


def test_layers_used_twice_returning_tuples_or_nothing_at_all():
    class Several(nn.Module):
        def __init__(self):
            super().__init__()
            self.once, self.rnn = nn.Linear(2, 2), nn.GRU(2, 2)
            self.unused, self.odd = nn.Linear(2, 2), Mapped()

        def forward(self, x):
            return self.odd(self.rnn(self.once(self.once(x)))[0])

    class Mapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

        def forward(self, x):
            return {"x": x * self.weight}

    seen = watch(Several(), torch.ones(4, 3, 2))
    assert {n: len(v) for n, v in seen.outputs.items()} == {
        "once": 2, "rnn": 1, "unused": 0, "odd": 0,
    }  # fmt: skip


def test_hooks_and_modes_are_gone_also_after_an_error():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with pytest.raises(RuntimeError, match="shapes"):
        watch(model, torch.ones(2, 5))
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    seen = watch(model, torch.ones(2, 2))
    F.relu(torch.ones(2))
    assert len(seen.activations) == 1


def test_what_counts_as_an_activation():
    assert is_activation(nn.GELU()) and is_activation(nn.Softmax(-1))
    assert not is_activation(nn.Linear(1, 1))
    assert not is_activation(nn.MultiheadAttention(2, 1))
