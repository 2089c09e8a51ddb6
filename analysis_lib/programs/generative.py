"""Programs that learn to generate."""

import torch
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design
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


def _diffuse(batch: tuple[Tensor, ...], generator: torch.Generator, steps: int = 50):
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
