"""Equal class mixes within programs: by drawing training runs, or by weighting them."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from analysis_lib.errors import InputError, unknown

__all__ = ["BALANCES", "balance_weights", "balanced_rows", "check_balance", "fit"]

BALANCES = ("subsample", "weights")
"""Ways to even out a class mix."""


def check_balance(balance: str) -> None:
    """Raise an InputError if there is no such way to even out a class mix."""
    if balance not in BALANCES:
        raise unknown("balance", balance, BALANCES)


def balanced_rows(
    program: np.ndarray, label: np.ndarray, *, random_state: int | None = 0
) -> np.ndarray:
    """Draw as many runs of each class a program has as of its rarest one.

    With :math:`n_{gc}` runs of class c in program g, :math:`\\min_c n_{gc}` of each class are drawn
    without replacement, the minimum over the classes the program has. A program with a single
    class says nothing about classes but its own and is left out, unless all programs are such.

    Parameters
    ----------
    program, label : array-like of shape (n_runs,)
    random_state : int

    Returns
    -------
    ndarray of int
        Positions of the drawn runs, ascending.

    Examples
    --------
    >>> rows = balanced_rows(["p"] * 5 + ["q"] * 2, list("xxxyyzz"))
    >>> len(rows), sorted(np.array(list("xxxyyzz"))[rows].tolist())
    (4, ['x', 'x', 'y', 'y'])
    """
    cell, size, smallest, several = _cells(program, label)
    order = np.lexsort((np.random.default_rng(random_state).permutation(len(cell)), cell))
    first = np.concatenate([[0], np.cumsum(np.bincount(cell))])
    rank = np.empty(len(cell), dtype=int)
    rank[order] = np.arange(len(cell)) - first[cell[order]]
    return np.flatnonzero((rank < smallest) & (several | ~several.any()))


def balance_weights(program: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return weights under which every class of a program counts the same.

    .. math:: w_{gc} = n_g / (k_g n_{gc}),

    with :math:`n_g` runs and :math:`k_g` classes in program g: the weights of a program add up to
    its number of runs, so that programs weigh what they did. Programs with a single class have
    weight 0, unless all programs are such.

    Parameters
    ----------
    program, label : array-like of shape (n_runs,)

    Returns
    -------
    ndarray of float

    Examples
    --------
    >>> balance_weights(["p"] * 4, list("xxxy")).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    _, size, _, several = _cells(program, label)
    group = pd.factorize(np.asarray(program))[0]
    total = np.bincount(group)[group]
    # the sum over runs of 1 / n_gc is the number of classes of their program
    classes = np.bincount(group, weights=1 / size)[group]
    return np.where(several | ~several.any(), total / (classes * size), 0.0)


def fit(model: Any, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> Any:
    """Fit an estimator, with weights if they are given; a pipeline gives them to its last step.

    Raises
    ------
    InputError
        If the estimator takes no weights.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> model = fit(DummyClassifier(), [[0], [0], [0]], list("xxy"), np.array([1, 1, 5]))
    >>> model.predict([[0]]).tolist()
    ['y']
    """
    if weights is None:
        return model.fit(x, y)
    name, last = "sample_weight", model
    if isinstance(model, Pipeline):
        name, last = f"{model.steps[-1][0]}__sample_weight", model.steps[-1][1]
    if not has_fit_parameter(last, "sample_weight"):
        raise InputError(
            f"{type(last).__name__} cannot weight runs; use balance='subsample' instead of weights"
        )
    return model.fit(x, y, **{name: weights})


def _cells(program: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return for every run its (program, class), that one's size, the smallest size in the program,
    and whether the program has several classes."""
    group = pd.factorize(np.asarray(program))[0]
    kind, classes = pd.factorize(np.asarray(label))
    cell = np.unique(group * len(classes) + kind, return_inverse=True)[1]
    size = np.bincount(cell)[cell]
    smallest = np.full(group.max(initial=-1) + 1, len(cell))
    np.minimum.at(smallest, group, size)
    several = size < np.bincount(group)[group]
    return cell, size, smallest[group], several
