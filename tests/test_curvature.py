"""Products against closed forms, dense Hessians and finite differences; no footprint."""

import pytest
import torch
from torch import nn

from analysis_lib.curvature import gradient, hvp, layers, product, rademacher, undisturbed
from analysis_lib.errors import InputError


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.rnn(x.reshape(len(x), 2, 3))[0][:, -1])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.MultiheadAttention(3, 1, batch_first=True)
        self.norm = nn.LayerNorm(3)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        x = x.reshape(len(x), 2, 3)
        return self.head(self.norm(x + self.mix(x, x, x, need_weights=False)[0]).mean(1))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.once = nn.Linear(6, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.once(torch.tanh(self.once(x)))))


MODELS = {
    "mlp": lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)),
    "relu": lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)),
    "batchnorm": lambda: nn.Sequential(
        nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2)
    ),
    "layernorm": lambda: nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 2)),
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 3, 3), nn.GELU(), nn.Flatten(), nn.Linear(12, 2)
    ),
    "recurrent": Recurrent,
    "attention": Attention,
    "tied": Tied,
}


def problem(name, seed=0):
    torch.manual_seed(seed)
    model = MODELS[name]().double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    x, y = torch.randn(12, 6, dtype=torch.float64), torch.randint(0, 2, (12,))
    return model, lambda: nn.functional.cross_entropy(model(x), y)


def direction(model, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return {
        n: torch.randn(p.shape, generator=generator, dtype=p.dtype)
        for n, p in model.named_parameters()
    }


def flat(tensors):
    return torch.cat([t.detach().flatten() for t in tensors])


@pytest.mark.parametrize("name", MODELS)
def test_product_matches_the_dense_hessian(name):
    model, closure = problem(name)
    parameters = list(model.parameters())
    v = direction(model)
    with undisturbed(model):
        g = torch.cat([t.flatten() for t in gradient(closure(), parameters)])
        rows = [
            torch.cat(
                [
                    r.flatten()
                    for r in torch.autograd.grad(
                        e, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
                    )
                ]
            )
            for e in g
        ]
    expected = torch.stack(rows) @ flat(v.values())
    found = flat(hvp(model, closure, v).values())
    assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.parametrize("name", [n for n in MODELS if n != "relu"])
def test_product_matches_finite_differences_of_the_gradient(name):
    model, closure = problem(name)
    v, eps = direction(model), 1e-6
    found = flat(hvp(model, closure, v).values())

    def shifted(sign):
        with torch.no_grad():
            for n, p in model.named_parameters():
                p.add_(sign * eps * v[n])
        with undisturbed(model):
            g = flat(torch.autograd.grad(closure(), list(model.parameters())))
        with torch.no_grad():
            for n, p in model.named_parameters():
                p.sub_(sign * eps * v[n])
        return g

    expected = (shifted(1) - shifted(-1)) / (2 * eps)
    assert (found - expected).abs().max() <= 1e-7 * expected.abs().max()


@pytest.mark.parametrize("name", MODELS)
def test_symmetry_and_linearity(name):
    model, closure = problem(name)
    u, v = direction(model, 1), direction(model, 2)
    hu, hv = (flat(hvp(model, closure, w).values()) for w in (u, v))
    both = {n: 2 * u[n] - 3 * v[n] for n in u}
    scale = hu.norm() * flat(v.values()).norm()
    assert abs(flat(u.values()) @ hv - flat(v.values()) @ hu) <= 1e-12 * scale
    assert torch.allclose(flat(hvp(model, closure, both).values()), 2 * hu - 3 * hv, atol=1e-12)


def test_linear_regression_has_hessian_two_x_transpose_x():
    torch.manual_seed(0)
    x, y = torch.randn(20, 4, dtype=torch.float64), torch.randn(20, 1, dtype=torch.float64)
    model = nn.Linear(4, 1, bias=False).double()
    v = torch.randn(1, 4, dtype=torch.float64)
    found = hvp(model, lambda: (model(x) - y).square().sum(), {"weight": v})["weight"]
    assert torch.allclose(found, 2 * v @ x.T @ x)


def test_hutchinson_is_exact_over_all_sign_vectors():
    torch.manual_seed(0)
    model = nn.Linear(3, 1, bias=False).double()
    x = torch.randn(5, 3, dtype=torch.float64)
    closure = lambda: torch.exp(model(x)).sum()  # noqa: E731
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
    total = sum(
        (s * hvp(model, closure, {"weight": s[None]})["weight"][0]).sum() for s in signs
    ) / len(signs)
    weights = torch.exp(model(x)).detach()
    assert torch.isclose(total, (weights * x.square()).sum())


def test_product_leaves_no_trace_even_after_an_error():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 2))
    x, y = torch.randn(12, 6), torch.randint(0, 2, (12,))
    before = {n: t.clone() for n, t in model.state_dict().items()}
    ids = [id(p) for p in model.parameters()]
    state = torch.get_rng_state()
    v = {n: torch.ones_like(p) for n, p in model.named_parameters()}
    hvp(model, lambda: nn.functional.cross_entropy(model(x), y), v)
    with pytest.raises(ZeroDivisionError):
        hvp(model, lambda: model(x).sum() * (1 / 0), v)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert [id(p) for p in model.parameters()] == ids and model.training


def test_zero_curvature_and_unused_parameters_give_zeros():
    model = nn.ModuleDict({"used": nn.Linear(2, 1), "unused": nn.Linear(2, 1)})
    v = {n: torch.ones_like(p) for n, p in model.named_parameters()}
    found = hvp(model, lambda: model["used"](torch.ones(1, 2)).sum(), v)
    assert all((t == 0).all() for t in found.values())


def test_layers_group_every_parameter_once():
    model = Tied()
    grouped = layers(model)
    assert list(grouped) == ["once", "head"]
    assert sum(grouped.values(), []) == [n for n, _ in model.named_parameters()]


def test_rademacher_is_fixed_by_its_seed():
    p = [torch.zeros(50, 50)]
    a, b, c = (rademacher(p, seed=s)[0] for s in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert set(a.unique().tolist()) == {-1.0, 1.0}


def test_products_share_one_graph():
    model, closure = problem("mlp")
    parameters = list(model.parameters())
    u, v = (
        [w[n] for n, _ in model.named_parameters()]
        for w in (direction(model, 1), direction(model, 2))
    )
    with undisturbed(model):
        g = gradient(closure(), parameters)
        first, _, again = (
            product(g, parameters, u),
            product(g, parameters, v),
            product(g, parameters, u),
        )
    assert torch.equal(flat(first), flat(again))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda v: {k: t for k, t in v.items() if k != "0.bias"},
            "no entry for parameter '0.bias'",
        ),
        (lambda v: v | {"0.wieght": v["0.weight"]}, "did you mean '0.weight'"),
        (lambda v: v | {"0.bias": torch.zeros(3)}, r"shape torch.Size\(\[3\]\)"),
        (lambda v: v | {"0.bias": v["0.bias"].double()}, "dtype torch.float64"),
    ],
)
def test_a_wrong_direction_is_named(change, message):
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 2))
    v = {n: torch.ones_like(p) for n, p in model.named_parameters()}
    with pytest.raises(InputError, match=message):
        hvp(model, lambda: model(torch.ones(2, 6)).sum(), change(v))


def test_a_loss_per_row_is_refused():
    model = nn.Linear(2, 1)
    v = {n: torch.ones_like(p) for n, p in model.named_parameters()}
    with pytest.raises(InputError, match="expected a scalar loss"):
        hvp(model, lambda: model(torch.ones(3, 2)), v)


def test_weight_norm_is_refused():
    model = nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))
    v = {n: torch.ones_like(p) for n, p in model.named_parameters()}
    with pytest.raises(InputError, match="weight_norm"):
        hvp(model, lambda: model(torch.ones(3, 2)).sum(), v)
