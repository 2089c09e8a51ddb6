"""Published per-snapshot checks, recomputed from the raw channels of one run.

DeepFD (Cao et al., ICSE 2022) watches a training run with 18 boolean checks; DEFault (Jahan et
al., ICSE 2025) logs 31 columns per epoch, of which 26 describe the training itself: 16 quantities,
which are channels of ours under other names, and ten checks. Checks are functions of channels that
are recorded anyway, so they are computed afterwards, with the published thresholds and the meaning
their authors describe. Where the released code does something else, the docstrings say what was
not carried over.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis_lib.configuration import EPOCHS
from analysis_lib.errors import InputError

__all__ = [
    "DEEPFD_FLAGS",
    "DEFAULT_COLUMNS",
    "DEFAULT_FLAGS",
    "RAW_CHANNELS",
    "deepfd_flags",
    "default_flags",
]

DEEPFD_FLAGS = tuple(
    f"deepfd_{name}"
    for name in (
        "not_converge unstable_loss nan_loss test_not_well test_turn_bad sc_accuracy died_relu "
        "vanish_gradient explode_gradient nan_gradient large_weight nan_weight "
        "weight_change_little decrease_acc increase_loss cons_mean_weight cons_std_weight nan_acc"
    ).split()
)
"""Names of the 18 checks of DeepFD, in the published order.

:meta hide-value:
"""

DEFAULT_FLAGS = tuple(
    f"default_{name}"
    for name in (
        "acc_gap_too_big loss_oscillation dying_relu gradient_vanish gradient_explode "
        "decrease_acc_count increase_loss_count saturated_activation"
    ).split()
)
"""Names of the eight checks of DEFault that no other channel holds.

:meta hide-value:
"""

DEFAULT_COLUMNS = {
    "train_loss": "train_loss",
    "train_acc": "train_accuracy",
    "val_loss": "valid_loss",
    "val_acc": "valid_accuracy",
    "large_weight_count": "weight_large_count",
    "acc_gap_too_big": "default_acc_gap_too_big",
    "loss_oscillation": "default_loss_oscillation",
    "dying_relu": "default_dying_relu",
    "gradient_vanish": "default_gradient_vanish",
    "gradient_explode": "default_gradient_explode",
    "decrease_acc_count": "default_decrease_acc_count",
    "increase_loss_count": "default_increase_loss_count",
    "cons_mean_weight_count": "deepfd_cons_mean_weight",
    "cons_std_weight_count": "deepfd_cons_std_weight",
    "nan_weight_count": "weight_nonfinite",
    "nan_gradients_count": "grad_nonfinite",
    "saturated_activation": "default_saturated_activation",
    "mean_gradient": "grad_tensor_mean",
    "gradient_std": "grad_tensor_std",
    "gradient_max": "grad_tensor_max",
    "gradient_min": "grad_tensor_min",
    "gradient_median": "grad_tensor_median",
    "mean_activation": "act_mean",
    "std_activation": "act_std",
    "mean_grad": "grad_mean",
    "std_grad": "grad_std",
}
"""The 26 columns of DEFault that describe the training (no hardware, rate or epoch), in the
published order, and the channel that holds each.

:meta hide-value:
"""

RAW_CHANNELS = tuple(
    (
        "train_loss valid_loss train_accuracy valid_accuracy grad_mean grad_std grad_abs_mean "
        "grad_abs_max grad_zero_share grad_norm_first grad_norm_last grad_tensor_mean "
        "grad_tensor_std grad_tensor_max grad_tensor_min grad_tensor_median grad_nonfinite "
        "weight_mean weight_std weight_abs_max weight_large_count weight_nonfinite act_mean "
        "act_std act_dead_share act_saturated_share"
    ).split()
)
"""Channels that the two functions read.

:meta hide-value:
"""

EPS = 1e-6  # shares are stored as float32: within this of a threshold they are equal to it


def deepfd_flags(epochs: pd.DataFrame, *, total_epochs: int = EPOCHS) -> pd.DataFrame:
    """Return the 18 checks of DeepFD at every snapshot of one run.

    ==================== ====================================================================
    check                1 when
    ==================== ====================================================================
    not_converge         best train or best validation accuracy so far < 0.6 (*)
    unstable_loss        accuracy swings (local maximum minus local minimum >= 0.03) at 20 % or
                         more of the snapshots so far (*)
    nan_loss             train or validation loss not finite, or validation loss >= 1e5
    test_not_well        train minus validation accuracy >= 0.10, or >= 0.07 where the train
                         accuracy is above 0.9 (*)
    test_turn_bad        since the last snapshot the train loss fell and the validation loss
                         rose, both by more than 0.01 (*)
    sc_accuracy          no step so far gained 0.01, neither in train nor in validation
                         accuracy (*)
    died_relu            at least 70 % of the gradient entries are 0
    vanish_gradient      first / last layer gradient norm < 1e-3 and first < 1e-4
    explode_gradient     first / last layer gradient norm > 70
    nan_gradient         a gradient entry is not finite
    large_weight         a weight exceeds 5 in magnitude
    nan_weight           a weight is not finite
    weight_change_little never (the released code defines the name and no rule)
    decrease_acc         train accuracy below that of the previous snapshot (*)
    increase_loss        train loss above that of the previous snapshot (*)
    cons_mean_weight     mean of the weights equal to that of the previous snapshot
    cons_std_weight      standard deviation of the weights likewise
    nan_acc              an accuracy that was measured before is not finite
    ==================== ====================================================================

    (*) only once 30 % of the epochs are done. A snapshot is judged from itself and earlier ones
    alone, so cutting a trace never changes what is left.

    Parameters
    ----------
    epochs : DataFrame of shape (n_snapshots, n_channels)
        The raw channels of one run in the order of time, :data:`RAW_CHANNELS` among them.
    total_epochs : int, default=12
        Planned length of the run, for the 30 % rule.

    Returns
    -------
    DataFrame of shape (n_snapshots, 18)
        0 or 1 as float32, columns :data:`DEEPFD_FLAGS`, index of ``epochs``.

    Raises
    ------
    InputError
        If a channel is missing or the snapshots are not in the order of time.

    Notes
    -----
    Differences from the released code: a flag speaks of its snapshot, where the code lets most
    flags count up (so that they encode the length of the run); names and values are aligned
    (there, the header is shifted by four); rules on validation metrics work (there, they are
    missing at the end of a batch); weights are compared over the whole model instead of tensor by
    tensor; snapshots are epochs instead of every 256 batches. Accuracy rules stay 0 in programs
    without an accuracy, and rules on a quantity stay 0 while that quantity is not finite.

    References
    ----------
    Cao et al., DeepFD: Automated Fault Diagnosis and Localization for Deep Learning Programs,
    ICSE 2022; the monitor stems from Zhang et al., AutoTrainer, ICSE 2021.

    Examples
    --------
    >>> trace = pd.DataFrame(0.0, index=range(13), columns=list(RAW_CHANNELS))
    >>> trace["weight_abs_max"] = 6.0
    >>> int(deepfd_flags(trace)["deepfd_large_weight"].sum())
    13
    """
    c = _channels(epochs)
    loss, vloss = c["train_loss"], c["valid_loss"]
    acc, vacc = c["train_accuracy"], c["valid_accuracy"]
    late = _epoch_of(epochs) + 1 >= 0.3 * total_epochs
    with np.errstate(invalid="ignore", over="ignore"):
        lost_vloss = np.isinf(vloss) | (np.isnan(vloss) & _seen(vloss))
        nan_loss = ~np.isfinite(loss) | lost_vloss | (vloss >= 1e5)
        nan_acc = (~np.isfinite(acc) & _seen(acc)) | (~np.isfinite(vacc) & _seen(vacc))
        nan_gradient = c["grad_nonfinite"] != 0
        nan_weight = c["weight_nonfinite"] != 0
        judged = late & ~nan_loss & ~nan_acc
        first, last = c["grad_norm_first"], c["grad_norm_last"]
        gap = acc - vacc
        flags = {
            "not_converge": judged & ((_best(acc) < 0.6 - EPS) | (_best(vacc) < 0.6 - EPS)),
            "unstable_loss": judged & _swings(acc, height=0.03, share=0.2),
            "nan_loss": nan_loss,
            "test_not_well": judged & (gap >= np.where(acc > 0.9 + EPS, 0.07, 0.1) - EPS),
            "test_turn_bad": judged & (_step(loss) < -0.01) & (_step(vloss) > 0.01),
            "sc_accuracy": judged
            & (_best(_step(acc)) < 0.01 - EPS)
            & (_best(_step(vacc)) < 0.01 - EPS),
            "died_relu": ~nan_gradient & (c["grad_zero_share"] >= 0.7 - EPS),
            "vanish_gradient": ~nan_gradient & (first < 1e-3 * last) & (first < 1e-4),
            "explode_gradient": ~nan_gradient & (first > 70 * last),
            "nan_gradient": nan_gradient,
            "large_weight": ~nan_weight & (c["weight_abs_max"] > 5),
            "nan_weight": nan_weight,
            "weight_change_little": np.zeros(len(epochs), bool),
            "decrease_acc": judged & (_step(acc) < 0),
            "increase_loss": judged & (_step(loss) > 0),
            "cons_mean_weight": ~nan_weight & (_step(c["weight_mean"]) == 0),
            "cons_std_weight": ~nan_weight & (_step(c["weight_std"]) == 0),
            "nan_acc": nan_acc,
        }
    return _frame(flags.values(), DEEPFD_FLAGS, epochs.index)


def default_flags(epochs: pd.DataFrame) -> pd.DataFrame:
    """Return eight of the ten checks of DEFault at every snapshot of one run.

    ====================== ==================================================================
    check                  1 when
    ====================== ==================================================================
    acc_gap_too_big        train and validation accuracy differ by more than 0.1
    loss_oscillation       train loss differs from the previous snapshot's by more than 0.01
    dying_relu             more than 70 % of the rectifier outputs are <= 0
    gradient_vanish        mean magnitude of the gradient entries < 1e-4
    gradient_explode       largest magnitude of a gradient entry > 70
    decrease_acc_count     train accuracy below that of the previous snapshot
    increase_loss_count    train loss above that of the previous snapshot
    saturated_activation   more than 50 % of the sigmoid and tanh inputs beyond +-5
    ====================== ==================================================================

    The other two (cons_mean_weight_count, cons_std_weight_count: the mean and the standard
    deviation of the weights stayed the same) are checks of DeepFD, too; :data:`DEFAULT_COLUMNS`
    says which channel holds each of DEFault's 26 columns.

    Parameters
    ----------
    epochs : DataFrame of shape (n_snapshots, n_channels)
        The raw channels of one run in the order of time, :data:`RAW_CHANNELS` among them.

    Returns
    -------
    DataFrame of shape (n_snapshots, 8)
        0 or 1 as float32, columns :data:`DEFAULT_FLAGS`, index of ``epochs``; a check on a missing
        value is 0.

    Raises
    ------
    InputError
        If a channel is missing or the snapshots are not in the order of time.

    Notes
    -----
    Differences from the released code: the accuracy of programs that do not classify is missing
    instead of 1 - MAPE / 100; the two comparisons with the previous epoch compare (there, they are
    constant); constant weights are tested (there, the column is an inverted missing-value flag);
    saturation is tested on the inputs of sigmoid and tanh, whose outputs cannot exceed 1;
    gradients come from a fixed probe batch; the learning rate is neither changed nor logged; and
    hardware, learning rate and epoch number are left out.

    References
    ----------
    Jahan, Shah, Rahman, Improved Detection and Diagnosis of Faults in Deep Neural Networks Using
    Hierarchical and Explainable Classification, ICSE 2025.

    Examples
    --------
    >>> trace = pd.DataFrame(0.0, index=range(3), columns=list(RAW_CHANNELS))
    >>> trace["train_loss"] = [3.0, 1.0, 2.0]
    >>> default_flags(trace)["default_increase_loss_count"].tolist()
    [0.0, 0.0, 1.0]
    """
    c = _channels(epochs)
    _epoch_of(epochs)
    with np.errstate(invalid="ignore", over="ignore"):
        flags = {
            "acc_gap_too_big": np.abs(c["train_accuracy"] - c["valid_accuracy"]) > 0.1 + EPS,
            "loss_oscillation": np.abs(_step(c["train_loss"])) > 0.01,
            "dying_relu": c["act_dead_share"] > 0.7 + EPS,
            "gradient_vanish": c["grad_abs_mean"] < 1e-4,
            "gradient_explode": c["grad_abs_max"] > 70,
            "decrease_acc_count": _step(c["train_accuracy"]) < 0,
            "increase_loss_count": _step(c["train_loss"]) > 0,
            "saturated_activation": c["act_saturated_share"] > 0.5 + EPS,
        }
    return _frame(flags.values(), DEFAULT_FLAGS, epochs.index)


def _channels(epochs: pd.DataFrame) -> dict[str, np.ndarray]:
    missing = [name for name in RAW_CHANNELS if name not in epochs.columns]
    if missing:
        raise InputError(
            f"the trace lacks the channels {', '.join(missing)}; record it with all channels"
        )
    values = epochs[list(RAW_CHANNELS)].to_numpy(dtype=float).T
    return dict(zip(RAW_CHANNELS, values, strict=True))


def _epoch_of(epochs: pd.DataFrame) -> np.ndarray:
    if "epoch" not in epochs.columns:
        return np.arange(-1, len(epochs) - 1)
    epoch = epochs["epoch"].to_numpy()
    if len(epoch) > 1 and (np.diff(epoch) <= 0).any():
        raise InputError(
            "the snapshots are not in the order of time; pass one run, sorted by epoch"
        )
    return epoch


def _frame(values: Iterable[np.ndarray], names: tuple[str, ...], index: pd.Index) -> pd.DataFrame:
    with np.errstate(over="ignore"):
        table = np.column_stack(list(values)).astype(np.float32)
    return pd.DataFrame(table, columns=list(names), index=index)


def _step(values: np.ndarray) -> np.ndarray:
    """Change since the previous snapshot; missing at the first."""
    return np.diff(values, prepend=np.nan)


def _best(values: np.ndarray) -> np.ndarray:
    """Largest value so far; missing before the first value."""
    return np.fmax.accumulate(values)


def _seen(values: np.ndarray) -> np.ndarray:
    """Whether the channel was finite at this snapshot or before."""
    return np.logical_or.accumulate(np.isfinite(values))


def _swings(values: np.ndarray, *, height: float, share: float) -> np.ndarray:
    """Whether swings of at least ``height`` make up ``share`` of the snapshots so far.

    The i-th local maximum is compared with the i-th local minimum; a snapshot can be judged as an
    extremum only once its successor is known.
    """
    before, after = values[1:-1] - values[:-2], values[1:-1] - values[2:]
    high = np.flatnonzero((before >= 0) & (after >= 0)) + 1
    low = np.flatnonzero((before <= 0) & (after <= 0)) + 1
    pairs = min(len(high), len(low))
    high, low = high[:pairs], low[:pairs]
    known_at = np.maximum(high, low)[values[high] - values[low] >= height - EPS] + 1
    seen = np.searchsorted(np.sort(known_at), np.arange(len(values)), side="right")
    return (seen > 0) & (seen >= share * np.arange(1, len(values) + 1))
