"""rho, kappa, chi and progress on losses where each has a closed form."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_nets import problem
from torch import nn, optim

from analysis_lib.curvature import (
    Layout,
    critical_multiple,
    gradient_noise,
    preconditioner,
    relative_progress,
    rho,
    step_stability,
)
from analysis_lib.errors import InputError

SIZES = (2, 3, 1)


class Quadratic(nn.Module):
    """L = w'Aw / 2 in three tensors of two layers."""

    def __init__(self, matrix, start):
        super().__init__()
        first, second, third = torch.as_tensor(start, dtype=torch.float64).split(SIZES)
        self.one = nn.ParameterDict({"a": nn.Parameter(first), "b": nn.Parameter(second)})
        self.two = nn.ParameterDict({"c": nn.Parameter(third)})
        self.matrix = matrix

    def forward(self):
        w = torch.cat([self.one["a"], self.one["b"], self.two["c"]])
        return w @ self.matrix @ w / 2


def with_spectrum(values, seed=0):
    generator = torch.Generator().manual_seed(seed)
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))
    return turn @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ turn.T, turn


def start_of(seed=1):
    return torch.randn(6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def quadratic(values=(5.0, 2.0, 1.0, 0.5, 0.2, 0.1), start=None):
    matrix, turn = with_spectrum(values)
    return Quadratic(matrix, start_of() if start is None else start), matrix, turn


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def train(model, optimizer, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        model().backward()
        optimizer.step()


def growth(model, optimizer, steps=3000):
    """Of the distance to the minimum; training ends once that is beyond doubt."""
    before = float(weights(model).norm())
    for _ in range(steps):
        train(model, optimizer, 1)
        ratio = float(weights(model).norm()) / before
        if not 1e-3 < ratio < 1e3:
            break
    return ratio


FAMILIES = {
    "sgd": partial(optim.SGD, lr=0.3),
    "momentum": partial(optim.SGD, lr=0.02, momentum=0.8),
    "nesterov": partial(optim.SGD, lr=0.02, momentum=0.8, nesterov=True),
    "rmsprop": partial(optim.RMSprop, lr=0.01, momentum=0.5),
    "adagrad": partial(optim.Adagrad, lr=0.5),
    "adam": partial(optim.Adam, lr=0.1),
    "adamw": partial(optim.AdamW, lr=0.1),
    "nadam": partial(optim.NAdam, lr=0.1),
    "adamax": partial(optim.Adamax, lr=0.1),
}


@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize("name", FAMILIES)
def test_on_a_quadratic_loss_chi_is_rho_and_progress_is_rho_minus_one(name, steps):
    model, matrix, _ = quadratic()
    optimizer = FAMILIES[name](model.parameters())
    train(model, optimizer, steps)
    found = step_stability(model, model, optimizer)
    w = weights(model)
    before = float(model().detach())
    train(model, optimizer, 1)
    d, g = weights(model) - w, matrix @ w
    slope = float(g @ d)
    assert found.rho == pytest.approx(float(d @ matrix @ d) / (2 * abs(slope)), rel=1e-6)
    assert slope < 0  # an ascent direction raises the loss at any length: chi has no closed form
    assert found.chi == pytest.approx(found.rho, rel=1e-6)
    assert found.progress == pytest.approx(found.rho - 1, rel=1e-6)
    after = float(model().detach())
    assert found.progress == pytest.approx((after - before) / abs(slope), rel=1e-6)
    assert list(found.layers.index) == ["one", "two"]
    assert found.layers.rho.sum() == pytest.approx(found.rho, rel=1e-12)
    assert found.layers.share.sum() == pytest.approx(1)
    last = slice(5, 6)
    part = float(d[last] @ (matrix @ d)[last]) / (2 * abs(slope))
    assert found.layers.rho["two"] == pytest.approx(part, rel=1e-6)


@pytest.mark.parametrize("lr", [0.01, 0.4, 7.0])
def test_along_the_top_eigenvector_chi_is_kappa(lr):
    _, _, turn = quadratic()
    model, _, _ = quadratic(start=turn[:, 0])
    found = step_stability(model, model, optim.SGD(model.parameters(), lr=lr))
    assert found.rho == pytest.approx(lr * 5 / 2, rel=1e-12)
    assert found.chi == pytest.approx(found.rho, rel=1e-9)
    assert found.kappa == pytest.approx(found.rho, rel=1e-9)


def test_negative_curvature_keeps_its_sign():
    _, _, turn = quadratic()
    model, matrix, _ = quadratic((-4.0, 1.0, 1.0, 0.5, 0.2, 0.1), start=turn[:, 0])
    found = step_stability(model, model, optim.SGD(model.parameters(), lr=0.5))
    assert found.rho == pytest.approx(-0.5 * 4 / 2, rel=1e-12)
    assert found.chi == 2.0**-24  # the loss falls for ever along this step
    assert found.progress == pytest.approx(found.rho - 1)
    assert found.kappa == pytest.approx(0.5 * 1 / 2, rel=1e-9)  # of lambda_max, not of |lambda|
    concave, _, _ = quadratic((-4.0, -3.0, -2.0, -1.0, -0.5, -0.25))
    kappa = step_stability(concave, concave, optim.SGD(concave.parameters(), lr=0.5)).kappa
    assert kappa == pytest.approx(-0.25 * 0.5 / 2, rel=1e-9)


def test_a_stationary_point_has_no_step():
    model, _, _ = quadratic(start=torch.zeros(6))
    found = step_stability(model, model, optim.SGD(model.parameters(), lr=0.5))
    assert (found.rho, found.progress) == (0.0, 0.0)


BETA = 0.9
GRADIENT = {
    "sgd": {},
    "heavy ball": {"momentum": BETA},
    "dampening": {"momentum": BETA, "dampening": 0.5},
    "nesterov": {"momentum": BETA, "nesterov": True},
}


@pytest.mark.parametrize("kappa", [0.97, 1.03])
@pytest.mark.parametrize("name", GRADIENT)
def test_gradient_descent_converges_below_kappa_one_and_diverges_above(name, kappa):
    model, _, _ = quadratic()
    unit = step_stability(model, model, optim.SGD(model.parameters(), lr=1.0, **GRADIENT[name]))
    optimizer = optim.SGD(model.parameters(), lr=kappa / unit.kappa, **GRADIENT[name])
    assert step_stability(model, model, optimizer).kappa == pytest.approx(kappa)
    ratio = growth(model, optimizer)
    assert ratio <= 1e-3 if kappa < 1 else ratio >= 1e3


FROZEN = 1 - 2.0**-53  # moments that this rate averages stay what they are
FOREVER = 1e18  # steps so far: corrections of a bias are over
ADAPTIVE = {
    "adam": (optim.Adam, {"betas": (BETA, FROZEN)}, "exp_avg_sq"),
    "amsgrad": (optim.Adam, {"betas": (BETA, FROZEN), "amsgrad": True}, "max_exp_avg_sq"),
    "adamw": (optim.AdamW, {"betas": (BETA, FROZEN), "weight_decay": 0.0}, "exp_avg_sq"),
    "nadam": (optim.NAdam, {"betas": (BETA, FROZEN)}, "exp_avg_sq"),
    "adamax": (optim.Adamax, {"betas": (BETA, FROZEN)}, "exp_inf"),
    "rmsprop": (optim.RMSprop, {"alpha": FROZEN}, "square_avg"),
    "rmsprop momentum": (optim.RMSprop, {"alpha": FROZEN, "momentum": BETA}, "square_avg"),
    "rmsprop centered": (optim.RMSprop, {"alpha": FROZEN, "centered": True}, "square_avg"),
    "adagrad": (optim.Adagrad, {}, "sum"),
}


def frozen(model, name, lr):
    """The real optimizer, with second moments so large that no step moves them."""
    optimizer_class, options, moment = ADAPTIVE[name]
    optimizer = optimizer_class(model.parameters(), lr=lr, **options)
    train(model, optimizer, 1)
    scale = torch.linspace(1, 4, 6, dtype=torch.float64).split(SIZES)
    for p, part in zip(model.parameters(), scale, strict=True):
        state = optimizer.state[p]
        if "step" in state:
            state["step"].fill_(FOREVER if name != "adagrad" else 1)
        if "mu_product" in state:
            state["mu_product"].zero_()
        for value in state.values():
            if torch.is_tensor(value) and value.shape == p.shape:
                value.zero_()
        state[moment].copy_(1e40 * part**2 if moment != "exp_inf" else 1e20 * part)
    return optimizer


@pytest.mark.parametrize("kappa", [0.97, 1.03])
@pytest.mark.parametrize("name", ADAPTIVE)
def test_adaptive_optimizers_with_frozen_moments_are_stable_just_below_kappa_one(name, kappa):
    model, matrix, _ = quadratic()
    optimizer = frozen(model, name, lr=1e20)
    with torch.no_grad():
        for p, part in zip(model.parameters(), start_of().split(SIZES), strict=True):
            p.copy_(part)
    unit = step_stability(model, model, optimizer).kappa
    scale = preconditioner(optimizer, Layout(model))
    whole = torch.linalg.eigvalsh(scale[:, None] * matrix * scale).max()
    assert unit == pytest.approx(float(whole), rel=1e-9)
    for group in optimizer.param_groups:
        group["lr"] *= kappa / unit
    ratio = growth(model, optimizer)
    assert ratio <= 1e-3 if kappa < 1 else ratio >= 1e3


@pytest.mark.parametrize("name", ["adam", "adamw", "adamax", "nadam"])
def test_adaptive_kappa_counts_both_corrections_of_the_bias(name):
    """After one step every entry of P is |g| / (1 - b1): what the first step divided by, again."""
    model, matrix, _ = quadratic()
    g = matrix @ weights(model)
    optimizer = ADAPTIVE[name][0](model.parameters(), lr=0.1)
    train(model, optimizer, 1)
    state = optimizer.state[next(iter(model.parameters()))]
    beta = optimizer.param_groups[0]["betas"][0]
    first = float(state["mu_product"]) if name == "nadam" else beta
    factor = (1 - beta) * (1 + 2 * beta if name == "nadam" else 1) / (2 * (1 + beta))
    expected = (0.1 * factor / (g.abs() * (1 - first))).sqrt()
    assert torch.allclose(preconditioner(optimizer, Layout(model)), expected, rtol=1e-6)


def test_kappa_of_groups_with_their_own_rates():
    model, matrix, _ = quadratic()
    groups = [
        {"params": [model.one["a"]], "lr": 0.4},
        {"params": [model.one["b"]], "lr": 0.1, "momentum": 0.5},
    ]
    optimizer = optim.SGD(groups, lr=0.1)  # the last parameter does not move
    squared = torch.tensor([0.4 / 2] * 2 + [0.1 / 3] * 3 + [0.0], dtype=torch.float64)
    expected = torch.linalg.eigvalsh(squared.sqrt()[:, None] * matrix * squared.sqrt()).max()
    found = step_stability(model, model, optimizer)
    assert found.kappa == pytest.approx(float(expected), rel=1e-9)
    assert found.layers.rho["two"] == 0


def test_kappa_is_unknown_before_an_adaptive_optimizer_has_a_state():
    model, _, _ = quadratic()
    found = step_stability(model, model, optim.Adam(model.parameters()))
    assert np.isnan(found.kappa) and np.isfinite(found.rho)
    model, _, _ = quadratic()
    assert np.isnan(step_stability(model, model, optim.RAdam(model.parameters())).kappa)


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.01, 100), seed=st.integers(0, 1000))
def test_scaling_the_loss_scales_gradient_descent_and_leaves_adam(scale, seed):
    case = problem("mlp", seed=seed)
    scaled = lambda: scale * case.closure()  # noqa: E731
    sgd = optim.SGD(case.model.parameters(), lr=0.05)
    once, more = (step_stability(case.model, c, sgd, steps=40) for c in (case.closure, scaled))
    assert more.rho == pytest.approx(scale * once.rho, rel=1e-9)
    assert more.kappa == pytest.approx(scale * once.kappa, rel=1e-6)
    found = []
    for closure in (case.closure, scaled):
        twin = problem("mlp", seed=seed)
        factor = scale if closure is scaled else 1.0
        own = lambda twin=twin, factor=factor: factor * twin.closure()  # noqa: E731
        adam = optim.Adam(twin.model.parameters(), lr=0.01, eps=1e-30)
        for _ in range(3):
            adam.zero_grad()
            own().backward()
            adam.step()
        found.append(step_stability(twin.model, own, adam, steps=40))
    for name in ("rho", "kappa", "chi", "progress"):
        one, two = (getattr(f, name) for f in found)
        # the root chi is refined four times, and rounding can take another branch of a refinement
        assert two == pytest.approx(one, rel=1e-3 if name == "chi" else 1e-4), name


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.01, 100))
def test_scaling_a_quadratic_loss_scales_chi(scale):
    model, _, _ = quadratic()
    sgd = optim.SGD(model.parameters(), lr=0.1)
    once, more = (step_stability(model, c, sgd) for c in (model, lambda: scale * model()))
    assert more.chi == pytest.approx(scale * once.chi, rel=1e-6)


@settings(max_examples=100, deadline=None)
@given(
    curvature=st.floats(1e-4, 1e4),
    slope=st.floats(1e-3, 1e3),
    guess=st.floats(1e-5, 1e5) | st.sampled_from([-1.0, 0.0, np.inf, np.nan]),
)
def test_critical_multiple_of_a_parabola_is_exact_from_any_guess(curvature, slope, guess):
    exact = 2 * slope / curvature
    found = critical_multiple(
        lambda s: -slope * s + curvature * s * s / 2, 0.0, guess=guess, octaves=40
    )
    assert found.multiple == pytest.approx(exact, rel=1e-6)
    assert found.evaluations <= 20


@pytest.mark.parametrize("guess", [0.1, 1.0, 50.0])
def test_critical_multiple_where_the_loss_overflows(guess):
    wall = lambda s: -s if s < 3 else np.inf  # noqa: E731
    found = critical_multiple(wall, 0.0, guess=guess, refinements=12)
    assert found.multiple == pytest.approx(3, rel=0.01)
    assert critical_multiple(lambda s: np.nan, 0.0).multiple == 2.0**-24
    assert critical_multiple(lambda s: -s, 0.0).multiple == 2.0**24


def test_readings_at_their_ends():
    assert rho(0.0, 0.0) == 0 and rho(0.0, 2.0) == np.inf and rho(0.0, -2.0) == -np.inf
    assert rho(-2.0, 8.0) == rho(2.0, 8.0) == 2 and rho(1.0, -8.0) == -4
    assert relative_progress(1.0, 1.0, 0.0) == 0
    assert relative_progress(1.0, np.inf, -1.0) == np.inf
    assert np.isnan(relative_progress(1.0, np.nan, -1.0))


def test_a_loss_that_is_not_finite_is_refused():
    model, _, _ = quadratic(start=torch.full((6,), torch.inf))
    with pytest.raises(InputError, match="not finite"):
        step_stability(model, model, optim.SGD(model.parameters(), lr=0.1))


def test_gradient_noise_of_known_gradients():
    """Two micro-batches: mean (2, 0), deviations +-(1, 1); 10 rows in each."""
    found = gradient_noise(np.array([[3.0, 1.0], [1.0, -1.0]]), rows=10)
    spread = 4.0  # sum of squares 4 over m - 1 = 1
    assert found.snr == pytest.approx(4 / (spread / 2))
    assert found.scale == pytest.approx(10 * spread / (4 - spread / 2))


def test_gradient_noise_at_its_ends():
    same, none = np.ones((3, 4)), np.zeros((3, 4))
    assert gradient_noise(same, rows=2).snr == np.inf
    assert gradient_noise(none, rows=2).snr == 0.0
    assert gradient_noise(np.array([[1.0], [-1.0]]), rows=2) == (0.0, np.inf)
    with pytest.raises(InputError, match="at least two micro-batches"):
        gradient_noise(np.ones((1, 4)), rows=2)


@pytest.mark.parametrize("m", [2, 5])
def test_gradient_noise_is_unbiased(m):
    rng = np.random.default_rng(0)
    mean, sigma, rows, draws = np.array([1.0, -2.0, 0.5]), np.array([1.0, 2.0, 3.0]), 4, 20_000
    batches = mean + rng.normal(size=(draws, m, 3)) * sigma / np.sqrt(rows)
    signal = np.square(batches.mean(1)).sum(1)
    noise = signal / [gradient_noise(b, rows).snr for b in batches]
    for found, true in ((noise, (sigma**2).sum() / (m * rows)), (signal - noise, mean @ mean)):
        assert abs(found.mean() - true) <= 4 * found.std() / np.sqrt(draws)
