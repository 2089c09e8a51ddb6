"""Dimensionless series of a run: of which channels each is made, and in which form.

The one list of ratios. A feature set of a corpus (:mod:`analysis_lib.features.scalefree`) and the
curves of one trace (:mod:`analysis_lib.diagnosis.curves`) read it. They differ in what they do at
its edges, and say so: where growth starts, what is too small to compare, and where values end.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from analysis_lib.errors import unknown

__all__ = ["FORMS", "RATIOS", "Ratio", "decades", "growth", "over", "plain", "size"]

Channels = Mapping[str, np.ndarray]


def decades(above: np.ndarray, below: np.ndarray | float, *, floor: float = 0.0) -> np.ndarray:
    """Return ``log10(|above| / |below|)``; equal sizes give 0, and missing ones stay missing.

    Parameters
    ----------
    above, below : ndarray
        Of the same unit.
    floor : float, default=0.0
        Smaller sizes count as this one.

    Examples
    --------
    >>> decades(np.array([1.0, 0.0, 0.0, 5.0]), np.array([10.0, 0.0, 1.0, 0.0])).tolist()
    [-1.0, 0.0, -inf, inf]
    >>> decades(np.array([1e-40, 1.0]), np.array([1e-35, 1e-40]), floor=1e-30).tolist()
    [0.0, 30.0]
    """
    a, b = np.maximum(np.abs(above), floor), np.maximum(np.abs(below), floor)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log10(a) - np.log10(b)
    return np.where(a == b, 0.0, value)


def _quotient(a: np.ndarray, b: np.ndarray | float) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(a), where=np.not_equal(b, 0))


FORMS: Mapping[str, Callable] = MappingProxyType(
    {
        "decades": lambda a, b, floor: decades(a, b, floor=floor),
        "root decades": lambda a, b, floor: decades(np.sqrt(np.abs(a)), b, floor=floor),
        "signed": lambda a, b, _: np.arcsinh(_quotient(a, b)) / np.log(10),
        "plain": lambda a, b, _: _quotient(a, b),
        "guarded": lambda a, b, _: a / np.maximum(np.abs(b), 1e-12),
        "difference": lambda a, b, _: a - b,
        "known": lambda a, *_: (~np.isnan(a)).astype(float),
        "zero": lambda a, *_: (a == 0).astype(float),
        "negative": lambda a, *_: (a < 0).astype(float),
        "sign": lambda a, *_: np.sign(a),
    }
)
"""Name -> function of A, B and the smallest size that counts; see :class:`Ratio`."""


@dataclass(frozen=True)
class Ratio:
    """A product of channels over another, in some form.

    Parameters
    ----------
    above, below : tuple of str
        Channels whose products A and B are; B is 1 if there are none.
    form : str, default="decades"
        "decades": log10 |A / B|; "root decades": log10 (sqrt |A| / |B|); "signed": asinh(A / B) /
        ln 10, linear near 0 and decades beyond 1; "plain": A / B, 0 where B is; "guarded": A over
        |B| or 1e-12, the larger; "difference": A - B; "known", "zero", "negative": 1 where A is
        not missing, 0, or below 0, else 0; "sign": of A.
    to_start : bool, default=False
        Whether B is A before training instead.

    Raises
    ------
    InputError
        If there is no such form.
    """

    above: tuple[str, ...]
    below: tuple[str, ...] = ()
    form: str = "decades"
    to_start: bool = False

    def __post_init__(self):
        if self.form not in FORMS:
            raise unknown("form", self.form, FORMS)

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that it reads."""
        return tuple(dict.fromkeys(self.above + self.below))

    def series(self, now: Channels, start: Channels, *, floor: float = 0.0) -> np.ndarray:
        """Compute it for many runs.

        Parameters
        ----------
        now : mapping of str to ndarray of shape (n_runs, n_snapshots)
            The channels.
        start : mapping of str to ndarray of shape (n_runs, 1)
            Their values before training.
        floor : float, default=0.0
            See :func:`decades`.

        Returns
        -------
        ndarray of shape (n_runs, n_snapshots)

        Examples
        --------
        >>> loss = {"train_loss": np.array([[2.0, 20.0]])}
        >>> growth("train_loss").series(loss, {"train_loss": np.array([[2.0]])}).tolist()
        [[0.0, 1.0]]
        """
        a = _product(now, self.above)
        b = _product(start, self.above) if self.to_start else _product(now, self.below)
        with np.errstate(over="ignore", invalid="ignore"):
            return FORMS[self.form](a, b, floor)


def _product(channels: Channels, names: tuple[str, ...]) -> np.ndarray | float:
    found: np.ndarray | float = 1.0
    for name in names:
        found = found * channels[name]
    return found


def over(above: str, below: str, form: str = "decades") -> Ratio:
    """Return a ratio of products, each given as names of channels with spaces between them."""
    return Ratio(tuple(above.split()), tuple(below.split()), form)


def growth(channel: str, form: str = "decades") -> Ratio:
    """Return a channel over its value before training."""
    return Ratio((channel,), form=form, to_start=True)


def size(channel: str) -> Ratio:
    """Return the decades of a channel."""
    return Ratio((channel,))


def plain(channel: str, form: str = "plain") -> Ratio:
    """Return a channel as it is, or an indicator of it."""
    return Ratio((channel,), form=form)


_G, _S = "grad_tensor", "step_grad_norm"
_LOSS = {
    "loss:train_to_init": growth("train_loss"),
    "loss:valid_to_init": growth("valid_loss"),
    "loss:probe_to_init": growth("probe_loss"),
    "loss:valid_to_train": over("valid_loss", "train_loss"),
    "loss:next_to_probe": over("next_loss", "probe_loss"),
    "metric:train_accuracy": plain("train_accuracy"),
    "metric:valid_accuracy": plain("valid_accuracy"),
    "metric:accuracy_gain": growth("valid_accuracy", form="difference"),
    "metric:to_init": growth("valid_metric"),
    "metric:valid_to_train": over("valid_metric", "train_metric"),
}
_UPDATE = {
    "update:to_weight": size("update_ratio"),
    "update:epoch_to_weight": size("epoch_change"),
    "update:epoch_to_step": over("epoch_change", "update_ratio"),
    "update:to_gradient": over("update_norm", f"{_S}_mean"),
    "update:clip_share": plain("clip_share"),
    "update:first_moment": over("first_moment_norm", f"{_S}_mean"),
    "update:second_moment": over("second_moment_norm", f"{_S}_mean", "root decades"),
    "update:no_first_moment": plain("first_moment_norm", "zero"),
    "update:no_second_moment": plain("second_moment_norm", "zero"),
    "update:cosine": plain("update_cosine"),
    "update:progress": plain("progress"),
}
_GRADIENT = {
    "gradient:to_init": growth("grad_norm"),
    "gradient:step_to_probe": over(f"{_S}_mean", "grad_norm"),
    "gradient:step_spread": over(f"{_S}_std", f"{_S}_mean"),
    "gradient:step_peak": over(f"{_S}_max", f"{_S}_mean"),
    "gradient:noise": size("grad_noise"),
    "gradient:signal": size("grad_snr"),
    "gradient:peak": over("grad_abs_max", "grad_std"),
    "gradient:evenness": over("grad_abs_mean", "grad_std"),
    "gradient:bias": over("grad_mean", "grad_abs_mean"),
    "gradient:zero_share": plain("grad_zero_share"),
    "gradient:first_to_last": over("grad_norm_first", "grad_norm_last"),
    "gradient:first_share": over("grad_norm_first", "grad_norm"),
    "gradient:last_share": over("grad_norm_last", "grad_norm"),
    **{
        f"gradient:tensor_{k}": over(f"{_G}_{k}", f"{_G}_mean")
        for k in "max min median std".split()
    },
    "gradient:elasticity": over("grad_norm weight_norm", "probe_loss"),
}
_STATE = {
    "weight:to_init": growth("weight_norm"),
    "weight:std_to_init": growth("weight_std"),
    "weight:peak_to_init": growth("weight_abs_max"),
    "weight:bias": over("weight_mean", "weight_std"),
    "weight:peak": over("weight_abs_max", "weight_std"),
    "activation:std_to_init": growth("act_std"),
    "activation:mean_to_init": growth("act_mean"),
    "activation:bias": over("act_mean", "act_std", "guarded"),
    "activation:dead_share": plain("act_dead_share"),
    "activation:dead_share_max": plain("act_dead_share_max"),
    "activation:saturated_share": plain("act_saturated_share"),
    "activation:saturated_share_max": plain("act_saturated_share_max"),
    "activation:has_rectifier": plain("act_dead_share", "known"),
    "activation:has_bounded": plain("act_saturated_share", "known"),
}
_CURVATURE = {
    "curvature:to_init": growth("hvp_norm"),
    "curvature:newton": over("hvp_norm probe_loss", "grad_norm grad_norm"),
    "curvature:to_gradient": over("hvp_norm weight_norm", "grad_norm"),
    "curvature:elasticity": over("hvp_norm weight_norm weight_norm", "probe_loss"),
    "curvature:largest": over("lambda_max", "hvp_norm"),
    "curvature:smallest": over("lambda_min", "lambda_max"),
    "curvature:trace": over("hessian_trace", "lambda_max"),
    "curvature:trace_sign": plain("hessian_trace", "sign"),
    **{
        f"curvature:layer_{k}": over(f"hvp_layer_{k}", "hvp_layer_mean")
        for k in "max min median std".split()
    },
    "curvature:along_update": over("update_curvature", "lambda_max"),
    "curvature:rho": size("rho"),
    "curvature:rho_negative": plain("rho", "negative"),
    "curvature:kappa": size("kappa"),
    "curvature:chi": size("chi"),
}
_SANE = {
    "sane:loss": size("train_loss"),
    "sane:loss_negative": plain("train_loss", "negative"),
    "sane:gradient": size("grad_norm"),
    "sane:gradient_entry": size("grad_abs_mean"),
    "sane:weight": size("weight_std"),
    "sane:activation": size("act_std"),
    "sane:activation_mean": plain("act_mean"),
    "sane:curvature": size("hvp_norm"),
}

RATIOS: Mapping[str, Ratio] = MappingProxyType(
    _LOSS | _UPDATE | _GRADIENT | _STATE | _CURVATURE | _SANE
)
"""``group:ratio`` -> how it is made."""
