"""The rules of AutoTrainer (Zhang et al., ICSE 2021)."""

import numpy as np

from analysis_lib.configuration import EPOCHS
from analysis_lib.features import rules as channels
from analysis_lib.techniques.rules import EPS, Check, RuleBasedDetector, best, found, once, step
from analysis_lib.techniques.technique import Technique

__all__ = ["AutoTrainer"]


class AutoTrainer(RuleBasedDetector):
    """AutoTrainer: five training problems, judged by gradients and accuracy.

    =================== =============================================================== ============
    symptom             rule                                                            category
    =================== =============================================================== ============
    explode             a loss, weight or gradient is not finite, or valid loss >= 1e5;
                        or unsatisfactory and first / last gradient norm > 70           Activation
    dying_relu          unsatisfactory and >= 70 % of the gradient entries are 0        Activation
    vanish              unsatisfactory and first / last gradient norm < 1e-3 and
                        first < 1e-4                                                    Activation
    slow_convergence    no gain of an epoch in train or valid accuracy reaches 0.01     Optimization
    oscillating_loss    satisfactory, and accuracy swings >= 0.03 make up 20 % of
                        the epochs                                                      Optimization
    =================== =============================================================== ============

    Unsatisfactory: best train and best validation accuracy below ``theta``, or slow convergence.
    Rules on accuracy act once 30 % of the planned epochs are done, and what was once found stays
    found. The categories are those of the first repair in the tool's default order ("balance"):
    another activation (then batch normalisation, clipping or initialisation), another optimizer
    (then another learning rate or batch size).

    Parameters
    ----------
    theta : float, default=0.6
        Satisfactory accuracy (as in the authors' reproduction script; the tool's default is 0.7).
    vanish_ratio : float, default=1e-3
        beta 1: first over last gradient norm below which gradients vanish.
    vanish_norm : float, default=1e-4
        beta 2: the first gradient norm below which they do.
    explode_ratio : float, default=70
        beta 3: first over last gradient norm above which gradients explode.
    zero_share : float, default=0.7
        gamma: share of zeros in the gradient from which on rectifiers are dying.
    swing : float, default=0.03
        zeta: change of accuracy that counts as a swing.
    swing_share : float, default=0.2
        eta: share of epochs with swings from which on the loss oscillates.
    gain : float, default=0.01
        delta: gain in accuracy that some epoch must reach, or convergence is slow.
    loss_limit : float, default=1e5
    total_epochs : int, default=12
        Planned epochs.
    late : float, default=0.3
        Share of them after which accuracy is judged.

    Notes
    -----
    Deviations: checks come every epoch instead of every third or fifth; gradients are those of
    the probe batch, the first and the last weight tensor stand for the first and the last kernel.
    Programs without an accuracy are never unsatisfactory (Keras would report an accuracy near 0).
    The later extension (abnormal layer outputs, loss >= 1e3 or negative, loss that does not match
    the output layer) needs names of layers and is left out. Its papers name no category of
    faults: the mapping from repair to category is ours.

    References
    ----------
    Zhang, Zhai, Ma, Shen, AutoTrainer: An Automatic DNN Training Problem Detection and Repair
    System, ICSE 2021.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis_lib.features import extract
    >>> trace = pd.DataFrame(0.5, index=range(6), columns=list(AutoTrainer.channels))
    >>> trace[["grad_nonfinite", "weight_nonfinite"]] = 0.0
    >>> trace = trace.assign(run_id="a", epoch=range(-1, 5))
    >>> x = extract(trace, "autotrainer", window=5)
    >>> AutoTrainer().symptoms(x).tolist()
    ['slow_convergence']
    """

    channels = channels.AUTOTRAINER
    categories = frozenset({"Activation", "Optimization"})

    def __init__(
        self,
        *,
        theta: float = 0.6,
        vanish_ratio: float = 1e-3,
        vanish_norm: float = 1e-4,
        explode_ratio: float = 70,
        zero_share: float = 0.7,
        swing: float = 0.03,
        swing_share: float = 0.2,
        gain: float = 0.01,
        loss_limit: float = 1e5,
        total_epochs: int = EPOCHS,
        late: float = 0.3,
    ):
        self.theta = theta
        self.vanish_ratio = vanish_ratio
        self.vanish_norm = vanish_norm
        self.explode_ratio = explode_ratio
        self.zero_share = zero_share
        self.swing = swing
        self.swing_share = swing_share
        self.gain = gain
        self.loss_limit = loss_limit
        self.total_epochs = total_epochs
        self.late = late

    def checks(self, c: dict[str, np.ndarray], lost: dict[str, np.ndarray]) -> list[Check]:
        acc, vacc = c["train_accuracy"], c["valid_accuracy"]
        first, last = c["grad_norm_first"], c["grad_norm_last"]
        late = np.arange(1, acc.shape[1] + 1) >= self.late * self.total_epochs
        bad = lost["train_loss"] | lost["valid_loss"] | (c["valid_loss"] >= self.loss_limit)
        bad |= found(c, lost, "weight_nonfinite") | found(c, lost, "grad_nonfinite")
        judged = late & ~np.isnan(acc)
        low = (best(acc) < self.theta - EPS) & (best(vacc) < self.theta - EPS)
        slow = (best(step(acc)) < self.gain - EPS) & (best(step(vacc)) < self.gain - EPS)
        slow = once(judged & slow)
        poor = once(judged & low) | slow
        dying = once(c["grad_zero_share"] >= self.zero_share - EPS)
        exploding = once(first > self.explode_ratio * last)
        vanishing = once((first < self.vanish_ratio * last) & (first < self.vanish_norm))
        swinging = judged & _swings(acc, height=self.swing, share=self.swing_share)
        activation = ("Activation", "Optimization", "Weights")
        optimizer = ("Optimization", "Hyperparameter")
        return [
            Check("explode", activation, bad),
            Check("dying_relu", ("Activation", "Weights"), poor & dying),
            Check("explode", activation, poor & exploding),
            Check("vanish", ("Activation", "Layer"), poor & vanishing),
            Check("slow_convergence", optimizer, slow),
            Check("oscillating_loss", optimizer, ~poor & once(swinging)),
        ]


def _swings(values: np.ndarray, *, height: float, share: float) -> np.ndarray:
    """Whether swings of at least ``height`` make up ``share`` of the epochs so far.

    The i-th local maximum is compared with the i-th local minimum; an epoch can be judged as an
    extremum only once its successor is known.
    """
    fired = np.zeros(values.shape, dtype=bool)
    before = values[:, 1:-1] - values[:, :-2]
    after = values[:, 1:-1] - values[:, 2:]
    high, low = (before >= 0) & (after >= 0), (before <= 0) & (after <= 0)
    number = np.arange(1, values.shape[1] + 1)
    for run in np.flatnonzero(high.any(axis=1) & low.any(axis=1)):
        top, bottom = np.flatnonzero(high[run]) + 1, np.flatnonzero(low[run]) + 1
        pairs = min(len(top), len(bottom))
        top, bottom = top[:pairs], bottom[:pairs]
        big = values[run, top] - values[run, bottom] >= height - EPS
        known_at = np.sort(np.maximum(top, bottom)[big] + 1)
        seen = np.searchsorted(known_at, np.arange(values.shape[1]), side="right")
        fired[run] = (seen > 0) & (seen >= share * number - EPS)
    return fired


def _make(random_state: int | None = None) -> AutoTrainer:
    return AutoTrainer()


TECHNIQUES = (Technique("AutoTrainer", "autotrainer", _make, "rules on gradients, accuracy"),)
