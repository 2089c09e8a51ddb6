"""Any technique, made to fit the evaluation: an estimator, a class, a rule, a function, a name.

Features travel through the evaluation as row numbers, so that a technique sees the table as it is,
with names, types and missing values.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from inspect import isclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.errors import InputError, unknown
from analysis_lib.harness.findings import listed
from analysis_lib.harness.tables import RunTable
from analysis_lib.techniques import Technique
from analysis_lib.techniques.default import make_default
from analysis_lib.techniques.general import make_dummy, make_forest, make_logistic

__all__ = ["ESTIMATORS", "NO_ANSWER", "FiniteValues", "bind", "row_numbers"]

NO_ANSWER = "(no answer)"
"""Stands for a missing prediction."""

LARGEST = 1e30
EXPECTED = (
    "expected an object with fit(X, y) and predict(X), one with predict(X) alone, or a function of "
    "X, where X is a DataFrame, y a Series, and predict returns one class per row"
)


def _make_knn(random_state: int | None = None) -> Pipeline:
    return make_pipeline(StandardScaler(), KNeighborsClassifier())


def _make_tree(random_state: int | None = None) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(
        class_weight="balanced", min_samples_leaf=3, random_state=random_state
    )


ESTIMATORS: Mapping[str, Callable[[int | None], Any]] = MappingProxyType(
    {
        "DEFault": make_default,
        "forest": make_forest,
        "logistic": make_logistic,
        "knn": _make_knn,
        "tree": _make_tree,
        "dummy": make_dummy,
    }
)
"""Estimators by name; each is made from a random state and comes after :class:`FiniteValues`."""


class FiniteValues(TransformerMixin, BaseEstimator):
    """Replace missing and infinite values, and say where they were.

    Infinite values become the largest (smallest) finite value of their column among the training
    rows, missing ones its median. Each column that was not finite in training gets another that is
    1 where it was not. Columns without a finite value become 0.

    Examples
    --------
    >>> FiniteValues().fit_transform(np.array([[1.0], [3.0], [np.nan], [np.inf]])).tolist()
    [[1.0, 0.0], [3.0, 0.0], [2.0, 1.0], [3.0, 1.0]]
    """

    def fit(self, x: Any, y: Any = None) -> Self:
        """Take limits and medians from the training rows."""
        x = np.asarray(x, dtype=float)
        finite = np.isfinite(x)
        some = finite.any(axis=0)
        self.low_ = np.where(some, np.where(finite, x, np.inf).min(axis=0), 0.0)
        self.high_ = np.where(some, np.where(finite, x, -np.inf).max(axis=0), 0.0)
        self.middle_ = np.zeros(x.shape[1])
        self.middle_[some] = np.nanmedian(np.where(finite, x, np.nan)[:, some], axis=0)
        self.gaps_ = ~finite.all(axis=0)
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the replaced columns, then those that say where."""
        x = np.asarray(x, dtype=float)
        bad = ~np.isfinite(x[:, self.gaps_])
        x = np.where(np.isposinf(x), self.high_, x)
        x = np.where(np.isneginf(x), self.low_, x)
        x = np.where(np.isnan(x), self.middle_, x)
        return np.column_stack([np.clip(x, -LARGEST, LARGEST), bad.astype(float)])


def row_numbers(table: RunTable) -> pd.DataFrame:
    """Return the features by which a bound technique finds its rows."""
    return pd.DataFrame(
        {"row": np.arange(len(table.runs), dtype=float)}, index=table.features.index
    )


def bind(technique: Any, table: RunTable, *, random_state: int = 0) -> Technique:
    """Return a technique of the evaluation that works on :func:`row_numbers`.

    Parameters
    ----------
    technique : None, str, Technique, estimator, class or function
        None is DEFault's forest; a name is a key of :data:`ESTIMATORS`. A class is made without
        arguments. What scikit-learn can clone is cloned for every fold, with its ``random_state``
        set; any other object is copied. An object without ``fit``, or a function, is a rule.
    table : RunTable
        Its features, as a DataFrame with the names of the columns, are what the technique gets.
    random_state : int

    Returns
    -------
    Technique

    Raises
    ------
    InputError
        If the name is unknown, a class cannot be made or an object not copied, or there is nothing
        to predict with.
    """
    if technique is None:
        technique = "DEFault"
    make: Callable[[int], Any]
    if isinstance(technique, str):
        if technique not in ESTIMATORS:
            raise unknown("technique", technique, ESTIMATORS)
        name, make = technique, _Named(ESTIMATORS[technique])
    elif isinstance(technique, Technique):
        name, make = technique.name, _Named(technique.make_estimator)
    else:
        name, make = _given(technique)
    maker = _Maker(make, name, table.features, dict(table.classes))
    maker(random_state)  # what cannot be made is told at once
    return Technique(name, "", maker, "given")


class _Named:
    """Makes an estimator of the library behind the replacement of missing values."""

    def __init__(self, make):
        self.make = make

    def __call__(self, seed):
        return make_pipeline(FiniteValues(), self.make(seed))


class _Copied:
    """Makes clones or copies of an object."""

    def __init__(self, given, name):
        self.given, self.name = given, name

    def __call__(self, seed):
        if isinstance(self.given, BaseEstimator):
            with suppress(Exception):  # what breaks scikit-learn's rules is copied
                model = clone(self.given)
                names = [n for n in model.get_params() if n.split("__")[-1] == "random_state"]
                return model.set_params(**dict.fromkeys(names, seed))
        try:
            return deepcopy(self.given)
        except Exception as error:
            raise InputError(
                f"technique {self.name} cannot be copied for the next fold "
                f"({type(error).__name__}: {error}); give its class instead of an object"
            ) from error


class _Rule:
    """An object that predicts with a function."""

    def __init__(self, function):
        self.predict = function


def _given(technique: Any) -> tuple[str, Callable]:
    if isclass(technique):
        try:
            technique = technique()
        except Exception as error:
            raise InputError(
                f"technique {technique.__name__} cannot be made without arguments "
                f"({type(error).__name__}: {error}); give an object"
            ) from error
    name = getattr(technique, "__name__", type(technique).__name__)
    if isinstance(technique, Pipeline):
        name = " + ".join(type(step).__name__ for _, step in technique.steps)
    if callable(getattr(technique, "predict", None)):
        return name, _Copied(technique, name)
    if callable(getattr(technique, "fit", None)):
        raise InputError(f"technique {name} has fit but no predict; {EXPECTED}")
    if callable(technique):
        return name, _Copied(_Rule(technique), name)
    raise InputError(f"technique is of type {name}, without predict; {EXPECTED}")


class _Maker:
    """Makes a technique that is bound to the rows of a table."""

    def __init__(self, make, name, features, classes):
        self.make, self.name, self.features, self.classes = make, name, features, classes

    def __call__(self, seed):
        return _Bound(self.make(seed), self.name, self.features, self.classes)


class _Bound:
    """An estimator of row numbers: looks the rows up, and checks what the technique does."""

    def __init__(self, model, name, features, classes):
        self.model, self.name, self.features, self.classes = model, name, features, classes

    def fit(self, rows, y):
        if not callable(getattr(self.model, "fit", None)):
            return self
        given = [self.classes[name] for name in y]
        text = any(isinstance(value, str) for value in given)
        target = pd.Series(given, dtype=object if text else None)
        x = self._rows(rows)
        try:
            self.model.fit(x, target)
        except Exception as error:
            raise self._error("fit", x, error) from error
        return self

    def predict(self, rows):
        x = self._rows(rows)
        try:
            answers = self.model.predict(x.copy())
        except Exception as error:
            raise self._error("predict", x, error) from error
        return self._names(answers, len(x))

    def _rows(self, rows: np.ndarray) -> pd.DataFrame:
        picked = self.features.iloc[np.asarray(rows)[:, 0].astype(int)]
        return picked.reset_index(drop=True)

    def _error(self, step: str, x: pd.DataFrame, error: Exception) -> InputError:
        gaps = [c for c in x if x[c].isna().any() or _infinite(x[c])]
        hint = ""
        if gaps:
            hint = f"; the columns {listed(gaps)} hold missing or infinite values: replace them in "
            hint += "a step of the technique, such as SimpleImputer"
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
        return InputError(
            f"technique {self.name} fails in {step} with {type(error).__name__}: {reason} "
            f"(X was a DataFrame of {len(x):,} rows with the columns {listed(x.columns)}){hint}"
        )

    def _names(self, answers: Any, number: int) -> np.ndarray:
        if answers is None or isinstance(answers, (str, bytes)) or not hasattr(answers, "__len__"):
            raise InputError(
                f"predict of technique {self.name} returned {type(answers).__name__}; {EXPECTED}"
            )
        values = np.asarray(answers, dtype=object)
        if values.shape[1:] == (1,):
            values = values[:, 0]
        if values.shape != (number,):
            raise InputError(
                f"predict of technique {self.name} returned shape {values.shape} for {number} "
                "rows; expected one class per row"
            )
        known = {value: name for name, value in self.classes.items()}
        known |= {name: name for name in self.classes}
        missing = pd.isna(values)
        try:
            found, index = pd.factorize(values)
        except TypeError as error:
            raise InputError(
                f"predict of technique {self.name} returned lists; expected one class per row"
            ) from error
        wrong = [v.item() if isinstance(v, np.generic) else v for v in index if v not in known]
        if wrong:
            raise InputError(
                f"technique {self.name} predicts {listed(map(repr, wrong), 3)}; expected a class "
                f"of the table ({listed(map(repr, self.classes.values()))}), or None for no answer"
            )
        names = np.array([*(known[v] for v in index), NO_ANSWER], dtype=object)
        return names[np.where(missing, len(index), found)]


def _infinite(column: pd.Series) -> bool:
    return pd.api.types.is_float_dtype(column.dtype) and bool(np.isinf(column.to_numpy()).any())
