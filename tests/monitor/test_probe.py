"""What a snapshot measures, channel by channel, against its definition; on models of all sorts."""

import numpy as np
import pytest
import torch
from loops import LOSS, X, Y, one_look
from small_nets import dense_hessian, flat
from torch import nn, optim

from analysis_lib.curvature import (
    Layout,
    gradient_noise,
    hvp,
    layerwise,
    preconditioner,
    proposed_update,
    rademacher,
    step_stability,
    undisturbed,
)
from analysis_lib.monitor import Monitor


def rectifier_net(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).to(dtype)


def test_first_order_channels_equal_their_definitions():
    model = rectifier_net()
    monitor = one_look(model)
    row, layers = monitor.trace.iloc[0], monitor.layers.set_index("layer")
    loss = LOSS(model(X), Y)
    grads = torch.autograd.grad(loss, list(model.parameters()))
    g, hidden, w = flat(grads), model[1](model[0](X)).detach(), flat(model.parameters())
    expected = {
        "probe_loss": loss.detach(),
        "grad_norm": g.norm(),
        "grad_mean": g.mean(),
        "grad_std": g.std(correction=0),
        "grad_abs_mean": g.abs().mean(),
        "grad_abs_max": g.abs().max(),
        "grad_zero_share": (g == 0).float().mean(),
        "grad_norm_first": grads[0].norm(),
        "grad_norm_last": grads[2].norm(),
        "grad_tensor_median": np.median([t.norm() for t in grads]),
        "grad_tensor_max": max(t.norm() for t in grads),
        "weight_norm": w.norm(),
        "weight_abs_max": w.abs().max(),
        "act_mean": hidden.mean(),
        "act_std": hidden.std(correction=0),
        "act_dead_share": (hidden <= 0).float().mean(),
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(float(value), rel=1e-4, abs=1e-7), name
    out = model[0](X).detach()
    assert layers.output_mean["0"] == pytest.approx(float(out.mean()), rel=1e-4)
    assert layers.output_std["0"] == pytest.approx(float(out.std(correction=0)), rel=1e-4)
    assert layers.grad_norm["2"] == pytest.approx(float(flat(grads[2:]).norm()), rel=1e-4)
    assert layers.weight_norm["0"] == pytest.approx(float(flat(model[0].parameters()).norm()))
    assert layers.dead_share["0"] == pytest.approx(row.act_dead_share)
    assert np.isnan(layers.dead_share["2"]) and row.act_nonfinite == 0


def test_curvature_channels_equal_their_definitions():
    model = rectifier_net()
    closure = lambda: LOSS(model(X), Y)  # noqa: E731
    monitor = one_look(model, seed=4)
    row, layers = monitor.trace.iloc[0], monitor.layers.set_index("layer")
    layout = Layout(model)
    signs = rademacher(layout.size, probes=4, seed=4).float()
    vs = [layout.named(v) for v in signs]
    tables = [layerwise(model, v, hvp(model, closure, v)) for v in vs]
    mean = sum(t for t in tables) / 4
    assert row.hvp_norm == pytest.approx(mean.hvp_norm["(all)"], rel=1e-4)
    parts = mean.drop("(all)").hvp_norm
    for name, function in {"mean": np.mean, "std": np.std, "max": np.max, "min": np.min}.items():
        assert row[f"hvp_layer_{name}"] == pytest.approx(function(parts.to_numpy()), rel=1e-4)
    for layer in ("0", "2"):
        assert layers.hvp_norm[layer] == pytest.approx(parts[layer], rel=1e-4)
        assert layers.rayleigh[layer] == pytest.approx(mean.rayleigh[layer], rel=1e-3)
    samples = [float(v @ flat(hvp(model, closure, layout.named(v)))) for v in signs]
    assert row.hessian_trace == pytest.approx(np.mean(samples), rel=1e-4)
    assert row.hessian_trace_se == pytest.approx(np.std(samples, ddof=1) / 2, rel=1e-3)
    with undisturbed(model):
        values = torch.linalg.eigvalsh(dense_hessian(closure(), layout.parameters).double())
    assert row.lambda_max == pytest.approx(float(values[-1]), rel=0.05)
    assert float((values - row.lambda_max).abs().min()) <= row.lambda_residual + 1e-5
    assert float(values[0]) - 1e-5 <= row.lambda_min < 0


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.3),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.05),
    "adamax": lambda p: optim.Adamax(p, lr=0.05),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_stability_channels_are_those_of_the_next_step(name):
    model = rectifier_net(torch.float64)
    x = X.double()
    optimizer = OPTIMIZERS[name](model.parameters())
    closure = lambda: LOSS(model(x), Y)  # noqa: E731
    with Monitor(model, optimizer, probe=(x, Y), loss=LOSS, every=1) as monitor:
        for epoch in range(6):
            optimizer.zero_grad()
            closure().backward()
            optimizer.step()
            monitor.snapshot(epoch)
    row, layers = monitor.trace.iloc[-1], monitor.layers[monitor.layers.epoch == 5]
    found = step_stability(model, closure, optimizer, steps=59)
    layout = Layout(model)
    g = layout.flatten(torch.autograd.grad(closure(), layout.parameters))
    d = proposed_update(optimizer, layout, g)
    assert row.rho == pytest.approx(found.rho, rel=1e-5)
    assert row.progress == pytest.approx(found.progress, rel=1e-5)
    assert row.chi == pytest.approx(found.chi, rel=0.02)
    assert row.kappa == pytest.approx(found.kappa, rel=0.05)
    assert layers.rho.to_numpy() == pytest.approx(found.layers.rho.to_numpy(), rel=1e-4)
    assert row.update_cosine == pytest.approx(-float(g @ d / (g.norm() * d.norm())), rel=1e-5)
    product = flat(hvp(model, closure, layout.named(d)))
    assert row.update_curvature == pytest.approx(float(d @ product / (d @ d)), rel=1e-5)
    assert preconditioner(optimizer, layout) is not None
    before = float(closure().detach())
    optimizer.zero_grad()
    closure().backward()
    optimizer.step()
    assert row.next_loss == pytest.approx(float(closure().detach()), rel=1e-6)
    assert row.probe_loss == pytest.approx(before, rel=1e-6)


def test_signal_to_noise_is_that_of_the_two_halves():
    model = rectifier_net()
    halves = [
        flat(torch.autograd.grad(LOSS(model(X[r]), Y[r]), list(model.parameters()))).numpy()
        for r in (slice(0, 20), slice(20, 40))
    ]
    expected = gradient_noise(np.stack(halves), 20).snr
    assert one_look(model).trace.grad_snr[0] == pytest.approx(expected, rel=1e-4)


def test_clipping_and_accumulation_belong_to_the_next_step():
    model = rectifier_net()
    clipped = one_look(model, clip_norm=1e-3).trace.iloc[0]
    plain = one_look(model).trace.iloc[0]
    assert clipped.rho == pytest.approx(plain.rho * 1e-3 / plain.grad_norm, rel=1e-3)
    LOSS(model(X), Y).backward()
    doubled = one_look(model, accumulate=True).trace.iloc[0]
    assert doubled.rho == pytest.approx(2 * plain.rho, rel=1e-4)


def test_update_channels_of_plain_gradient_descent():
    torch.manual_seed(0)
    model = nn.Linear(6, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    with Monitor(model, optimizer, probe=(X, Y), loss=LOSS, every=1) as monitor:
        monitor.snapshot(-1)
        before = flat(model.parameters()).clone()
        LOSS(model(X), Y).backward()
        g = flat([p.grad for p in model.parameters()])
        optimizer.step()
        monitor.snapshot(0)
    row = monitor.trace.iloc[1]
    assert row.step_grad_norm_mean == pytest.approx(float(g.norm()), rel=1e-5)
    assert row.update_norm == pytest.approx(0.5 * float(g.norm()), rel=1e-5)
    assert row.update_ratio == pytest.approx(0.5 * float(g.norm() / before.norm()), rel=1e-5)
    assert row.epoch_change == pytest.approx(row.update_ratio, rel=1e-5)
    assert row.grad_noise == pytest.approx(0, abs=1e-5)
    assert monitor.trace.update_ratio.iloc[0] == 0


class Odd(nn.Module):
    """Owns a parameter itself, takes a mapping and returns one."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(6))
        self.body = nn.Linear(6, 3)

    def forward(self, batch, note):
        return {"out": self.body(batch["x"] * self.scale), "pair": (note, None)}


def test_mappings_texts_and_numbers_go_through():
    torch.manual_seed(0)
    loss = lambda found, target: LOSS(found["out"], target["y"])  # noqa: E731
    monitor = one_look(Odd(), probe=({"x": X}, "a note", {"y": Y}), loss=loss)
    row = monitor.trace.iloc[0]
    assert row.rho > 0 and row.hvp_norm > 0 and row.chi > 0 and np.isnan(row.grad_snr)
    assert set(monitor.layers.layer) == {"(model)", "body"}


def test_an_operation_without_second_derivative_leaves_all_other_channels():
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.EmbeddingBag(5, 4, mode="max")
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.table((x.abs() * 4).long() % 5))

    torch.manual_seed(0)
    monitor = one_look(Bag())
    row = monitor.trace.iloc[0]
    assert "_embedding_bag" in monitor.second_order
    assert row[["hvp_norm", "lambda_max", "hessian_trace", "rho", "kappa"]].isna().all()
    assert row[["grad_norm", "chi", "progress", "next_loss", "grad_snr"]].notna().all()
    assert monitor.layers.hvp_norm.isna().all() and monitor.layers.grad_norm.gt(0).all()


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_batches_of_a_few_rows_and_of_none(rows):
    torch.manual_seed(0)
    norm = [nn.BatchNorm1d(8)] if rows == 3 else []
    model = nn.Sequential(nn.Linear(6, 8), *norm, nn.ReLU(), nn.Linear(8, 3))
    row = one_look(model, probe=(X[:rows], Y[:rows])).trace.iloc[0]
    assert np.isnan(row.probe_loss) == (rows == 0)
    assert np.isnan(row.rho) == (rows == 0) and np.isnan(row.grad_snr)


def test_half_precision_frozen_parameters_and_compiled_models():
    half = one_look(rectifier_net(torch.bfloat16), probe=(X.bfloat16(), Y)).trace.iloc[0]
    full = one_look(rectifier_net()).trace.iloc[0]
    assert half.rho == pytest.approx(full.rho, rel=0.1)
    assert half.lambda_max == pytest.approx(full.lambda_max, rel=0.1)
    model = rectifier_net()
    model[0].requires_grad_(False)
    assert one_look(model).layers.layer.tolist() == ["2"]
    compiled = one_look(torch.compile(rectifier_net(), backend="eager"))
    assert compiled.trace.rho[0] == pytest.approx(full.rho, rel=1e-5)
    assert compiled.layers.layer.tolist() == ["0", "2"]


@pytest.mark.parametrize("context", [torch.no_grad, lambda: torch.autocast("cpu")])
def test_the_surroundings_of_a_look_do_not_matter(context):
    expected = one_look(rectifier_net()).trace
    with context():
        found = one_look(rectifier_net()).trace
    assert np.array_equal(found.to_numpy(), expected.to_numpy(), equal_nan=True)


def test_the_mode_of_the_model_is_the_mode_of_the_look():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    training = one_look(model).trace.probe_loss[0]
    evaluation = one_look(model.eval()).trace.probe_loss[0]
    assert training != evaluation and not model.training
    assert evaluation == pytest.approx(float(LOSS(model(X), Y).detach()))


def test_a_loss_without_curvature_and_one_without_the_model():
    torch.manual_seed(0)
    row = one_look(nn.Linear(6, 1), loss=lambda out, _: out.mean()).trace.iloc[0]
    assert row[["hvp_norm", "lambda_max", "rho", "kappa", "hessian_trace"]].eq(0).all()
    assert row.progress == pytest.approx(-1, rel=1e-3)
    apart = one_look(nn.Linear(6, 1), loss=lambda out, y: y.float().mean()).trace.iloc[0]
    assert apart.grad_norm == 0 and np.isnan(apart.hvp_norm)


def test_warm_starts_keep_both_ends_of_the_spectrum():
    """From the top vector alone, five steps do not find the bottom."""
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3)
    )
    optimizer = optim.SGD(model.parameters(), lr=0.2)
    with Monitor(model, optimizer, probe=(X, Y), loss=LOSS) as monitor:
        for epoch in range(-1, 6):
            monitor.snapshot(epoch)
            hessian = dense_hessian(LOSS(model(X), Y), list(model.parameters())).double()
            true = torch.linalg.eigvalsh(hessian)
            optimizer.zero_grad()
            LOSS(model(X), Y).backward()
            optimizer.step()
    last = monitor.trace.iloc[-1]
    assert last.lambda_max == pytest.approx(float(true[-1]), rel=0.02)
    assert last.lambda_min == pytest.approx(float(true[0]), rel=0.1)


def test_a_step_of_length_zero_has_no_direction_and_leaves_no_gap():
    model = rectifier_net()
    with Monitor(model, optim.SGD(model.parameters(), lr=0.0), probe=(X, Y), loss=LOSS) as monitor:
        monitor.snapshot(-1)
    row = monitor.trace.iloc[0]
    assert (row.update_cosine, row.update_curvature, row.rho, row.progress) == (0, 0, 0, 0)
    assert (monitor.layers.rho == 0).all()
