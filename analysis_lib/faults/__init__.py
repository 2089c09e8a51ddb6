"""Fault operators: published mutations and the mistakes of PyTorch users."""

from analysis_lib.faults import (  # noqa: F401  (registration)
    activation,
    data,
    hyperparameter,
    layer,
    loop,
    loss,
    optimization,
    regularization,
    weights,
)
from analysis_lib.faults.operator import (
    CATEGORIES,
    Operator,
    Parameter,
    faulty_setup,
    get_operator,
    list_operators,
    operator,
)
from analysis_lib.faults.published import published_operators

__all__ = [
    "CATEGORIES",
    "Operator",
    "Parameter",
    "faulty_setup",
    "get_operator",
    "list_operators",
    "operator",
    "published_operators",
]
