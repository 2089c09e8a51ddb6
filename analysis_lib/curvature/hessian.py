"""Products with the Hessian of a loss, on one retained graph."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from analysis_lib.curvature.guard import (
    NoSecondDerivative,
    second_order,
    twice_differentiable,
    undisturbed,
)
from analysis_lib.curvature.layout import Layout
from analysis_lib.errors import InputError

__all__ = ["Hessian", "hvp", "layerwise"]


class Hessian:
    """The Hessian of a scalar loss at one point: ``hessian @ v`` is Hv.

    The gradient is taken once with a graph behind it; every product differentiates ``g'v`` on that
    graph once more (Pearlmutter, 1994), so a product costs about two gradients and the first
    one three. The graph lives as long as this object.

    Parameters
    ----------
    loss : Tensor
        Scalar, computed within :func:`~analysis_lib.curvature.undisturbed` and
        :class:`~analysis_lib.curvature.twice_differentiable`; see :meth:`of`.
    layout : Layout
        Of the model behind the loss.

    Attributes
    ----------
    loss : float
    gradient : Tensor of shape (n,)
        dL/dtheta; entries of unused parameters are 0.
    products : int
        Number of products taken so far.

    Raises
    ------
    InputError
        If the loss is not a scalar or not connected to the parameters.
    NoSecondDerivative
        If an operation cannot be differentiated twice.

    Examples
    --------
    For ``L(w) = (3 w)^2`` the Hessian is 18:

    >>> model = nn.Linear(1, 1, bias=False)
    >>> with undisturbed(model):
    ...     hessian = Hessian.of(lambda: 9 * model.weight.square().sum(), Layout(model))
    ...     hessian @ torch.tensor([2.0])
    tensor([36.])
    """

    def __init__(self, loss: Tensor, layout: Layout):
        if loss.ndim != 0:
            raise InputError(
                f"closure() returned shape {tuple(loss.shape)}; expected a scalar loss"
            )
        self.layout, self.loss = layout, float(loss.detach())
        self.products = 0
        if not loss.requires_grad:
            raise InputError(
                "the loss does not depend on a trainable parameter; compute it from the model's "
                "output, without detach() or item()"
            )
        with second_order():
            gradients = torch.autograd.grad(
                loss,
                layout.parameters,
                create_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
        if not layout.sound:
            layout.sound = _sound(loss, gradients)
        self.gradient = layout.flatten(gradients)
        self._curved = [i for i, g in enumerate(gradients) if g.requires_grad]
        self._gradients = [gradients[i] for i in self._curved]

    @classmethod
    def of(cls, closure: Callable[[], Tensor], layout: Layout) -> "Hessian":
        """Evaluate a loss in a form that can be differentiated twice, and return its Hessian."""
        with twice_differentiable():
            loss = closure()
        return cls(loss, layout)

    def __matmul__(self, v: Tensor) -> Tensor:
        """Return Hv for v of shape (n,), or a row Hv for every row v of shape (k, n).

        Rows are multiplied in one batched pass where every operation allows it, which takes a
        third of the time off in small models, and one by one elsewhere.
        """
        if v.ndim == 1:
            self.products += 1
            return self.layout.flatten(self._differentiate(self.layout.split(v), batched=False))
        if self.layout.batches:
            parts = [torch.stack(rows) for rows in zip(*map(self.layout.split, v), strict=True)]
            try:
                rows = self._differentiate(parts, batched=True)
            except RuntimeError:
                self.layout.batches = False
            else:
                self.products += len(v)
                return torch.cat([row.detach().reshape(len(v), -1) for row in rows], dim=1)
        return torch.stack([self @ row for row in v])

    def _differentiate(self, v: list[Tensor], *, batched: bool) -> Sequence[Tensor]:
        if not self._curved:
            return [torch.zeros_like(part) for part in v]
        with second_order(), warnings.catch_warnings():
            # torch warns where it loops over a batch inside; the result is the same
            warnings.simplefilter("ignore", UserWarning)
            rows = torch.autograd.grad(
                self._gradients,
                self.layout.parameters,
                grad_outputs=[v[i] for i in self._curved],
                retain_graph=True,
                allow_unused=True,
                is_grads_batched=batched,
            )
        # not materialize_grads, whose zeros lack the batch dimension
        return [
            torch.zeros_like(part) if row is None else row
            for row, part in zip(rows, v, strict=True)
        ]


def _sound(loss: Tensor, gradients: Sequence[Tensor]) -> bool:
    """Refuse a gradient parts of which autograd would silently take for constants.

    A custom function whose backward is ``once_differentiable`` leaves a node that raises when it
    is reached, but that leads to no parameter, so that g'v is differentiated around it.
    """
    if any(node.name() == "torch::autograd::Error" for node in _nodes(gradients)):
        custom = {n._forward_cls.__name__ for n in _nodes([loss]) if hasattr(n, "_forward_cls")}
        raise NoSecondDerivative(", ".join(sorted(custom)) or "a once_differentiable function")
    return True


def _nodes(tensors: Sequence[Tensor]) -> Iterator:
    seen, stack = set(), [t.grad_fn for t in tensors]
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack += [before for before, _ in node.next_functions]
            yield node


def hvp(
    model: nn.Module, closure: Callable[[], Tensor], v: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the exact Hessian-vector product Hv of a scalar loss.

    ``H`` is the Hessian of ``closure()`` in the trainable parameters of ``model``, computed by
    reverse-over-reverse differentiation. The model, its buffers, gradients and the random state
    are left exactly as they were.

    Parameters
    ----------
    model : torch.nn.Module
    closure : callable
        Returns the scalar loss of ``model`` on fixed data.
    v : mapping of str to Tensor
        A tensor of the parameter's shape, dtype and device for every trainable parameter.

    Returns
    -------
    dict of str to Tensor
        Hv, with the names and shapes of ``v``. Use :func:`layerwise` to read it by layer.

    Raises
    ------
    InputError
        If a name is missing or unknown, a shape, dtype or device differs, or the loss is not a
        scalar.
    NoSecondDerivative
        If an operation cannot be differentiated twice; the error names it.

    References
    ----------
    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation 6(1).

    Examples
    --------
    For ``L(w) = (3 w)^2`` the Hessian is 18:

    >>> model = nn.Linear(1, 1, bias=False)
    >>> closure = lambda: model(torch.tensor([[3.0]])).square().sum()
    >>> hvp(model, closure, {"weight": torch.tensor([[2.0]])})
    {'weight': tensor([[36.]])}
    """
    layout = Layout(model)
    flat = layout.checked(v)
    with undisturbed(model):
        return layout.named(Hessian.of(closure, layout) @ flat)


def layerwise(
    model: nn.Module, v: Mapping[str, Tensor], product: Mapping[str, Tensor]
) -> pd.DataFrame:
    """Return a product by layer: ``||(Hv)_l|| / ||v_l||`` and ``v_l'(Hv)_l / v_l'v_l``.

    Parameters
    ----------
    model : torch.nn.Module
    v : mapping of str to Tensor
        The vector.
    product : mapping of str to Tensor
        What :func:`hvp` returned for it.

    Returns
    -------
    DataFrame indexed by layer
        ``size`` (parameters), ``hvp_norm``, ``rayleigh``; the row ``(all)`` is the whole model.

    Examples
    --------
    >>> model = nn.Linear(1, 1, bias=False)
    >>> closure = lambda: model(torch.tensor([[3.0]])).square().sum()
    >>> v = {"weight": torch.tensor([[2.0]])}
    >>> layerwise(model, v, hvp(model, closure, v)).loc["(all)"].tolist()
    [1.0, 18.0, 18.0]
    """
    layout = Layout(model)
    x, hx = (layout.checked(t).double().cpu().numpy() for t in (v, product))
    sums = layout.sums_by_layer(np.stack([np.ones_like(x), x * x, x * hx, hx * hx]))
    size, vv, vhv, square = np.concatenate([sums, sums.sum(1, keepdims=True)], axis=1)
    with np.errstate(all="ignore"):
        columns = {"size": size.astype(int), "hvp_norm": np.sqrt(square / vv), "rayleigh": vhv / vv}
    return pd.DataFrame(columns, index=pd.Index([*layout.layers, "(all)"], name="layer"))
