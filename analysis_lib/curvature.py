"""Exact Hessian-vector products, layer by layer, without disturbing the model."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from analysis_lib.errors import InputError, unknown

__all__ = ["gradient", "hvp", "layers", "product", "rademacher", "undisturbed"]


def layers(model: nn.Module) -> dict[str, list[str]]:
    """Group parameter names into layers: the modules that own parameters themselves.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    dict
        Layer name (module path, ``"(model)"`` for the model itself) to its parameter names, in
        the order of ``named_parameters``. A parameter shared by two modules appears once.

    Examples
    --------
    >>> layers(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)))
    {'0': ['0.weight', '0.bias'], '2': ['2.weight', '2.bias']}
    """
    grouped: dict[str, list[str]] = {}
    for name, _ in model.named_parameters():
        owner, _, _ = name.rpartition(".")
        grouped.setdefault(owner or "(model)", []).append(name)
    return grouped


@contextmanager
def _without_onednn() -> Iterator[None]:
    with warnings.catch_warnings():
        # setting the flags makes torch speak of Intel GPUs, whatever the machine
        warnings.simplefilter("ignore", UserWarning)
        flags = torch.backends.mkldnn.flags(enabled=False)
        flags.__enter__()
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            flags.__exit__(None, None, None)


@contextmanager
def undisturbed(model: nn.Module, *, seed: int | None = None) -> Iterator[None]:
    """Leave random state, buffers and modes as they were, and allow second derivatives.

    Inside, attention uses its math kernel and recurrent layers avoid oneDNN, because the fused
    kernels of torch 2.13 have no (or a slow) double backward; gradients are enabled; ``seed``
    fixes dropout masks. On leaving, also after an exception, the random state and every buffer
    (BatchNorm statistics) are bit-identical to before. ``p.grad`` is never touched.

    Parameters
    ----------
    model : torch.nn.Module
    seed : int, optional
        Seed of the random state inside.
    """
    buffers = [(b, b.detach().clone()) for b in model.buffers()]
    modes = [(m, m.training) for m in model.modules()]
    recurrent = any(isinstance(m, nn.RNNBase) for m in model.modules())
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.enable_grad(),
            sdpa_kernel(SDPBackend.MATH),
            _without_onednn() if recurrent else nullcontext(),
        ):
            if seed is not None:
                torch.manual_seed(seed)
            yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        for module, training in modes:
            module.training = training


def gradient(loss: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    """Return dL/dp for each parameter, on a graph that can be differentiated again.

    Unused parameters have a zero gradient.
    """
    return list(
        torch.autograd.grad(
            loss, parameters, create_graph=True, allow_unused=True, materialize_grads=True
        )
    )


def product(gradients: list[Tensor], parameters: list[Tensor], v: list[Tensor]) -> list[Tensor]:
    """Return Hv by differentiating g'v once more (Pearlmutter, 1994).

    The graph behind ``gradients`` is kept, so several products can share it.
    """
    pairs = [(g, w) for g, w in zip(gradients, v, strict=True) if g.requires_grad]
    if not pairs:
        return [torch.zeros_like(p) for p in parameters]
    return list(
        torch.autograd.grad(
            [g for g, _ in pairs],
            parameters,
            grad_outputs=[w for _, w in pairs],
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
    )


def rademacher(parameters: list[Tensor], *, seed: int) -> list[Tensor]:
    """Return random signs shaped like the parameters, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randint(0, 2, p.shape, generator=generator, dtype=torch.int8) * 2 - 1).to(p)
        for p in parameters
    ]


def _refuse_weight_norm(model: nn.Module) -> None:
    for path, module in model.named_modules():
        parametrized = getattr(module, "parametrizations", None)
        kinds = (
            [type(p).__name__ for ps in parametrized.values() for p in ps] if parametrized else []
        )
        if "_WeightNorm" in kinds or hasattr(module, "weight_g"):
            raise InputError(
                f"layer '{path}' uses weight_norm, whose second derivative is silently wrong in "
                "torch 2.13; write g * v / v.norm() by hand or remove it before taking products"
            )


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
        Hv, with the names and shapes of ``v``. Use :func:`layers` to group it.

    Raises
    ------
    InputError
        If a name is missing or unknown, a shape, dtype or device differs, the loss is not a
        scalar, or the model uses ``weight_norm``.

    References
    ----------
    Pearlmutter, B. A. (1994). Fast exact multiplication by the Hessian. Neural Computation 6(1).

    Examples
    --------
    For L(w) = (3 w)^2 the Hessian is 18:

    >>> model = nn.Linear(1, 1, bias=False)
    >>> closure = lambda: model(torch.tensor([[3.0]])).square().sum()
    >>> hvp(model, closure, {"weight": torch.tensor([[2.0]])})
    {'weight': tensor([[36.]])}
    """
    _refuse_weight_norm(model)
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    for name in v:
        if name not in named:
            raise unknown("parameter", name, named)
    for name, p in named.items():
        if name not in v:
            raise InputError(f"v has no entry for parameter '{name}' of shape {tuple(p.shape)}")
        for what in ("shape", "dtype", "device"):
            mine, theirs = getattr(v[name], what), getattr(p, what)
            if mine != theirs:
                raise InputError(
                    f"v['{name}'] has {what} {mine}, the parameter has {what} {theirs}"
                )
    parameters = list(named.values())
    with undisturbed(model):
        loss = closure()
        if loss.ndim != 0:
            raise InputError(
                f"closure() returned shape {tuple(loss.shape)}; expected a scalar loss"
            )
        gradients = gradient(loss, parameters)
        products = product(gradients, parameters, [v[name] for name in named])
    return {name: hv.detach() for name, hv in zip(named, products, strict=True)}
