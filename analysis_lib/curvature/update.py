"""The update an optimizer would make next, without making it."""

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from analysis_lib.curvature.layout import Layout
from analysis_lib.errors import InputError

__all__ = ["loss_along", "preconditioner", "proposed_update"]


@torch.no_grad()
def proposed_update(
    optimizer: torch.optim.Optimizer,
    layout: Layout,
    gradient: Tensor,
    *,
    clip_norm: float | None = None,
    accumulate: bool = False,
) -> Tensor:
    """Return the update D that the optimizer would add to the parameters for a gradient.

    A copy of the optimizer, with its state and in float64, makes the step on copies of the
    parameters; the optimizer, its state and the model are not touched. Works for every
    optimizer whose step needs no closure.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    layout : Layout
    gradient : Tensor of shape (n,)
    clip_norm : float, optional
        The loop clips gradients to this norm.
    accumulate : bool, default=False
        The loop does not clear gradients: what is in ``p.grad`` is added.

    Returns
    -------
    Tensor of shape (n,), float64
        0 for parameters the optimizer was not given.

    Raises
    ------
    InputError
        If the optimizer needs more for a step than its state and a gradient (LBFGS, SparseAdam).

    Examples
    --------
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.5)
    >>> proposed_update(sgd, Layout(model), torch.tensor([4.0]))
    tensor([-2.], dtype=torch.float64)
    """
    gradients = layout.split(gradient)
    if accumulate:
        gradients = [
            g if p.grad is None else g + p.grad
            for g, p in zip(gradients, layout.parameters, strict=True)
        ]
    if clip_norm is not None:
        size = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        gradients = [g * torch.clamp(clip_norm / (size + 1e-6), max=1.0) for g in gradients]
    own = dict(zip(map(id, layout.parameters), gradients, strict=True))
    mirrors: dict[int, Tensor] = {}
    for p in (p for group in optimizer.param_groups for p in group["params"]):
        mirrors[id(p)] = p.detach().double().clone()
        mirrors[id(p)].grad = own[id(p)].double() if id(p) in own else None
    twin = copy.copy(optimizer)  # has neither hooks nor anything of the original's but its state
    twin.param_groups = [
        {**group, "params": [mirrors[id(p)] for p in group["params"]]}
        for group in optimizer.param_groups
    ]
    twin.state = defaultdict(dict)
    for p, state in optimizer.state.items():
        twin.state[mirrors[id(p)]] = {key: _mirrored(value, p) for key, value in state.items()}
    try:
        _bare_step(twin)
    except Exception as error:  # whatever a foreign optimizer needs beyond its state
        raise InputError(
            f"{type(optimizer).__name__} cannot make its step on a copy ({error}); "
            "its next update is unknown"
        ) from error
    return layout.flatten(
        mirrors[id(p)] - p.detach().double() if id(p) in mirrors else torch.zeros_like(p).double()
        for p in layout.parameters
    )


def _bare_step(twin: torch.optim.Optimizer) -> None:
    step = type(twin).step
    if getattr(step, "hooked", False):  # below the hooks for the steps of all optimizers
        step = step.__wrapped__
    step(twin)


def _mirrored(value: Any, p: Tensor) -> Any:
    if not torch.is_tensor(value):
        return value
    value = value.to_dense() if value.is_sparse else value
    wide = value.is_floating_point() and (value.ndim or value.shape == p.shape)
    return value.double().clone() if wide else value.clone()


def _denominator(kind: str, group: dict, state: dict) -> Tensor | float:
    """What an adaptive optimizer divides a gradient by, both bias corrections of Adam included."""
    if kind == "SGD":
        return 1.0
    if kind == "RMSprop":
        square = state["square_avg"]
        if group.get("centered"):
            square = square - state["grad_avg"].square()
        return square.sqrt() + group["eps"]
    if kind == "Adagrad":
        slower = 1 + float(state["step"]) * group["lr_decay"]
        return (state["sum"].sqrt() + group["eps"]) * slower
    step, (beta1, beta2) = float(state["step"]), group["betas"]
    first = 1 - (float(state["mu_product"]) if kind == "NAdam" else beta1**step)
    if kind == "Adamax":
        return state["exp_inf"] * first
    square = state["max_exp_avg_sq"] if group.get("amsgrad") else state["exp_avg_sq"]
    return ((square / (1 - beta2**step)).sqrt() + group["eps"]) * first


def _factor(kind: str, group: dict) -> float:
    """Divide eta lambda / 2 into what momentum makes of it (Cohen et al., 2021 and 2022)."""
    if "betas" in group:  # the gradient enters as a moving average
        beta, nesterov = group["betas"][0], kind == "NAdam"
        share = 1 - beta
    else:
        beta, nesterov = group.get("momentum", 0.0), group.get("nesterov", False)
        share = 1 - group.get("dampening", 0.0) * (beta > 0)
    return share * (1 + 2 * beta if nesterov else 1) / (2 * (1 + beta))


KINDS = ("SGD", "RMSprop", "Adagrad", "Adam", "AdamW", "NAdam", "Adamax")
"""Optimizers whose stability threshold is known."""


@torch.no_grad()
def preconditioner(optimizer: torch.optim.Optimizer, layout: Layout) -> Tensor | float | None:
    r"""Return S, for which kappa is the largest eigenvalue of S H S.

    An optimizer that multiplies gradients by :math:`\eta P^{-1}` (P = 1 for gradient descent,
    :math:`(1 - \beta_1^t) (\sqrt{\hat v} + \epsilon)` for Adam) with momentum factor c is stable
    on a quadratic loss as long as :math:`\kappa = \lambda_{\max}(S H S) < 1` with
    :math:`S = \sqrt{c\, \eta\, P^{-1}}`, where c is

    ======================================= =========================================
    gradient descent, RMSprop, Adagrad      1 / 2
    heavy ball with momentum b              1 / (2 (1 + b))
    Nesterov momentum b                     (1 + 2 b) / (2 (1 + b))
    Adam, AdamW, Adamax with b = beta_1     (1 - b) / (2 (1 + b))
    NAdam                                   (1 - b) (1 + 2 b) / (2 (1 + b))
    ======================================= =========================================

    Weight decay is not part of H, and NAdam's warm-up of beta_1 is left out.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    layout : Layout

    Returns
    -------
    Tensor of shape (n,), float, or None
        A float where S is the same for all parameters; None where the optimizer is not one of
        :data:`KINDS` or has no state yet (an adaptive optimizer before its first step).

    References
    ----------
    Cohen et al. (2021). Gradient descent on neural networks typically occurs at the edge of
    stability. arXiv:2103.00065. Cohen et al. (2022). Adaptive gradient methods at the edge of
    stability. arXiv:2207.14484.

    Examples
    --------
    >>> model = torch.nn.Linear(1, 1)
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.5)
    >>> preconditioner(sgd, Layout(model)) ** 2
    0.25
    """
    kind = type(optimizer).__name__
    if kind not in KINDS or (kind != "SGD" and not optimizer.state):
        return None
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    scales = []
    for p in layout.parameters:
        group, state = groups.get(id(p)), optimizer.state.get(p, {})
        if group is None or (kind != "SGD" and not state):  # it does not move
            scales.append(torch.zeros_like(p))
            continue
        squared = float(group["lr"]) * _factor(kind, group) / _denominator(kind, group, state)
        scales.append(torch.as_tensor(squared, dtype=p.dtype, device=p.device).sqrt().expand_as(p))
    if kind == "SGD" and len(optimizer.param_groups) == 1 and len(groups) == len(scales):
        group = optimizer.param_groups[0]
        return (float(group["lr"]) * _factor(kind, group)) ** 0.5
    return layout.flatten(scales)


@contextmanager
def loss_along(
    loss: Callable[[], Tensor], layout: Layout, update: Tensor, *, reset: Callable[[], None]
) -> Iterator[Callable[[float], float]]:
    """Yield the function s -> L(theta + s D); the parameters are as before on leaving.

    Parameters
    ----------
    loss : callable
        Returns the scalar loss of the model on fixed data.
    layout : Layout
    update : Tensor of shape (n,)
        D.
    reset : callable
        Called before every evaluation, so that each sees the same dropout masks and buffers; see
        :func:`~analysis_lib.curvature.undisturbed`.

    Examples
    --------
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> x, way = torch.ones(1, 1), torch.ones(1, dtype=torch.double)
    >>> with loss_along(lambda: model(x).sum(), Layout(model), way, reset=lambda: None) as at:
    ...     round(at(2.0) - at(0.0), 4)
    2.0
    """
    # the tensors are swapped, not written to: the weights come back bit for bit, and a graph that
    # the caller still holds stays valid
    original = [p.data for p in layout.parameters]
    start = layout.flatten(original)
    update = update.to(start)

    def at(multiple: float) -> float:
        for p, moved in zip(
            layout.parameters, layout.split(start + multiple * update), strict=True
        ):
            p.data = moved
        reset()
        with torch.no_grad():
            return float(loss())

    try:
        yield at
    finally:
        for p, value in zip(layout.parameters, original, strict=True):
            p.data = value
