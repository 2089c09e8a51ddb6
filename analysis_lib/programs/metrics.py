"""Metrics of the programs, on outputs after the output activation."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis_lib.programs.losses import quantile_levels

__all__ = ["METRICS", "Metric", "accuracy"]


@dataclass(frozen=True)
class Metric:
    """A metric ``compute(output, target) -> float`` and its direction."""

    compute: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool
    meaning: str


def accuracy(output: np.ndarray, target: np.ndarray) -> float:
    """Share of rows whose class is right.

    Parameters
    ----------
    output : ndarray of shape (n, classes), or (n,) or (n, 1) for two classes
        Outputs after the output activation; one output means class 1 if above one half.
    target : ndarray of shape (n,)
        Integer classes.

    Examples
    --------
    >>> accuracy(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]))
    0.5
    """
    if output.ndim == 2 and output.shape[1] > 1:
        chosen = output.argmax(axis=1)
    else:
        chosen = (output.reshape(len(output)) > 0.5).astype(int)
    return float(np.mean(chosen == target.reshape(len(target))))


def _auc(output: np.ndarray, target: np.ndarray) -> float:
    """Area under the ROC curve of classes 0 and 1, to the last bit that of scikit-learn.

    Of one class it is missing. Importing scikit-learn would add 60 MiB to every process that
    trains.
    """
    if len(np.unique(target)) < 2:
        return math.nan
    score = output.reshape(-1)
    order = np.argsort(-score, kind="stable")
    score, positive = score[order], (target.reshape(-1) == 1)[order]
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)  # rows of equal score are one
    hits = np.cumsum(positive)[last]
    misses = 1 + last - hits
    corner = np.ones(len(last), dtype=bool)
    corner[1:-1] = (np.diff(misses, 2) != 0) | (np.diff(hits, 2) != 0)
    hits, misses = (np.append(0, counts[corner]) / counts[-1] for counts in (hits, misses))
    return float(np.trapezoid(hits, misses))


def _r2(output: np.ndarray, target: np.ndarray) -> float:
    target = target.reshape(output.shape).astype(np.float64)
    residual = np.mean((output - target) ** 2)
    return float(1 - residual / np.mean((target - target.mean(axis=0)) ** 2))


def _pinball_skill(output: np.ndarray, target: np.ndarray) -> float:
    levels = np.array(quantile_levels(output.shape[1]))
    target = target.reshape(output.shape).astype(np.float64)
    constant = [np.quantile(t, level) for t, level in zip(target.T, levels, strict=True)]

    def pinball(y: np.ndarray) -> float:
        return np.maximum(levels * (target - y), (levels - 1) * (target - y)).mean()

    return float(1 - pinball(output) / pinball(np.array(constant)))


def _iou(output: np.ndarray, target: np.ndarray) -> float:
    chosen, right = output > 0.5, target.reshape(output.shape) > 0.5
    return float((chosen & right).sum() / max((chosen | right).sum(), 1))


METRICS = {
    "accuracy": Metric(accuracy, True, "share of right classes"),
    "auc": Metric(_auc, True, "area under the ROC curve"),
    "pinball_skill": Metric(
        _pinball_skill, True, "1 - pinball loss / pinball loss of the target's own quantiles"
    ),
    "iou": Metric(_iou, True, "pixels chosen and right / pixels chosen or right"),
    "r2": Metric(_r2, True, "1 - mean squared error / variance of the target"),
}
"""Metrics by name; chance is 1/classes, one half, and zero."""
