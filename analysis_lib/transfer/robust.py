"""Group-robust training: the worst program counts most."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler

from analysis_lib.errors import InputError
from analysis_lib.evaluation.scores import by_program
from analysis_lib.transfer.base import ProgramClassifier

__all__ = ["GroupRobustLogistic"]


class GroupRobustLogistic(ProgramClassifier):
    """Track Z: multinomial logistic regression by group distributionally robust optimization.

    Minimises ``max_q sum_g q_g loss_g(W) + penalty |W|^2 / 2`` over the weights W, loss_g being
    the mean cross-entropy of program g (classes weighted equally in it). The shares q of the
    programs are raised by exponentiated gradient, ``q_g <- q_g exp(step loss_g)``, and W descends
    the weighted loss with Adam, in turn. With ``step=0`` this is a logistic regression in which
    every program counts the same.

    If there are several penalties or steps, the training programs choose: they are held out in
    ``n_inner`` groups, and the pair is taken whose macro recall on the worst quarter of the
    held-out programs is the highest; of equal ones the first.

    Parameters
    ----------
    penalties : sequence of float, default=(0.01, 0.1, 1.0)
    steps : sequence of float, default=(0.02, 0.2)
        Of the shares of the programs.
    rate : float, default=0.02
        Of Adam.
    iterations : int, default=100
    n_inner : int, default=2
    random_state : int, default=0
        By which training programs are dealt to the inner groups.

    Attributes
    ----------
    penalty_ : float
        The penalty that was taken.
    step_ : float
        The step that was taken with it.
    inner_ : DataFrame
        penalty, step, score; empty if there was nothing to choose.
    shares_ : ndarray of shape (n_programs,)
        Shares of the programs at the end, in the order of ``programs_``.
    programs_ : ndarray of shape (n_programs,)

    References
    ----------
    Sagawa, Koh, Hashimoto and Liang, Distributionally robust neural networks for group shifts,
    ICLR 2020, who find that strong regularization is needed.

    Examples
    --------
    >>> from analysis_lib.evaluation import simulate_world
    >>> x, runs = simulate_world("transferable", programs=4, classes=2)
    >>> model = GroupRobustLogistic(penalties=(0.1,), steps=(0.1,), iterations=20)
    >>> model.fit(x, runs["label"], groups=runs["program"]).shares_.shape
    (4,)
    """

    def __init__(
        self,
        penalties: Sequence[float] = (0.01, 0.1, 1.0),
        steps: Sequence[float] = (0.02, 0.2),
        rate: float = 0.02,
        iterations: int = 100,
        n_inner: int = 2,
        random_state: int = 0,
    ):
        self.penalties = penalties
        self.steps = steps
        self.rate = rate
        self.iterations = iterations
        self.n_inner = n_inner
        self.random_state = random_state

    def _fit(self, X, y, groups, reference, reference_groups):
        pairs = list(product(self.penalties, self.steps))
        if not pairs or np.min(pairs) < 0 or self.rate <= 0 or self.iterations < 1:
            raise InputError(
                f"penalties {self.penalties}, steps {self.steps}, rate {self.rate} and iterations "
                f"{self.iterations}: the first two must be 0 or more, the others above 0"
            )
        self.inner_ = pd.DataFrame(columns=["penalty", "step", "score"])
        if len(pairs) > 1:
            self.inner_ = self._compare(X, y, groups, pairs)
            pairs = [pairs[int(self.inner_["score"].to_numpy().argmax())]]
        self.penalty_, self.step_ = pairs[0]
        self.programs_ = np.unique(groups)
        self.scaler_, weights, shares = self._descend(X, y, groups, pairs)
        self.weights_, self.shares_ = weights[:, 0], shares[0]

    def _probability(self, X):
        return softmax(_inputs(self.scaler_, X) @ self.weights_, axis=1)

    def _compare(self, X: Any, y: Any, groups: Any, pairs: Any) -> pd.DataFrame:
        names = np.random.default_rng(self.random_state).permutation(np.unique(groups))
        count = min(self.n_inner, len(names))
        if count < 2:
            raise InputError(f"n_inner is {self.n_inner}; expected 2 or more groups of programs")
        parts = []
        for part in (names[k::count] for k in range(count)):
            tested = np.isin(groups, part)
            scaler, weights, _ = self._descend(X[~tested], y[~tested], groups[~tested], pairs)
            scores = np.tensordot(_inputs(scaler, X[tested]), weights, axes=1)
            table = pd.DataFrame({"program": groups[tested], "label": y[tested]})
            parts.append(
                [
                    by_program(table.assign(predicted=predicted), min_runs=1)["score"]
                    for predicted in self.classes_[scores.argmax(axis=2)].T
                ]
            )
        rows = []
        for pair, found in zip(pairs, zip(*parts, strict=True), strict=True):
            score = pd.concat(found).sort_values()
            worst = score.iloc[: -(-len(score) // 4)].mean()
            rows.append({"penalty": pair[0], "step": pair[1], "score": worst})
        return pd.DataFrame(rows)

    def _descend(self, X, y, groups, pairs):
        """Return scaler, weights (n_inputs, n_pairs, n_classes) and shares (n_pairs, n_programs).

        All pairs descend side by side, since a product with many columns costs little more than
        one with few; in single precision, which is ample for a descent in small steps.
        """
        scaler = StandardScaler().fit(X)
        X = _inputs(scaler, X).astype(np.float32)
        penalty, step = np.array(pairs, dtype=np.float32).T
        hot = (y[:, None] == self.classes_).astype(np.float32)
        names, program = np.unique(groups, return_inverse=True)
        member = (program[:, None] == np.arange(len(names))).astype(np.float32)
        cells = member.T @ hot  # runs of every program and class
        present = (cells > 0).sum(axis=1)
        weight = 1 / ((cells[program] * hot).sum(axis=1) * present[program])
        shares = np.full((len(pairs), len(names)), 1 / len(names))
        W = np.zeros((X.shape[1], len(pairs), len(self.classes_)), dtype=np.float32)
        first, second = np.zeros_like(W), np.zeros_like(W)
        for turn in range(1, self.iterations + 1):
            scores = (X @ W.reshape(len(W), -1)).reshape(len(X), *W.shape[1:])
            scores -= scores.max(axis=2, keepdims=True)
            p = np.exp(scores)
            total = p.sum(axis=2, keepdims=True)
            loss = np.log(total[:, :, 0]) - (scores * hot[:, None]).sum(axis=2)
            shares = shares * np.exp(step[:, None] * ((member * weight[:, None]).T @ loss).T)
            shares /= shares.sum(axis=1, keepdims=True)
            run = weight[:, None] * shares.T[program].astype(np.float32)
            slope = run[:, :, None] * (p / total - hot[:, None])
            gradient = (X.T @ slope.reshape(len(X), -1)).reshape(W.shape) + penalty[:, None] * W
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            moment = first / (1 - 0.9**turn)
            W -= self.rate * moment / (np.sqrt(second / (1 - 0.999**turn)) + 1e-8)
        return scaler, W, shares


def _inputs(scaler: StandardScaler, X: np.ndarray) -> np.ndarray:
    x = np.clip(scaler.transform(X), -5, 5)
    return np.hstack([x, np.ones((len(x), 1))])
