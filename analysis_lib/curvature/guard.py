"""What surrounds every look at a model: nothing is disturbed, second derivatives exist."""

import random
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from analysis_lib.errors import InputError

__all__ = ["NoSecondDerivative", "second_order", "twice_differentiable", "undisturbed"]


class NoSecondDerivative(InputError):
    """A loss cannot be differentiated twice; ``op`` is the operation that has no derivative."""

    def __init__(self, op: str):
        self.op = op
        super().__init__(
            f"no second-order signal: '{op}' has no second derivative in torch "
            f"{torch.__version__}; write it with operations that have one"
        )


_MESSAGES = (
    re.compile(r"derivative for '?(?:aten::)?([\w.]+)'? is not implemented"),
    re.compile(r"(torch\.compile) with aot_autograd does not"),
    re.compile(r"marked with @?(once_differentiable)"),
    re.compile(r"(?:the )?'?([\w:.]+)'? does not support (?:double backward|higher order)"),
    re.compile(r"(cudnn RNN) backward"),
)


@contextmanager
def second_order() -> Iterator[None]:
    """Turn torch's errors about missing second derivatives into :class:`NoSecondDerivative`."""
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:
        for message in _MESSAGES:
            if found := message.search(str(error)):
                raise NoSecondDerivative(found[1]) from error
        raise


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    others = [d for d in range(v.ndim) if d != dim % v.ndim] if dim != -1 else list(range(v.ndim))
    return v * (g / v.square().sum(others, keepdim=True).sqrt())


def _embedding_bag(input, weight, offsets=None, max_norm=None, norm_type=2.0,
                   scale_grad_by_freq=False, mode="mean", sparse=False, per_sample_weights=None,
                   include_last_offset=False, padding_idx=None):  # fmt: skip
    if offsets is not None or max_norm is not None or mode == "max" or scale_grad_by_freq:
        return F.embedding_bag(
            input, weight, offsets, max_norm, norm_type, scale_grad_by_freq, mode, sparse,
            per_sample_weights, include_last_offset, padding_idx,
        )  # fmt: skip
    rows = F.embedding(input, weight)
    kept = torch.ones_like(input, dtype=rows.dtype)
    if padding_idx is not None:
        kept = (input != padding_idx % len(weight)).to(rows.dtype)
    share = kept if per_sample_weights is None else kept * per_sample_weights
    total = (rows * share.unsqueeze(-1)).sum(1)
    return total / kept.sum(1, keepdim=True).clamp(min=1) if mode == "mean" else total


def _embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0,
               scale_grad_by_freq=False, sparse=False):  # fmt: skip
    return F.embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, False)


def _cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = None) -> Tensor:
    difference = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    if p != 2.0:
        return torch.linalg.vector_norm(difference, ord=p, dim=-1)
    squared = difference.square().sum(-1)
    # a distance of exactly 0 has gradient 0 here as in cdist, and no curvature
    apart = squared > 0
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)


def _pdist(input: Tensor, p: float = 2.0) -> Tensor:
    i, j = torch.triu_indices(len(input), len(input), 1)
    return _cdist(input[i].unsqueeze(1), input[j].unsqueeze(1), p).reshape(-1)


def _hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    return F.relu6(input + 3) / 6


def _mish(input: Tensor, inplace: bool = False) -> Tensor:
    return input * torch.tanh(F.softplus(input))


def _multi_margin_loss(input, target, p=1, margin=1.0, weight=None, size_average=None,
                       reduce=None, reduction="mean"):  # fmt: skip
    rows = torch.arange(len(input), device=input.device)
    excess = (margin - input[rows, target].unsqueeze(1) + input).clamp(min=0) ** p
    if weight is not None:
        excess = excess * weight[target].unsqueeze(1)
    own = F.one_hot(target, input.shape[1]).bool()
    loss = excess.masked_fill(own, 0.0).sum(1) / input.shape[1]
    return {"mean": loss.mean, "sum": loss.sum, "none": lambda: loss}[reduction]()


FORMS: dict[Callable, Callable] = {
    torch._weight_norm: _weight_norm,
    F.embedding_bag: _embedding_bag,
    F.embedding: _embedding,
    torch.cdist: _cdist,
    torch.pdist: _pdist,
    F.pdist: _pdist,
    F.hardsigmoid: _hardsigmoid,
    F.mish: _mish,
    F.multi_margin_loss: _multi_margin_loss,
}
"""Operations that have no second derivative in torch 2.13, or a wrong one (``weight_norm``: wrong;
``mish``: NaN where exp(x) overflows), and the same function in a form that has it."""


class twice_differentiable(TorchFunctionMode):  # noqa: N801 (a context manager)
    """Context in which the operations of :data:`FORMS` are computed in their other form.

    For the forward pass of a loss that is to be differentiated twice.

    Examples
    --------
    >>> x = torch.tensor([2.0], requires_grad=True)
    >>> with twice_differentiable():
    ...     y = F.hardsigmoid(x).square().sum()
    >>> (g,) = torch.autograd.grad(y, x, create_graph=True)
    >>> torch.autograd.grad(g.sum(), x)[0] * 18
    tensor([1.])
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return FORMS.get(func, func)(*args, **(kwargs or {}))


def _quietly_set(stack: ExitStack, flags: AbstractContextManager) -> None:
    def leave(*_):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            flags.__exit__(None, None, None)

    with warnings.catch_warnings():
        # setting the flags makes torch speak of Intel GPUs, whatever the machine
        warnings.simplefilter("ignore", UserWarning)
        flags.__enter__()
    stack.push(leave)


@contextmanager
def undisturbed(*models: nn.Module, seed: int | None = None) -> Iterator[Callable[[], None]]:
    """Leave random state, buffers and modes as they were, and allow second derivatives.

    Inside, gradients are enabled and autocast is off; attention uses its math kernel, recurrent
    layers avoid oneDNN and cuDNN, whose kernels in torch 2.13 have no (or a slow) second
    derivative; ``seed`` fixes dropout masks. On leaving, also after an exception, the random
    state (torch's, NumPy's, Python's), every buffer (BatchNorm statistics) and the weights that an
    embedding with ``max_norm`` rescales in its forward pass are bit-identical to before.
    ``p.grad`` is never touched.

    Parameters
    ----------
    *models : torch.nn.Module
        The model, and others that the loss runs (the discriminator of a GAN).
    seed : int, optional
        Seed of the random state inside.

    Yields
    ------
    callable
        ``reset()``: buffers and random state as on entry, so that a second forward pass sees the
        same function.

    Examples
    --------
    >>> model = nn.BatchNorm1d(2)
    >>> with undisturbed(model):
    ...     _ = model(torch.ones(4, 2))
    >>> model.num_batches_tracked
    tensor(0)
    """
    # one walk over the private dictionaries: for small models, walking is what a guard costs
    modules = [module for model in models for module in model.modules()]
    modes = [(module, module.training) for module in modules]
    held = [b for module in modules for b in module._buffers.values() if b is not None]
    weights = [p for module in modules for p in module._parameters.values() if p is not None]
    buffers = [(b, b.detach().clone()) for b in held]
    recurrent = any(isinstance(module, nn.RNNBase) for module in modules)
    cuda = sorted({t.device.index for t in (*weights, *held) if t.device.type == "cuda"})
    rescaled = [
        (p, p.detach().clone())
        for module in modules
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.max_norm is not None
        for p in module.parameters(recurse=False)
    ]

    # states rather than fork_rng and manual_seed, which cost more than a forward pass of a small
    # model
    generators = [torch.default_generator, *(torch.cuda.default_generators[i] for i in cuda)]

    def get_states() -> list:
        return [random.getstate(), np.random.get_state(), *(g.get_state() for g in generators)]

    def set_states(states: list) -> None:
        random.setstate(states[0])
        np.random.set_state(states[1])
        for generator, state in zip(generators, states[2:], strict=True):
            generator.set_state(state)

    def restore(tensors: list[tuple[Tensor, Tensor]]) -> None:
        for tensor, before in tensors:
            tensor.data.copy_(before)

    def reset() -> None:
        restore(buffers)
        set_states(inside)

    states = get_states()
    try:
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed % 2**32)
            for generator in generators:
                generator.manual_seed(seed)
        inside = get_states()
        with ExitStack() as stack:
            stack.enter_context(torch.enable_grad())
            stack.enter_context(torch.autocast("cpu", enabled=False))
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            if recurrent:
                _quietly_set(stack, torch.backends.mkldnn.flags(enabled=False))
            if cuda:
                stack.enter_context(torch.autocast("cuda", enabled=False))
                stack.enter_context(torch.backends.cudnn.flags(enabled=not recurrent))
            yield reset
    finally:
        set_states(states)
        restore(buffers + rescaled)
        for module, training in modes:
            if module.training != training:
                module.training = training
