"""DeepFD's features: eight statistics of 22 series."""

import numpy as np

from analysis_lib.features.values import LARGEST, Cube
from analysis_lib.flags import DEEPFD_FLAGS

__all__ = ["CHANNELS", "STATISTICS", "as_released_features", "deepfd_features", "statistics"]

CHANNELS = (*DEEPFD_FLAGS, "train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
STATISTICS = ("mean", "std", "skew", "median", "var", "sem", "max", "min")


def deepfd_features(cube: Cube) -> dict[str, np.ndarray]:
    """Return mean, std, skew, median, var, sem, max and min of every series over the window.

    The series run over epochs 0 .. k - 1 (``init`` if k = 0). Values that are not finite are left
    out, as in the released code; a statistic that is then undefined is 0. Results are clipped to
    +-1e30.

    Parameters
    ----------
    cube : Cube
        With the 18 checks and train and validation loss and accuracy.

    Returns
    -------
    dict of ndarray of shape (n_runs,)
        22 x 8 entries ``<series>_<statistic>``.

    Notes
    -----
    The released classifiers saw 148 features because a header shifted the names by four and cost
    four checks; here every series has its own name and none is lost.
    """
    shown = cube.trained[:, :, None] & np.isfinite(cube.values)
    computed = statistics(np.where(shown, np.clip(cube.values, -LARGEST, LARGEST), np.nan))
    return {
        f"{channel}_{name}": np.clip(np.nan_to_num(computed[name][:, j]), -LARGEST, LARGEST)
        for j, channel in enumerate(cube.channels)
        for name in STATISTICS
    }


def as_released_features(cube: Cube) -> dict[str, np.ndarray]:
    """Return the 148 features that the released classifiers saw, under the names they had.

    A header of 18 names stands over rows of 22 values: the first four checks are lost, and every
    name stands over the series four places on (``deepfd_increase_loss`` over the train loss). The
    last values of the four curves follow, 0 where not finite.

    Parameters
    ----------
    cube : Cube
        As in :func:`deepfd_features`.

    Returns
    -------
    dict of ndarray of shape (n_runs,)
    """
    table = deepfd_features(cube)
    shifted = {
        f"{name}_{statistic}": table[f"{series}_{statistic}"]
        for name, series in zip(DEEPFD_FLAGS, cube.channels[4:], strict=True)
        for statistic in STATISTICS
    }
    last = np.where(cube.visible, cube.epoch, -2).argmax(axis=1)
    final = np.clip(cube.values[np.arange(len(last)), last], -LARGEST, LARGEST)
    final = np.where(np.isfinite(final), final, 0)
    return shifted | {f"{c}_last": final[:, j] for j, c in enumerate(cube.channels) if j >= 18}


def statistics(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return the eight statistics along axis 1, skipping missing values.

    Definitions are those of pandas: one degree of freedom is subtracted in var, std and
    ``sem = std / sqrt(n)``; skew is the adjusted Fisher-Pearson coefficient. Where there are too
    few values (none; fewer than 2 for var, std, sem; fewer than 3, or constant ones, for skew) the
    result is missing.

    Parameters
    ----------
    values : ndarray of shape (n_runs, n_snapshots, n_series)

    Returns
    -------
    dict of ndarray of shape (n_runs, n_series)
    """
    known = ~np.isnan(values)
    n = known.sum(axis=1).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, values, 0).sum(axis=1) / n
        deviation = np.where(known, values - mean[:, None], 0)
        m2, m3 = (deviation**2).sum(axis=1), (deviation**3).sum(axis=1)
        var = np.where(n > 1, m2 / (n - 1), np.nan)
        rounding = 1e-14 * np.where(known, values**2, 0).sum(axis=1)
        skew = n * np.sqrt(n - 1) / (n - 2) * m3 / m2**1.5
        skew = np.where((n > 2) & (m2 > rounding), skew, np.nan)
        sem = np.sqrt(var / n)
    ordered = np.sort(values, axis=1)  # missing values last
    low, high = ((n - 1) // 2).astype(int), (n // 2).astype(int)
    pick = [
        np.take_along_axis(ordered, np.maximum(i, 0)[:, None], axis=1)[:, 0] for i in (low, high)
    ]
    filled = np.where(known, values, -np.inf)
    largest = np.where(n > 0, filled.max(axis=1, initial=-np.inf), np.nan)
    return {
        "mean": mean,
        "std": np.sqrt(var),
        "skew": skew,
        "median": (pick[0] + pick[1]) / 2,
        "var": var,
        "sem": sem,
        "max": largest,
        "min": ordered[:, 0],
    }
