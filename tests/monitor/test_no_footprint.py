"""Observing changes nothing: not the weights, nor anything else, nor the memory in use."""

import copy
import gc
import random
import weakref
from functools import partial

import numpy as np
import psutil
import pytest
import torch
from loops import LOSS, X, Y, loop, network, watched
from small_nets import NETS, problem
from torch import nn, optim

from analysis_lib.monitor import Monitor

OPTIMIZERS = {
    "sgd": partial(optim.SGD, lr=0.1),
    "nesterov": partial(optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "rmsprop": partial(optim.RMSprop, lr=0.01, momentum=0.5, centered=True),
    "adagrad": partial(optim.Adagrad, lr=0.1),
    "adadelta": optim.Adadelta,
    "adam": partial(optim.Adam, lr=0.01, amsgrad=True),
    "adam-fused": partial(optim.Adam, lr=0.01, fused=True),
    "adam-foreach": partial(optim.Adam, lr=0.01, foreach=True),
    "adamw": partial(optim.AdamW, lr=0.01),
    "nadam": optim.NAdam,
    "radam": optim.RAdam,
    "adamax": optim.Adamax,
    "rprop": optim.Rprop,
}


def equal(one, two):
    one, two = (torch.as_tensor(t) for t in (one, two))
    return torch.equal(*(t.to_dense() if t.is_sparse else t for t in (one, two)))


def assert_equal_states(model, optimizer, bare, bare_optimizer):
    for name, tensor in bare.state_dict().items():
        assert equal(tensor, model.state_dict()[name]), name
    for p, q in zip(model.parameters(), bare.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
        assert p.grad is None or equal(p.grad, q.grad)
        for key, value in bare_optimizer.state[q].items():
            assert equal(value, optimizer.state[p][key])
    assert [g["lr"] for g in optimizer.param_groups] == [
        g["lr"] for g in bare_optimizer.param_groups
    ]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_is_bit_identical_with_and_without(name):
    model, optimizer, monitor = watched(OPTIMIZERS[name], every=1)
    state = torch.get_rng_state()
    bare = network()
    bare_optimizer = OPTIMIZERS[name](bare.parameters())
    torch.manual_seed(5)
    loop(bare, bare_optimizer, lambda *_, **__: None)
    assert torch.equal(torch.get_rng_state(), state)
    assert_equal_states(model, optimizer, bare, bare_optimizer)
    assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert monitor.trace.rho.notna().all() and monitor.trace.chi.notna().all()


@pytest.mark.parametrize("name", NETS)
def test_every_kind_of_layer_is_left_as_it_was(name):
    runs = []
    for observed in (True, False):
        case = problem(name, dtype=torch.float32)
        optimizer = optim.SGD(case.model.parameters(), lr=0.05, momentum=0.9)
        monitor = Monitor(
            case.model, optimizer, probe=(case.x, case.y[:, 0].long()), loss=LOSS, every=1
        )
        torch.manual_seed(1)
        with monitor:
            for epoch in range(2):
                if observed:
                    monitor.snapshot(epoch)
                optimizer.zero_grad()
                case.closure().backward()
                optimizer.step()
        runs.append((case.model, optimizer, torch.get_rng_state()))
        assert not observed or monitor.second_order == "exact"
    assert_equal_states(*runs[0][:2], *runs[1][:2])
    assert torch.equal(runs[0][2], runs[1][2])


class Restless(nn.Module):
    """Draws from every generator, normalises by batch, and rescales its embedding as it runs."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 4, max_norm=0.5)
        self.norm, self.drop = nn.BatchNorm1d(4), nn.Dropout(0.5)
        self.head = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3))

    def forward(self, x):
        hidden = self.norm(self.table((x[:, 0].abs() * 4).long() % 5))
        return self.head(self.drop(hidden) * random.random() * np.random.rand())


def test_a_model_that_changes_itself_and_a_scheduler():
    def run(observed):
        torch.manual_seed(0), random.seed(0), np.random.seed(0)
        model = Restless()
        optimizer = optim.Adam(model.parameters(), lr=0.1)
        scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, 15)
        with Monitor(model, optimizer, probe=(X, Y), loss=LOSS, every=1) as monitor:
            snapshot = monitor.snapshot if observed else lambda *_, **__: None
            loop(model, optimizer, snapshot, after_step=scheduler.step)
        return (
            (model, optimizer),
            (scheduler.state_dict(), random.getstate(), np.random.get_state()[1].tolist()),
            monitor,
        )

    torch_state = []
    runs = []
    for observed in (True, False):
        runs.append(run(observed))
        torch_state.append(torch.get_rng_state())
    assert_equal_states(*runs[0][0], *runs[1][0])
    assert runs[0][1] == runs[1][1] and torch.equal(*torch_state)
    assert runs[0][2].trace.lambda_max.notna().all()


def generator_and_discriminator():
    torch.manual_seed(0)
    make = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 6))
    judge = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.LeakyReLU(), nn.Dropout(0.2), nn.Linear(8, 1)
    )
    return make, judge


def adversaries(observed):
    make, judge = generator_and_discriminator()
    optimizers = [optim.Adam(m.parameters(), lr=0.01, betas=(0.5, 0.999)) for m in (make, judge)]
    noise = torch.randn(16, 3, generator=torch.Generator().manual_seed(1))
    bce = nn.functional.binary_cross_entropy_with_logits
    real, fake = torch.ones(16, 1), torch.zeros(16, 1)
    first = Monitor(make, optimizers[0], probe=(noise, real), guard=[judge],
                    loss=lambda out, target: bce(judge(out), target))  # fmt: skip
    second = Monitor(judge, optimizers[1], probe=(X[:16], real), guard=[make],
                     loss=lambda out, target: bce(out, target)
                     + bce(judge(make(noise).detach()), fake))  # fmt: skip
    with first, second:
        for epoch in range(3):
            if observed:
                first.snapshot(epoch), second.snapshot(epoch)
            for start in (0, 16):
                optimizers[1].zero_grad()
                made = make(torch.randn(16, 3))
                (
                    bce(judge(X[start : start + 16]), real) + bce(judge(made.detach()), fake)
                ).backward()
                optimizers[1].step()
                optimizers[0].zero_grad()
                bce(judge(made), real).backward()
                optimizers[0].step()
    return (make, optimizers[0]), (judge, optimizers[1]), torch.get_rng_state(), first, second


def test_two_networks_with_a_monitor_each():
    one, two = adversaries(True), adversaries(False)
    assert_equal_states(*one[0], *two[0])
    assert_equal_states(*one[1], *two[1])
    assert torch.equal(one[2], two[2])
    for monitor in one[3:]:
        assert monitor.trace.rho.notna().all() and monitor.trace.hvp_norm.gt(0).all()


def test_a_run_that_breaks_early():
    def run(observed):
        model = network()
        optimizer = optim.SGD(model.parameters(), lr=1e30)
        torch.manual_seed(5)
        with Monitor(model, optimizer, probe=(X, Y), loss=LOSS, every=1) as monitor:
            loop(model, optimizer, monitor.snapshot if observed else lambda *_, **__: None)
        return model, monitor

    (model, monitor), (bare, _) = run(True), run(False)
    for name, tensor in bare.state_dict().items():
        assert torch.equal(tensor.nan_to_num(7), model.state_dict()[name].nan_to_num(7)), name
    assert monitor.trace.weight_nonfinite.iloc[-1] > 0 and monitor.trace.rho.iloc[-1:].isna().all()


@pytest.mark.parametrize("call", range(1, 8))
def test_an_error_half_way_through_a_look(call):
    """The loss fails at its n-th call, in the forward pass, in the line search, in the halves."""
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    calls = []

    def loss(out, target):
        calls.append(1)
        if len(calls) == call:
            model.eval()
            raise ZeroDivisionError
        return LOSS(out, target)

    monitor = Monitor(model, optimizer, probe=(X, Y), loss=loss)
    loss_now = LOSS(model(X), Y)
    before = copy.deepcopy(model.state_dict())
    pointers = [p.data_ptr() for p in model.parameters()]
    state = torch.get_rng_state()
    with monitor, pytest.raises(ZeroDivisionError):
        monitor.snapshot(-1)
    assert len(calls) == call
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert [p.data_ptr() for p in model.parameters()] == pointers
    assert torch.equal(torch.get_rng_state(), state) and all(m.training for m in model.modules())
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
    assert not optimizer.state and all(p.grad is None for p in model.parameters())
    loss_now.backward()
    assert len(monitor.trace) == 0


def test_graphs_are_freed_without_the_collector():
    outputs = []

    def loss(out, target):
        outputs.append(weakref.ref(out))
        return LOSS(out, target)

    model = network()
    gc.collect()
    gc.disable()
    try:
        monitor = Monitor(model, optim.SGD(model.parameters(), lr=0.1), probe=(X, Y), loss=loss)
        monitor.snapshot(-1)
        assert len(outputs) > 3 and all(out() is None for out in outputs)
    finally:
        gc.enable()


def test_two_hundred_looks_do_not_grow_the_process():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 50), nn.ReLU(), nn.Linear(50, 3))
    monitor = Monitor(model, optim.Adam(model.parameters()), probe=(X, Y), loss=LOSS)
    process = psutil.Process()
    for epoch in range(30):
        monitor.snapshot(epoch)
    before = process.memory_info().rss
    for epoch in range(200):
        monitor.snapshot(epoch)
    assert process.memory_info().rss - before < 3 * 2**20
