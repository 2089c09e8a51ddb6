"""The Hessian-vector products that DEFault's released logger writes, for comparison."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.curvature.guard import undisturbed
from analysis_lib.curvature.hessian import Hessian
from analysis_lib.curvature.layout import Layout
from analysis_lib.errors import InputError

__all__ = ["averaged_hvp_norms"]


def averaged_hvp_norms(
    model: nn.Module, closures: Sequence[Callable[[], Tensor]], *, seed: int = 0
) -> dict[str, float]:
    r"""Return norms of the average of products with fresh Gaussian vectors, as DEFault logs them.

    With one fresh :math:`v_j \sim N(0, I)` per batch, the logger averages the vectors
    :math:`\frac{1}{m} \sum_j H_j v_j` over the m batches it has seen and takes the norm of each
    parameter tensor of the average. Products of independent vectors average to zero, so these
    norms shrink like :math:`1 / \sqrt m` (with the number of steps of an epoch, hence with the
    size of the data set and the batch size) and grow with the square root of a tensor's size.

    Parameters
    ----------
    model : torch.nn.Module
    closures : sequence of callable
        Each returns the loss of ``model`` on one batch.
    seed : int, default=0

    Returns
    -------
    dict
        ``mean``, ``std``, ``max``, ``min``, ``median`` over the parameter tensors.

    References
    ----------
    Released callback of Jahan, Shah, Rahman (DEFault, ICSE 2025).

    Examples
    --------
    >>> model = nn.Linear(1, 1, bias=False)
    >>> closure = lambda: model(torch.tensor([[3.0]])).square().sum()
    >>> one = averaged_hvp_norms(model, [closure])
    >>> many = averaged_hvp_norms(model, [closure] * 400)
    >>> many["mean"] < one["mean"]
    True
    """
    if not len(closures):
        raise InputError("closures is empty; pass one closure per batch")
    layout = Layout(model)
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(layout.size, dtype=torch.float64)
    for closure in closures:
        with undisturbed(model):
            hessian = Hessian.of(closure, layout)
            v = torch.randn(layout.size, generator=generator).to(hessian.gradient)
            total += (hessian @ v).double().cpu()
    norms = np.sqrt(layout.sums_by_tensor((total / len(closures)).square().numpy()))
    return {
        "mean": float(norms.mean()),
        "std": float(norms.std()),
        "max": float(norms.max()),
        "min": float(norms.min()),
        "median": float(np.median(norms)),
    }
