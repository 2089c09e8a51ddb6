"""Initial values of parameters by name, drawn from one generator per parameter."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["INITIALIZERS", "initialize"]


def _variance_scaling(scale: float, mode: str, shape: str) -> Callable:
    def fill(weight: Tensor, generator: torch.Generator) -> Tensor:
        fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(weight)
        fan = {"in": fan_in, "average": (fan_in + fan_out) / 2}[mode]
        variance = scale / max(fan, 1)
        if shape == "uniform":
            limit = math.sqrt(3 * variance)
            return weight.uniform_(-limit, limit, generator=generator)
        deviation = math.sqrt(variance) / 0.87962566103423978
        return nn.init.trunc_normal_(
            weight, 0, deviation, -2 * deviation, 2 * deviation, generator=generator
        )

    return fill


INITIALIZERS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "zeros": lambda w, g: w.zero_(),
    "ones": lambda w, g: w.fill_(1.0),
    "constant": lambda w, g: w.fill_(0.5),
    "random_normal": lambda w, g: w.normal_(0, 0.05, generator=g),
    "random_uniform": lambda w, g: w.uniform_(-0.05, 0.05, generator=g),
    "truncated_normal": lambda w, g: nn.init.trunc_normal_(w, 0, 0.05, -0.1, 0.1, generator=g),
    "orthogonal": lambda w, g: nn.init.orthogonal_(w, generator=g),
    "glorot_uniform": _variance_scaling(1.0, "average", "uniform"),
    "glorot_normal": _variance_scaling(1.0, "average", "normal"),
    "he_uniform": _variance_scaling(2.0, "in", "uniform"),
    "he_normal": _variance_scaling(2.0, "in", "normal"),
    "lecun_uniform": _variance_scaling(1.0, "in", "uniform"),
    "lecun_normal": _variance_scaling(1.0, "in", "normal"),
    "wide_normal": lambda w, g: w.normal_(0, 1.0, generator=g),
    "small_normal": lambda w, g: w.normal_(0, 0.1, generator=g),
}
"""Initial values by their Keras names, with Keras' distributions; ``constant`` is 0.5 so that it
differs from ``zeros``; ``wide_normal`` is N(0, 1), PyTorch's embedding default."""


def _generator(seed: int, name: str) -> torch.Generator:
    mixed = seed
    for byte in name.encode():
        mixed = (mixed * 1_000_003 ^ byte) & 0x7FFF_FFFF_FFFF_FFFF
    return torch.Generator().manual_seed(mixed)


@torch.no_grad()
def initialize(model: nn.Module, seed: int) -> None:
    """Draw every parameter anew, each from its own generator.

    The generator of a parameter is keyed by the seed and the slot's name, so editing one slot
    leaves the initial values of all others as they were: a faulty model and its healthy twin
    start from the same point wherever their shapes agree. Biases are zero (one for the forget
    gates of an LSTM), recurrent matrices orthogonal, normalisation layers keep ones and zeros;
    parameters outside slots are drawn from N(0, 0.02^2).

    Parameters
    ----------
    model : torch.nn.Module
    seed : int
        Seed of the run's stream ``weights``.
    """
    norms = nn.modules.batchnorm._BatchNorm | nn.LayerNorm | nn.GroupNorm
    for path, module in model.named_modules():
        for leaf, parameter in module.named_parameters(recurse=False):
            if isinstance(module, norms):
                continue
            name = getattr(module, "slot", path)
            generator = _generator(seed, f"{name}.{leaf}")
            if not hasattr(module, "init"):
                parameter.normal_(0, 0.02, generator=generator)
            elif leaf.startswith("bias"):
                parameter.zero_()
                if isinstance(module, nn.LSTM) and leaf.startswith("bias_ih"):
                    parameter[module.hidden_size : 2 * module.hidden_size] = 1.0
            elif leaf.startswith("weight_hh") and module.init == "glorot_uniform":
                INITIALIZERS["orthogonal"](parameter, generator)
            else:
                INITIALIZERS[module.init](parameter, generator)
