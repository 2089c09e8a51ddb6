"""The recorded channels: name -> (unit, meaning). The one place that says what a column is.

A snapshot is taken before the first optimizer step (``epoch`` = -1, "init") and at the end of
every epoch. ``probe`` channels are measured on one fixed batch; ``step`` channels are summaries
over sampled optimizer steps of the epoch and 0 at init. A value that does not exist (accuracy of
a regression, dead share without ReLU) is NaN.
"""

__all__ = ["CHANNELS", "GROUPS", "LAYER_CHANNELS"]

_METRICS = {
    "train_loss": (
        "loss",
        "mean of the batch losses, penalties included; at init, on up to 512 rows",
    ),
    "valid_loss": ("loss", "loss of the validation rows in evaluation mode, penalties included"),
    "train_metric": ("metric", "the program's metric on the outputs of the epoch's batches"),
    "valid_metric": ("metric", "the program's metric on the validation set"),
    "train_accuracy": (
        "share",
        "accuracy on the outputs of the epoch's batches; NaN without classes",
    ),
    "valid_accuracy": ("share", "accuracy on the validation set; NaN without classes"),
    "probe_loss": ("loss", "loss on the probe batch"),
}

_GRADIENT = {
    "grad_norm": ("loss/weight", "Euclidean norm of the probe gradient"),
    "grad_mean": ("loss/weight", "signed mean of all entries of the probe gradient"),
    "grad_std": ("loss/weight", "standard deviation of all entries of the probe gradient"),
    "grad_abs_mean": ("loss/weight", "mean absolute entry of the probe gradient"),
    "grad_abs_max": ("loss/weight", "largest absolute entry of the probe gradient"),
    "grad_zero_share": ("share", "share of entries of the probe gradient that are exactly 0"),
    "grad_norm_first": ("loss/weight", "norm of the probe gradient of the first weight tensor"),
    "grad_norm_last": ("loss/weight", "norm of the probe gradient of the last weight tensor"),
    "grad_tensor_mean": ("loss/weight", "mean over parameter tensors of their gradient norms"),
    "grad_tensor_std": ("loss/weight", "standard deviation over tensors of their gradient norms"),
    "grad_tensor_max": ("loss/weight", "maximum over parameter tensors of their gradient norms"),
    "grad_tensor_min": ("loss/weight", "minimum over parameter tensors of their gradient norms"),
    "grad_tensor_median": ("loss/weight", "median over parameter tensors of their gradient norms"),
    "grad_nonfinite": ("count", "entries of the probe gradient that are NaN or infinite"),
}

_OPTIMIZER = {
    "step_grad_norm_mean": ("loss/weight", "mean gradient norm over sampled steps"),
    "step_grad_norm_std": ("loss/weight", "standard deviation of the gradient norm over steps"),
    "step_grad_norm_max": ("loss/weight", "largest gradient norm over sampled steps"),
    "grad_noise": ("ratio", "variance of step gradients over the squared norm of their mean"),
    "clip_share": ("share", "share of the steps whose gradient was clipped"),
    "update_ratio": ("ratio", "mean norm of an update over the norm of the weights"),
    "update_norm": ("weight", "mean norm of an update over sampled steps"),
    "epoch_change": ("ratio", "norm of the weight change over the epoch over the weights' norm"),
    "first_moment_norm": ("loss/weight", "norm of the optimizer's first moment or momentum"),
    "second_moment_norm": ("(loss/weight)^2", "norm of the optimizer's second moment"),
}

_WEIGHTS = {
    "weight_norm": ("weight", "Euclidean norm of all parameters"),
    "weight_mean": ("weight", "mean of all parameters"),
    "weight_std": ("weight", "standard deviation of all parameters"),
    "weight_abs_max": ("weight", "largest absolute parameter"),
    "weight_large_count": ("count", "parameters with an absolute value above 10"),
    "weight_nonfinite": ("count", "parameters that are NaN or infinite"),
}

_ACTIVATION = {
    "act_mean": ("activation", "mean of the activation outputs on the probe batch"),
    "act_std": ("activation", "standard deviation of the activation outputs"),
    "act_dead_share": ("share", "rectifier outputs <= 0, mean over the rectifiers"),
    "act_dead_share_max": ("share", "largest dead share of a rectifier"),
    "act_saturated_share": ("share", "inputs of sigmoid, tanh, ... beyond +-5, mean over them"),
    "act_saturated_share_max": ("share", "largest saturated share of such an activation"),
    "act_nonfinite": ("count", "activation outputs that are NaN or infinite"),
}

_HVP = "layers of ||(Hv)_l|| / ||v_l||"
_CURVATURE = {
    "hvp_norm": ("loss/weight^2", "||Hv|| / ||v||, mean over four fixed v of random signs"),
    "hvp_layer_mean": ("loss/weight^2", f"mean over {_HVP}"),
    "hvp_layer_std": ("loss/weight^2", f"standard deviation over {_HVP}"),
    "hvp_layer_max": ("loss/weight^2", f"maximum over {_HVP}"),
    "hvp_layer_min": ("loss/weight^2", f"minimum over {_HVP}"),
    "hvp_layer_median": ("loss/weight^2", f"median over {_HVP}"),
    "hessian_trace": ("loss/weight^2", "trace of H: mean of v'Hv over the four v"),
    "hessian_trace_se": ("loss/weight^2", "standard error of that mean"),
    "lambda_max": ("loss/weight^2", "largest eigenvalue of H (Lanczos)"),
    "lambda_min": ("loss/weight^2", "smallest eigenvalue of H (Lanczos: never below the true one)"),
    "lambda_residual": ("loss/weight^2", "||Hu - lambda_max u||: bound on its error"),
}

_STABILITY = {
    "rho": ("ratio", "d'Hd / (2 |g'd|) along the update d the optimizer would make next"),
    "kappa": ("ratio", "lambda_max of the preconditioned H over its limit of stability"),
    "chi": ("ratio", "step over the step at which the probe loss starts to rise"),
    "progress": ("ratio", "(L(theta + d) - L(theta)) / |g'd|: -1 is full descent, > 0 a rise"),
    "next_loss": ("loss", "L(theta + d) on the probe batch"),
    "update_cosine": ("ratio", "cosine between d and -g; 0 if one of them is 0"),
    "update_curvature": ("loss/weight^2", "d'Hd / d'd"),
    "grad_snr": ("ratio", "|g|^2 over its variance, from the two halves of the probe batch"),
}

_LATE = "after 30 % of the epochs"
_DEEPFD = {
    "deepfd_not_converge": ("flag", f"best accuracy so far is below 0.6, {_LATE}"),
    "deepfd_unstable_loss": ("flag", f"accuracy swings by 0.03 in 20 % of the epochs, {_LATE}"),
    "deepfd_nan_loss": ("flag", "loss is NaN, infinite, or validation loss is at least 1e5"),
    "deepfd_test_not_well": (
        "flag",
        f"train minus validation accuracy >= 0.10 (0.07 above 0.9), {_LATE}",
    ),
    "deepfd_test_turn_bad": (
        "flag",
        f"training loss fell, validation loss rose, each by over 0.01, {_LATE}",
    ),
    "deepfd_sc_accuracy": ("flag", f"no single gain in accuracy reaches 0.01, {_LATE}"),
    "deepfd_died_relu": ("flag", "at least 70 % of the gradient entries are 0"),
    "deepfd_vanish_gradient": ("flag", "first over last gradient norm < 1e-3, and first < 1e-4"),
    "deepfd_explode_gradient": ("flag", "first over last gradient norm > 70"),
    "deepfd_nan_gradient": ("flag", "a gradient entry is NaN or infinite"),
    "deepfd_large_weight": ("flag", "an absolute weight is above 5"),
    "deepfd_nan_weight": ("flag", "a weight is NaN or infinite"),
    "deepfd_weight_change_little": (
        "flag",
        "always 0: the released code names it without a rule",
    ),
    "deepfd_decrease_acc": ("flag", f"accuracy fell since the previous snapshot, {_LATE}"),
    "deepfd_increase_loss": ("flag", f"loss rose since the previous snapshot, {_LATE}"),
    "deepfd_cons_mean_weight": ("flag", "mean of the weights stayed the same"),
    "deepfd_cons_std_weight": ("flag", "standard deviation of the weights stayed the same"),
    "deepfd_nan_acc": ("flag", "an accuracy measured before is not finite"),
}

_DEFAULT = {
    "default_acc_gap_too_big": ("flag", "|train - validation accuracy| > 0.1"),
    "default_loss_oscillation": ("flag", "|change of the loss| > 0.01"),
    "default_dying_relu": ("flag", "share of ReLU outputs at or below 0 is above 0.7"),
    "default_gradient_vanish": ("flag", "mean absolute gradient entry below 1e-4"),
    "default_gradient_explode": ("flag", "largest absolute gradient entry above 70"),
    "default_decrease_acc_count": ("flag", "accuracy fell since the previous snapshot"),
    "default_increase_loss_count": ("flag", "loss rose since the previous snapshot"),
    "default_saturated_activation": ("flag", "over half of sigmoid, tanh pre-activations saturate"),
}

GROUPS = {
    "metrics": _METRICS,
    "gradient": _GRADIENT,
    "optimizer": _OPTIMIZER,
    "weights": _WEIGHTS,
    "activation": _ACTIVATION,
    "curvature": _CURVATURE,
    "stability": _STABILITY,
    "deepfd": _DEEPFD,
    "default": _DEFAULT,
}
"""Channels of the ``epochs`` table by group; a mapping name -> (unit, meaning) each.

:meta hide-value:
"""

CHANNELS = {name: about for group in GROUPS.values() for name, about in group.items()}
"""All channels of the ``epochs`` table in column order, name -> (unit, meaning).

The glossary lists them.

:meta hide-value:
"""

LAYER_CHANNELS = {
    "weight_norm": ("weight", "Euclidean norm of the layer's parameters"),
    "grad_norm": ("loss/weight", "norm of the layer's part of the probe gradient"),
    "update_ratio": ("ratio", "mean norm of an update over the norm of the layer's weights"),
    "output_mean": ("activation", "mean of the layer's output on the probe batch"),
    "output_std": ("activation", "standard deviation of the layer's output"),
    "dead_share": ("share", "outputs <= 0 of the rectifiers behind the layer"),
    "saturated_share": ("share", "inputs beyond +-5 of sigmoid, tanh, ... behind the layer"),
    "hvp_norm": ("loss/weight^2", "||(Hv)_l|| / ||v_l|| of the layer, mean over four v"),
    "rayleigh": ("loss/weight^2", "v_l'(Hv)_l / v_l'v_l of the layer, mean over four v"),
    "rho": ("ratio", "the layer's part of rho; the parts add up to it"),
}
"""Channels of the ``layers`` table in column order, name -> (unit, meaning).

The glossary lists them.

:meta hide-value:
"""
