"""Small nets of every kind of layer, off their kinks, with a loss; and slow, plain references."""

import warnings
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS = 12


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn = kind(3, 4, batch_first=True)
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


class FusedAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(3, 4) for _ in range(3))
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = x.reshape(len(x), 1, 2, 3)
        mixed = F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))
        return self.head(mixed.mean((1, 2)))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.once = nn.Linear(6, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.once(torch.tanh(self.once(x)))))


class Words(nn.Module):
    """Integers in, through an embedding or a bag of them."""

    def __init__(self, table, *, bag=False, weighted=False):
        super().__init__()
        self.table, self.bag, self.weighted = table, bag, weighted
        self.head = nn.Linear(table.embedding_dim, 2)

    def forward(self, x):
        ids = (x.abs() * 4).long() % self.table.num_embeddings
        if self.bag:
            share = x.abs() if self.weighted else None
            return self.head(torch.tanh(self.table(ids, per_sample_weights=share)))
        return self.head(torch.tanh(self.table(ids)).mean(1))


class Graph(nn.Module):
    """Two rounds of averaging over neighbours; the rows of the batch are the nodes."""

    def __init__(self, *, sparse):
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 2)
        near = torch.rand(ROWS, ROWS, generator=torch.Generator().manual_seed(0)) < 0.3
        near = (near | near.T | torch.eye(ROWS, dtype=bool)).double()
        near = near / near.sum(1, keepdim=True)
        self.register_buffer("adjacency", near.to_sparse_coo() if sparse else near)

    def forward(self, x):
        hidden = torch.tanh(torch.sparse.mm(self.adjacency, self.first(x)))
        return torch.sparse.mm(self.adjacency, self.second(hidden))


class Radial(nn.Module):
    def __init__(self):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(5, 6))
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(torch.exp(-torch.cdist(x, self.centres) / 3))


def _old_weight_norm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        first = nn.utils.weight_norm(nn.Linear(6, 5))
        return nn.Sequential(first, nn.Tanh(), nn.utils.weight_norm(nn.Linear(5, 2), dim=None))


def _new_weight_norm():
    norm = nn.utils.parametrizations.weight_norm
    return nn.Sequential(norm(nn.Linear(6, 5)), nn.Tanh(), norm(nn.Linear(5, 2), dim=1))


def _conv(norm=None, act=nn.Tanh):
    middle = [norm] if norm else []
    return nn.Sequential(
        *(nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 2, padding=1), *middle, act()),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2)),
    )


def _dense(*middle):
    return nn.Sequential(nn.Linear(6, 5), *middle, nn.Linear(5, 2))


NETS = {
    "mlp": lambda: _dense(nn.Tanh()),
    "relu": lambda: _dense(nn.ReLU()),
    "convolution": lambda: _conv(act=nn.ReLU),
    "batchnorm": lambda: _dense(nn.BatchNorm1d(5), nn.Tanh()),
    "batchnorm-eval": lambda: _dense(nn.BatchNorm1d(5), nn.Tanh()).eval(),
    "layernorm": lambda: _dense(nn.LayerNorm(5)),
    "instancenorm": lambda: _conv(nn.InstanceNorm2d(4, affine=True)),
    "groupnorm": lambda: _conv(nn.GroupNorm(2, 4)),
    "gru": lambda: Recurrent(nn.GRU),
    "lstm": lambda: Recurrent(nn.LSTM),
    "attention": Attention,
    "fused-attention": FusedAttention,
    "tied": Tied,
    "embedding": lambda: Words(nn.Embedding(5, 3, padding_idx=0)),
    "sparse-embedding": lambda: Words(nn.Embedding(5, 3, sparse=True)),
    "bag-mean": lambda: Words(nn.EmbeddingBag(5, 3, padding_idx=1), bag=True),
    "bag-sum": lambda: Words(nn.EmbeddingBag(5, 3, mode="sum"), bag=True, weighted=True),
    "graph": lambda: Graph(sparse=False),
    "graph-sparse": lambda: Graph(sparse=True),
    "weight-norm": _old_weight_norm,
    "weight-norm-new": _new_weight_norm,
    "cdist": Radial,
    "hardsigmoid": lambda: _dense(nn.Hardsigmoid()),
    "mish": lambda: _dense(nn.Mish()),
}
"""Every net maps a batch of shape (12, 6) to (12, 2)."""

LOSSES = {
    "cross_entropy": lambda out, y, how: F.cross_entropy(out, y[:, 0].long(), reduction=how),
    "mse": lambda out, y, how: F.mse_loss(out, y, reduction=how),
    "bce": lambda out, y, how: F.binary_cross_entropy_with_logits(out, y, reduction=how),
}


class Problem(NamedTuple):
    model: nn.Module
    x: Tensor
    y: Tensor
    kind: str
    reduction: str

    def closure(self):
        return LOSSES[self.kind](self.model(self.x), self.y, self.reduction)

    def part(self, rows):
        return self._replace(x=self.x[rows], y=self.y[rows])


def problem(name, *, loss="cross_entropy", reduction="mean", dtype=torch.float64, seed=0):
    """A net of :data:`NETS` with all parameters moved off their initial values."""
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    model = NETS[name]().double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    x = torch.randn(ROWS, 6, dtype=torch.float64)
    y = torch.randint(0, 2, (ROWS, 2)).double()
    torch.set_rng_state(state)
    return Problem(model.to(dtype), x.to(dtype), y.to(dtype), loss, reduction)


def direction(model, seed=1):
    generator = torch.Generator().manual_seed(seed)
    drawn = {
        n: torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype)
        for n, p in model.named_parameters()
    }
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            drawn[f"{name}.weight"][module.padding_idx] = 0  # torch calls this row a constant
    return drawn


def flat(tensors):
    values = tensors.values() if isinstance(tensors, dict) else tensors
    return torch.cat([t.detach().flatten() for t in values])


def dense_hessian(loss, parameters):
    """The Hessian row by row: one entry of the gradient after the other."""
    options = {"allow_unused": True, "materialize_grads": True}
    gradient = torch.autograd.grad(loss, parameters, create_graph=True, **options)
    rows = []
    for entry in (e for g in gradient for e in g.flatten()):
        if entry.requires_grad:
            row = torch.autograd.grad(entry, parameters, retain_graph=True, **options)
        else:
            row = [torch.zeros_like(p) for p in parameters]
        rows.append(flat(row))
    return torch.stack(rows)


def central_difference(model, closure, v, eps=1e-6):
    """Hv from two gradients, taken with torch's own operations and put back bit for bit."""
    parameters = dict(model.named_parameters())
    before = {n: p.detach().clone() for n, p in parameters.items()}
    buffers = [(b, b.detach().clone()) for b in model.buffers()]

    def gradient(sign):
        with torch.no_grad():
            for n, p in parameters.items():
                p.copy_(before[n] + sign * eps * v[n])
        found = torch.autograd.grad(closure(), list(parameters.values()))
        return flat([g.to_dense() for g in found])

    difference = (gradient(1) - gradient(-1)) / (2 * eps)
    with torch.no_grad():
        for n, p in parameters.items():
            p.copy_(before[n])
    for buffer, kept in buffers:
        buffer.data.copy_(kept)
    return difference


def relative_error(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())
