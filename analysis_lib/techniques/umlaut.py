"""The rules of UMLAUT (Schoop et al., CHI 2021)."""

import numpy as np

from analysis_lib.features import rules as channels
from analysis_lib.techniques.rules import EPS, Check, RuleBasedDetector, step
from analysis_lib.techniques.technique import Technique

__all__ = ["Umlaut"]


class Umlaut(RuleBasedDetector):
    """UMLAUT: heuristics on losses and accuracies after every epoch.

    =================== ======================================================= ==================
    symptom             rule                                                    category
    =================== ======================================================= ==================
    nan_loss            train loss not finite                                   Hyperparameter
    learning_rate       learning rate > 0.01 or < 1e-7 (only with ``rate``)     Hyperparameter
    overfitting         valid loss above that of the epoch before, train loss
                        not                                                     Regularization
    high_accuracy       from epoch 4 on (of 1, 2, ...): valid accuracy > 0.95,
                        or more than 0.05 above train accuracy                  Data
    =================== ======================================================= ==================

    Parameters
    ----------
    rate : bool, default=False
        Read the learning rate, too. It is a ``meta_`` column, so this is for the leak audit
        alone: see :func:`analysis_lib.techniques.audit.audit_techniques`.
    highest_rate : float, default=0.01
        Learning rates above it are too high.
    lowest_rate : float, default=1e-7
        Learning rates below it are too low.
    accuracy : float, default=0.95
        Validation accuracy above which it is suspicious.
    lead : float, default=0.05
        How much validation accuracy may exceed train accuracy.
    patience : int, default=3
        Epochs before accuracy is judged.

    Notes
    -----
    Deviations: the static checks (softmax before the loss, linear hidden layers, a non-linear last
    layer, dropout above 0.5) and those of the inputs (range, type) are not in a trace; they
    account for nearly all published detections. An infinite loss counts as NaN. UMLAUT shows all
    its messages; here the first counts. Categories are those of the advice in each message:
    lower the learning rate; regularise or shrink the model; check that the validation data are
    not in the training data.

    References
    ----------
    Schoop, Huang, Hartmann, UMLAUT: Debugging Deep Learning Programs using Program Structure and
    Model Behavior, CHI 2021.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis_lib.features import extract
    >>> trace = pd.DataFrame(0.5, index=range(6), columns=list(Umlaut().channels))
    >>> trace["valid_accuracy"] = 0.96
    >>> trace = trace.assign(run_id="a", epoch=range(-1, 5))
    >>> Umlaut().symptoms(extract(trace, "umlaut", window=5)).tolist()
    ['high_accuracy']
    """

    categories = frozenset({"Hyperparameter", "Regularization", "Layer", "Data"})

    def __init__(
        self,
        *,
        rate: bool = False,
        highest_rate: float = 0.01,
        lowest_rate: float = 1e-7,
        accuracy: float = 0.95,
        lead: float = 0.05,
        patience: int = 3,
    ):
        self.rate = rate
        self.highest_rate = highest_rate
        self.lowest_rate = lowest_rate
        self.accuracy = accuracy
        self.lead = lead
        self.patience = patience

    @property
    def channels(self) -> tuple[str, ...]:  # type: ignore[override]  # they depend on ``rate``
        """Channels read, and the learning rate if it is asked for."""
        return (*channels.UMLAUT, *(("learning_rate",) if self.rate else ()))

    def checks(self, c: dict[str, np.ndarray], lost: dict[str, np.ndarray]) -> list[Check]:
        acc, vacc = c["train_accuracy"], c["valid_accuracy"]
        rate = c.get("learning_rate", np.full_like(acc, np.nan))
        later = np.arange(acc.shape[1]) >= self.patience
        over = (step(c["valid_loss"]) > 0) & (step(c["train_loss"]) <= 0)
        high = (vacc > self.accuracy + EPS) | (vacc - acc > self.lead + EPS)
        wrong_rate = (rate > self.highest_rate) | (rate < self.lowest_rate)
        return [
            Check("learning_rate", ("Hyperparameter",), wrong_rate),
            Check("nan_loss", ("Hyperparameter",), lost["train_loss"]),
            Check("overfitting", ("Regularization", "Layer"), over),
            Check("high_accuracy", ("Data",), later & high),
        ]


def _make(random_state: int | None = None) -> Umlaut:
    return Umlaut()


TECHNIQUES = (Technique("UMLAUT", "umlaut", _make, "rules on losses and accuracies"),)
