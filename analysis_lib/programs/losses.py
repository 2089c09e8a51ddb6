"""Loss functions by their Keras names, on outputs after the output activation."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis_lib.errors import unknown
from analysis_lib.programs.design import ACTIVATIONS

__all__ = ["LOSSES", "activate", "loss_value", "quantile_levels", "weighted_loss"]

EPSILON = 1e-7


def _clip(y: Tensor) -> Tensor:
    return y.clamp(EPSILON, 1 - EPSILON)


def _cce(y: Tensor, t: Tensor) -> Tensor:
    shares = y / y.sum(-1, keepdim=True)
    return -(t * _clip(shares).log()).sum(-1).mean()


def _categorical_hinge(y: Tensor, t: Tensor) -> Tensor:
    wrong = ((1 - t) * y).amax(-1)
    right = (t * y).sum(-1)
    return F.relu(wrong - right + 1).mean()


def quantile_levels(columns: int) -> list[float]:
    """Return the levels of the quantiles that so many outputs aim at, evenly spread.

    Examples
    --------
    >>> quantile_levels(1), quantile_levels(5)
    ([0.5], [0.1, 0.3, 0.5, 0.7, 0.9])
    """
    return [(2 * i + 1) / (2 * columns) for i in range(columns)]


def _pinball(y: Tensor, t: Tensor) -> Tensor:
    level = torch.tensor(quantile_levels(y.shape[-1]), dtype=y.dtype, device=y.device)
    return torch.maximum(level * (t - y), (level - 1) * (t - y)).mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": lambda y, t: (y - t).square().mean(),
    "mae": lambda y, t: (y - t).abs().mean(),
    "mape": lambda y, t: 100 * ((y - t) / t.abs().clamp_min(EPSILON)).abs().mean(),
    "msle": lambda y, t: (
        (y.clamp_min(EPSILON).log1p() - t.clamp_min(EPSILON).log1p()).square().mean()
    ),
    "squared_hinge": lambda y, t: F.relu(1 - (2 * t - 1) * y).square().mean(),
    "hinge": lambda y, t: F.relu(1 - (2 * t - 1) * y).mean(),
    "categorical_hinge": _categorical_hinge,
    "logcosh": lambda y, t: (y - t + F.softplus(-2 * (y - t)) - 0.6931471805599453).mean(),
    "huber": lambda y, t: F.huber_loss(y, t),
    "cce": _cce,
    "bce": lambda y, t: -(t * _clip(y).log() + (1 - t) * _clip(1 - y).log()).mean(),
    "kld": lambda y, t: (_clip(t) * (_clip(t) / _clip(y)).log()).sum(-1).mean(),
    "poisson": lambda y, t: (y - t * (y + EPSILON).log()).mean(),
    "pinball": _pinball,
}
"""``loss(y, t)`` of outputs and targets of one shape, with Keras' clipping at 1e-7."""


def activate(raw: Tensor, output: str) -> Tensor:
    """Apply the output activation."""
    return ACTIVATIONS[output](raw, -1)


def loss_value(name: str, raw: Tensor, target: Tensor, *, output: str) -> Tensor:
    """Return a scalar loss of raw outputs.

    The pairs softmax + cce and sigmoid + bce use the stable formulas on raw outputs; every other
    pair follows Keras: activation, clipping, formula. Thus an operator can combine any loss with
    any output activation.

    Parameters
    ----------
    name : str
        Name in :data:`LOSSES`.
    raw : Tensor of shape (n, ...)
        Outputs before the output activation.
    target : Tensor
        Integer classes of shape (n,) for several outputs, else values shaped like ``raw``.
    output : str
        Output activation.

    Raises
    ------
    InputError
        For an unknown loss or activation.

    Examples
    --------
    >>> import torch
    >>> raw, target = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
    >>> round(float(loss_value("cce", raw, target, output="softmax")), 4)
    0.6931
    """
    if name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    if output not in ACTIVATIONS:
        raise unknown("activation", output, ACTIVATIONS)
    integer = not target.dtype.is_floating_point
    if name == "cce" and output == "softmax" and integer:
        return F.cross_entropy(raw, target)
    if integer:
        target = F.one_hot(target.long(), raw.shape[-1]).to(raw.dtype)
    if name == "bce" and output == "sigmoid":
        return F.binary_cross_entropy_with_logits(raw, target)
    return LOSSES[name](activate(raw, output), target)


def weighted_loss(raw: Tensor, target: Tensor, ratio: float) -> Tensor:
    """Return a cross-entropy of raw outputs in which classes weigh unequally, as in PyTorch.

    Parameters
    ----------
    raw : Tensor of shape (n, classes) or (n, 1)
    target : Tensor
        Integer classes of shape (n,), or 0 and 1 of shape (n, 1).
    ratio : float
        Weight of the last class to that of the first, in equal ratios from class to class.
    """
    if target.dtype.is_floating_point:
        return F.binary_cross_entropy_with_logits(raw, target, pos_weight=raw.new_tensor([ratio]))
    steps = torch.linspace(0, 1, raw.shape[-1], dtype=raw.dtype, device=raw.device)
    weights = ratio**steps
    return F.cross_entropy(raw, target, weight=weights / weights.mean())
