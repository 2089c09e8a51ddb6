"""Optimizers by name, with Keras' settings and default learning rates."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from analysis_lib.errors import unknown

if TYPE_CHECKING:
    from analysis_lib.programs.program import Setup

__all__ = ["OPTIMIZERS", "make_optimizer"]


class _Entry(NamedTuple):
    make: type[torch.optim.Optimizer]
    settings: Mapping[str, float]
    default_lr: float


OPTIMIZERS: dict[str, _Entry] = {
    "sgd": _Entry(torch.optim.SGD, {}, 0.01),
    "rmsprop": _Entry(torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-7}, 0.001),
    "adadelta": _Entry(torch.optim.Adadelta, {"rho": 0.95, "eps": 1e-7}, 0.001),
    "adagrad": _Entry(torch.optim.Adagrad, {"initial_accumulator_value": 0.1, "eps": 1e-7}, 0.01),
    "adam": _Entry(torch.optim.Adam, {"eps": 1e-7}, 0.001),
    "adamw": _Entry(torch.optim.AdamW, {"eps": 1e-7}, 0.001),
    "adamax": _Entry(torch.optim.Adamax, {"eps": 1e-7}, 0.002),
    "nadam": _Entry(torch.optim.NAdam, {"eps": 1e-7}, 0.002),
}
"""Name to class, settings and the default learning rate (the values DeepCrime's OCH uses)."""


def make_optimizer(model: nn.Module, setup: "Setup") -> torch.optim.Optimizer:
    """Return the optimizer of a setup, without the parameters of ``setup.left_out``.

    Raises
    ------
    InputError
        For an unknown optimizer.
    """
    if setup.optimizer not in OPTIMIZERS:
        raise unknown("optimizer", setup.optimizer, OPTIMIZERS)
    entry = OPTIMIZERS[setup.optimizer]
    forgotten = {
        id(p)
        for module in model.modules()
        if getattr(module, "slot", None) in setup.left_out
        for p in module.parameters()
    }
    given = [p for p in model.parameters() if id(p) not in forgotten]
    return entry.make(given, lr=setup.lr, **{**entry.settings, **setup.options})
