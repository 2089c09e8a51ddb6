"""Training on the programs that are most like the new one."""

import numpy as np
from sklearn.base import BaseEstimator, clone

from analysis_lib.errors import InputError
from analysis_lib.transfer.base import ProgramClassifier, class_shares
from analysis_lib.transfer.reference import pooled_spread

__all__ = ["NearestPrograms"]


class NearestPrograms(ProgramClassifier):
    """Tracks U and H: fit on the training programs whose runs look most like the new program's.

    The signature of a program is the median of its runs (U) or of its healthy runs (H). Programs
    are ranked by the mean over features of ``log(1 + |difference of signatures| / spread)``.

    Parameters
    ----------
    estimator : estimator
        Fitted anew for every program.
    track : {"U", "H"}
    n_programs : int, default=15
        How many training programs are kept; all if there are fewer.

    Attributes
    ----------
    nearest_ : ndarray of str
        After ``adapt``: the programs, nearest first.

    References
    ----------
    The relevancy filter of cross-project defect prediction: Turhan et al., EMSE 2009.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from analysis_lib.evaluation import simulate_world
    >>> x, runs = simulate_world("transferable", programs=4, classes=2)
    >>> new = (runs["program"] == runs["program"].iloc[0]).to_numpy()
    >>> model = NearestPrograms(DecisionTreeClassifier(random_state=0), n_programs=2)
    >>> model = model.fit(x[~new], runs["label"][~new], groups=runs["program"][~new])
    >>> len(model.adapt(x[new]).nearest_)
    2
    """

    def __init__(self, estimator: BaseEstimator, track: str = "U", n_programs: int = 15):
        self.estimator = estimator
        self.track = track
        self.n_programs = n_programs

    def _fit(self, X, y, groups, reference, reference_groups):
        if self.track not in ("U", "H") or self.n_programs < 2:
            raise InputError(
                f"track is {self.track!r} and n_programs {self.n_programs}; expected U or H, and "
                "at least 2 programs"
            )
        runs, owner = (X, groups) if self.track == "U" else (reference, reference_groups)
        self.programs_ = np.unique(groups)
        self.signatures_ = np.array([np.median(runs[owner == p], axis=0) for p in self.programs_])
        self.spread_ = pooled_spread(runs, owner)
        self.training_, self.estimator_ = (X, y, groups), None

    def _see(self, pool, labels):
        far = np.abs(self.signatures_ - np.median(pool, axis=0)) / self.spread_
        order = np.argsort(np.log1p(far).mean(axis=1), kind="stable")
        X, y, groups = self.training_
        count = self.n_programs
        while True:  # classes that the nearest programs lack come with the next ones
            self.nearest_ = self.programs_[order[:count]]
            rows = np.isin(groups, self.nearest_)
            if count >= len(order) or len(np.unique(y[rows])) == len(self.classes_):
                break
            count += 1
        self.estimator_ = clone(self.estimator).fit(X[rows], y[rows])

    def _probability(self, X):
        if self.estimator_ is None:
            raise InputError(f"track {self.track}: call adapt with runs of the program first")
        return class_shares(self.estimator_, X)
