"""Statistics of layers and activations, gathered during one forward pass."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from analysis_lib.programs.design import Activation

__all__ = ["ForwardWatch", "Seen", "is_activation"]

RECTIFIERS = {"relu", "relu6"}
SQUASHERS = {"sigmoid", "tanh", "hard_sigmoid", "softsign", "hardsigmoid", "hardtanh"}
SATURATED = 5.0
"""Magnitude of an input beyond which a squashing function is flat (DeepDiagnosis)."""

FUNCTIONS = {
    function: function.__name__.strip("_")
    for function in (
        *(F.relu, F.relu6, F.elu, F.selu, F.gelu, F.silu, F.mish, F.leaky_relu, F.softplus),
        *(F.softsign, F.hardtanh, F.hardsigmoid, F.hardswish),
        *(torch.relu, torch.relu_, torch.sigmoid, torch.tanh),
        *(Tensor.relu, Tensor.relu_, Tensor.sigmoid, Tensor.tanh),
    )
}
"""Activations that models call as functions."""


class Seen(NamedTuple):
    """One activation during the pass; shares are NaN where they have no meaning."""

    layer: str | None
    mean: float
    std: float
    dead: float
    saturated: float
    nonfinite: float


def is_activation(module: nn.Module) -> bool:
    """Whether a module is an activation of ours or one built into torch."""
    builtin = type(module).__module__ == "torch.nn.modules.activation"
    return isinstance(module, Activation) or (builtin and not list(module.children()))


def _kind(module: nn.Module) -> str:
    return module.kind if isinstance(module, Activation) else type(module).__name__.lower()


class _Functional(TorchFunctionMode):
    def __init__(self, watch: "ForwardWatch"):
        super().__init__()
        self.watch = watch

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kind = FUNCTIONS.get(func)
        if kind is None or self.watch.inside or not args:
            return func(*args, **(kwargs or {}))
        before = self.watch.before(kind, args[0])
        out = func(*args, **(kwargs or {}))
        self.watch.note(kind, before, out)
        return out


class ForwardWatch(AbstractContextManager):
    """Watch layers and activations while it is entered.

    Activations are found as modules (ours and torch's) and as functions (``F.relu``,
    ``torch.tanh``, ...); each belongs to the last parametrised layer that ran before it.

    Parameters
    ----------
    model : torch.nn.Module
    layers : mapping of str to Module
        Layers to watch, by name.

    Attributes
    ----------
    outputs : dict of str to list of (mean, std)
        Of every output of a layer.
    order : list of str
        Layers in the order in which they first ran.
    activations : list of Seen

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    >>> with ForwardWatch(model, {"0": model[0]}) as watch:
    ...     _ = model(torch.zeros(4, 2))
    >>> watch.activations[0].layer
    '0'
    """

    def __init__(self, model: nn.Module, layers: Mapping[str, nn.Module]):
        self.model, self.layers = model, layers
        self.outputs: dict[str, list[tuple[float, float]]] = {name: [] for name in layers}
        self.order: list[str] = []
        self.activations: list[Seen] = []
        self.inside = 0
        self._latest: str | None = None

    def __enter__(self) -> "ForwardWatch":
        self._handles = []
        for name, module in self.layers.items():
            self._handles.append(module.register_forward_hook(self._layer_hook(name)))
        for module in self.model.modules():
            if is_activation(module):
                self._handles += self._activation_hooks(_kind(module), module)
        self._mode = _Functional(self)
        self._mode.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._mode.__exit__(*error)
        for handle in self._handles:
            handle.remove()

    def _layer_hook(self, name: str) -> Callable:
        def hook(module: nn.Module, inputs: tuple, output: Any) -> None:
            out = output[0] if isinstance(output, tuple) and output else output
            if torch.is_tensor(out) and out.is_floating_point() and out.numel():
                std, mean = torch.std_mean(out.detach(), correction=0)
                self.outputs[name].append((float(mean), float(std)))
            self._latest = name
            if name not in self.order:
                self.order.append(name)

        return hook

    def _activation_hooks(self, kind: str, module: nn.Module) -> list:
        saved = []

        def enter(module: nn.Module, inputs: tuple) -> None:
            self.inside += 1
            saved.append(self.before(kind, inputs[0]))

        def leave(module: nn.Module, inputs: tuple, output: Any) -> None:
            self.inside -= 1
            self.note(kind, saved.pop(), output)

        return [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]

    def before(self, kind: str, x: Tensor) -> float:
        """Share of the inputs on which a squashing function is flat."""
        if kind not in SQUASHERS:
            return np.nan
        return float((x.detach().abs() > SATURATED).float().mean())

    def note(self, kind: str, saturated: float, output: Tensor) -> None:
        """Add one activation."""
        out = output.detach()
        if not out.numel():
            return
        std, mean = torch.std_mean(out, correction=0)
        dead = float((out <= 0).float().mean()) if kind in RECTIFIERS else np.nan
        bad = 0.0 if torch.isfinite(mean) else float((~torch.isfinite(out)).sum())
        self.activations.append(Seen(self._latest, float(mean), float(std), dead, saturated, bad))

    def layer_shares(self, name: str) -> tuple[float, float]:
        """Mean dead and mean saturated share of the activations behind a layer; NaN if none."""
        own = [a for a in self.activations if a.layer == name]
        return _mean([a.dead for a in own]), _mean([a.saturated for a in own])

    def channels(self) -> dict[str, float]:
        """The ``act_*`` channels."""
        seen = self.activations
        return {
            "act_mean": _mean([a.mean for a in seen]),
            "act_std": _mean([a.std for a in seen]),
            "act_dead_share": _mean([a.dead for a in seen]),
            "act_dead_share_max": max((a.dead for a in seen if a.dead == a.dead), default=np.nan),
            "act_saturated_share": _mean([a.saturated for a in seen]),
            "act_saturated_share_max": max(
                (a.saturated for a in seen if a.saturated == a.saturated), default=np.nan
            ),
            "act_nonfinite": sum(a.nonfinite for a in seen),
        }


def _mean(values: list[float]) -> float:
    """Mean of the values that exist, NaN if none does; a NaN mean of an output stays NaN."""
    exist = [v for v in values if v == v]
    return float(np.mean(exist)) if exist else np.nan
