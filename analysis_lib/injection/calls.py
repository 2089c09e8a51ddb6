"""Activations that a module calls as functions: seen, and exchanged for others."""

import functools
from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from analysis_lib.monitor.activations import FUNCTIONS, is_activation
from analysis_lib.programs.design import ACTIVATIONS

__all__ = ["Calls"]


class Calls(TorchFunctionMode):
    """Exchange calls such as ``F.relu(x)`` by the innermost module whose forward makes them.

    The call is named ``<path of the module>.<function>()``, without a path in the model itself.
    Calls within activation modules (``nn.ReLU``) are not counted.

    Parameters
    ----------
    replace : mapping of str to str
        Name of the call to the activation (a key of
        :data:`analysis_lib.programs.design.ACTIVATIONS`) that is computed instead.
    dims : mapping of str to int
        Channel axis of a call, for softmax.
    note : callable, optional
        Called with the name and output of every call.

    Examples
    --------
    >>> import torch
    >>> class Net(nn.Module):
    ...     def forward(self, x):
    ...         return torch.relu(x) + 1
    >>> net = Net()
    >>> _ = Calls({"relu()": "linear"}, {}).watch(net)
    >>> net(torch.tensor([-3.0, 2.0]))
    tensor([-2.,  3.])
    """

    def __init__(
        self,
        replace: Mapping[str, str],
        dims: Mapping[str, int],
        note: Callable[[str, Tensor], None] | None = None,
    ):
        super().__init__()
        self.replace, self.dims, self.note = dict(replace), dict(dims), note
        self.inside: list[str | None] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        kind = FUNCTIONS.get(func)
        where = self.inside[-1] if self.inside else ""
        if kind is None or where is None or not args:
            return func(*args, **kwargs)
        name = f"{where}.{kind}()".lstrip(".")
        if name not in self.replace:
            output = func(*args, **kwargs)
        else:
            output = self._exchanged(name, func, args[0], kwargs)
        if self.note is not None:
            self.note(name, output)
        return output

    def _exchanged(self, name: str, func: Callable, x: Tensor, kwargs: Mapping) -> Tensor:
        compute, dim = ACTIVATIONS[self.replace[name]], self.dims.get(name, -1)
        if func.__name__.endswith("_") or kwargs.get("inplace"):
            return x.copy_(compute(x.clone(), dim))
        return compute(x, dim)

    def watch(self, model: nn.Module) -> list:
        """Work in every forward pass of a model from now on; return the handles of the hooks."""
        handles = []
        for name, module in model.named_modules():
            path = None if is_activation(module) else name
            enter = functools.partial(self._enter, path)
            handles.append(module.register_forward_pre_hook(enter))
            handles.append(module.register_forward_hook(self._leave, always_call=True))
        forward = model.forward

        @functools.wraps(forward)
        def watched(*args, **kwargs):
            self.inside = [""]
            with self:
                return forward(*args, **kwargs)

        model.forward = watched
        return handles

    def unwatch(self, model: nn.Module) -> None:
        """Give a model its own forward back."""
        del model.forward

    def _enter(self, path: str | None, module: nn.Module, inputs: tuple) -> None:
        # within an activation nothing counts, whatever it calls
        known = self.inside and self.inside[-1] is None
        self.inside.append(None if known else path)

    def _leave(self, module: nn.Module, inputs: tuple, output: object) -> None:
        if self.inside:
            self.inside.pop()
