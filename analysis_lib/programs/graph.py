"""Programs on graphs."""

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []


def _digits_knn() -> Data:
    a = sources.digits()
    nodes, _ = (rows[:900] for rows in sources.split(len(a["y"])))
    x, y = a["x"][nodes], a["y"][nodes]
    square = (x**2).sum(1)
    distance = square[:, None] + square - 2 * x @ x.T
    np.fill_diagonal(distance, -1)
    near = np.argsort(distance, axis=1, kind="stable")[:, :6]
    target = np.repeat(np.arange(900), near.shape[1])
    edges = np.stack([near.ravel(), target])
    edges = np.unique(np.concatenate([edges, edges[::-1]], axis=1), axis=1)
    train = np.arange(120)
    valid = np.arange(120, 900)
    features = sources.standardize(x, np.arange(900), axis=None)
    return Data((train, y[train]), (valid, y[valid]), {"features": features, "edges": edges})


class _Attention(nn.Module):
    """Weighted means over neighbours; the weights are a softmax over each node's edges."""

    def __init__(self, d: Design, name: str, n_in: int, units: int):
        super().__init__()
        self.project = d.dense(name, n_in, units)
        self.width = self.project.width
        self.source = d.dense(f"{name}_source", self.width, 1, bias=False, fixed=True)
        self.target = d.dense(f"{name}_target", self.width, 1, bias=False, fixed=True)
        self.score = d.activation(f"{name}_score", "leaky_relu")

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        source, target = edges
        h = self.project(x)
        score = self.score(self.source(h)[source] + self.target(h)[target])
        weight = torch.exp(score - score.detach().amax())
        total = torch.zeros_like(h[:, :1]).index_add(0, target, weight)
        mean = torch.zeros_like(h).index_add(0, target, weight * h[source])
        return mean / total.clamp_min(1e-12)


class _Gat(nn.Module):
    """Two layers of graph attention and a linear head; sees the whole graph at every step."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        self.register_buffer("features", torch.tensor(data.extra["features"]))
        self.register_buffer("edges", torch.tensor(data.extra["edges"]))
        self.attend1 = _Attention(d, "attend1", self.features.shape[1], 32)
        self.act1, self.drop1 = d.activation("act1", "elu"), d.dropout("drop1", 0.1)
        self.attend2 = _Attention(d, "attend2", self.attend1.width, 24)
        self.act2 = d.activation("act2", "elu")
        self.head = d.dense("head", self.attend2.width, 10, fixed=True)

    def forward(self, nodes: Tensor) -> Tensor:
        h = self.drop1(self.act1(self.attend1(self.features, self.edges)))
        return self.head(self.act2(self.attend2(h, self.edges))[nodes])


register(
    Program(
        name="gat_digits_knn",
        modality="graph",
        family="graph_attention",
        source="scikit-learn: digits",
        task="classification",
        data=_digits_knn,
        build=_Gat,
        setup=Setup(loss="cce", output="softmax", optimizer="adam", lr=0.005, batch_size=60),
        metric="accuracy",
        reaches=0.9,
        passes=8,
        probe_rows=16,
        description="graph attention on neighbouring digits, of which 120 are labelled",
    )
)


def _lit_digits() -> Data:
    a = sources.digits()
    train, valid = sources.split(len(a["y"]))
    train, valid = train[:1000], valid[:400]
    x = sources.standardize(a["x"], train, axis=None)
    lit, y = (a["x"] > 4).astype(np.int64), a["y"]
    return Data((x[train], lit[train], y[train]), (x[valid], lit[valid], y[valid]))


class _Gin(nn.Module):
    """Lit pixels are nodes, joined to lit neighbours; a layer is a chain on own value plus sum."""

    def __init__(self, d: Design, data: Data, side: int = 8):
        super().__init__()
        row, column = torch.cartesian_prod(torch.arange(side), torch.arange(side)).unbind(1)
        apart = torch.maximum((row[:, None] - row).abs(), (column[:, None] - column).abs())
        self.register_buffer("near", (apart <= 1).float())
        lines = torch.eye(side)
        self.register_buffer("place", torch.cat([lines[row], lines[column]], dim=1))
        self.chains, width, total = nn.ModuleList(), 1 + 2 * side, 0
        for i in (1, 2):
            inner = d.dense(f"inner{i}", width, 24, bias=False, init="he_uniform")
            norm, act = d.norm(f"norm{i}", "batch1d", inner.width), d.activation(f"act{i}", "relu")
            outer = d.dense(f"outer{i}", inner.width, 24, init="he_uniform")
            self.chains.append(
                nn.Sequential(inner, norm, act, outer, d.activation(f"act{i}_outer", "relu"))
            )
            width = outer.width
            total += width
        self.readout = d.norm("readout", "layer", total)
        self.drop = d.dropout("drop", 0.1)
        self.head = d.dense("head", total, 10, fixed=True)

    def forward(self, x: Tensor, lit: Tensor) -> Tensor:
        nodes = lit.flatten().nonzero().squeeze(1)
        place = self.place.expand(len(x), -1, -1)
        h = torch.cat([x[:, :, None], place], dim=2).flatten(0, 1)[nodes]
        graph, sums = nodes // x.shape[1], []
        for chain in self.chains:
            spread = h.new_zeros(x.numel(), h.shape[1]).index_copy(0, nodes, h)
            near = self.near @ spread.view(*x.shape, -1)
            h = chain(near.flatten(0, 1)[nodes])
            sums.append(h.new_zeros(len(x), h.shape[1]).index_add(0, graph, h))
        return self.head(self.drop(self.readout(torch.cat(sums, dim=1))))


register(
    Program(
        name="gin_digits",
        modality="graph",
        family="graph_isomorphism",
        source="scikit-learn: digits",
        task="classification",
        data=_lit_digits,
        build=_Gin,
        setup=Setup(
            loss="cce",
            output="softmax",
            optimizer="sgd",
            lr=0.01,
            batch_size=40,
            options={"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
        ),
        metric="accuracy",
        reaches=0.8,
        probe_rows=16,
        description="isomorphism network with sum pooling: a digit from the graph of lit pixels",
    )
)
