"""Group-robust training: the worst program counts most."""

import numpy as np
from scipy.special import logsumexp, softmax
from sklearn.preprocessing import StandardScaler

from analysis_lib.errors import InputError
from analysis_lib.transfer.base import ProgramClassifier

__all__ = ["GroupRobustLogistic"]


class GroupRobustLogistic(ProgramClassifier):
    """Track Z: multinomial logistic regression by group distributionally robust optimization.

    Minimises ``max_q sum_g q_g loss_g(W) + penalty |W|^2 / 2`` over the weights W, loss_g being
    the mean cross-entropy of program g (classes weighted equally in it). The shares q of the
    programs are raised by exponentiated gradient, ``q_g <- q_g exp(step loss_g)``, and W descends
    the weighted loss with Adam, in turn. With ``step=0`` this is a logistic regression in which
    every program counts the same.

    Parameters
    ----------
    penalty : float, default=0.001
    step : float, default=0.02
        Of the shares of the programs.
    rate : float, default=0.02
        Of Adam.
    iterations : int, default=300

    Attributes
    ----------
    shares_ : ndarray of shape (n_programs,)
        Shares of the programs at the end, in the order of ``programs_``.
    programs_ : ndarray of shape (n_programs,)

    References
    ----------
    Sagawa, Koh, Hashimoto and Liang, Distributionally robust neural networks for group shifts,
    ICLR 2020, who find that strong regularization is needed.
    """

    def __init__(
        self,
        penalty: float = 1e-3,
        step: float = 0.02,
        rate: float = 0.02,
        iterations: int = 300,
    ):
        self.penalty = penalty
        self.step = step
        self.rate = rate
        self.iterations = iterations

    def _fit(self, X, y, groups, reference, reference_groups):
        if min(self.penalty, self.step) < 0 or self.rate <= 0 or self.iterations < 1:
            raise InputError(
                f"penalty {self.penalty}, step {self.step}, rate {self.rate} and iterations "
                f"{self.iterations}: the first two must be 0 or more, the others above 0"
            )
        self.scaler_ = StandardScaler().fit(X)
        X = self._inputs(X)
        hot = (y[:, None] == self.classes_).astype(float)
        self.programs_, program = np.unique(groups, return_inverse=True)
        member = (program[:, None] == np.arange(len(self.programs_))).astype(float)
        cells = member.T @ hot  # runs of every program and class
        present = (cells > 0).sum(axis=1)
        weight = 1 / ((cells[program] * hot).sum(axis=1) * present[program])
        shares = np.full(len(self.programs_), 1 / len(self.programs_))
        W = np.zeros((X.shape[1], len(self.classes_)))
        first, second = np.zeros_like(W), np.zeros_like(W)
        for turn in range(1, self.iterations + 1):
            scores = X @ W
            loss = logsumexp(scores, axis=1) - (scores * hot).sum(axis=1)
            shares = shares * np.exp(self.step * (member.T @ (weight * loss)))
            shares /= shares.sum()
            run = weight * shares[program]
            gradient = X.T @ (run[:, None] * (softmax(scores, axis=1) - hot)) + self.penalty * W
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            moment = first / (1 - 0.9**turn)
            W -= self.rate * moment / (np.sqrt(second / (1 - 0.999**turn)) + 1e-8)
        self.weights_, self.shares_ = W, shares

    def _probability(self, X):
        return softmax(self._inputs(X) @ self.weights_, axis=1)

    def _inputs(self, X):
        x = np.clip(self.scaler_.transform(X), -5, 5)
        return np.hstack([x, np.ones((len(x), 1))])
