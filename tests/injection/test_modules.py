"""A user's module, read as slots and rebuilt with edits."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from own_nets import Mlp, Residual, Series, Tied, images
from torch import nn

from analysis_lib.injection.calls import Calls
from analysis_lib.injection.modules import ModuleTree
from analysis_lib.injection.seeds import seeded

X = torch.linspace(-1, 1, 24).reshape(4, 6)


def tree_of(make, *inputs):
    return ModuleTree(make, inputs)


def test_slots_stand_in_the_order_in_which_they_run():
    tree = tree_of(Mlp, X)
    kinds = {name: slot.kind for name, slot in tree.slots.items()}
    assert list(kinds.items()) == [
        ("first", "dense"), ("norm", "norm"), ("gelu()", "activation"), ("second", "dense"),
        ("relu()", "activation"), ("drop", "dropout"), ("out", "dense"),
    ]  # fmt: skip
    assert tree.slots["out"].fixed and not tree.slots["first"].fixed


def test_without_edits_it_is_the_users_own_model_under_that_seed():
    tree = tree_of(Mlp, X)
    torch.manual_seed(7)
    own = Mlp().state_dict()
    before = torch.get_rng_state()
    built = tree.build({}, seed=7).state_dict()
    assert all(torch.equal(own[k], built[k]) for k in own)
    assert torch.equal(before, torch.get_rng_state())


def test_another_width_reaches_the_layers_behind_and_no_others():
    tree = tree_of(Mlp, X)
    healthy, narrow = tree.build({}, seed=1), tree.build({"first": {"units": 2}}, seed=1)
    assert narrow.first.out_features == 2 and narrow.norm.normalized_shape == (2,)
    assert narrow.second.in_features == 2 and narrow(X).shape == (4, 3)
    assert torch.equal(narrow.out.weight, healthy.out.weight)
    again = tree.build({"first": {"units": 2}}, seed=1)
    assert torch.equal(again.second.weight, narrow.second.weight)
    other = tree.build({"first": {"units": 2}}, seed=2)
    assert not torch.equal(other.first.weight, narrow.first.weight)


def test_a_residual_connection_keeps_its_width_although_one_filter_would_broadcast():
    x = torch.tensor(images(4)[0])
    tree = tree_of(Residual, x)
    fixed = {name: slot.fixed for name, slot in tree.slots.items() if slot.kind == "conv2d"}
    assert fixed == {"stem": True, "a": False, "b": True}
    model = tree.build({"a": {"units": 1}})
    assert model.norm.num_features == 1 and model.b.in_channels == 1
    assert tree.build({"a": {"kernel": 5}}).a.padding == (2, 2)
    assert tree.build({"pool": {"size": 4}}).head.in_features == 16


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ({"second": {"remove": True}}, lambda m: m.out.in_features == 12),
        ({"second": {"insert": "dense:2"}}, lambda m: m.out.in_features == 2),
        ({"second": {"bias": False}}, lambda m: m.second.bias is None),
        ({"second": {"init": "zeros"}}, lambda m: not m.second.weight.any()),
        ({"second": {"initial_bias": 3.0}}, lambda m: (m.second.bias == 3).all()),
        ({"drop": {"p": 0.9}}, lambda m: m.drop.p == 0.9),
    ],
)
def test_edits(edit, expected):
    assert expected(tree_of(Mlp, X).build(edit))


def test_a_gain_multiplies_the_users_own_weights():
    tree = tree_of(Mlp, X)
    gained = tree.build({"first": {"gain": 10.0}}, seed=2).first.weight
    assert torch.equal(gained, 10 * tree.build({}, seed=2).first.weight)


def test_detach_cuts_the_gradient():
    model = tree_of(Mlp, X).build({"second": {"detach": True}})
    model(X).sum().backward()
    assert model.first.weight.grad is None and model.out.weight.grad is not None


def test_activations_that_are_functions_are_exchanged():
    tree = tree_of(Mlp, X)
    model = tree.build({"gelu()": {"kind": "linear"}, "relu()": {"kind": "linear"}}).eval()
    h = model.second(model.norm(model.first(X)))
    torch.testing.assert_close(model(X), model.out(h))


def test_the_activation_of_the_output_is_no_hidden_one():
    class Squashed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.end = nn.Linear(6, 3), nn.Linear(3, 1), nn.Sigmoid()

        def forward(self, x):
            return self.end(self.b(torch.sigmoid(self.a(x)))).squeeze(1)

    assert list(tree_of(Squashed, X).slots) == ["a", "sigmoid()", "b"]


def test_shared_weights_are_scaled_together_and_never_reshaped():
    tree = tree_of(Tied, torch.arange(4))
    assert tree.slots["out"].fixed
    model = tree.build({"out": {"init": "ones"}})
    assert model.out.weight is model.table.weight and (model.table.weight == 1).all()
    with pytest.raises(ValueError, match="shared weights"):
        tree.build({"out": {"units": 9}})


def test_a_recurrent_layer_gets_other_units():
    inputs = torch.zeros(4, 3, 2), torch.zeros(4, dtype=torch.long)
    tree = tree_of(Series, *inputs)
    model = tree.build({"cell": {"units": 2}})
    assert model.cell.hidden_size == 2 and model.out.in_features == 5
    assert model(*inputs).shape == (4, 1)


def test_what_never_runs_is_no_slot_and_a_single_layer_is_one():
    class Idle(Mlp):
        def __init__(self):
            super().__init__()
            self.idle = nn.Linear(2, 2)

    assert "idle" not in tree_of(Idle, X).slots
    assert list(tree_of(lambda: nn.Linear(6, 2), X).slots) == ["0"]


def test_calls_belong_to_the_innermost_module_and_in_place_ones_stay_in_place():
    class Inner(nn.Module):
        def forward(self, x):
            F.relu_(x)
            return x

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.act = Inner(), nn.ReLU()

        def forward(self, x):
            return self.act(self.inner(x + 0)) + torch.relu(x)

    net, seen = Outer(), []
    calls = Calls({"inner.relu()": "linear"}, {}, note=lambda name, _: seen.append(name))
    calls.watch(net)
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    y = net(x)
    assert seen == ["inner.relu()", "relu()"] and y.tolist() == [0.0, 4.0]
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 2.0]
    other = Outer()
    Calls({"inner.relu()": "gelu"}, {}).watch(other)
    x = torch.tensor([-1.0, 2.0])
    torch.testing.assert_close(other(x), F.relu(F.gelu(x)) + F.relu(x))


def test_seeded_leaves_all_three_generators_alone():
    np.random.seed(3)
    with seeded(2**62):
        np.random.rand()
    a = np.random.rand()
    np.random.seed(3)
    assert a == np.random.rand()
