"""Numbers the study published, so that ours can stand beside them."""

from types import MappingProxyType

__all__ = ["PUBLISHED"]

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
"""Values stated in arXiv:2606.26492.

``gap``: balanced accuracy within programs minus with whole programs held out, four classes;
``permuted``, ``unpermuted``: accuracy with labels permuted within programs and as they are, six
classes, after ``window`` epochs; ``unstable``: of the ``curvature traces``; ``exploding at once``:
share of the unstable runs that explode in the first epoch.
"""
