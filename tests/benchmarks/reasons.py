"""Why targets are missed, by quantity, or by quantity and case; shown only where one is missed."""

__all__ = ["REASONS"]

GUARD = (
    "in part the guard, which walks all modules in Python on entry and exit; that costs nearly the "
    "same whatever the model, and so weighs most where a gradient is cheap"
)

SNAPSHOT = (
    "a snapshot takes ten to twenty products of about two gradients each, besides searches by "
    "forward passes, and so costs as much as tens of training steps; the share falls with the "
    "steps per epoch"
)

STATE = (
    "at single states the top eigenvector turns between two looks, or the next eigenvalue is close "
    "by; the residual that is recorded beside the value says so"
)

COPIES = (
    "the guard keeps a copy of every buffer, which in the graph network is the adjacency matrix"
)

REASONS: dict[str | tuple[str, str], str] = {
    ("first product / gradient", "mlp"): GUARD,
    ("PyHessian / ours, single product", "gradient below 2 ms, median"): GUARD,
    ("8-probe trace / eigenthings", "autoencoder"): (
        "the estimate converts probes and products to eight bytes before it sums them, which "
        "costs as much as several products in a model of 200,000 parameters and one matrix each"
    ),
    "run with the monitor / bare run": SNAPSHOT,
    "monitor, added share at >= 100 steps per epoch": SNAPSHOT,
    "peak memory: ours / PyHessian": COPIES,
    "peak memory: ours / BackPACK": COPIES,
    ("peak memory / gradient", "worst case"): COPIES,
    "hooks at every step / monitor, what each adds": SNAPSHOT,
    ("8-probe trace / eigenthings", "transformer_math"): (
        "several vectors at once are slower than one by one in this net; the choice is fixed, so "
        "that results never depend on timing"
    ),
    "lambda_max, worst error after the first state": STATE,
    "lambda_max, cases always within 5 %": STATE,
}
