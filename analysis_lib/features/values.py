"""Traces as one array, and what to do with values that are not finite."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError

__all__ = ["BOUNDED", "LARGEST", "OPTIONAL", "Cube", "clip", "make_cube", "signed_log10"]

LARGEST = 1e30
"""Magnitude to which values are clipped, and which stands for a value that is not finite."""

SMALLEST = 1e-12

OPTIONAL = frozenset(
    "train_accuracy valid_accuracy act_dead_share act_dead_share_max act_saturated_share "
    "act_saturated_share_max clip_share grad_noise first_moment_norm second_moment_norm".split()
)
"""Channels that some programs do not have; missing there says nothing about the run."""

BOUNDED = frozenset(
    "train_accuracy valid_accuracy grad_zero_share clip_share act_dead_share act_dead_share_max "
    "act_saturated_share act_saturated_share_max default_acc_gap_too_big default_loss_oscillation "
    "default_dying_relu default_gradient_vanish default_gradient_explode "
    "default_decrease_acc_count default_increase_loss_count deepfd_cons_mean_weight "
    "deepfd_cons_std_weight default_saturated_activation".split()
)
"""Channels between 0 and 1, which are used as they are; all others on a logarithmic scale."""


@dataclass(frozen=True)
class Cube:
    """The visible part of many traces.

    Attributes
    ----------
    run_ids : ndarray of shape (n_runs,)
    channels : tuple of str, length n_channels
    epoch : ndarray of shape (n_runs, n_snapshots)
        Epoch of a snapshot, -1 for ``init``.
    visible : ndarray of shape (n_runs, n_snapshots)
        False where a run has no such snapshot.
    values : ndarray of shape (n_runs, n_snapshots, n_channels)
        float64; missing where not visible.
    """

    run_ids: np.ndarray
    channels: tuple[str, ...]
    epoch: np.ndarray
    visible: np.ndarray
    values: np.ndarray

    @property
    def trained(self) -> np.ndarray:
        """Visible snapshots after training began, or ``init`` in runs that have no other."""
        after = self.visible & (self.epoch >= 0)
        return np.where(after.any(axis=1, keepdims=True), after, self.visible)

    @property
    def nonfinite(self) -> np.ndarray:
        """Visible snapshots at which a channel that every program has is not finite.

        In an optional channel only infinite values count.
        """
        optional = np.array([c in OPTIONAL for c in self.channels])
        bad = np.isinf(self.values) | (np.isnan(self.values) & ~optional)
        return self.visible & bad.any(axis=2)


def make_cube(epochs: pd.DataFrame, channels: Iterable[str], *, window: int | None) -> Cube:
    """Collect channels of all runs, cut at a window.

    Parameters
    ----------
    epochs : DataFrame
        Columns run_id, epoch (-1 = ``init``) and the channels.
    channels : iterable of str
    window : int or None
        Keep the snapshots with epoch < ``window``; 0 is ``init`` alone, None keeps all.

    Returns
    -------
    Cube
        Runs in the order of their first appearance.

    Raises
    ------
    InputError
        If a column is missing, the window is negative, a run has a snapshot twice, or one has no
        snapshot in the window.
    """
    channels = tuple(channels)
    missing = [c for c in ("run_id", "epoch", *channels) if c not in epochs.columns]
    if missing:
        raise InputError(f"epochs lacks the columns {', '.join(missing)}; load all channels")
    if window is not None and (isinstance(window, bool) or int(window) != window or window < 0):
        raise InputError(f"window is {window!r}; expected a number of epochs, 0 or more, or None")
    code, run_ids = pd.factorize(epochs["run_id"])
    epoch = epochs["epoch"].to_numpy()
    inside = slice(None) if window is None else np.flatnonzero(epoch < window)
    code, epoch = code[inside], epoch[inside]
    if len(np.unique(code)) < len(run_ids):
        raise InputError(f"some runs have no snapshot before epoch {window}; leave them out")
    order = np.lexsort((epoch, code))
    code, epoch = code[order], epoch[order]
    counts = np.bincount(code, minlength=len(run_ids))
    position = np.arange(len(code)) - np.repeat(np.cumsum(counts) - counts, counts)
    if len(code) > 1 and ((np.diff(code) == 0) & (np.diff(epoch) == 0)).any():
        raise InputError("a run has the same epoch twice; pass every snapshot once")
    shape = (len(run_ids), counts.max(initial=0))
    values = np.full((*shape, len(channels)), np.nan)
    values[code, position] = epochs[list(channels)].to_numpy(dtype=float)[inside][order]
    at = np.full(shape, np.iinfo(np.int32).max, dtype=np.int64)
    at[code, position] = epoch
    visible = np.arange(shape[1]) < counts[:, None]
    return Cube(np.asarray(run_ids), channels, at, visible, values)


def clip(values: np.ndarray, *, missing: float | np.ndarray = LARGEST) -> np.ndarray:
    """Return values within +-1e30, infinities clipped and missing values replaced.

    Examples
    --------
    >>> clip(np.array([1.0, -np.inf, np.nan])).tolist()
    [1.0, -1e+30, 1e+30]
    """
    return np.clip(np.where(np.isnan(values), missing, values), -LARGEST, LARGEST)


def signed_log10(values: np.ndarray) -> np.ndarray:
    """Return ``sign(x) * log10(1 + |x| / 1e-12)``: 0 at 0, mostly ``log10|x| + 12``.

    Examples
    --------
    >>> signed_log10(np.array([0.0, 1.0, -1000.0])).round(6).tolist()
    [0.0, 12.0, -15.0]
    """
    return np.sign(values) * np.log10(1 + np.abs(values) / SMALLEST)
