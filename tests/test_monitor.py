"""The monitor: no footprint, known values, any loop."""

import numpy as np
import pytest
import torch
from torch import nn

from analysis_lib.channels import CHANNELS, LAYER_CHANNELS
from analysis_lib.curvature import hvp, rademacher
from analysis_lib.errors import InputError
from analysis_lib.monitor import Monitor

X, Y = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 3


def network():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
    )


def loop(model, optimizer, snapshot, *, epochs=3):
    snapshot(-1)
    for epoch in range(epochs):
        for start in range(0, 40, 8):
            optimizer.zero_grad()
            rows = slice(start, start + 8)
            loss = nn.functional.cross_entropy(model(X[rows]), Y[rows])
            loss.backward()
            optimizer.step()
        snapshot(epoch, train_loss=loss.item())


def watched(optimizer_class=torch.optim.Adam, **options):
    model = network()
    optimizer = optimizer_class(model.parameters(), lr=0.01)
    torch.manual_seed(5)
    with Monitor(
        model, optimizer, probe=(X, Y), loss=nn.functional.cross_entropy, **options
    ) as monitor:
        loop(model, optimizer, monitor.snapshot)
    return model, optimizer, monitor


@pytest.mark.parametrize(
    "optimizer_class", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop]
)
def test_weights_are_bit_identical_with_and_without(optimizer_class):
    model, optimizer, _ = watched(optimizer_class, every=1)
    state = torch.get_rng_state()
    bare = network()
    bare_optimizer = optimizer_class(bare.parameters(), lr=0.01)
    torch.manual_seed(5)
    loop(bare, bare_optimizer, lambda *_, **__: None)
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in bare.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    for p, q in zip(model.parameters(), bare.parameters(), strict=True):
        assert torch.equal(p.grad, q.grad)
        for key, value in bare_optimizer.state[q].items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(optimizer.state[p][key]))


def test_hooks_are_gone_afterwards():
    model, optimizer, _ = watched()
    assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks
    assert all(not m._forward_hooks for m in model.modules())


def test_tables_have_every_channel_in_order():
    _, _, monitor = watched()
    assert list(monitor.trace) == ["epoch", *CHANNELS]
    assert list(monitor.layers) == ["epoch", "layer", "depth", *LAYER_CHANNELS]
    assert monitor.trace.epoch.tolist() == [-1, 0, 1, 2]
    assert monitor.layers.layer.unique().tolist() == ["0", "1", "4"]
    assert monitor.layers.depth.unique().tolist() == [0.0, 0.5, 1.0]
    assert (monitor.trace.drop(columns="epoch").dtypes == np.float32).all()


def test_probe_channels_equal_their_definitions():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Monitor(model, optimizer, probe=(X, Y), loss=nn.functional.cross_entropy) as monitor:
        monitor.snapshot(-1)
    row, layers = monitor.trace.iloc[0], monitor.layers.set_index("layer")
    loss = nn.functional.cross_entropy(model(X), Y)
    grads = torch.autograd.grad(loss, list(model.parameters()))
    g, hidden = torch.cat([t.flatten() for t in grads]), model[1](model[0](X))
    v = dict(
        zip(
            [n for n, _ in model.named_parameters()],
            rademacher(list(model.parameters()), seed=0),
            strict=True,
        )
    )
    hv = hvp(model, lambda: nn.functional.cross_entropy(model(X), Y), v)
    first = torch.cat([hv["0.weight"].flatten(), hv["0.bias"]])
    dots = {n: float((v[n] * hv[n]).sum()) for n in v}
    count = {n: t.numel() for n, t in v.items()}
    expected = {
        "probe_loss": loss,
        "grad_norm": g.norm(),
        "grad_abs_max": g.abs().max(),
        "grad_zero_share": (g == 0).float().mean(),
        "grad_norm_first": grads[0].norm(),
        "grad_norm_last": grads[2].norm(),
        "grad_tensor_median": np.median([t.norm() for t in grads]),
        "weight_abs_max": max(p.abs().max() for p in model.parameters()),
        "act_mean": hidden.mean(),
        "act_dead_share": (hidden <= 0).float().mean(),
        "hvp_norm": torch.cat([t.flatten() for t in hv.values()]).norm()
        / sum(count.values()) ** 0.5,
        "hvp_rayleigh": sum(dots.values()) / sum(count.values()),
    }
    for name, value in expected.items():
        value = torch.as_tensor(value).detach()
        assert row[name] == pytest.approx(float(value), rel=1e-4, abs=1e-7), name
    assert layers.hvp_norm["0"] == pytest.approx(float(first.norm()) / 56**0.5, rel=1e-4)
    assert layers.rayleigh["2"] == pytest.approx((dots["2.weight"] + dots["2.bias"]) / 27, rel=1e-3)
    assert layers.output_mean["0"] == pytest.approx(float(model[0](X).detach().mean()), rel=1e-4)


def test_update_channels_of_plain_gradient_descent():
    torch.manual_seed(0)
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with Monitor(model, optimizer, probe=(X, Y), loss=nn.functional.cross_entropy, every=1) as m:
        m.snapshot(-1)
        before = torch.cat([p.detach().flatten() for p in model.parameters()])
        nn.functional.cross_entropy(model(X), Y).backward()
        g = torch.cat([p.grad.flatten() for p in model.parameters()])
        optimizer.step()
        m.snapshot(0)
    row = m.trace.iloc[1]
    assert row.step_grad_norm_mean == pytest.approx(float(g.norm()), rel=1e-5)
    assert row.update_norm == pytest.approx(0.5 * float(g.norm()), rel=1e-5)
    assert row.update_ratio == pytest.approx(0.5 * float(g.norm() / before.norm()), rel=1e-5)
    assert row.epoch_change == pytest.approx(row.update_ratio, rel=1e-5)
    assert row.grad_noise == pytest.approx(0, abs=1e-5)
    assert m.trace.update_ratio.iloc[0] == 0


def test_saturation_is_seen_before_the_activation():
    model = nn.Sequential(nn.Linear(1, 4, bias=False), nn.Tanh())
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0], [4.0], [6.0], [-9.0]]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = (torch.ones(2, 1), torch.zeros(2, 4))
    with Monitor(model, optimizer, probe=probe, loss=nn.functional.mse_loss) as monitor:
        monitor.snapshot(-1)
    assert monitor.trace.act_saturated_share[0] == 0.5


def test_a_broken_run_is_recorded_not_raised():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Monitor(model, optimizer, probe=(X, Y), loss=nn.functional.cross_entropy) as monitor:
        monitor.snapshot(-1)
        with torch.no_grad():
            model[0].weight.fill_(float("nan"))
        monitor.snapshot(0, train_loss=float("nan"), valid_loss=1e39)
        monitor.missing(1)
    trace = monitor.trace
    assert trace.weight_nonfinite[1] == 48 and np.isnan(trace.hvp_norm[1])
    assert np.isinf(trace.valid_loss[1]) and trace.deepfd_nan_weight[1] == 1
    assert np.isnan(trace.grad_norm[2]) and len(monitor.layers) == 9


def test_an_operation_without_second_derivative_gives_no_product():
    model = nn.Sequential(nn.Linear(6, 8), nn.Hardsigmoid(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Monitor(model, optimizer, probe=(X, Y), loss=nn.functional.cross_entropy) as monitor:
        monitor.snapshot(-1)
    assert np.isnan(monitor.trace.hvp_norm[0]) and monitor.trace.grad_norm[0] > 0


def test_misuse_is_named():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(InputError, match="at least two tensors"):
        Monitor(model, optimizer, probe=(X,), loss=nn.functional.cross_entropy)
    with Monitor(model, optimizer, probe=(X, Y), loss=nn.functional.cross_entropy) as monitor:
        with pytest.raises(InputError, match="did you mean 'train_loss'"):
            monitor.snapshot(0, trian_loss=1.0)
