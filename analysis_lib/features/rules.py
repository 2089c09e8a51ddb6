"""What the rule-based detectors read: raw channels, one column per snapshot.

A rule looks at a curve, so its feature set is the curve itself. Columns are
``<channel>@init``, ``<channel>@0``, ..., ``<channel>@19`` for every channel, whatever the window:
what lies behind it, or was never recorded, is marked as absent. So a table of features has the
same columns at every window, and a run the same row whoever stands beside it.
"""

import numpy as np

from analysis_lib.errors import InputError
from analysis_lib.features.optimizer import STEP_CHANNELS
from analysis_lib.features.values import LARGEST, OPTIONAL, Cube

__all__ = [
    "ABSENT",
    "AUTOTRAINER",
    "DEEPDIAGNOSIS",
    "DEEPLOCALIZE",
    "LENGTH",
    "NONFINITE",
    "UMLAUT",
    "decode",
    "per_epoch",
]

LENGTH = 20
"""Epochs that have a column; later ones are not seen by a rule."""

NONFINITE = 2 * LARGEST
"""Stands for a value that is NaN or infinite; real values end at 1e30."""

ABSENT = -2 * LARGEST
"""Stands for a value that does not exist: behind the window, or not part of the program."""

AUTOTRAINER = tuple(
    (
        "train_loss valid_loss train_accuracy valid_accuracy grad_norm_first grad_norm_last "
        "grad_zero_share grad_nonfinite weight_nonfinite"
    ).split()
)
DEEPLOCALIZE = tuple(
    (
        "train_loss train_accuracy act_mean act_nonfinite weight_mean weight_nonfinite "
        "grad_mean grad_nonfinite"
    ).split()
)
UMLAUT = tuple("train_loss valid_loss train_accuracy valid_accuracy".split())
DEEPDIAGNOSIS = (
    *DEEPLOCALIZE,
    *"act_dead_share_max act_saturated_share_max grad_abs_mean weight_std update_ratio".split(),
)

_MAY_LACK = OPTIONAL | {"act_mean"}  # NaN in a model without activations
_UNKNOWN_MEASURE = "valid_loss"  # NaN in a program that does not measure it


def per_epoch(cube: Cube) -> dict[str, np.ndarray]:
    """Return every channel at ``init`` and at each of the first 20 epochs.

    Values are clipped to +-1e30. A value that is not finite becomes :data:`NONFINITE`; one that
    does not exist becomes :data:`ABSENT`: a snapshot that is not visible, a channel that the
    program does not have, a channel of training steps at ``init``, a validation loss that was
    never finite while the train loss is.

    Parameters
    ----------
    cube : Cube

    Returns
    -------
    dict of ndarray of shape (n_runs,)
        ``<channel>@<epoch>``, channel by channel, 21 columns each.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis_lib.features.values import make_cube
    >>> epochs = pd.DataFrame({"run_id": "a", "epoch": [-1, 0, 1], "train_loss": [2, 1, np.nan]})
    >>> row = per_epoch(make_cube(epochs, ["train_loss"], window=2))
    >>> row["train_loss@0"].tolist(), row["train_loss@1"].tolist(), row["train_loss@2"].tolist()
    ([1.0], [2e+30], [-2e+30])
    """
    run, snapshot = np.nonzero(cube.visible & (cube.epoch < LENGTH))
    slot = cube.epoch[run, snapshot] + 1
    at = {name: j for j, name in enumerate(cube.channels)}
    table = {}
    for j, channel in enumerate(cube.channels):
        values = cube.values[:, :, j]
        absent = np.isnan(values) & (channel in _MAY_LACK)
        if channel == _UNKNOWN_MEASURE:
            measured = np.logical_or.accumulate(np.isfinite(values), axis=1)
            if "train_loss" in at:
                measured |= ~np.isfinite(cube.values[:, :, at["train_loss"]])
            absent = np.isnan(values) & ~measured
        coded = np.where(np.isfinite(values), np.clip(values, -LARGEST, LARGEST), NONFINITE)
        coded = np.where(absent, ABSENT, coded)
        grid = np.full((len(cube.run_ids), LENGTH + 1), ABSENT)
        grid[run, slot] = coded[run, snapshot]
        if channel in STEP_CHANNELS:
            grid[:, 0] = ABSENT
        for k in range(LENGTH + 1):
            table[f"{channel}@{'init' if k == 0 else k - 1}"] = grid[:, k]
    return table


def decode(
    table: np.ndarray, channels: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Turn a matrix of :func:`per_epoch` features back into curves.

    Parameters
    ----------
    table : ndarray of shape (n_runs, 21 * n_channels)
    channels : tuple of str

    Returns
    -------
    values : dict of ndarray of shape (n_runs, 20)
        Per channel the epochs in order, NaN where there is no finite value. Runs of which no
        epoch is visible have ``init`` in the first place.
    lost : dict of ndarray of shape (n_runs, 20)
        Whether the value was there and not finite.

    Raises
    ------
    InputError
        If the number of columns is not that of these channels.
    """
    width = len(channels) * (LENGTH + 1)
    if table.ndim != 2 or table.shape[1] != width:
        raise InputError(
            f"the table has shape {table.shape}; these rules read {width} columns, "
            f"{len(channels)} channels at {LENGTH + 1} snapshots: extract their own feature set"
        )
    cube = table.reshape(len(table), len(channels), LENGTH + 1)
    present = cube > 0.75 * ABSENT
    untrained = ~present[:, :, 1:].any(axis=(1, 2))
    cube = cube[:, :, 1:].copy()
    first = table.reshape(len(table), len(channels), LENGTH + 1)[:, :, 0]
    cube[untrained, :, 0] = first[untrained]
    lost = cube >= 0.75 * NONFINITE
    values = np.where(lost | (cube <= 0.75 * ABSENT), np.nan, cube)
    return (
        {name: values[:, j] for j, name in enumerate(channels)},
        {name: lost[:, j] for j, name in enumerate(channels)},
    )
