"""How much of a gradient is signal: noise between micro-batches."""

from typing import NamedTuple

import numpy as np

from analysis_lib.errors import InputError

__all__ = ["Noise", "gradient_noise"]


class Noise(NamedTuple):
    """Signal-to-noise ratio of a batch gradient and the simple noise scale in rows."""

    snr: float
    """Near 1 there is noise alone."""

    scale: float
    """Rows of a batch whose noise is as large as its signal."""


def gradient_noise(gradients: np.ndarray, rows: int) -> Noise:
    r"""Return the signal-to-noise ratio of a gradient from gradients of its micro-batches.

    With m micro-batches of b rows, their gradients :math:`g_j`, mean :math:`\bar g` over B = m b
    rows and per-row covariance :math:`\Sigma`, the unbiased estimates

    .. math:: \operatorname{tr} \Sigma = \frac{b}{m - 1} \sum_j \|g_j - \bar g\|^2,
       \qquad |G|^2 = \|\bar g\|^2 - \operatorname{tr} \Sigma / B

    give snr = :math:`\|\bar g\|^2 / (\operatorname{tr} \Sigma / B)` and the simple noise scale
    :math:`\operatorname{tr} \Sigma / |G|^2`. An snr near 1 means noise alone.

    Parameters
    ----------
    gradients : ndarray of shape (m, n)
        Gradients of m >= 2 disjoint micro-batches of equal size.
    rows : int
        Rows b of a micro-batch.

    Returns
    -------
    Noise
        ``snr`` and ``scale``; infinite snr without noise, 0 without any gradient; infinite scale
        without signal.

    Raises
    ------
    InputError
        With fewer than two micro-batches.

    References
    ----------
    McCandlish et al. (2018). An empirical model of large-batch training. arXiv:1812.06162.

    Examples
    --------
    >>> noise = gradient_noise(np.array([[1.0, 1.0], [1.0, -1.0]]), rows=4)
    >>> noise.snr
    1.0
    """
    gradients = np.asarray(gradients, dtype=float)
    if gradients.ndim != 2 or len(gradients) < 2:
        raise InputError(
            f"gradients has shape {gradients.shape}; noise needs at least two micro-batches "
            "(micro-batches, entries)"
        )
    m = len(gradients)
    with np.errstate(all="ignore"):
        mean = gradients.mean(0)
        spread = np.square(gradients - mean).sum() / (m - 1)  # tr Sigma / b
        signal, noise = mean @ mean, spread / m  # noise = tr Sigma / B
        true = signal - noise
        snr = signal / noise if noise else (np.inf if signal else 0.0)
        scale = rows * spread / true if true > 0 else (np.inf if noise else np.nan)
    return Noise(float(snr), float(scale))
