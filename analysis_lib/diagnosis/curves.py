"""Scale-free curves: one dimensionless number per snapshot, computed from channels.

A curve is a share, a ratio of two channels of the same unit, or a channel over its value at
``init``. Ratios are in decades (log10), so a loss in other units, a wider layer or more classes
shift a curve little or not at all. Two sizes, of weights and of activations, are kept as they are:
what is wrong before the first step cannot be seen in a ratio to it.

What a curve shares with the features of a corpus is taken from :mod:`analysis_lib.features.ratios`.
A curve is read by people: where a sign says something (rho, eigenvalues, means) it is kept, so some
ratios that are decades there are signed or plain here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from analysis_lib.channels import CHANNELS as CHANNELS_RECORDED
from analysis_lib.channels import GROUPS as RECORDED
from analysis_lib.features.ratios import RATIOS, Ratio, over

__all__ = ["CHANNELS", "CURVES", "GROUPS", "STAND_IN", "Curve"]

STAND_IN: Mapping[str, str] = MappingProxyType({"train_loss": "probe_loss"})
"""Where growth starts if a channel has no value yet: a loop has no train loss before training."""


@dataclass(frozen=True)
class Curve:
    """A dimensionless number per snapshot.

    Parameters
    ----------
    name : str
    group : str
        What a tool records together, see :data:`analysis_lib.channels.GROUPS`.
    ratio : Ratio
        How it is made of channels.
    title : str
        What it says, with its unit.
    """

    name: str
    group: str
    ratio: Ratio
    title: str

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that it reads; it is missing where one is, except for one that stands in."""
        more = (STAND_IN.get(c) for c in self.ratio.channels if self.ratio.to_start)
        return (*self.ratio.channels, *(c for c in more if c))

    @property
    def unit(self) -> str:
        """What its values count, that is decades, share or ratio."""
        form = self.ratio.form
        if form in ("decades", "root decades", "signed"):
            return "decades"
        of_one = form == "difference" or not self.ratio.below
        unit, _ = CHANNELS_RECORDED[self.ratio.above[0]]
        return "share" if of_one and unit == "share" else "ratio"

    @property
    def at_init(self) -> bool:
        """Whether it exists before the first step."""
        late = {*RECORDED["optimizer"], *(STAND_IN if self.ratio.to_start else ())}
        return late.isdisjoint(self.ratio.channels)


def _group(name: str, ratio: Ratio) -> str:
    """The group of the first channel; a tool without the probe gradient has no probe loss."""
    first = ratio.above[0]
    own = next(group for group, channels in RECORDED.items() if first in channels)
    return "gradient" if name == "probe loss" else own


def _as(form: str, ratio: str) -> Ratio:
    return replace(RATIOS[ratio], form=form)


_R = RATIOS
_TABLE = {
    "train loss": (_R["loss:train_to_init"], "train loss over its value before training"),
    "valid loss": (_R["loss:valid_to_init"], "validation loss over its start"),
    "probe loss": (_R["loss:probe_to_init"], "probe loss over its start"),
    "valid / train loss": (_R["loss:valid_to_train"], "their ratio"),
    "probe / train loss": (over("probe_loss", "train_loss"), "their ratio"),
    "train accuracy": (_R["metric:train_accuracy"], "share of training rows right"),
    "accuracy gap": (
        over("train_accuracy", "valid_accuracy", "difference"),
        "train minus validation accuracy",
    ),
    "gradient": (_R["gradient:to_init"], "gradient norm over its start"),
    "gradient x weight / loss": (
        _R["gradient:elasticity"],
        "relative change of the loss per relative change of the weights",
    ),
    "first / last gradient": (
        _R["gradient:first_to_last"],
        "gradient norm of the first over that of the last weights",
    ),
    "largest / median gradient": (
        over("grad_tensor_max", "grad_tensor_median"),
        "gradient norms of the parameter tensors",
    ),
    "smallest / median gradient": (
        over("grad_tensor_min", "grad_tensor_median"),
        "gradient norms of the parameter tensors",
    ),
    "gradient spread over tensors": (
        _R["gradient:tensor_std"],
        "standard deviation over mean of the tensors' gradient norms",
    ),
    "gradient peak": (over("grad_abs_max", "grad_abs_mean"), "largest over mean absolute entry"),
    "gradient tail": (
        over("grad_std", "grad_abs_mean"),
        "standard deviation over mean absolute entry",
    ),
    "gradient bias": (
        over("grad_mean", "grad_std", "plain"),
        "mean over standard deviation of the entries",
    ),
    "zero gradients": (_R["gradient:zero_share"], "share of entries exactly 0"),
    "step gradient spread": (
        _R["gradient:step_spread"],
        "standard deviation over mean of the norm from step to step",
    ),
    "step gradient peak": (_R["gradient:step_peak"], "largest over mean norm of the steps"),
    "step / probe gradient": (
        _R["gradient:step_to_probe"],
        "mean norm of the steps over the norm on the probe batch",
    ),
    "gradient noise": (_R["gradient:noise"], "variance over squared mean of the step gradients"),
    "clipped steps": (_R["update:clip_share"], "share of them"),
    "update / weight": (_R["update:to_weight"], "norm of an update over the norm of the weights"),
    "change per epoch": (
        _R["update:epoch_to_weight"],
        "norm of the weight change over the norm of the weights",
    ),
    "directness": (_R["update:epoch_to_step"], "weight change per epoch over one update"),
    "update x gradient / loss": (
        over("update_norm step_grad_norm_mean", "probe_loss"),
        "what a step could take off the loss, relative to it",
    ),
    "momentum / gradient": (
        _R["update:first_moment"],
        "norm of the optimizer's first moment over the steps' gradient norm",
    ),
    "second moment / gradient": (
        over("second_moment_norm", "step_grad_norm_mean step_grad_norm_mean"),
        "norm of the optimizer's second moment over the squared gradient norm",
    ),
    "weights": (_R["weight:to_init"], "norm of all weights over its start"),
    "weight peak": (_R["weight:peak"], "largest absolute weight over their standard deviation"),
    "weight bias": (_as("plain", "weight:bias"), "mean over standard deviation of the weights"),
    "weight size": (_R["sane:weight"], "standard deviation of all weights"),
    "activations": (_R["activation:std_to_init"], "their spread over its start"),
    "activation size": (_R["sane:activation"], "standard deviation of outputs"),
    "activation bias": (
        _as("plain", "activation:bias"),
        "mean over standard deviation of the outputs",
    ),
    "dead share": (_R["activation:dead_share"], "rectifier outputs at 0"),
    "largest dead share": (_R["activation:dead_share_max"], "rectifier outputs at 0, worst layer"),
    "saturated share": (_R["activation:saturated_share"], "inputs of sigmoid, tanh, ... beyond 5"),
    "largest saturated share": (
        _R["activation:saturated_share_max"],
        "inputs of sigmoid, tanh, ... beyond 5, worst layer",
    ),
    "curvature": (_R["curvature:to_init"], "HVP norm over its start"),
    "curvature x weight^2 / loss": (
        _R["curvature:elasticity"],
        "second relative change of the loss per relative change of the weights",
    ),
    "largest / median curvature": (
        over("hvp_layer_max", "hvp_layer_median"),
        "HVP norms of the layers",
    ),
    "smallest / median curvature": (
        over("hvp_layer_min", "hvp_layer_median"),
        "HVP norms of the layers",
    ),
    "top eigenvalue / curvature": (_R["curvature:largest"], "largest eigenvalue over the HVP norm"),
    "bottom / top eigenvalue": (
        _as("signed", "curvature:smallest"),
        "smallest over largest eigenvalue",
    ),
    "trace / top eigenvalue": (
        _as("signed", "curvature:trace"),
        "trace of the Hessian over its largest eigenvalue",
    ),
    "rho": (_as("signed", "curvature:rho"), "step sharpness; above 1 the step overshoots"),
    "chi": (_R["curvature:chi"], "step over critical step; above 1 it overshoots"),
    "kappa": (_as("signed", "curvature:kappa"), "top eigenvalue over its limit"),
    "progress": (_as("signed", "update:progress"), "change of the loss over its slope"),
    "update cosine": (_R["update:cosine"], "between update and -gradient"),
    "update / top curvature": (
        _as("signed", "curvature:along_update"),
        "curvature along the update over the largest eigenvalue",
    ),
    "gradient signal": (_R["gradient:signal"], "|g|^2 over its variance"),
}

CURVES: Mapping[str, Curve] = MappingProxyType(
    {
        name: Curve(name, _group(name, ratio), ratio, title)
        for name, (ratio, title) in _TABLE.items()
    }
)
"""The curves by name."""

CHANNELS = tuple(dict.fromkeys(c for curve in CURVES.values() for c in curve.channels))
"""Channels that the curves read."""

GROUPS = tuple(dict.fromkeys(curve.group for curve in CURVES.values()))
"""Groups of channels, which a tool records or leaves out together."""
