"""The same answers as PyHessian and curvlinops, where those are right."""

import warnings

import numpy as np
import pytest
import torch
from small_nets import direction, flat, problem, relative_error
from torch import nn

from analysis_lib.curvature import hvp, top_eigenvalue, trace

REASON = "not installed; see tests/oracles.txt"
PLAIN = ["mlp", "relu", "convolution", "batchnorm-eval", "gru", "tied", "embedding"]
WITHOUT_RNN = ["mlp", "relu", "convolution", "batchnorm-eval", "embedding"]


@pytest.fixture
def pyhessian():
    return pytest.importorskip("pyhessian", reason=f"PyHessian is {REASON}")


@pytest.fixture
def curvlinops():
    return pytest.importorskip("curvlinops", reason=f"curvlinops is {REASON}")


def of_pyhessian(pyhessian, case):
    """Its constructor switches to evaluation, and leaves a graph behind every p.grad."""
    criterion = lambda out, y: nn.functional.cross_entropy(out, y[:, 0].long())  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return pyhessian.hessian(case.model, criterion, data=(case.x, case.y), cuda=False)


def of_curvlinops(curvlinops, case):
    class Loss(nn.Module):
        reduction = "mean"

        def forward(self, out, y):
            return nn.functional.cross_entropy(out, y[:, 0].long())

    return curvlinops.HessianLinearOperator(
        case.model, Loss(), list(case.model.parameters()), [(case.x, case.y)]
    )


@pytest.mark.parametrize("name", PLAIN)
def test_top_eigenvalue_of_pyhessian(pyhessian, name):
    case = problem(name)
    theirs = of_pyhessian(pyhessian, case).eigenvalues(maxIter=3000, tol=1e-9)[0][0]
    ours = top_eigenvalue(case.model, case.closure, method="power", tolerance=1e-5, products=3000)
    assert ours.converged and ours.value == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_product_of_pyhessian(pyhessian, name):
    case = problem(name)
    v = direction(case.model)
    ours = flat(hvp(case.model, case.closure, v))
    engine = of_pyhessian(pyhessian, case)
    utilities = pytest.importorskip("pyhessian.utils")
    theirs = utilities.hessian_vector_product(engine.gradsH, engine.params, list(v.values()))
    assert relative_error(ours, flat(theirs)) <= 1e-12


def test_trace_of_pyhessian(pyhessian):
    case = problem("mlp")
    ours = trace(case.model, case.closure, probes=400)
    torch.manual_seed(0)
    samples = of_pyhessian(pyhessian, case).trace(maxIter=400, tol=-1.0)
    theirs = np.mean(samples)
    error = np.hypot(ours.standard_error, np.std(samples) / np.sqrt(len(samples)))
    assert len(samples) == 400 and abs(ours.estimate - theirs) <= 4 * error


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")  # by torch, in forward mode
@pytest.mark.parametrize("name", WITHOUT_RNN)
def test_product_of_curvlinops(curvlinops, name):
    case = problem(name)
    v = direction(case.model)
    ours = flat(hvp(case.model, case.closure, v))
    theirs = of_curvlinops(curvlinops, case) @ flat(v)
    assert relative_error(ours, theirs) <= 1e-12
