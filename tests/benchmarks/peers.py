"""What other packages do with a case; they are imported when called, not before."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.cases import Case

__all__ = ["EIGENVALUES", "METHODS", "NOTES"]


class _OneInput(nn.Module):
    """A model of several inputs as packages want it: of one."""

    def __init__(self, case: Case):
        super().__init__()
        self.model = case.model

    def forward(self, x):
        return self.model(*(x.values() if isinstance(x, dict) else x))


def _one(case: Case, container: type) -> tuple[nn.Module, object]:
    if len(case.inputs) == 1:
        return case.model, case.inputs[0]
    named = {str(i): x for i, x in enumerate(case.inputs)}
    return _OneInput(case), named if container is dict else case.inputs


# --- PyHessian ---------------------------------------------------------------------------------


def _pyhessian(case: Case):
    from pyhessian import hessian

    model, x = _one(case, tuple)
    case.model.zero_grad(set_to_none=True)
    torch.manual_seed(0)
    return hessian(model, case.loss, data=(x, case.target), cuda=False)


def pyhessian_first(case: Case) -> Callable[[], Tensor]:
    from pyhessian.utils import hessian_vector_product

    v = case.layout.split(case.v)

    def run() -> Tensor:
        h = _pyhessian(case)
        return case.layout.flatten(hessian_vector_product(h.gradsH, h.params, v))

    return run


def pyhessian_further(case: Case) -> Callable[[], Tensor]:
    from pyhessian.utils import hessian_vector_product

    h, v = _pyhessian(case), case.layout.split(case.v)
    return lambda: case.layout.flatten(hessian_vector_product(h.gradsH, h.params, v))


def pyhessian_trace(case: Case) -> Callable[[], float]:
    # its rule for stopping, which compares with a signed mean, is switched off
    return lambda: float(sum(_pyhessian(case).trace(maxIter=8, tol=-float("inf"))) / 8)


def pyhessian_eigenvalue(case: Case) -> float:
    return float(_pyhessian(case).eigenvalues()[0][0])


# --- curvlinops --------------------------------------------------------------------------------


def _curvlinops(case: Case, *, check: bool = False):
    from curvlinops import HessianLinearOperator

    model, x = _one(case, dict)
    torch.manual_seed(0)
    return HessianLinearOperator(
        model,
        case.module or case.loss,
        list(case.layout.parameters),
        [(x, case.target)],
        check_deterministic=check,
        num_data=len(case.target),
        batch_size_fn=lambda _: len(case.target),
    )


def curvlinops_first(case: Case) -> Callable[[], Tensor]:
    return lambda: _curvlinops(case) @ case.v


def curvlinops_checked(case: Case) -> Callable[[], Tensor]:
    return lambda: _curvlinops(case, check=True) @ case.v


def curvlinops_further(case: Case) -> Callable[[], Tensor]:
    h = _curvlinops(case)
    return lambda: h @ case.v


def curvlinops_eight(case: Case) -> Callable[[], Tensor]:
    h, v = _curvlinops(case), case.signs.to(case.v).T.contiguous()
    return lambda: (h @ v)[:, 0]


def curvlinops_trace(case: Case) -> Callable[[], float]:
    from curvlinops import hutchinson_trace

    return lambda: float(hutchinson_trace(_curvlinops(case), num_matvecs=8))


def curvlinops_eigenvalue(case: Case) -> float:
    from scipy.sparse.linalg import eigsh

    operator = _curvlinops(case).to_scipy()
    return float(eigsh(operator, k=1, which="LA", return_eigenvectors=False)[0])


# --- hessian-eigenthings -----------------------------------------------------------------------


def _eigenthings(case: Case):
    from hessian_eigenthings import HessianOperator

    torch.manual_seed(0)
    return HessianOperator(
        case.model,
        [(*case.inputs, case.target)],
        lambda model, batch: case.loss(model(*batch[:-1]), batch[-1]),
    )


def eigenthings_hvp(case: Case) -> Callable[[], Tensor]:
    return lambda: _eigenthings(case).matvec(case.v)


def eigenthings_trace(case: Case) -> Callable[[], float]:
    from hessian_eigenthings import hutchinson

    return lambda: hutchinson(_eigenthings(case), num_samples=8, seed=1).estimate


def eigenthings_eigenvalue(case: Case) -> float:
    from hessian_eigenthings import deflated_power_iteration

    return float(deflated_power_iteration(_eigenthings(case), k=1, seed=0).eigenvalues[0])


def eigenthings_lanczos(case: Case) -> float:
    from hessian_eigenthings import lanczos

    return float(lanczos(_eigenthings(case), which="LA", seed=0).eigenvalues.max())


# --- BackPACK ----------------------------------------------------------------------------------


def backpack_first(case: Case) -> Callable[[], Tensor]:
    from backpack.hessianfree.hvp import hessian_vector_product

    v = case.layout.split(case.v)

    def run() -> Tensor:
        torch.manual_seed(0)
        found = hessian_vector_product(case.closure(), case.layout.parameters, v)
        return case.layout.flatten(found)

    return run


def backpack_further(case: Case) -> Callable[[], Tensor]:
    from backpack.hessianfree.hvp import hessian_vector_product

    v, parameters = case.layout.split(case.v), case.layout.parameters
    torch.manual_seed(0)
    loss = case.closure()
    gradients = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    return lambda: case.layout.flatten(
        hessian_vector_product(loss, parameters, v, grad_params=gradients)
    )


METHODS = {
    "first_hvp": {
        "pyhessian": pyhessian_first,
        "curvlinops": curvlinops_first,
        "curvlinops_checked": curvlinops_checked,
        "eigenthings": eigenthings_hvp,
        "backpack": backpack_first,
    },
    "further_hvp": {
        "pyhessian": pyhessian_further,
        "curvlinops": curvlinops_further,
        "eigenthings": eigenthings_hvp,
        "backpack": backpack_further,
    },
    "eight_hvps": {"curvlinops": curvlinops_eight},
    "trace_8": {
        "pyhessian": pyhessian_trace,
        "curvlinops": curvlinops_trace,
        "eigenthings": eigenthings_trace,
    },
}
"""Quantity -> name -> task."""

EIGENVALUES = {
    "pyhessian": pyhessian_eigenvalue,
    "curvlinops": curvlinops_eigenvalue,
    "eigenthings": eigenthings_eigenvalue,
    "eigenthings_lanczos": eigenthings_lanczos,
}
"""Largest eigenvalue with a package's own settings."""

NOTES = {
    "pyhessian": "puts the model into evaluation mode",
    "curvlinops": "jvp of jacrev, wrong behind normalisation layers",
    "curvlinops_checked": "jvp of jacrev, wrong behind normalisation layers",
}
"""Why a package's product may be that of another function."""
