"""Numbers the study published, so that ours can stand beside them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["PUBLISHED", "TABLE_VII"]

PUBLISHED = MappingProxyType(
    {
        "traces": 5542,
        "programs": 38,
        "gap": 0.190,
        "permuted": 0.41,
        "unpermuted": 0.47,
        "permutation chance": 0.17,
        "permutations": 25,
        "window": 5,
        "curvature traces": 3637,
        "unstable": 179,
        "exploding at once": 0.96,
    }
)
"""Values that the study states.

From arXiv:2606.26492. ``gap``: balanced accuracy within programs minus with whole programs held
out, four classes; ``permuted``, ``unpermuted``: accuracy with labels permuted within programs and
as they are, six classes, after ``window`` epochs; ``unstable``: of the ``curvature traces``;
``exploding at once``: share of the unstable runs that explode in the first epoch.

:meta hide-value:
"""

_COLUMNS = ("cluster", "runs", "programs", "unstable", "mismatch", "median_hvp", "median_grad_std")

TABLE_VII: tuple[Mapping[str, Any], ...] = tuple(
    MappingProxyType(dict(zip(_COLUMNS, row, strict=True)))
    for row in (
        ("0", 1346, 19, 0.005, 0.491, 6.1e-1, 1.4e-2),
        ("1", 121, 9, 1.000, 0.033, 5.4e6, 6.8e5),
        ("2", 367, 8, 0.008, None, None, None),
    )
)
"""Rows of the study's Table VII (curvature clusters after the first epoch) that we can read.

cluster, runs, programs, share of unstable and of mismatched runs, medians of the mean
Hessian-vector product and of the spread of gradients. In the third row, what follows the unstable
share is cut off in our copy; further rows, which the runs left over imply, are not in it at all.

:meta hide-value:
"""
