"""Scale-free curves: one dimensionless number per snapshot, computed from channels.

A curve is a share, a ratio of two channels of the same unit, or a channel over its value at
``init``. Ratios are in decades (log10), so a loss in other units, a wider layer or more classes
shift a curve little or not at all. Two sizes, of weights and of activations, are kept as they are:
what is wrong before the first step cannot be seen in a ratio to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

__all__ = ["CHANNELS", "CURVES", "GROUPS", "Curve"]


@dataclass(frozen=True)
class Curve:
    """A dimensionless number per snapshot.

    Parameters
    ----------
    name, group : str
        A group is what a tool records together: see :data:`analysis_lib.channels.GROUPS`.
    channels : tuple of str
        Channels that it reads; the curve is missing where one of them is. Only the loss before
        training can be taken from the probe batch or from the first epoch.
    compute : callable
        From the channels, arrays of shape (n_runs, n_snapshots), to the curve.
    title : str
        What it says, with its unit.
    at_init : bool
        Whether it exists before the first step.
    """

    name: str
    group: str
    channels: tuple[str, ...]
    compute: Callable[..., np.ndarray]
    title: str
    at_init: bool = True


def _log(x: np.ndarray) -> np.ndarray:
    return np.log10(np.maximum(np.abs(x), 1e-30))


def _over(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where((x == 0) & (y == 0), 0.0, _log(x) - _log(y))


def _first(x: np.ndarray) -> np.ndarray:
    """The first finite value of every run, as a column."""
    at = np.isfinite(x).argmax(axis=1)
    return x[np.arange(len(x)), at][:, None]


def _growth(x: np.ndarray) -> np.ndarray:
    return _over(x, _first(x))


def _signed(x: np.ndarray) -> np.ndarray:
    """Linear near 0, decades beyond 1: asinh(x) / ln 10."""
    return np.arcsinh(x) / np.log(10)


def _same(x: np.ndarray) -> np.ndarray:
    return x


def _train_fall(train: np.ndarray, probe: np.ndarray) -> np.ndarray:
    start = np.where(np.isfinite(train[:, :1]), train[:, :1], _first(probe))
    return _over(train, np.where(np.isfinite(start), start, _first(train)))


_G, _S = "grad_tensor", "step_grad_norm"
_LIST = (
    Curve(
        "train loss",
        "metrics",
        ("train_loss", "probe_loss"),
        _train_fall,
        "train loss over its value before training",
        at_init=False,
    ),
    Curve("valid loss", "metrics", ("valid_loss",), _growth, "validation loss over its start"),
    Curve("probe loss", "gradient", ("probe_loss",), _growth, "probe loss over its start"),
    Curve("valid / train loss", "metrics", ("valid_loss", "train_loss"), _over, "their ratio"),
    Curve("probe / train loss", "metrics", ("probe_loss", "train_loss"), _over, "their ratio"),
    Curve("train accuracy", "metrics", ("train_accuracy",), _same, "share of training rows right"),
    Curve(
        "accuracy gap",
        "metrics",
        ("train_accuracy", "valid_accuracy"),
        np.subtract,
        "train minus validation accuracy",
    ),
    Curve("gradient", "gradient", ("grad_norm",), _growth, "gradient norm over its start"),
    Curve(
        "gradient x weight / loss",
        "gradient",
        ("grad_norm", "weight_norm", "probe_loss"),
        lambda g, w, loss: _over(g * w, loss),
        "relative change of the loss per relative change of the weights",
    ),
    Curve(
        "first / last gradient",
        "gradient",
        ("grad_norm_first", "grad_norm_last"),
        _over,
        "gradient norm of the first over that of the last weights",
    ),
    Curve(
        "largest / median gradient",
        "gradient",
        (f"{_G}_max", f"{_G}_median"),
        _over,
        "gradient norms of the parameter tensors",
    ),
    Curve(
        "smallest / median gradient",
        "gradient",
        (f"{_G}_min", f"{_G}_median"),
        _over,
        "gradient norms of the parameter tensors",
    ),
    Curve(
        "gradient spread over tensors",
        "gradient",
        (f"{_G}_std", f"{_G}_mean"),
        _over,
        "standard deviation over mean of the tensors' gradient norms",
    ),
    Curve(
        "gradient peak",
        "gradient",
        ("grad_abs_max", "grad_abs_mean"),
        _over,
        "largest over mean absolute entry",
    ),
    Curve(
        "gradient tail",
        "gradient",
        ("grad_std", "grad_abs_mean"),
        _over,
        "standard deviation over mean absolute entry",
    ),
    Curve(
        "gradient bias",
        "gradient",
        ("grad_mean", "grad_std"),
        lambda m, s: np.divide(m, s, out=np.zeros_like(m), where=s != 0),
        "mean over standard deviation of the entries",
    ),
    Curve("zero gradients", "gradient", ("grad_zero_share",), _same, "share of entries exactly 0"),
    Curve(
        "step gradient spread",
        "optimizer",
        (f"{_S}_std", f"{_S}_mean"),
        _over,
        "standard deviation over mean of the norm from step to step",
        at_init=False,
    ),
    Curve(
        "step gradient peak",
        "optimizer",
        (f"{_S}_max", f"{_S}_mean"),
        _over,
        "largest over mean norm of the steps",
        at_init=False,
    ),
    Curve(
        "step / probe gradient",
        "optimizer",
        (f"{_S}_mean", "grad_norm"),
        _over,
        "mean norm of the steps over the norm on the probe batch",
        at_init=False,
    ),
    Curve(
        "gradient noise",
        "optimizer",
        ("grad_noise",),
        _log,
        "variance over squared mean of the step gradients",
        at_init=False,
    ),
    Curve("clipped steps", "optimizer", ("clip_share",), _same, "share of them", at_init=False),
    Curve(
        "update / weight",
        "optimizer",
        ("update_ratio",),
        _log,
        "norm of an update over the norm of the weights",
        at_init=False,
    ),
    Curve(
        "change per epoch",
        "optimizer",
        ("epoch_change",),
        _log,
        "norm of the weight change over the norm of the weights",
        at_init=False,
    ),
    Curve(
        "directness",
        "optimizer",
        ("epoch_change", "update_ratio"),
        _over,
        "weight change per epoch over one update",
        at_init=False,
    ),
    Curve(
        "update x gradient / loss",
        "optimizer",
        ("update_norm", f"{_S}_mean", "probe_loss"),
        lambda d, g, loss: _over(d * g, loss),
        "what a step could take off the loss, relative to it",
        at_init=False,
    ),
    Curve(
        "momentum / gradient",
        "optimizer",
        ("first_moment_norm", f"{_S}_mean"),
        _over,
        "norm of the optimizer's first moment over the steps' gradient norm",
        at_init=False,
    ),
    Curve(
        "second moment / gradient",
        "optimizer",
        ("second_moment_norm", f"{_S}_mean"),
        lambda v, g: _over(v, g * g),
        "norm of the optimizer's second moment over the squared gradient norm",
        at_init=False,
    ),
    Curve("weights", "weights", ("weight_norm",), _growth, "norm of all weights over its start"),
    Curve(
        "weight peak",
        "weights",
        ("weight_abs_max", "weight_std"),
        _over,
        "largest absolute weight over their standard deviation",
    ),
    Curve(
        "weight bias",
        "weights",
        ("weight_mean", "weight_std"),
        lambda m, s: np.divide(m, s, out=np.zeros_like(m), where=s != 0),
        "mean over standard deviation of the weights",
    ),
    Curve("weight size", "weights", ("weight_std",), _log, "standard deviation of all weights"),
    Curve("activations", "activation", ("act_std",), _growth, "their spread over its start"),
    Curve("activation size", "activation", ("act_std",), _log, "standard deviation of outputs"),
    Curve(
        "activation bias",
        "activation",
        ("act_mean", "act_std"),
        lambda m, s: np.divide(m, s, out=np.zeros_like(m), where=s != 0),
        "mean over standard deviation of the outputs",
    ),
    Curve("dead share", "activation", ("act_dead_share",), _same, "rectifier outputs at 0"),
    Curve(
        "largest dead share",
        "activation",
        ("act_dead_share_max",),
        _same,
        "rectifier outputs at 0, worst layer",
    ),
    Curve(
        "saturated share",
        "activation",
        ("act_saturated_share",),
        _same,
        "inputs of sigmoid, tanh, ... beyond 5",
    ),
    Curve(
        "largest saturated share",
        "activation",
        ("act_saturated_share_max",),
        _same,
        "inputs of sigmoid, tanh, ... beyond 5, worst layer",
    ),
    Curve("curvature", "curvature", ("hvp_norm",), _growth, "HVP norm over its start"),
    Curve(
        "curvature x weight^2 / loss",
        "curvature",
        ("hvp_norm", "weight_norm", "probe_loss"),
        lambda h, w, loss: _over(h * w * w, loss),
        "second relative change of the loss per relative change of the weights",
    ),
    Curve(
        "largest / median curvature",
        "curvature",
        ("hvp_layer_max", "hvp_layer_median"),
        _over,
        "HVP norms of the layers",
    ),
    Curve(
        "smallest / median curvature",
        "curvature",
        ("hvp_layer_min", "hvp_layer_median"),
        _over,
        "HVP norms of the layers",
    ),
    Curve(
        "top eigenvalue / curvature",
        "curvature",
        ("lambda_max", "hvp_norm"),
        _over,
        "largest eigenvalue over the HVP norm",
    ),
    Curve(
        "bottom / top eigenvalue",
        "curvature",
        ("lambda_min", "lambda_max"),
        lambda a, b: _signed(np.divide(a, b, out=np.zeros_like(a), where=b != 0)),
        "smallest over largest eigenvalue",
    ),
    Curve(
        "trace / top eigenvalue",
        "curvature",
        ("hessian_trace", "lambda_max"),
        lambda a, b: _signed(np.divide(a, b, out=np.zeros_like(a), where=b != 0)),
        "trace of the Hessian over its largest eigenvalue",
    ),
    Curve("rho", "stability", ("rho",), _signed, "step sharpness; above 1 the step overshoots"),
    Curve("chi", "stability", ("chi",), _log, "step over critical step; above 1 it overshoots"),
    Curve("kappa", "stability", ("kappa",), _signed, "top eigenvalue over its limit"),
    Curve("progress", "stability", ("progress",), _signed, "change of the loss over its slope"),
    Curve("update cosine", "stability", ("update_cosine",), _same, "between update and -gradient"),
    Curve(
        "update / top curvature",
        "stability",
        ("update_curvature", "lambda_max"),
        lambda a, b: _signed(np.divide(a, b, out=np.zeros_like(a), where=b != 0)),
        "curvature along the update over the largest eigenvalue",
    ),
    Curve("gradient signal", "stability", ("grad_snr",), _log, "|g|^2 over its variance"),
)

CURVES: Mapping[str, Curve] = MappingProxyType({c.name: c for c in _LIST})
"""The curves by name."""

CHANNELS = tuple(dict.fromkeys(c for curve in _LIST for c in curve.channels))
"""Channels that the curves read."""

GROUPS = tuple(dict.fromkeys(curve.group for curve in _LIST))
"""Groups of channels, which a tool records or leaves out together."""
