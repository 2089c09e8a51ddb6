"""Trace and extreme eigenvalues of a symmetric operator from a few products."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor, nn

from analysis_lib.curvature.guard import undisturbed
from analysis_lib.curvature.hessian import Hessian
from analysis_lib.curvature.layout import Layout
from analysis_lib.errors import InputError

__all__ = [
    "Eigenvalue",
    "Spectrum",
    "TraceEstimate",
    "hutchinson",
    "lanczos",
    "power_iteration",
    "rademacher",
    "top_eigenvalue",
    "trace",
]

Matvec = Callable[[Tensor], Tensor]


class TraceEstimate(NamedTuple):
    """Hutchinson's estimate of a trace and its standard error (NaN for one probe)."""

    estimate: float
    """Mean of ``v'Hv`` over the probes."""

    standard_error: float
    """NaN for one probe."""


class Eigenvalue(NamedTuple):
    """An eigenvalue and how well it is known; ``residual`` is ``||Hu - value u||`` for unit u."""

    value: float
    """The eigenvalue."""

    residual: float
    """How far the vector is from an eigenvector."""

    products: int
    """Hessian-vector products that were taken."""

    converged: bool
    """Whether the residual came within the tolerance."""

    vector: Tensor
    """Of shape (n,) and norm 1."""


class Spectrum(NamedTuple):
    """Both ends of a spectrum, by Ritz values and unit Ritz vectors of shape (n,)."""

    largest: float
    """Largest Ritz value."""

    smallest: float
    """Smallest Ritz value."""

    largest_residual: float
    """Residual norm of the largest."""

    smallest_residual: float
    """Residual norm of the smallest."""

    largest_vector: Tensor
    """Ritz vector of the largest."""

    smallest_vector: Tensor
    """Ritz vector of the smallest."""

    products: int
    """Hessian-vector products that were taken."""


def rademacher(size: int, *, probes: int = 1, seed: int = 0) -> Tensor:
    """Return random signs of shape (probes, size) as int8, the same for the same seed.

    Row i is the same however many probes are drawn. Kept in eight bits because drawing them
    anew costs more than a product in small models.

    Examples
    --------
    >>> signs = rademacher(4, probes=2)
    >>> signs.shape, sorted(set(signs.abs().flatten().tolist()))
    (torch.Size([2, 4]), [1])
    """
    if probes < 1:
        raise InputError(f"probes is {probes}; expected at least 1")
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(0, 2, (probes, int(size)), generator=generator, dtype=torch.int8)
    return drawn * 2 - 1


def hutchinson(v: np.ndarray, products: np.ndarray) -> TraceEstimate:
    """Estimate ``tr H`` as the mean of ``v'Hv`` over probes with independent random signs.

    Parameters
    ----------
    v : ndarray of shape (probes, n)
        The probes.
    products : ndarray of shape (probes, n)
        Their products Hv.

    Returns
    -------
    TraceEstimate

    References
    ----------
    Hutchinson, M. F. (1989). A stochastic estimator of the trace of the influence matrix.

    Examples
    --------
    >>> hutchinson(np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[2.0, 3.0], [2.0, -3.0]]))
    TraceEstimate(estimate=5.0, standard_error=0.0)
    """
    with np.errstate(all="ignore"):
        samples = np.einsum("ij,ij->i", np.asarray(v, float), np.asarray(products, float))
        error = samples.std(ddof=1) / np.sqrt(len(samples)) if len(samples) > 1 else np.nan
        return TraceEstimate(float(samples.mean()), float(error))


def lanczos(matvec: Matvec, start: Tensor, *, steps: int, tolerance: float = 0.0) -> Spectrum:
    """Return both ends of the spectrum of a symmetric operator by Lanczos' method.

    The basis is orthogonalised in full, twice, in float64. Started from the Ritz vectors of a
    nearby operator (warm start), five steps suffice for a few percent.

    Parameters
    ----------
    matvec : callable
        From v of shape (n,) to Hv; gets the dtype of ``start``.
    start : Tensor of shape (n,)
        Not zero.
    steps : int
        Largest number of products.
    tolerance : float, default=0
        Stop once the residual of the largest Ritz value is below this share of it.

    Returns
    -------
    Spectrum
        With NaN values if a product is not finite.

    Examples
    --------
    >>> h = torch.diag(torch.tensor([5.0, 1.0, -2.0]))
    >>> ends = lanczos(lambda v: h @ v, torch.ones(3), steps=3)
    >>> round(ends.largest, 4), round(ends.smallest, 4)
    (5.0, -2.0)
    """
    steps = min(steps, len(start))
    basis = torch.empty(steps, len(start), dtype=torch.float64, device=start.device)
    basis[0] = start.double() / start.double().norm()
    diagonal, off = [], []
    for j in range(steps):
        w = matvec(basis[j].to(start.dtype)).double()
        diagonal.append(float(basis[j] @ w))
        done = basis[: j + 1]
        for _ in range(2):
            w = w - done.T @ (done @ w)
        off.append(float(w.norm()))
        if not np.isfinite(off[-1]):
            lost = torch.full_like(start, torch.nan)
            return Spectrum(np.nan, np.nan, np.nan, np.nan, lost, lost, j + 1)
        exhausted = off[-1] <= 1e-10 * max(map(abs, [*diagonal, *off[:-1]]))
        if tolerance or exhausted or j + 1 == steps:
            values, vectors = eigh_tridiagonal(np.array(diagonal), np.array(off[:-1]))
            residual = off[-1] * abs(vectors[-1, -1])
            if exhausted or residual <= tolerance * abs(values[-1]) or j + 1 == steps:
                break
        basis[j + 1] = w / off[-1]
    ritz = torch.from_numpy(vectors[:, [-1, 0]].T.copy()).to(basis.device) @ basis[: j + 1]
    return Spectrum(
        largest=float(values[-1]),
        smallest=float(values[0]),
        largest_residual=float(residual),
        smallest_residual=float(off[-1] * abs(vectors[-1, 0])),
        largest_vector=ritz[0].to(start.dtype),
        smallest_vector=ritz[1].to(start.dtype),
        products=j + 1,
    )


def power_iteration(
    matvec: Matvec, start: Tensor, *, tolerance: float = 1e-3, iterations: int = 100
) -> Eigenvalue:
    """Return the eigenvalue of largest magnitude, with its sign, by power iteration.

    Where the largest and the smallest eigenvalue have nearly the same magnitude, it converges
    slowly or to the negative end; the report says so, and :func:`lanczos` does not have the
    problem.

    Parameters
    ----------
    matvec : callable
    start : Tensor of shape (n,)
        Not zero.
    tolerance : float, default=1e-3
        Converged once the residual is below this share of the eigenvalue.
    iterations : int, default=100
        Largest number of products.

    Returns
    -------
    Eigenvalue

    Examples
    --------
    >>> h = torch.diag(torch.tensor([1.0, -4.0]))
    >>> found = power_iteration(lambda v: h @ v, torch.ones(2))
    >>> round(found.value, 3), found.converged
    (-4.0, True)
    """
    u = start / start.norm()
    for done in range(1, iterations + 1):
        w = matvec(u)
        value = float(u.double() @ w.double())
        residual = float((w.double() - value * u.double()).norm())
        size = float(w.norm())
        if residual <= tolerance * abs(value) or not np.isfinite(size) or size == 0:
            break
        if done < iterations:
            u = w / size
    return Eigenvalue(value, residual, done, bool(residual <= tolerance * abs(value)), u)


def trace(
    model: nn.Module, closure: Callable[[], Tensor], *, probes: int = 8, seed: int = 0
) -> TraceEstimate:
    """Estimate the trace of the Hessian of a loss (Hutchinson, random signs).

    Parameters
    ----------
    model : torch.nn.Module
    closure : callable
        Returns the scalar loss of ``model`` on fixed data.
    probes : int, default=8
    seed : int, default=0
        Seed of the signs.

    Returns
    -------
    TraceEstimate
        ``estimate`` and ``standard_error``.

    Examples
    --------
    >>> model = nn.Linear(1, 1, bias=False)
    >>> trace(model, lambda: model(torch.tensor([[3.0]])).square().sum()).estimate
    18.0
    """
    layout = Layout(model)
    with undisturbed(model):
        hessian = Hessian.of(closure, layout)
        v = rademacher(layout.size, probes=probes, seed=seed).to(hessian.gradient)
        rows = hessian @ v
    return hutchinson(v.double().cpu().numpy(), rows.double().cpu().numpy())


def top_eigenvalue(
    model: nn.Module,
    closure: Callable[[], Tensor],
    *,
    method: str = "lanczos",
    tolerance: float = 1e-3,
    products: int = 100,
    seed: int = 0,
) -> Eigenvalue:
    """Return the largest eigenvalue of the Hessian of a loss and how well it converged.

    Parameters
    ----------
    model : torch.nn.Module
    closure : callable
        Returns the scalar loss of ``model`` on fixed data.
    method : {"lanczos", "power"}, default="lanczos"
        ``power`` finds the eigenvalue of largest magnitude, which may be negative.
    tolerance : float, default=1e-3
        Largest residual as a share of the eigenvalue.
    products : int, default=100
        Largest number of Hessian-vector products.
    seed : int, default=0
        Seed of the random signs it starts from.

    Returns
    -------
    Eigenvalue

    Examples
    --------
    >>> model = nn.Linear(2, 1, bias=False)
    >>> x = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    >>> found = top_eigenvalue(model, lambda: model(x).square().sum())
    >>> round(found.value, 3), found.converged
    (18.0, True)
    """
    if method not in ("lanczos", "power"):
        raise InputError(f"method is '{method}'; expected 'lanczos' or 'power'")
    layout = Layout(model)
    with undisturbed(model):
        hessian = Hessian.of(closure, layout)
        start = rademacher(layout.size, seed=seed)[0].to(hessian.gradient)
        if method == "power":
            return power_iteration(
                hessian.__matmul__, start, tolerance=tolerance, iterations=products
            )
        ends = lanczos(hessian.__matmul__, start, steps=products, tolerance=tolerance)
    converged = bool(ends.largest_residual <= max(tolerance * abs(ends.largest), 1e-30))
    return Eigenvalue(
        ends.largest, ends.largest_residual, ends.products, converged, ends.largest_vector
    )
