"""What this project's library does with a case, one task per quantity."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from analysis_lib.curvature import Hessian, hutchinson, hvp, lanczos, layerwise, undisturbed
from benchmarks.cases import Case

__all__ = ["GRADIENT", "METHODS", "warm_eigenvalue"]


def gradient(case: Case) -> Callable[[], object]:
    """One plain gradient: what everything else is a multiple of."""
    return lambda: torch.autograd.grad(
        case.closure(), case.layout.parameters, allow_unused=True, materialize_grads=True
    )


def plain_product(case: Case) -> Tensor:
    """Hv by differentiating twice, with nothing around it: what products are checked against."""
    torch.manual_seed(0)
    parameters = case.layout.parameters
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        loss = case.closure()
    options = {"allow_unused": True, "materialize_grads": True}
    first = torch.autograd.grad(loss, parameters, create_graph=True, **options)
    slope = sum((g * v).sum() for g, v in zip(first, case.layout.split(case.v), strict=True))
    return case.layout.flatten(torch.autograd.grad(slope, parameters, **options))


def first_hvp(case: Case) -> Callable[[], Tensor]:
    """Guard, forward, gradient, product, and the norm of the product in each layer."""
    layout, v = case.layout, case.v
    sizes = layout.sums_by_layer(np.ones(layout.size))

    def run() -> Tensor:
        with undisturbed(case.model, seed=0):
            product = Hessian.of(case.closure, layout) @ v
        np.sqrt(layout.sums_by_layer(np.square(product.numpy())) / sizes)
        return product

    return run


def public_hvp(case: Case) -> Callable[[], Tensor]:
    """The same through the functions a user calls: hvp, then layerwise."""
    v = case.layout.named(case.v)

    def run() -> Tensor:
        torch.manual_seed(0)  # fixes the dropout mask
        product = hvp(case.model, case.closure, v)
        layerwise(case.model, v, product)
        return case.layout.flatten(product.values())

    return run


def _hessian(case: Case) -> Hessian:
    with undisturbed(case.model, seed=0):
        return Hessian.of(case.closure, case.layout)


def further_hvp(case: Case) -> Callable[[], Tensor]:
    hessian = _hessian(case)
    return lambda: hessian @ case.v


def batched_hvps(case: Case) -> Callable[[], Tensor]:
    hessian = _hessian(case)
    v = case.signs.to(case.v)
    return lambda: (hessian @ v)[0]


def trace(case: Case) -> Callable[[], float]:
    """Forward, gradient and eight products with the probes of the run."""

    def run() -> float:
        with undisturbed(case.model, seed=0):
            hessian = Hessian.of(case.closure, case.layout)
            v = case.signs.to(hessian.gradient)
            rows = hessian @ v
        return hutchinson(v.numpy(), rows.numpy()).estimate

    return run


def warm_eigenvalue(case: Case, start: Tensor, *, steps: int) -> tuple[float, Tensor]:
    """Largest eigenvalue by a few steps of Lanczos, forward and gradient included.

    Also the vector the monitor would start from at the next state.
    """
    with undisturbed(case.model, seed=0):
        hessian = Hessian.of(case.closure, case.layout)
        ends = lanczos(hessian.__matmul__, start, steps=steps)
    return ends.largest, ends.largest_vector + ends.smallest_vector


GRADIENT = "gradient"

METHODS = {
    "first_hvp": {"ours": first_hvp, "ours_public": public_hvp},
    "further_hvp": {"ours": further_hvp},
    "eight_hvps": {"ours": batched_hvps},
    "trace_8": {"ours": trace},
}
"""Quantity -> name -> task."""
