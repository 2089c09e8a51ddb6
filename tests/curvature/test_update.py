"""The update an optimizer would make is the one it makes, and asking for it leaves no trace."""

import copy
from functools import partial

import pytest
import torch
from small_nets import flat, problem
from torch import nn, optim
from torch.optim import optimizer as hooks

from analysis_lib.curvature import Layout, loss_along, preconditioner, proposed_update, undisturbed
from analysis_lib.errors import InputError

OPTIMIZERS = {
    "sgd": partial(optim.SGD, lr=0.1),
    "decay": partial(optim.SGD, lr=0.1, weight_decay=0.1),
    "ascent": partial(optim.SGD, lr=0.1, maximize=True),
    "momentum": partial(optim.SGD, lr=0.1, momentum=0.9),
    "dampening": partial(optim.SGD, lr=0.1, momentum=0.9, dampening=0.5, weight_decay=0.01),
    "nesterov": partial(optim.SGD, lr=0.1, momentum=0.9, nesterov=True),
    "rmsprop": partial(optim.RMSprop, lr=0.01),
    "rmsprop-momentum": partial(optim.RMSprop, lr=0.01, momentum=0.9, weight_decay=0.01),
    "rmsprop-centered": partial(optim.RMSprop, lr=0.01, centered=True),
    "adagrad": partial(optim.Adagrad, lr=0.1, lr_decay=0.1, initial_accumulator_value=0.1),
    "adam": partial(optim.Adam, lr=0.01, weight_decay=0.01),
    "adam-foreach": partial(optim.Adam, lr=0.01, foreach=True),
    "adam-fused": partial(optim.Adam, lr=0.01, fused=True),
    "amsgrad": partial(optim.Adam, lr=0.01, amsgrad=True),
    "adamw": partial(optim.AdamW, lr=0.01, weight_decay=0.1),
    "nadam": partial(optim.NAdam, lr=0.01),
    "nadam-decoupled": partial(optim.NAdam, weight_decay=0.1, decoupled_weight_decay=True),
    "adamax": partial(optim.Adamax, lr=0.01, weight_decay=0.01),
    "radam": partial(optim.RAdam, lr=0.01),
    "adadelta": partial(optim.Adadelta, lr=1.0),
    "asgd": partial(optim.ASGD, lr=0.1),
    "rprop": partial(optim.Rprop, lr=0.01),
    "adafactor": partial(optim.Adafactor, lr=0.01),
}


def stepped(case, optimizer, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        case.closure().backward()
        optimizer.step()


def weights(model):
    return flat(model.parameters()).clone()


def made(case, optimizer, *, clip=None, clear=True):
    """The update of a real step."""
    before = weights(case.model).double()
    if clear:
        optimizer.zero_grad()
    case.closure().backward()
    if clip is not None:
        nn.utils.clip_grad_norm_(case.model.parameters(), clip)
    optimizer.step()
    return weights(case.model).double() - before


def gradient_of(case, layout):
    return layout.flatten(torch.autograd.grad(case.closure(), layout.parameters))


def close(found, expected, tolerance=1e-11):
    assert found.dtype == torch.float64 and expected.norm() > 0
    assert float((found - expected).norm() / expected.norm()) <= tolerance


@pytest.mark.parametrize("steps", [0, 1, 7])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_proposed_update_is_the_step_of_the_optimizer(name, steps):
    case = problem("mlp")
    optimizer = OPTIMIZERS[name](case.model.parameters())
    stepped(case, optimizer, steps)
    layout = Layout(case.model)
    found = proposed_update(optimizer, layout, gradient_of(case, layout))
    # what Adafactor and the scalars of some optimizers keep in four bytes is kept in eight here
    close(found, made(case, optimizer), tolerance=1e-5 if name == "adafactor" else 1e-7)


@pytest.mark.parametrize("name", ["sgd", "nesterov", "rmsprop-centered", "adam", "adamw"])
def test_of_a_model_in_single_precision(name):
    case = problem("mlp", dtype=torch.float32)
    optimizer = OPTIMIZERS[name](case.model.parameters())
    stepped(case, optimizer, 3)
    layout = Layout(case.model)
    found = proposed_update(optimizer, layout, gradient_of(case, layout))
    close(found, made(case, optimizer), tolerance=1e-4)


def test_several_groups_left_out_and_frozen_parameters():
    case = problem("batchnorm")
    first, norm, _, last = case.model
    first.bias.requires_grad_(False)
    optimizer = optim.AdamW(
        [
            {"params": [first.weight], "lr": 0.1, "weight_decay": 0.5},
            {"params": [first.bias, last.weight], "lr": 0.001},
        ]
    )
    stepped(case, optimizer, 2)
    layout = Layout(case.model)
    found = layout.named(proposed_update(optimizer, layout, gradient_of(case, layout)))
    before = {n: p.detach().clone() for n, p in case.model.named_parameters()}
    made(case, optimizer)
    assert "0.bias" not in found
    for name, p in case.model.named_parameters():
        if name in ("0.weight", "3.weight"):
            close(found[name], p.detach() - before[name])
        elif name in found:
            assert (found[name] == 0).all() and torch.equal(p, before[name])


@pytest.mark.parametrize("bound", [1e-3, 1e3])
def test_clipped(bound):
    case = problem("mlp")
    optimizer = optim.SGD(case.model.parameters(), lr=0.1)
    layout = Layout(case.model)
    gradient = gradient_of(case, layout)
    found = proposed_update(optimizer, layout, gradient, clip_norm=bound)
    close(found, made(case, optimizer, clip=bound))
    assert float(found.norm()) <= 0.1 * bound


def test_with_gradients_that_accumulate():
    case = problem("mlp")
    optimizer = optim.SGD(case.model.parameters(), lr=0.1)
    stepped(case, optimizer, 3)
    layout = Layout(case.model)
    gradient = gradient_of(case, layout)
    found = proposed_update(optimizer, layout, gradient, accumulate=True)
    alone = proposed_update(optimizer, layout, gradient)
    close(found, made(case, optimizer, clear=False))
    assert not torch.allclose(found, alone)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_asking_changes_nothing_and_calls_no_hook(name):
    case = problem("mlp")
    optimizer = OPTIMIZERS[name](case.model.parameters())
    stepped(case, optimizer, 2)
    optim.lr_scheduler.StepLR(optimizer, 1)  # wraps the step of this very optimizer
    called = []
    optimizer.register_step_pre_hook(lambda *_: called.append("own"))
    handle = hooks.register_optimizer_step_post_hook(lambda *_: called.append("global"))
    layout = Layout(case.model)
    gradient = gradient_of(case, layout)
    state = copy.deepcopy(optimizer.state_dict())
    kept = [(p, p.grad, p.data_ptr(), p.grad.clone()) for p in layout.parameters]
    before, entries = weights(case.model), dict(vars(optimizer))
    try:
        first, again = (proposed_update(optimizer, layout, gradient) for _ in range(2))
    finally:
        handle.remove()
    assert torch.equal(first, again)
    assert not called and vars(optimizer) == entries
    assert not getattr(optimizer, "_opt_called", False)
    assert torch.equal(weights(case.model), before)
    for p, grad, pointer, value in kept:
        assert p.grad is grad and p.data_ptr() == pointer and torch.equal(grad, value)
    found = optimizer.state_dict()
    assert found["param_groups"] == state["param_groups"]
    for index, values in state["state"].items():
        for key, value in values.items():
            now = found["state"][index][key]
            assert torch.equal(torch.as_tensor(now), torch.as_tensor(value)), key


class Stateful(optim.SGD):
    """An optimizer with an attribute that copies of torch's optimizers do not carry."""

    def __init__(self, params, lr):
        super().__init__(params, lr)
        self.factor = 2.0

    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"] *= self.factor
        return super().step(closure)


@pytest.mark.parametrize(
    "optimizer_class", [optim.LBFGS, optim.SparseAdam, partial(Stateful, lr=0.1)]
)
def test_an_optimizer_whose_step_cannot_be_foreseen_is_named(optimizer_class):
    case = problem("mlp")
    optimizer = optimizer_class(list(case.model.parameters()))
    layout = Layout(case.model)
    name = type(optimizer).__name__
    before = weights(case.model)
    with pytest.raises(InputError, match=f"{name} cannot make its step on a copy"):
        proposed_update(optimizer, layout, gradient_of(case, layout))
    assert torch.equal(weights(case.model), before)
    assert preconditioner(optimizer, layout) is None


def test_loss_along_an_update_and_back():
    case = problem("batchnorm")
    layout = Layout(case.model)
    update = torch.randn(layout.size, generator=torch.Generator().manual_seed(0)).double()
    before = weights(case.model)
    pointers = [p.data_ptr() for p in layout.parameters]
    graph = case.closure()
    with undisturbed(case.model) as reset:
        with loss_along(case.closure, layout, update, reset=reset) as loss_at:
            found = [loss_at(s) for s in (0.0, 0.5, 1.0)]
    assert torch.equal(weights(case.model), before)
    assert [p.data_ptr() for p in layout.parameters] == pointers
    for multiple, value in zip((0.0, 0.5, 1.0), found, strict=True):
        twin = problem("batchnorm")
        with torch.no_grad():
            parts = layout.split(multiple * update)
            for p, part in zip(twin.model.parameters(), parts, strict=True):
                p.add_(part)
        assert value == pytest.approx(float(twin.closure().detach()), rel=1e-13)
    graph.backward()  # a graph of the caller is still whole
    with pytest.raises(ZeroDivisionError):
        with loss_along(lambda: 1 / 0, layout, update, reset=lambda: None) as loss_at:
            loss_at(1.0)
    assert torch.equal(weights(case.model), before)
