"""Traces and eigenvalues against dense Hessians and known spectra."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_nets import NETS, dense_hessian, direction, flat, problem
from torch import nn

from analysis_lib.curvature import (
    Hessian,
    Layout,
    averaged_hvp_norms,
    hutchinson,
    lanczos,
    power_iteration,
    rademacher,
    top_eigenvalue,
    trace,
    twice_differentiable,
    undisturbed,
)
from analysis_lib.errors import InputError

CURVED = ["mlp", "relu", "convolution", "batchnorm", "layernorm", "gru", "lstm", "attention"]


def with_spectrum(values, seed=0):
    generator = torch.Generator().manual_seed(seed)
    n = len(values)
    turn, _ = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    return turn @ torch.diag(torch.as_tensor(values, dtype=torch.float64)) @ turn.T


def signs(n, seed=0):
    return rademacher(n, seed=seed)[0].double()


def dense(case):
    with undisturbed(case.model), twice_differentiable():
        return dense_hessian(case.closure(), list(case.model.parameters()))


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12),
    seed=st.integers(0, 10**6),
)
def test_full_lanczos_finds_both_ends_of_any_spectrum(values, seed):
    h = with_spectrum(values, seed)
    found = lanczos(lambda v: h @ v, signs(len(values), seed), steps=len(values))
    scale = max(map(abs, values))
    assert found.largest <= max(values) + 1e-9 * scale
    assert found.smallest >= min(values) - 1e-9 * scale
    # sides of the spectrum that the start has (nearly) no part in may stay hidden
    top, bottom = (h @ u - e * u for u, e in ((found.largest_vector, found.largest),
                                             (found.smallest_vector, found.smallest)))  # fmt: skip
    assert float(top.norm()) == pytest.approx(found.largest_residual, abs=1e-8 * scale)
    assert float(bottom.norm()) == pytest.approx(found.smallest_residual, abs=1e-8 * scale)
    assert found.products <= len(values)


@pytest.mark.parametrize("values", [np.linspace(-3, 7, 30), -np.geomspace(1e-3, 50, 30)])
def test_lanczos_on_a_known_spectrum(values):
    h = with_spectrum(values)
    found = lanczos(lambda v: h @ v, signs(30), steps=30)
    assert found.largest == pytest.approx(values.max(), rel=1e-8)
    assert found.smallest == pytest.approx(values.min(), rel=1e-8)


@pytest.mark.parametrize("steps", [2, 5, 8])
def test_residual_bounds_the_distance_to_an_eigenvalue(steps):
    values = np.geomspace(0.01, 10, 40) * np.resize([1, -1], 40)
    h = with_spectrum(values)
    found = lanczos(lambda v: h @ v, signs(40), steps=steps)
    assert found.products == steps
    for ritz, residual in (
        (found.largest, found.largest_residual),
        (found.smallest, found.smallest_residual),
    ):
        assert 0 < np.abs(values - ritz).min() <= residual


@pytest.mark.parametrize("name", CURVED)
def test_lanczos_agrees_with_the_dense_hessian(name):
    case = problem(name)
    expected = torch.linalg.eigvalsh(dense(case))
    layout = Layout(case.model)
    with undisturbed(case.model):
        hessian = Hessian.of(case.closure, layout)
        found = lanczos(hessian.__matmul__, signs(layout.size), steps=layout.size)
    assert found.largest == pytest.approx(float(expected[-1]), rel=1e-8)
    assert found.smallest == pytest.approx(float(expected[0]), rel=1e-8)


def test_a_spectrum_dominated_by_its_negative_end_still_yields_the_largest():
    case = problem("mlp")
    concave = lambda: -case.closure()  # noqa: E731
    expected = float(-torch.linalg.eigvalsh(dense(case))[0])
    found = top_eigenvalue(case.model, concave, tolerance=1e-9)
    assert found.converged and found.value == pytest.approx(expected, rel=1e-8)
    power = top_eigenvalue(case.model, concave, method="power", tolerance=1e-6, products=2000)
    lowest = float(-torch.linalg.eigvalsh(dense(case))[-1])
    assert power.converged and power.value == pytest.approx(lowest, rel=1e-6)
    assert abs(lowest) > 2 * expected


def test_a_warm_start_needs_fewer_products():
    values = np.r_[np.linspace(-1, 1, 60), 3.0, 3.3]
    h = with_spectrum(values)
    cold = lanczos(lambda v: h @ v, signs(62), steps=62, tolerance=1e-6)
    nearby = h + 1e-3 * with_spectrum(values, seed=1)
    warm = lanczos(lambda v: nearby @ v, cold.largest_vector, steps=62, tolerance=1e-2)
    again = lanczos(lambda v: nearby @ v, signs(62), steps=62, tolerance=1e-2)
    assert warm.products < again.products
    assert warm.largest == pytest.approx(3.3, abs=0.01)


def test_lanczos_stops_where_the_start_is_an_eigenvector():
    h = torch.diag(torch.tensor([4.0, 1.0, -1.0], dtype=torch.float64))
    found = lanczos(lambda v: h @ v, torch.tensor([1.0, 0, 0], dtype=torch.float64), steps=3)
    assert found[:4] == (4.0, 4.0, 0.0, 0.0) and found.products == 1
    zero = lanczos(torch.zeros_like, torch.ones(3), steps=3)
    assert zero.largest == zero.smallest == 0 and zero.products == 1


def test_products_that_are_not_finite_give_nan():
    found = lanczos(lambda v: v * torch.nan, torch.ones(3), steps=3)
    assert np.isnan(found.largest) and found.products == 1
    power = power_iteration(lambda v: v * torch.nan, torch.ones(3))
    assert np.isnan(power.value) and not power.converged


def test_power_iteration_reports_whether_it_converged():
    h = with_spectrum([5.0, -4.99, 1.0])
    start = torch.ones(3, dtype=torch.float64)
    slow = power_iteration(lambda v: h @ v, start, tolerance=1e-6, iterations=50)
    assert not slow.converged and slow.products == 50
    assert slow.residual > 1e-6 * abs(slow.value)
    apart = with_spectrum([5.0, -2.0, 1.0])
    fast = power_iteration(lambda v: apart @ v, start, tolerance=1e-6)
    assert fast.converged and fast.value == pytest.approx(5)
    assert float((apart @ fast.vector - fast.value * fast.vector).norm()) == pytest.approx(
        fast.residual, rel=1e-6
    )


def test_top_eigenvalue_of_a_budget_says_that_it_has_not_converged():
    case = problem("mlp")
    expected = float(torch.linalg.eigvalsh(dense(case))[-1])
    short = top_eigenvalue(case.model, case.closure, tolerance=1e-9, products=2)
    full = top_eigenvalue(case.model, case.closure, tolerance=1e-9)
    assert not short.converged and short.products == 2 and short.value < expected
    assert full.converged and full.value == pytest.approx(expected, rel=1e-9)
    with pytest.raises(InputError, match="'lanczos' or 'power'"):
        top_eigenvalue(case.model, case.closure, method="newton")


def test_hutchinson_over_all_sign_vectors_is_the_trace():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)).double()
    x = torch.randn(5, 2, dtype=torch.float64)
    closure = lambda: torch.exp(model(x)).sum()  # noqa: E731
    layout = Layout(model)
    v = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=layout.size)), dtype=torch.float64)
    with undisturbed(model):
        rows = Hessian.of(closure, layout) @ v
        expected = dense_hessian(closure(), layout.parameters).trace()
    assert len(v) == 512
    assert hutchinson(v.numpy(), rows.numpy()).estimate == pytest.approx(float(expected), rel=1e-12)


def test_standard_error_of_the_trace_is_right_and_shrinks_with_the_root_of_the_probes():
    h = with_spectrum(np.linspace(-1, 3, 25))
    v = rademacher(25, probes=4096, seed=3).double()
    products = (v @ h).numpy()
    off_diagonal = h - torch.diag(h.diagonal())
    sigma = float((2 * off_diagonal.square().sum()).sqrt())  # of one probe
    for probes in (64, 1024, 4096):
        found = hutchinson(v[:probes].numpy(), products[:probes])
        assert found.standard_error == pytest.approx(sigma / np.sqrt(probes), rel=0.25)
        assert abs(found.estimate - float(h.trace())) <= 4 * found.standard_error
    assert np.isnan(hutchinson(v[:1].numpy(), products[:1]).standard_error)


@pytest.mark.parametrize("name", CURVED)
def test_trace_of_a_net_lies_within_its_standard_error(name):
    case = problem(name)
    expected = float(dense(case).trace())
    found = trace(case.model, case.closure, probes=200, seed=5)
    assert 0 < found.standard_error and abs(found.estimate - expected) <= 4 * found.standard_error


def test_rademacher_is_fixed_by_its_seed_and_grows_by_rows():
    few, many = rademacher(1000, probes=2, seed=7), rademacher(1000, probes=5, seed=7)
    assert torch.equal(few, many[:2]) and few.dtype == torch.int8
    assert set(many.unique().tolist()) == {-1, 1}
    assert not torch.equal(few, rademacher(1000, probes=2, seed=8))
    assert abs(float(many.double().mean())) < 0.05
    with pytest.raises(InputError, match="probes is 0"):
        rademacher(3, probes=0)


def test_averaged_products_shrink_with_the_root_of_the_number_of_batches():
    case = problem("mlp")
    sizes = [1, 16, 256]
    found = [
        np.mean([averaged_hvp_norms(case.model, [case.closure] * m, seed=s)["mean"]
                 for s in range(3)]) for m in sizes
    ]  # fmt: skip
    for m, norm in zip(sizes, found, strict=True):
        assert norm * np.sqrt(m) == pytest.approx(found[0], rel=0.4)
    with pytest.raises(InputError, match="closures is empty"):
        averaged_hvp_norms(case.model, [])


def test_averaged_products_of_one_batch_are_the_product_with_one_gaussian_vector():
    case = problem("mlp")
    layout = Layout(case.model)
    v = torch.randn(layout.size, generator=torch.Generator().manual_seed(0)).double()
    norms = [float(part.norm()) for part in layout.split(dense(case) @ v)]
    found = averaged_hvp_norms(case.model, [case.closure])
    expected = {"mean": np.mean, "std": np.std, "max": np.max, "min": np.min, "median": np.median}
    for name, function in expected.items():
        assert found[name] == pytest.approx(function(norms), rel=1e-10)


def test_every_net_has_a_trace():
    for name in NETS:
        case = problem(name)
        one = trace(case.model, case.closure, probes=1, seed=2)
        v = signs(len(flat(direction(case.model))), seed=2)
        assert one.estimate == pytest.approx(float(v @ dense(case) @ v), rel=1e-10)
