"""Optimizer, weight and activation features."""

import numpy as np

from analysis_lib.features.summary import summarise
from analysis_lib.features.values import Cube

__all__ = ["CHANNELS", "STEP_CHANNELS", "optimizer_features"]

STEP_CHANNELS = tuple(
    (
        "step_grad_norm_mean step_grad_norm_std step_grad_norm_max grad_noise "
        "update_ratio update_norm epoch_change first_moment_norm second_moment_norm"
    ).split()
)
"""Channels of the training steps, which do not exist at ``init``."""

STATE_CHANNELS = tuple(
    (
        "weight_norm weight_mean weight_std weight_abs_max weight_large_count act_mean act_std "
        "act_dead_share act_dead_share_max act_saturated_share act_saturated_share_max"
    ).split()
)
CHANNELS = (*STEP_CHANNELS, *STATE_CHANNELS)


def optimizer_features(cube: Cube) -> dict[str, np.ndarray]:
    """Return level and trend of the optimizer's steps, the weights and the activations.

    As :func:`analysis_lib.features.curvature.curvature_features`; channels of training steps have
    no ``init`` level and are absent at window 0.

    Parameters
    ----------
    cube : Cube
        With the optimizer, weight and activation channels.

    Returns
    -------
    dict of ndarray of shape (n_runs,)
    """
    return summarise(cube, initial=STATE_CHANNELS)
