"""Products against dense Hessians, finite differences and closed forms, for every kind of layer."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_nets import (
    NETS,
    ROWS,
    central_difference,
    dense_hessian,
    direction,
    flat,
    problem,
    relative_error,
)
from torch import nn

from analysis_lib.curvature import (
    Hessian,
    Layout,
    hvp,
    layers,
    layerwise,
    twice_differentiable,
    undisturbed,
)


def reference(case):
    with undisturbed(case.model), twice_differentiable():
        return dense_hessian(case.closure(), list(case.model.parameters()))


@pytest.mark.parametrize("name", NETS)
def test_product_matches_the_dense_hessian(name):
    case = problem(name)
    v = direction(case.model)
    found = flat(hvp(case.model, case.closure, v))
    assert relative_error(found, reference(case) @ flat(v)) <= 1e-12


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", ["mse", "bce", "cross_entropy"])
@pytest.mark.parametrize("name", ["convolution", "batchnorm", "layernorm", "lstm", "attention"])
def test_every_loss_and_reduction(name, loss, reduction):
    case = problem(name, loss=loss, reduction=reduction)
    v = direction(case.model)
    found = flat(hvp(case.model, case.closure, v))
    assert relative_error(found, reference(case) @ flat(v)) <= 1e-12
    assert relative_error(found, central_difference(case.model, case.closure, v)) <= 1e-7


@pytest.mark.parametrize("name", NETS)
def test_product_matches_differences_of_the_gradient_of_the_original_operations(name):
    case = problem(name)
    v = direction(case.model)
    found = flat(hvp(case.model, case.closure, v))
    assert relative_error(found, central_difference(case.model, case.closure, v)) <= 1e-7


@pytest.mark.parametrize("name", NETS)
def test_symmetric_linear_and_the_sum_of_its_blocks(name):
    case = problem(name)
    u, v = direction(case.model, 1), direction(case.model, 2)
    hu, hv = (hvp(case.model, case.closure, w) for w in (u, v))
    both = {n: 2 * u[n] - 3 * v[n] for n in u}
    scale = flat(u).norm() * flat(hv).norm()
    assert abs(flat(u) @ flat(hv) - flat(v) @ flat(hu)) <= 1e-12 * scale
    combined = flat(hvp(case.model, case.closure, both))
    assert relative_error(combined, 2 * flat(hu) - 3 * flat(hv)) <= 1e-12
    table = layerwise(case.model, v, hv)
    whole, parts = table.loc["(all)"], table.drop("(all)")
    blocks = layers(case.model).values()
    length = np.array([float(flat([v[n] for n in names]).norm()) ** 2 for names in blocks])
    assert parts["size"].sum() == whole["size"] == len(flat(v))
    assert (parts.rayleigh * length).sum() == pytest.approx(float(flat(v) @ flat(hv)), rel=1e-12)
    squares = (parts.hvp_norm**2 * length).sum()
    assert squares == pytest.approx(float(flat(hv) @ flat(hv)), rel=1e-12)


@pytest.mark.parametrize("name", NETS)
def test_products_of_several_vectors_at_once_equal_single_ones(name):
    case = problem(name)
    layout = Layout(case.model)
    v = torch.stack([flat(direction(case.model, s)) for s in range(4)])
    with undisturbed(case.model):
        hessian = Hessian.of(case.closure, layout)
        together, single = hessian @ v, torch.stack([hessian @ row for row in v])
        layout.batches = False
        looped = hessian @ v
    assert relative_error(together, single) <= 1e-12
    assert torch.equal(looped, single)
    assert hessian.products == 12


@pytest.mark.parametrize("name", NETS)
def test_single_precision_agrees_with_double(name):
    wide = problem(name)
    narrow = problem(name, dtype=torch.float32)
    v = direction(wide.model)
    expected = flat(hvp(wide.model, wide.closure, v))
    found = flat(hvp(narrow.model, narrow.closure, {n: t.float() for n, t in v.items()}))
    assert found.dtype == torch.float32
    assert float((found - expected).norm() / expected.norm()) <= 5e-6


def test_lstm_with_and_without_onednn():
    case = problem("lstm", dtype=torch.float32)
    v = direction(case.model)
    layout = Layout(case.model)
    fused = Hessian(case.closure(), layout) @ flat(v)  # no guard: oneDNN's kernel
    plain = flat(hvp(case.model, case.closure, v))
    assert float((fused - plain).norm() / plain.norm()) <= 2e-6


@pytest.mark.parametrize("name", [n for n in NETS if n != "batchnorm" and "graph" not in n])
def test_weighted_mean_over_uneven_batches_is_the_product_of_the_whole(name):
    case = problem(name)
    v = direction(case.model)
    whole = flat(hvp(case.model, case.closure, v))
    parts = [slice(0, 3), slice(3, 10), slice(10, ROWS)]
    mean = sum(
        (rows.stop - rows.start) / ROWS * flat(hvp(case.model, case.part(rows).closure, v))
        for rows in parts
    )
    assert relative_error(mean, whole) <= 1e-12


def test_linear_regression_has_hessian_two_x_transpose_x_over_n():
    x = torch.randn(20, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model = nn.Linear(4, 1, bias=False).double()
    v = torch.tensor([[1.0, -2.0, 0.5, 3.0]], dtype=torch.float64)
    found = hvp(model, lambda: nn.functional.mse_loss(model(x), x[:, :1]), {"weight": v})
    assert torch.allclose(found["weight"], 2 * v @ x.T @ x / 20, rtol=1e-13)


def test_logistic_regression_has_hessian_of_weighted_squares():
    x = torch.randn(20, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = (x[:, :1] > 0).double()
    model = nn.Linear(4, 1, bias=False).double()
    p = torch.sigmoid(model(x)).detach()
    v = torch.tensor([[1.0, -2.0, 0.5, 3.0]], dtype=torch.float64)
    loss = nn.functional.binary_cross_entropy_with_logits
    found = hvp(model, lambda: loss(model(x), y), {"weight": v})["weight"]
    assert torch.allclose(found, v @ (x.T * (p * (1 - p)).T) @ x / 20, rtol=1e-12)


def test_two_calls_are_bit_identical_dropout_included():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 50), nn.Dropout(0.5), nn.Linear(50, 2)).double()
    x, v = torch.randn(ROWS, 6, dtype=torch.float64), direction(model)
    first, again = (flat(hvp(model, lambda: model(x).square().sum(), v)) for _ in range(2))
    assert torch.equal(first, again)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3))
def test_scaling_the_loss_scales_the_product(seed, scale):
    case = problem("mlp", seed=seed)
    v = direction(case.model, seed)
    once = flat(hvp(case.model, case.closure, v))
    scaled = flat(hvp(case.model, lambda: scale * case.closure(), v))
    assert relative_error(scaled, scale * once) <= 1e-12


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.1, 10))
def test_scaling_the_weights_of_a_linear_layer_scales_its_block_inversely_squared(seed, scale):
    """L(w) = f(s w) at w / s: the gradient grows by s, the Hessian by s squared."""
    case = problem("mlp", seed=seed)
    v = direction(case.model, seed)
    once = flat(hvp(case.model, case.closure, v))
    with torch.no_grad():
        for p in case.model.parameters():
            p.div_(scale)

    def rescaled():
        first, _, last = case.model
        hidden = torch.tanh(nn.functional.linear(case.x, scale * first.weight, scale * first.bias))
        out = nn.functional.linear(hidden, scale * last.weight, scale * last.bias)
        return nn.functional.cross_entropy(out, case.y[:, 0].long())

    assert relative_error(flat(hvp(case.model, rescaled, v)), scale**2 * once) <= 1e-9


def test_several_vectors_at_once_where_a_layer_has_no_part():
    """torch's own zeros for such layers lack the dimension of the vectors."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 2)).double()
    x = torch.randn(5, 6, dtype=torch.float64)
    layout, v = Layout(model), torch.randn(3, 65, dtype=torch.float64)
    with undisturbed(model):
        hessian = Hessian(model[2](model[1](model[0](x)).detach()).square().sum(), layout)
        together, alone = hessian @ v, torch.stack([hessian @ row for row in v])
    assert layout.batches
    assert (together[:, :49] == 0).all() and (together[:, 49:] != 0).all()
    assert relative_error(together, alone) <= 1e-12
