"""What the published rule-based detectors share: from curves to a symptom to a category.

A detector watches a training run, stops at the first symptom and names a repair. Here it reads a
trace epoch by epoch: the first symptom in time counts, of several at one epoch the one the tool
checks first, and the category of the fault is that of the repair the tool then proposes. Nothing
is learned; ``fit`` notes the classes of the task.

Three things hold for all of them. A rule about something that a trace does not hold (the names of
layers, the range of the inputs, the gradient of the outputs) is left out. Where a tool looks at
every batch, an epoch takes the batch's place; where it looks at every layer, the channel over all
layers does. A snapshot at which the loss is not finite counts as not finite in every quantity.
"""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from analysis_lib.errors import InputError
from analysis_lib.features import rules as channels

__all__ = [
    "EPS",
    "FAULTY",
    "NO_FAULT",
    "Check",
    "RuleBasedDetector",
    "best",
    "constant",
    "found",
    "last",
    "once",
    "step",
]

NO_FAULT = "Healthy"
"""What a detector predicts where no rule fires, whether or not the task has such a class."""

FAULTY = "Faulty"
"""What it predicts where one does, in a task that only tells faulty from healthy runs."""

EPS = 1e-6  # accuracies and shares are stored as float32: within this of a threshold they equal it


class Check(NamedTuple):
    """One symptom.

    Attributes
    ----------
    symptom : str
    causes : tuple of str
        Categories of the proposed repairs, first one first.
    fired : ndarray of shape (n_runs, n_epochs)
    """

    symptom: str
    causes: tuple[str, ...]
    fired: np.ndarray


class RuleBasedDetector(ClassifierMixin, BaseEstimator):
    """Base of the detectors: first symptom, then category.

    Of the categories that a symptom points to, the first that is a class of the task is
    predicted; if none is, the very first, which is then wrong in any case. Where no rule fires,
    ``"Healthy"`` is predicted (abstention). A task with a class ``"Faulty"`` asks for detection
    only.

    Attributes
    ----------
    classes_ : ndarray of str
        Classes of the training labels.
    """

    channels: ClassVar[tuple[str, ...]] = ()
    """Channels read, in the order of the feature set.

    :meta hide-value:
    """

    categories: ClassVar[frozenset[str]] = frozenset()
    """Categories that the detector can name."""

    @abstractmethod
    def checks(self, c: dict[str, np.ndarray], lost: dict[str, np.ndarray]) -> Iterable[Check]:
        """Return the checks in the order in which the tool makes them.

        Parameters
        ----------
        c, lost : dict of ndarray of shape (n_runs, n_epochs)
            See :func:`analysis_lib.features.rules.decode`.
        """

    def fit(self, X: Any, y: Any) -> Self:
        """Note the classes; nothing is learned.

        Raises
        ------
        InputError
            If the table is not that of the detector's feature set, or no label is a category that
            it can name.
        """
        self._decode(X)
        self.n_features_in_ = np.shape(X)[1]
        self.classes_ = np.unique(np.asarray(y))
        known = self.categories | {FAULTY}
        if not known & set(self.classes_):
            raise InputError(
                f"{type(self).__name__} names {', '.join(sorted(self.categories))}; the labels "
                f"are {', '.join(map(str, self.classes_))}: use fault categories, or "
                f"'{FAULTY}' and '{NO_FAULT}'"
            )
        return self

    def symptoms(self, X: Any) -> np.ndarray:
        """Return the first symptom of every run, empty where no rule fires."""
        first, checks = self._first(X)
        names = np.array([*(check.symptom for check in checks), ""], dtype=object)
        return names[first]

    def predict(self, X: Any) -> np.ndarray:
        """Return a category for every run."""
        check_is_fitted(self)
        first, checks = self._first(X)
        answers = np.array([*(self._answer(check.causes) for check in checks), NO_FAULT], object)
        return answers[first]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return 1 for the predicted class, or equal shares if it is no class of the task."""
        guess = self.predict(X)
        share = (guess[:, None] == self.classes_[None, :]).astype(float)
        share[share.sum(axis=1) == 0] = 1 / len(self.classes_)
        return share

    def _decode(self, X: Any) -> tuple[dict, dict]:
        return channels.decode(np.asarray(X, dtype=float), self.channels)

    def _first(self, X: Any) -> tuple[np.ndarray, list[Check]]:
        with np.errstate(invalid="ignore", over="ignore"):
            checks = list(self.checks(*self._decode(X)))
        fired = np.stack([check.fired for check in checks], axis=2)  # run, epoch, check
        flat = fired.reshape(len(fired), -1)
        at = np.where(flat.any(axis=1), flat.argmax(axis=1) % len(checks), len(checks))
        return at, checks

    def _answer(self, causes: tuple[str, ...]) -> str:
        known = [cause for cause in causes if cause in self.classes_]
        if known:
            return known[0]
        return FAULTY if FAULTY in self.classes_ else causes[0]


def found(c: dict, lost: dict, count: str) -> np.ndarray:
    """Whether a count of values that are not finite is above 0, or was not to be had."""
    return (c[count] > 0) | lost[count]


def step(values: np.ndarray) -> np.ndarray:
    """Change since the epoch before; missing at the first."""
    return np.diff(values, axis=1, prepend=np.nan)


def best(values: np.ndarray) -> np.ndarray:
    """Largest value so far; missing before the first value."""
    return np.fmax.accumulate(values, axis=1)


def once(fired: np.ndarray) -> np.ndarray:
    """Whether it fired at this epoch or before."""
    return np.logical_or.accumulate(fired, axis=1)


def last(seen: np.ndarray) -> np.ndarray:
    """The last epoch that is visible, of every run."""
    behind = np.logical_or.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
    return seen & ~np.roll(np.where(np.arange(seen.shape[1]) == 0, False, behind), -1, axis=1)


def constant(values: np.ndarray, block: int) -> np.ndarray:
    """At the end of every block of epochs: whether the values in it are all the same."""
    fired = np.zeros(values.shape, dtype=bool)
    for end in range(block, values.shape[1] + 1, block):
        part = values[:, end - block : end]
        fired[:, end - 1] = (part == part[:, :1]).all(axis=1)
    return fired
