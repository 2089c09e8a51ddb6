"""Statistics of layers and activations, gathered by forward hooks during one pass."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from analysis_lib.programs.design import Activation

__all__ = ["activation_channels", "is_activation", "watch_activation", "watch_layer"]

RECTIFIERS = {"relu", "relu6"}
SATURATING = {"sigmoid", "tanh", "hard_sigmoid", "softsign", "hardsigmoid", "hardtanh"}


def _kind(module: nn.Module) -> str:
    return module.kind if isinstance(module, Activation) else type(module).__name__.lower()


def is_activation(module: nn.Module) -> bool:
    """Whether a module is an activation of ours or one built into torch."""
    builtin = type(module).__module__ == "torch.nn.modules.activation"
    return isinstance(module, Activation) or (builtin and not list(module.children()))


def watch_layer(seen: list[tuple]) -> Callable:
    """Return a forward hook that notes mean and standard deviation of the output."""

    def hook(module, inputs, output) -> None:
        out = (output[0] if isinstance(output, tuple) else output).detach()
        seen.append((float(out.mean()), float(out.std(correction=0))))

    return hook


def watch_activation(seen: list[tuple], module: nn.Module) -> Callable:
    """Return a forward hook for an activation.

    It notes mean and standard deviation of the output, the share of outputs <= 0 (rectifiers),
    the share of inputs beyond +-5 (squashing functions), and outputs that are not finite.
    """
    kind = _kind(module)

    def hook(module, inputs, output) -> None:
        out, before = output.detach(), inputs[0].detach()
        dead = float((out <= 0).float().mean()) if kind in RECTIFIERS else 0.0
        beyond = float((before.abs() > 5).float().mean()) if kind in SATURATING else 0.0
        bad = int((~torch.isfinite(out)).sum())
        seen.append((float(out.mean()), float(out.std(correction=0)), dead, beyond, bad))

    return hook


def activation_channels(seen: list[tuple]) -> dict[str, float]:
    """Return the ``act_*`` channels of all activations that were watched."""
    mean, std, dead, beyond, bad = np.array(seen or [(0.0,) * 5]).T
    return {
        "act_mean": mean.mean(),
        "act_std": std.mean(),
        "act_dead_share": dead.mean(),
        "act_dead_share_max": dead.max(),
        "act_saturated_share": beyond.mean(),
        "act_saturated_share_max": beyond.max(),
        "act_nonfinite": bad.sum(),
    }
