"""Fault operators: published mutations and the mistakes of PyTorch users."""

from analysis_lib.faults import architecture, loop, settings  # noqa: F401  (registration)
from analysis_lib.faults.operator import (
    CATEGORIES,
    Operator,
    Parameter,
    faulty_setup,
    get_operator,
    list_operators,
    operator,
)

__all__ = [
    "CATEGORIES",
    "Operator",
    "Parameter",
    "faulty_setup",
    "get_operator",
    "list_operators",
    "operator",
]
