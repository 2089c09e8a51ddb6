"""Is the next step stable? Dimensionless readings of a step on the loss it is taken on."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from analysis_lib.curvature.guard import undisturbed
from analysis_lib.curvature.hessian import Hessian
from analysis_lib.curvature.layout import Layout
from analysis_lib.curvature.spectrum import lanczos, rademacher
from analysis_lib.curvature.update import loss_along, preconditioner, proposed_update
from analysis_lib.errors import InputError

__all__ = [
    "Critical",
    "StepStability",
    "critical_multiple",
    "relative_progress",
    "rho",
    "step_stability",
]


class Critical(NamedTuple):
    """The multiple s of a step at which it first raises the loss; chi = 1 / s."""

    multiple: float
    """The critical s."""

    evaluations: int
    """Losses that were computed."""

    @property
    def chi(self) -> float:
        """Step over critical step."""
        return 1 / self.multiple


class StepStability(NamedTuple):
    """What :func:`step_stability` measured."""

    rho: float
    """Directional sharpness of the step, see :func:`rho`."""

    kappa: float
    """Sharpness over the threshold of the optimizer; NaN where that is unknown."""

    chi: float
    """Step over critical step; above 1 the step raises the loss."""

    progress: float
    """Relative progress, see :func:`relative_progress`."""

    layers: pd.DataFrame
    """Parts of rho by layer, which add up, and their shares."""


def rho(slope: float, curvature: float) -> float:
    r"""Return :math:`\rho = D'HD / (2 |g'D|)`, the directional sharpness of an update D.

    Above 1 the quadratic model says that this very step raises the loss; for gradient descent
    with rate :math:`\eta` it is :math:`\eta\, g'Hg / (2 g'g)`. Negative curvature keeps its sign.

    Parameters
    ----------
    slope : float
        ``g'D``.
    curvature : float
        ``D'HD``.

    Returns
    -------
    float
        0 for a step without curvature, infinite for curvature without slope.

    References
    ----------
    Pan, Li (2023). Toward understanding why Adam converges faster than SGD. arXiv:2306.00204.

    Examples
    --------
    >>> rho(slope=-2.0, curvature=8.0)
    2.0
    """
    if curvature == 0:
        return 0.0
    with np.errstate(all="ignore"):
        return float(np.float64(curvature) / np.float64(2 * abs(slope)))


def critical_multiple(
    loss_at: Callable[[float], float],
    start: float,
    *,
    guess: float = 1.0,
    octaves: int = 24,
    refinements: int = 2,
) -> Critical:
    """Find the multiple s of a step at which L(theta + sD) first exceeds L(theta).

    From the guess, which is 1 / rho where rho is known (exact on a quadratic loss), the search
    widens by one octave, then two, then four, until it brackets a crossing. The bracket is
    bisected in log s to one octave and refined by the secant of (L(theta + sD) - L(theta)) / s,
    which is linear on a quadratic loss. A loss that is not finite counts as raised. Of several
    crossings, the one near the guess is found.

    Parameters
    ----------
    loss_at : callable
        From s to the loss.
    start : float
        L(theta).
    guess : float, default=1
    octaves : int, default=24
        The search ends ``2**-24`` and ``2**24`` from s = 1: multiples beyond are returned as that
        bound.
    refinements : int, default=2
        Evaluations spent within the last octave.

    Returns
    -------
    Critical

    References
    ----------
    Critical sharpness: arXiv:2601.16979; catapult-based rates: Kalra, Barkeshli, arXiv:2406.09405.

    Examples
    --------
    For ``L = 1 - 2 s + s^2`` the loss is back at 1 for s = 2:

    >>> critical_multiple(lambda s: (1 - s) ** 2, 1.0)
    Critical(multiple=2.0, evaluations=4)
    """
    if not guess > 0 or not np.isfinite(guess):
        guess = 1.0
    limit = float(octaves)
    rises: dict[float, float] = {}

    def raised(exponent: float) -> bool:
        rises[exponent] = loss_at(2.0**exponent) - start
        return not rises[exponent] <= 0

    here = float(np.clip(np.log2(guess), -limit, limit))
    up = not raised(here)
    width = 1.0
    while True:
        there = float(np.clip(here + (width if up else -width), -limit, limit))
        if there == here:
            return Critical(2.0**here, len(rises))
        if raised(there) == up:
            break
        here, width = there, 2 * width
    low, high = min(here, there), max(here, there)

    def crossing() -> float:
        """Where the secant of the rise per step crosses 0, else the middle of the bracket."""
        left, right = (rises[e] / 2.0**e for e in (low, high))
        if np.isfinite(right) and right > left:
            return float(np.log2(2.0**low - left * (2.0**high - 2.0**low) / (right - left)))
        return (low + high) / 2

    halvings = int(np.ceil(np.log2(max(high - low, 1.0))))
    for trial in range(halvings + refinements):
        middle = crossing() if trial >= halvings else (low + high) / 2
        if not low < middle < high:
            break
        if raised(middle):
            high = middle
        else:
            low = middle
    return Critical(2.0 ** crossing(), len(rises))


def relative_progress(before: float, after: float, slope: float) -> float:
    r"""Return the relative progress :math:`(L(\theta + D) - L(\theta)) / |g^\top D|`.

    -1 is the descent that the slope promises, 0 the edge, positive a step that raises the loss;
    for gradient descent the denominator is :math:`\eta \|g\|^2`.

    References
    ----------
    Ahn, Zhang, Sra (2022). Understanding the unstable convergence of gradient descent.

    Examples
    --------
    >>> relative_progress(before=1.0, after=0.5, slope=-1.0)
    -0.5
    """
    if after == before:
        return 0.0
    with np.errstate(all="ignore"):
        return float(np.float64(after - before) / np.float64(abs(slope)))


def step_stability(
    model: nn.Module,
    closure: Callable[[], Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    steps: int = 20,
    seed: int = 0,
) -> StepStability:
    """Say whether the step the optimizer would take next is stable.

    Parameters
    ----------
    model : torch.nn.Module
    closure : callable
        Returns the scalar loss of ``model`` on fixed data.
    optimizer : torch.optim.Optimizer
        Of the model; it is not stepped.
    steps : int, default=20
        Products spent on kappa.
    seed : int, default=0
        Seed of dropout masks and of the start vector of kappa.

    Returns
    -------
    StepStability
        ``rho``; ``kappa`` (NaN if unknown for the optimizer or before an adaptive optimizer's
        first step); ``chi``; ``progress``; ``layers``, a DataFrame with the parts of rho by layer
        (``rho``, which add up) and their shares (``share``).

    Raises
    ------
    InputError
        If the loss is not finite, a scalar, and connected to the parameters.
    NoSecondDerivative
        If an operation cannot be differentiated twice.

    Examples
    --------
    Gradient descent on ``L = 9 w^2`` with rate 0.2 overshoots; its limit is 2 / 18:

    >>> model = nn.Linear(1, 1, bias=False)
    >>> closure = lambda: model(torch.tensor([[3.0]])).square().sum()
    >>> step = step_stability(model, closure, torch.optim.SGD(model.parameters(), lr=0.2))
    >>> round(step.rho, 2), round(step.kappa, 2), round(step.chi, 2)
    (1.8, 1.8, 1.8)
    """
    layout = Layout(model)
    with undisturbed(model, seed=seed) as reset:
        hessian = Hessian.of(closure, layout)
        if not np.isfinite(hessian.loss):
            raise InputError("the loss is not finite, so no step from here can be judged")
        update = proposed_update(optimizer, layout, hessian.gradient)
        length = float(update.norm()) or 1.0
        product = (hessian @ (update / length).to(hessian.gradient)).double() * length
        start = rademacher(layout.size, seed=seed)[0].to(hessian.gradient)
        scale = preconditioner(optimizer, layout)
        kappa = np.nan
        if scale is not None:
            kappa = lanczos(lambda v: scale * (hessian @ (scale * v)), start, steps=steps).largest
        slope = float(hessian.gradient.double() @ update)
        curvature = float(update @ product)
        sharpness = rho(slope, curvature)
        value = hessian.loss
        with loss_along(closure, layout, update, reset=reset) as loss_at:
            guess = 1 / sharpness if sharpness else 1.0
            critical = critical_multiple(loss_at, value, guess=guess, refinements=4)
            after = loss_at(1.0)
    parts = layout.sums_by_layer((update * product).cpu().numpy())
    with np.errstate(all="ignore"):
        table = pd.DataFrame(
            {"rho": parts / (2 * abs(slope)), "share": parts / curvature},
            index=pd.Index(list(layout.layers), name="layer"),
        )
    return StepStability(
        rho=sharpness,
        kappa=kappa,
        chi=critical.chi,
        progress=relative_progress(value, after, slope),
        layers=table,
    )
