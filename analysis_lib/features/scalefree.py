"""Scale-free features: what stays the same when a program's loss or weights change their unit.

Programs differ in the size of their losses, weights, gradients and Hessians, and an absolute value
learned on one says little about the next. Their *ratios* can be compared: of a value to that at
``init``, of an update to the weights it changes, of the largest layer to the mean one. A feature is
the level, the last level or the slope over the epochs of such a ratio (as log10), of a share, or of
a cosine. A few absolute values are kept under ``sane:``, since ``init`` may already be wrong.

A feature is named ``group:ratio:statistic``, so that groups can be left out.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from analysis_lib.features.values import Cube

__all__ = [
    "CHANNELS",
    "CURVATURE_CHANNELS",
    "LIMIT",
    "MISSING",
    "RATIOS",
    "dimensionless_features",
    "log_ratio",
    "ratio_series",
    "scalefree_features",
]

LIMIT = 8.0
"""Decades to which the logarithm of a ratio is clipped, and which stand for infinity."""

MISSING = -9.0
"""Stands for what a program does not have or a broken run does not give."""

Channels = Mapping[str, np.ndarray]


def log_ratio(above: np.ndarray, below: np.ndarray | float) -> np.ndarray:
    """Return ``log10(|above| / |below|)`` within +-8; equal values give 0, missing ones stay so.

    Examples
    --------
    >>> log_ratio(np.array([1.0, 0.0, 0.0, np.inf]), np.array([10.0, 0.0, 1.0, 1.0])).tolist()
    [-1.0, 0.0, -8.0, 8.0]
    """
    a, b = np.abs(above), np.abs(below)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log10(a) - np.log10(b)
    return np.clip(np.where(a == b, 0.0, value), -LIMIT, LIMIT)


def _to_init(channel: str) -> Callable[[Channels], np.ndarray]:
    return lambda c: log_ratio(c[channel], c[channel][:, :1])


def _over(above: str, below: str) -> Callable[[Channels], np.ndarray]:
    return lambda c: log_ratio(c[above], c[below])


def _size(channel: str) -> Callable[[Channels], np.ndarray]:
    return lambda c: log_ratio(c[channel], 1.0)


def _as_is(channel: str, limit: float = 1e6) -> Callable[[Channels], np.ndarray]:
    return lambda c: np.clip(c[channel], -limit, limit)


def _has(channel: str) -> Callable[[Channels], np.ndarray]:
    return lambda c: (~np.isnan(c[channel])).astype(float)


def _zero(channel: str) -> Callable[[Channels], np.ndarray]:
    return lambda c: (c[channel] == 0).astype(float)


_LOSS = {
    "loss:train_to_init": _to_init("train_loss"),
    "loss:valid_to_init": _to_init("valid_loss"),
    "loss:probe_to_init": _to_init("probe_loss"),
    "loss:valid_to_train": _over("valid_loss", "train_loss"),
    "loss:next_to_probe": _over("next_loss", "probe_loss"),
    "metric:train_accuracy": _as_is("train_accuracy"),
    "metric:valid_accuracy": _as_is("valid_accuracy"),
    "metric:accuracy_gain": lambda c: c["valid_accuracy"] - c["valid_accuracy"][:, :1],
    "metric:to_init": _to_init("valid_metric"),
    "metric:valid_to_train": _over("valid_metric", "train_metric"),
}
_UPDATE = {
    "update:to_weight": _size("update_ratio"),
    "update:epoch_to_weight": _size("epoch_change"),
    "update:epoch_to_step": _over("epoch_change", "update_ratio"),
    "update:to_gradient": _over("update_norm", "step_grad_norm_mean"),
    "update:clip_share": _as_is("clip_share"),
    "update:first_moment": _over("first_moment_norm", "step_grad_norm_mean"),
    "update:second_moment": lambda c: log_ratio(
        np.sqrt(np.abs(c["second_moment_norm"])), c["step_grad_norm_mean"]
    ),
    "update:no_first_moment": _zero("first_moment_norm"),
    "update:no_second_moment": _zero("second_moment_norm"),
    "update:cosine": _as_is("update_cosine"),
    "update:progress": _as_is("progress", 3.0),
}
_GRADIENT = {
    "gradient:to_init": _to_init("grad_norm"),
    "gradient:step_to_probe": _over("step_grad_norm_mean", "grad_norm"),
    "gradient:step_spread": _over("step_grad_norm_std", "step_grad_norm_mean"),
    "gradient:step_peak": _over("step_grad_norm_max", "step_grad_norm_mean"),
    "gradient:noise": _size("grad_noise"),
    "gradient:signal": _size("grad_snr"),
    "gradient:peak": _over("grad_abs_max", "grad_std"),
    "gradient:evenness": _over("grad_abs_mean", "grad_std"),
    "gradient:bias": _over("grad_mean", "grad_abs_mean"),
    "gradient:zero_share": _as_is("grad_zero_share"),
    "gradient:first_to_last": _over("grad_norm_first", "grad_norm_last"),
    "gradient:first_share": _over("grad_norm_first", "grad_norm"),
    "gradient:last_share": _over("grad_norm_last", "grad_norm"),
    **{
        f"gradient:tensor_{k}": _over(f"grad_tensor_{k}", "grad_tensor_mean")
        for k in ("max", "min", "median", "std")
    },
    "gradient:elasticity": lambda c: log_ratio(c["grad_norm"] * c["weight_norm"], c["probe_loss"]),
}
_STATE = {
    "weight:to_init": _to_init("weight_norm"),
    "weight:std_to_init": _to_init("weight_std"),
    "weight:peak_to_init": _to_init("weight_abs_max"),
    "weight:bias": _over("weight_mean", "weight_std"),
    "weight:peak": _over("weight_abs_max", "weight_std"),
    "activation:std_to_init": _to_init("act_std"),
    "activation:mean_to_init": _to_init("act_mean"),
    "activation:bias": lambda c: np.clip(
        c["act_mean"] / np.maximum(np.abs(c["act_std"]), 1e-12), -10, 10
    ),
    **{
        f"activation:{name}": _as_is(f"act_{name}")
        for name in ("dead_share", "dead_share_max", "saturated_share", "saturated_share_max")
    },
    "activation:has_rectifier": _has("act_dead_share"),
    "activation:has_bounded": _has("act_saturated_share"),
}
_CURVATURE = {
    "curvature:to_init": _to_init("hvp_norm"),
    "curvature:newton": lambda c: log_ratio(c["hvp_norm"] * c["probe_loss"], c["grad_norm"] ** 2),
    "curvature:to_gradient": lambda c: log_ratio(c["hvp_norm"] * c["weight_norm"], c["grad_norm"]),
    "curvature:elasticity": lambda c: log_ratio(
        c["hvp_norm"] * c["weight_norm"] ** 2, c["probe_loss"]
    ),
    "curvature:largest": _over("lambda_max", "hvp_norm"),
    "curvature:smallest": _over("lambda_min", "lambda_max"),
    "curvature:trace": _over("hessian_trace", "lambda_max"),
    "curvature:trace_sign": lambda c: np.sign(c["hessian_trace"]),
    **{
        f"curvature:layer_{k}": _over(f"hvp_layer_{k}", "hvp_layer_mean")
        for k in ("max", "min", "median", "std")
    },
    "curvature:along_update": _over("update_curvature", "lambda_max"),
    "curvature:rho": _size("rho"),
    "curvature:rho_negative": lambda c: (c["rho"] < 0).astype(float),
    "curvature:kappa": _size("kappa"),
    "curvature:chi": _size("chi"),
}
_SANE = {
    "sane:loss": _size("train_loss"),
    "sane:loss_negative": lambda c: (c["train_loss"] < 0).astype(float),
    "sane:gradient": _size("grad_norm"),
    "sane:gradient_entry": _size("grad_abs_mean"),
    "sane:weight": _size("weight_std"),
    "sane:activation": _size("act_std"),
    "sane:activation_mean": _as_is("act_mean", 10.0),
    "sane:curvature": _size("hvp_norm"),
}

RATIOS: Mapping[str, Callable[[Channels], np.ndarray]] = MappingProxyType(
    _LOSS | _UPDATE | _GRADIENT | _STATE | _CURVATURE | _SANE
)
"""``group:ratio`` -> function from channels of shape (n_runs, n_snapshots) to its series."""

STEPS = frozenset(
    "update:to_weight update:epoch_to_weight update:epoch_to_step update:to_gradient "
    "update:clip_share update:first_moment update:second_moment update:no_first_moment "
    "update:no_second_moment gradient:step_to_probe gradient:step_spread gradient:step_peak "
    "gradient:noise".split()
)
"""Ratios of training steps, which say nothing at ``init``."""

CURVATURE_CHANNELS = tuple(
    (
        "hvp_norm hvp_layer_mean hvp_layer_std hvp_layer_max hvp_layer_min hvp_layer_median "
        "hessian_trace lambda_max lambda_min rho kappa chi update_curvature probe_loss grad_norm "
        "weight_norm"
    ).split()
)
CHANNELS = tuple(
    dict.fromkeys(
        (
            "train_loss valid_loss probe_loss next_loss train_metric valid_metric train_accuracy "
            "valid_accuracy update_ratio update_norm epoch_change clip_share first_moment_norm "
            "second_moment_norm update_cosine progress grad_norm step_grad_norm_mean "
            "step_grad_norm_std step_grad_norm_max grad_noise grad_snr grad_abs_max grad_abs_mean "
            "grad_mean grad_std grad_zero_share grad_norm_first grad_norm_last grad_tensor_mean "
            "grad_tensor_max grad_tensor_min grad_tensor_median grad_tensor_std weight_norm "
            "weight_mean weight_std weight_abs_max act_mean act_std act_dead_share "
            "act_dead_share_max act_saturated_share act_saturated_share_max"
        ).split()
    )
) + tuple(c for c in CURVATURE_CHANNELS if c not in ("probe_loss", "grad_norm", "weight_norm"))
CURVES = ("train_loss", "valid_loss", "probe_loss")
VITAL = ("train_loss", "probe_loss", "grad_norm", "weight_norm", "act_std")


def ratio_series(cube: Cube, names: tuple[str, ...] = tuple(RATIOS)) -> dict[str, np.ndarray]:
    """Return the series of ratios, each of shape (n_runs, n_snapshots), missing where not visible.

    Parameters
    ----------
    cube : Cube
        With the channels that the ratios read.
    names : tuple of str
        Keys of :data:`RATIOS`.
    """
    c = {name: cube.values[:, :, j] for j, name in enumerate(cube.channels)}
    with np.errstate(over="ignore", invalid="ignore"):
        series = {name: RATIOS[name](c) for name in names}
    return {name: np.where(cube.visible, s, np.nan) for name, s in series.items()}


def scalefree_features(cube: Cube) -> dict[str, np.ndarray]:
    """Return level, last level and slope of every ratio, and how the loss curves move.

    Of each series s of :data:`RATIOS`: ``init`` = its value before the first step (not for ratios
    to ``init`` and of steps); over the visible epochs, ``mean``, ``last`` and ``slope`` (per
    epoch, least squares). Of the loss curves: ``rises`` = share of changes that are rises,
    ``flips`` = share of changes whose sign differs from the one before, ``straight`` = net over
    total change, ``first_drop`` = log10 of the loss after one epoch over that at ``init``.
    ``sane:nonfinite`` is the share of snapshots at which a vital channel is not finite.

    Parameters
    ----------
    cube : Cube
        With :data:`CHANNELS` and ``init`` as the first snapshot of every run.

    Returns
    -------
    dict of ndarray of shape (n_runs,)
        At window 0 the ``init`` values alone.

    References
    ----------
    Ben Braiek and Khomh, Testing feedforward neural networks training programs, TOSEM 2023, use
    relative updates and growth rates in the place of absolute thresholds.
    """
    return _summarised(cube, tuple(RATIOS)) | _dynamics(cube) | _vital(cube)


def dimensionless_features(cube: Cube) -> dict[str, np.ndarray]:
    """Return the ratios of curvature alone: chi, rho, kappa, spectrum and layers.

    Parameters
    ----------
    cube : Cube
        With :data:`CURVATURE_CHANNELS`.

    Returns
    -------
    dict of ndarray of shape (n_runs,)
        As :func:`scalefree_features`.
    """
    return _summarised(cube, tuple(_CURVATURE))


def _summarised(cube: Cube, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    later = cube.visible & (cube.epoch >= 0)
    last = np.where(cube.visible, cube.epoch, -2).argmax(axis=1)
    rows, table = np.arange(len(cube.run_ids)), {}
    for name, series in ratio_series(cube, names).items():
        if name not in STEPS and not name.endswith("to_init"):
            table[f"{name}:init"] = series[:, 0]
        if later.any():
            shown = later & np.isfinite(series)
            table[f"{name}:mean"] = _mean(series, shown)
            table[f"{name}:last"] = series[rows, last]
            table[f"{name}:slope"] = _slope(series, cube.epoch, shown)
    return {name: _complete(values) for name, values in table.items()}


def _dynamics(cube: Cube) -> dict[str, np.ndarray]:
    table = {}
    if not (cube.visible & (cube.epoch >= 0)).any():
        return table
    for channel in CURVES:
        values = np.clip(cube.values[:, :, cube.channels.index(channel)], -1e30, 1e30)
        change = np.diff(np.where(cube.visible, values, np.nan), axis=1)
        known = np.isfinite(change)
        sign = np.sign(change)
        turned = sign[:, 1:] * sign[:, :-1] < 0
        total = np.where(known, np.abs(change), 0).sum(axis=1)
        net = np.abs(np.where(known, change, 0).sum(axis=1))
        name = channel.split("_")[0]
        table[f"dynamics:{name}_rises"] = _mean((change > 0).astype(float), known)
        table[f"dynamics:{name}_flips"] = _mean(turned.astype(float), known[:, 1:] & known[:, :-1])
        table[f"dynamics:{name}_straight"] = net / np.where(total > 0, total, 1)
        table[f"dynamics:{name}_first_drop"] = log_ratio(values[:, 1], values[:, 0])
    return {name: _complete(values) for name, values in table.items()}


def _vital(cube: Cube) -> dict[str, np.ndarray]:
    vital = [cube.channels.index(c) for c in VITAL]
    broken = (~np.isfinite(cube.values[:, :, vital])).any(axis=2) & cube.visible
    return {"sane:nonfinite": broken.sum(axis=1) / cube.visible.sum(axis=1)}


def _mean(values: np.ndarray, shown: np.ndarray) -> np.ndarray:
    count = shown.sum(axis=1)
    mean = np.where(shown, values, 0).sum(axis=1) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan)


def _slope(values: np.ndarray, epoch: np.ndarray, shown: np.ndarray) -> np.ndarray:
    time = np.where(shown, epoch, 0).astype(float)
    time = np.where(shown, time - np.nan_to_num(_mean(time, shown))[:, None], 0)
    spread = (time**2).sum(axis=1)
    return (time * np.where(shown, values, 0)).sum(axis=1) / np.where(spread > 0, spread, 1)


def _complete(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, MISSING)
