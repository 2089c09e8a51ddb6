"""Curvature and gradient features."""

import numpy as np

from analysis_lib.features.summary import summarise
from analysis_lib.features.values import Cube

__all__ = ["CHANNELS", "curvature_features"]

CHANNELS = tuple(
    (
        "hvp_norm hvp_layer_mean hvp_layer_std hvp_layer_max hvp_layer_min hvp_layer_median "
        "hessian_trace lambda_max lambda_min grad_norm grad_mean grad_std grad_abs_mean "
        "grad_abs_max grad_zero_share grad_norm_first grad_norm_last grad_tensor_mean "
        "grad_tensor_std grad_tensor_max grad_tensor_min grad_tensor_median"
    ).split()
)


def curvature_features(cube: Cube) -> dict[str, np.ndarray]:
    """Return level and trend of the Hessian-vector products and gradients of the probe batch.

    Each channel at ``init``, at the last visible snapshot, its mean and its slope per epoch, as
    signed log10 magnitudes; at window 0 the ``init`` level alone. See
    :func:`analysis_lib.features.summary.summarise`.

    Parameters
    ----------
    cube : Cube
        With the curvature and gradient channels.

    Returns
    -------
    dict of ndarray of shape (n_runs,)
    """
    return summarise(cube, initial=CHANNELS)
