"""Exact curvature of a training loss: Hessian-vector products and what follows from them.

Every quantity is taken on one fixed batch by differentiating twice in reverse; the model, its
buffers, its gradients and the random state are left exactly as they were.
"""

from analysis_lib.curvature.averaged import averaged_hvp_norms
from analysis_lib.curvature.guard import NoSecondDerivative, twice_differentiable, undisturbed
from analysis_lib.curvature.hessian import Hessian, hvp, layerwise
from analysis_lib.curvature.layout import Layout, layers
from analysis_lib.curvature.noise import Noise, gradient_noise
from analysis_lib.curvature.spectrum import (
    Eigenvalue,
    Spectrum,
    TraceEstimate,
    hutchinson,
    lanczos,
    power_iteration,
    rademacher,
    top_eigenvalue,
    trace,
)
from analysis_lib.curvature.stability import (
    StepStability,
    critical_multiple,
    relative_progress,
    rho,
    step_stability,
)
from analysis_lib.curvature.update import loss_along, preconditioner, proposed_update

__all__ = [
    # products of any loss of any module
    "Hessian",
    "NoSecondDerivative",
    "hvp",
    "layers",
    "layerwise",
    # trace and eigenvalues
    "top_eigenvalue",
    "trace",
    # is the next step stable?
    "proposed_update",
    "step_stability",
    # what they return
    "Eigenvalue",
    "Noise",
    "Spectrum",
    "StepStability",
    "TraceEstimate",
    # the pieces, on vectors
    "Layout",
    "critical_multiple",
    "gradient_noise",
    "hutchinson",
    "lanczos",
    "loss_along",
    "power_iteration",
    "preconditioner",
    "rademacher",
    "relative_progress",
    "rho",
    "twice_differentiable",
    "undisturbed",
    # as DEFault logs it
    "averaged_hvp_norms",
]
