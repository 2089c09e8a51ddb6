"""The rules of DeepLocalize (Wardat et al., ICSE 2021)."""

import numpy as np

from analysis_lib.features import rules as channels
from analysis_lib.techniques.rules import Check, RuleBasedDetector, constant, found
from analysis_lib.techniques.technique import Technique

__all__ = ["DeepLocalize"]


class DeepLocalize(RuleBasedDetector):
    """DeepLocalize: layer outputs, weights and gradients that are not numbers, 0 or constant.

    ==================== ==================================================== ====================
    symptom              rule                                                 category
    ==================== ==================================================== ====================
    forward              activations not finite; their mean 0 in at least
                         half of the epochs so far, or equal over 5 epochs    Activation
    weights              the same of the weights                              Weights
    invalid_loss         train loss not finite                                Loss
    invalid_accuracy     train accuracy infinite                              Loss
    model_does_not_learn train loss or train accuracy equal over 5 epochs     Optimization
    delta_weights        the rule of ``forward``, of the gradients            Loss
    ==================== ==================================================== ====================

    Parameters
    ----------
    block : int, default=5
        Length of the blocks (1 to 5, 6 to 10, ...) over which a quantity must not stay equal.
    zero_share : float, default=0.5
        Share of the epochs so far at which a quantity may be exactly 0.

    Notes
    -----
    Deviations: an epoch stands for a batch; the mean over all activations, weights and gradient
    entries for the mean of each layer; gradients of layer outputs are not recorded. The tool names
    a layer and a phase, not a category. The mapping is ours, after the repairs that its authors
    attach to the same symptoms in their next tool (DeepDiagnosis): forward to the activation,
    gradient to the loss, no learning to the optimizer.

    References
    ----------
    Wardat, Le, Rajan, DeepLocalize: Fault Localization for Deep Neural Networks, ICSE 2021.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis_lib.features import extract
    >>> trace = pd.DataFrame(0.5, index=range(6), columns=list(DeepLocalize().channels))
    >>> trace["grad_nonfinite"] = 0.0
    >>> trace[["act_nonfinite", "weight_nonfinite"]] = 0.0
    >>> trace.loc[2, "train_loss"] = float("nan")
    >>> trace = trace.assign(run_id="a", epoch=range(-1, 5))
    >>> DeepLocalize().symptoms(extract(trace, "deeplocalize", window=3)).tolist()
    ['invalid_loss']
    """

    channels = channels.DEEPLOCALIZE
    categories = frozenset({"Activation", "Weights", "Loss", "Optimization"})

    def __init__(self, *, block: int = 5, zero_share: float = 0.5):
        self.block = block
        self.zero_share = zero_share

    def checks(self, c: dict[str, np.ndarray], lost: dict[str, np.ndarray]) -> list[Check]:
        def wrong(name: str, count: str) -> np.ndarray:
            zero = np.cumsum(c[name] == 0, axis=1)
            often = zero >= self.zero_share * np.arange(1, zero.shape[1] + 1)
            bad = found(c, lost, count) | lost[name]
            return bad | ((c[name] == 0) & often) | constant(c[name], self.block)

        stuck = constant(c["train_loss"], self.block)
        stuck_accuracy = constant(c["train_accuracy"], self.block)
        optimizer = ("Optimization", "Hyperparameter", "Weights")
        return [
            Check("forward", ("Activation", "Layer"), wrong("act_mean", "act_nonfinite")),
            Check(
                "weights",
                ("Weights", "Hyperparameter", "Activation"),
                wrong("weight_mean", "weight_nonfinite"),
            ),
            Check("invalid_loss", ("Loss", "Hyperparameter"), lost["train_loss"]),
            Check("model_does_not_learn", optimizer, stuck),
            Check("invalid_accuracy", ("Loss",), lost["train_accuracy"]),
            Check("model_does_not_learn", optimizer, stuck_accuracy),
            Check("delta_weights", ("Loss", "Activation"), wrong("grad_mean", "grad_nonfinite")),
        ]


def _make(random_state: int | None = None) -> DeepLocalize:
    return DeepLocalize()


TECHNIQUES = (Technique("DeepLocalize", "deeplocalize", _make, "rules on invalid values"),)
