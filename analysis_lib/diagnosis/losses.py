"""Whether a loss without a number was not measured, or has ceased to be one."""

import numpy as np

__all__ = ["not_finite"]


def not_finite(
    train: np.ndarray, valid: np.ndarray, probe: np.ndarray, visible: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where a loss is not finite because the run broke.

    An infinite loss has broken. A NaN has not where the run never records that loss, or before its
    first number. A NaN in ``valid`` means that nobody validated, unless another loss broke beside
    it, or it is the end of a curve without gaps and no other loss is recorded or another has
    broken by the end.

    Parameters
    ----------
    train, valid, probe : ndarray of shape (n_runs, n_snapshots)
        In the order of time, NaN where missing.
    visible : ndarray of bool of shape (n_runs, n_snapshots)
        False where a run has no such snapshot, which is after its last one.

    Returns
    -------
    tuple of three ndarray of bool of shape (n_runs, n_snapshots)

    Examples
    --------
    >>> nan, none = np.nan, np.full((1, 4), np.nan)
    >>> train, valid = np.array([[nan, 3.0, 2.0, 1.0]]), np.array([[nan, nan, 2.0, nan]])
    >>> [bool(x.any()) for x in not_finite(train, valid, none, np.isnan(none))]
    [False, False, False]
    >>> not_finite(np.array([[3.0, 2.0, nan, nan]]), valid, none, np.isnan(none))[0].tolist()
    [[False, False, True, True]]
    """
    bad = [(np.isinf(x) | (np.isnan(x) & _begun(x))) & visible for x in (train, valid, probe)]
    to_come = _begun(valid[:, ::-1])[:, ::-1]
    gaps = (np.isnan(valid) & to_come)[:, 1:].any(axis=1, keepdims=True)
    others = np.stack([train, probe])
    alone = np.isnan(others).all(axis=(0, 2))[:, None]
    last = visible.sum(axis=1, keepdims=True) - 1
    broke = np.take_along_axis(bad[0] | bad[2], last, axis=1) | alone
    lost = np.isinf(valid) | bad[0] | bad[2] | (~to_come & ~gaps & broke)
    return bad[0], bad[1] & lost, bad[2]


def _begun(values: np.ndarray) -> np.ndarray:
    return np.logical_or.accumulate(np.isfinite(values), axis=1)
