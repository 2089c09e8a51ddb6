"""The rules of DeepDiagnosis (Wardat et al., ICSE 2022)."""

import numpy as np

from analysis_lib.features import rules as channels
from analysis_lib.techniques.rules import EPS, Check, RuleBasedDetector, constant, found, last
from analysis_lib.techniques.technique import Technique

__all__ = ["DeepDiagnosis"]


class DeepDiagnosis(RuleBasedDetector):
    """DeepDiagnosis: eight symptoms per epoch, and a decision tree from symptom to repair.

    ======================= ================================================= ======================
    symptom                 rule                                              category (see below)
    ======================= ================================================= ======================
    numerical_forward       activations not finite or with mean 0             Activation (W, R)
    dead_node               >= 70 % of a rectifier's outputs <= 0 at the last
                            visible epoch                                     Activation (W, R)
    saturated               > 50 % of an activation's inputs beyond +-5, at
                            every 5th epoch                                   Activation (W, R)
    unchanged_forward       mean activation equal over 5 epochs               Optimization (W, R)
    invalid_loss            train loss not finite                             Optimization (R)
    loss_not_decreasing     train loss equal over 5 epochs                    Optimization (W, R)
    invalid_accuracy        train accuracy infinite or 0                      Optimization (R)
    accuracy_not_increasing train accuracy equal over 20 epochs               Optimization (W, R)
    numerical_gradient      gradient not finite or with mean 0                Loss
    vanishing_gradient      mean gradient magnitude < 1e-7                    Layer (R)
    numerical_weights       weights not finite or with mean 0                 Activation (W, R)
    unchanged_gradient,
    unchanged_weights       mean gradient or weight equal over 5 epochs       Optimization (W, R)
    ======================= ================================================= ======================

    (W): Weights if the variance of the weights is below 1e-5 or above 10. (R): Hyperparameter if
    the update over the weights is outside 1e-5 ... 1e-1. W comes first.

    Parameters
    ----------
    dead : float, default=0.7
        Share of a rectifier's outputs at or below 0 from which on it is dead.
    saturated : float, default=0.5
        Share of an activation's inputs beyond +-5 above which it is saturated.
    vanishing : float, default=1e-7
        Mean gradient magnitude below which the gradient vanishes.
    block : int, default=5
        Epochs over which a quantity must not stay equal.
    accuracy_block : int, default=20
        The same for train accuracy.
    least_variance : float, default=1e-5
        Least variance of good weights.
    most_variance : float, default=10
        Largest variance of good weights.
    least_update : float, default=1e-5
        Least update over the weights at a good learning rate.
    most_update : float, default=1e-1
        Largest update over the weights at a good learning rate.

    Notes
    -----
    Deviations: means over all layers stand for those of each layer, but dead and saturated shares
    are the largest over layers, as published; the range of the outputs (at the first epoch) and of
    the inputs are not in a trace; the measured size of an update stands for learning rate times
    gradient, which it is for plain SGD only; a dead node is looked for at the last visible epoch,
    as if the run ended there. The released code takes the variance of a single number, which is
    undefined, so that its "poor weight" never fires; here it is that of all weights, as described.

    References
    ----------
    Wardat, Cruz, Le, Rajan, DeepDiagnosis: Automatically Diagnosing Faults and Recommending
    Actionable Fixes in Deep Learning Programs, ICSE 2022.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis_lib.features import extract
    >>> trace = pd.DataFrame(0.5, index=range(6), columns=list(DeepDiagnosis().channels))
    >>> trace[trace.filter(like="nonfinite").columns] = 0.0
    >>> trace["act_dead_share_max"] = 0.9
    >>> trace = trace.assign(run_id="a", epoch=range(-1, 5))
    >>> DeepDiagnosis().symptoms(extract(trace, "deepdiagnosis", window=2)).tolist()
    ['dead_node']
    """

    channels = channels.DEEPDIAGNOSIS
    categories = frozenset(
        {"Activation", "Optimization", "Loss", "Layer", "Weights", "Hyperparameter"}
    )

    def __init__(
        self,
        *,
        dead: float = 0.7,
        saturated: float = 0.5,
        vanishing: float = 1e-7,
        block: int = 5,
        accuracy_block: int = 20,
        least_variance: float = 1e-5,
        most_variance: float = 10,
        least_update: float = 1e-5,
        most_update: float = 1e-1,
    ):
        self.dead = dead
        self.saturated = saturated
        self.vanishing = vanishing
        self.block = block
        self.accuracy_block = accuracy_block
        self.least_variance = least_variance
        self.most_variance = most_variance
        self.least_update = least_update
        self.most_update = most_update

    def checks(self, c: dict[str, np.ndarray], lost: dict[str, np.ndarray]) -> list[Check]:
        loss, acc, act = c["train_loss"], c["train_accuracy"], c["act_mean"]
        grad, weight = c["grad_mean"], c["weight_mean"]
        variance, update = c["weight_std"] ** 2, c["update_ratio"]
        poor = (variance < self.least_variance) | (variance > self.most_variance)
        odd = (update < self.least_update) | (update > self.most_update)
        numbered = np.arange(1, loss.shape[1] + 1) % self.block == 0
        final = last(~np.isnan(loss) | lost["train_loss"])
        zero_act, zero_grad, zero_weight = act == 0, grad == 0, weight == 0
        activation, optimizer = ("Activation", "Layer"), ("Optimization",)
        tree: list[Check] = []

        def add(symptom, fired, causes, *, weights=True, rate=True):
            if weights:
                tree.append(Check(symptom, ("Weights", "Hyperparameter", *causes), fired & poor))
            if rate:
                tree.append(Check(symptom, ("Hyperparameter", *causes), fired & odd))
            tree.append(Check(symptom, causes, fired))

        add("numerical_forward", found(c, lost, "act_nonfinite") | zero_act, activation)
        add("dead_node", final & (c["act_dead_share_max"] >= self.dead - EPS), activation)
        flat = c["act_saturated_share_max"] > self.saturated + EPS
        add("saturated", numbered & flat, activation)
        add("unchanged_forward", constant(act, self.block), optimizer)
        add("invalid_loss", lost["train_loss"], optimizer, weights=False)
        add("loss_not_decreasing", constant(loss, self.block), optimizer)
        add("invalid_accuracy", lost["train_accuracy"] | (acc == 0), optimizer, weights=False)
        add("accuracy_not_increasing", constant(acc, self.accuracy_block), optimizer)
        bad = found(c, lost, "grad_nonfinite") | zero_grad
        add("numerical_gradient", bad, ("Loss", "Activation"), weights=False, rate=False)
        gone = c["grad_abs_mean"] < self.vanishing
        add("vanishing_gradient", gone, ("Layer", "Activation"), weights=False)
        bad = found(c, lost, "weight_nonfinite") | zero_weight
        add("numerical_weights", bad, activation)
        add("unchanged_gradient", constant(grad, self.block), optimizer)
        add("unchanged_weights", constant(weight, self.block), optimizer)
        return tree


def _make(random_state: int | None = None) -> DeepDiagnosis:
    return DeepDiagnosis()


TECHNIQUES = (Technique("DeepDiagnosis", "deepdiagnosis", _make, "rules, decision tree"),)
