"""Mean and slope of series over the snapshots that count."""

import numpy as np

__all__ = ["mean", "slope"]


def mean(values: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Return the mean along axis 1 of what is shown, missing where nothing is.

    Parameters
    ----------
    values : ndarray of shape (n_runs, n_snapshots, ...)
    shown : ndarray of bool of the same shape

    Returns
    -------
    ndarray of shape (n_runs, ...)

    Examples
    --------
    >>> mean(np.array([[1.0, 3.0, np.nan]]), np.array([[True, True, False]])).tolist()
    [2.0]
    """
    count = shown.sum(axis=1)
    found = np.where(shown, values, 0).sum(axis=1) / np.maximum(count, 1)
    return np.where(count > 0, found, np.nan)


def slope(
    values: np.ndarray, epoch: np.ndarray, shown: np.ndarray, *, alone: float = 0.0
) -> np.ndarray:
    """Return the least-squares slope per epoch along axis 1 of what is shown.

    Parameters
    ----------
    values : ndarray of shape (n_runs, n_snapshots, ...)
    epoch : ndarray that can be broadcast to that shape
    shown : ndarray of bool of that shape
    alone : float, default=0.0
        The slope of fewer than two values.

    Returns
    -------
    ndarray of shape (n_runs, ...)

    Examples
    --------
    >>> epoch = np.array([[-1, 0, 1, 3]])
    >>> slope(np.array([[9.0, 1.0, 2.0, 4.0]]), epoch, epoch >= 0)
    array([1.])
    """
    time = np.where(shown, epoch, 0).astype(float)
    time = np.where(shown, time - np.nan_to_num(mean(time, shown))[:, None], 0)
    spread = (time**2).sum(axis=1)
    found = (time * np.where(shown, values, 0)).sum(axis=1) / np.where(spread > 0, spread, 1)
    return np.where(spread > 0, found, alone)
