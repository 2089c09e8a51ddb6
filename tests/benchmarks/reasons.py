"""Why targets are missed, by quantity, or by quantity and case; shown only where one is missed."""

__all__ = ["REASONS"]

GUARD = (
    "the guard walks all modules in Python on entry and exit, about 0.5 ms whatever the model; "
    "without it the product costs what two plain backward passes cost"
)

REASONS: dict[str | tuple[str, str], str] = {
    ("first product / gradient", "mlp"): GUARD,
    ("PyHessian / ours, single product", "gradient below 2 ms, median"): GUARD,
    ("8-probe trace / eigenthings", "autoencoder"): (
        "the estimate converts probes and products to eight bytes before it sums them, which "
        "costs as much as several products in a model of 200,000 parameters and one matrix each"
    ),
    "models per second, ensembles of 16 MLPs": "the library does not train ensembles",
}
