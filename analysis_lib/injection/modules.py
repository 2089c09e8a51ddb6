"""The layers of anybody's module as editable slots, and a copy of it with edits applied."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from analysis_lib.injection.calls import Calls
from analysis_lib.injection.seeds import mixed, seeded
from analysis_lib.injection.shapes import (
    CONVOLUTIONS,
    LAYERS,
    become,
    channel_axis,
    input_width,
    put,
    read_slots,
    resized,
)
from analysis_lib.monitor.activations import is_activation
from analysis_lib.programs.design import Activation, Design, Detach, Slot
from analysis_lib.programs.initializers import INITIALIZERS
from analysis_lib.programs.program import Data, restart

__all__ = ["ByName", "ModuleTree"]

RESHAPING = {"units", "kernel", "stride", "padding", "size", "remove", "insert"}
"""Edits after which the layers behind may need another width."""


class ByName(nn.Module):
    """A model whose inputs have names, called with positions.

    Parameters
    ----------
    model : torch.nn.Module
    names : tuple of str
    forward : callable, optional
        ``forward(model, batch)`` with a dict of the inputs; ``model(**batch)`` by default.
    """

    def __init__(self, model: nn.Module, names: tuple[str, ...], forward: Callable | None = None):
        super().__init__()
        self.model, self.names, self.call = model, names, forward

    def forward(self, *inputs: Tensor) -> Tensor:
        batch = dict(zip(self.names, inputs, strict=True))
        return self.model(**batch) if self.call is None else self.call(self.model, batch)


class ModuleTree:
    """Builds a module with edits, as the ``build`` of a :class:`~analysis_lib.programs.Program`.

    Layers are found by type wherever they sit in the module, activations as modules and as
    functions (``F.relu``, ``torch.tanh``, ...). A layer whose shape an edit changes, and those
    behind it that need another width for it, start from torch's default initial values; all
    others keep those of ``make_model``.

    Parameters
    ----------
    make_model : callable
        Returns a new module.
    inputs : tuple of Tensor
        A few rows of the inputs, to see the module run.
    wrap : callable
        What is called on the module to take positional inputs.

    Attributes
    ----------
    slots : dict of str to Slot
        In the order in which they run; what never runs is no slot.
    outputs : Tensor
        What the unedited module makes of ``inputs``.
    """

    def __init__(
        self,
        make_model: Callable[[], nn.Module],
        inputs: tuple[Tensor, ...],
        wrap: Callable[[nn.Module], nn.Module] = lambda model: model,
    ):
        self.make_model, self.inputs, self.wrap = make_model, inputs, wrap
        with seeded(0):
            model = self._new()
            order, dims, self.outputs = _look(model, wrap(model), inputs)
        self.dims = dims
        self.slots = {name: slot for name, slot in read_slots(model).items() if name in order}
        self.slots |= {
            name: Slot(name, "activation", {"kind": name.rpartition(".")[2].removesuffix("()")})
            for name in order
            if name.endswith("()")
        }
        self.slots = {name: self.slots[name] for name in order if name in self.slots}
        for name, slot in list(self.slots.items()):
            if slot.kind.startswith(("dense", "conv", "recurrent")) and not self._supple(slot):
                self.slots[name] = Slot(name, slot.kind, slot.options, True, slot.rigid)

    def __call__(self, design: Design, data: Data | None = None) -> nn.Module:
        """Build the module with the edits of a design, and tell the design which slots it has."""
        design.slots.update(self.slots)
        return self.build(design.edits)

    def build(self, edits: Mapping[str, Mapping[str, Any]], *, seed: int = 0) -> nn.Module:
        """Make the module under a seed and edit it.

        Raises
        ------
        ValueError, RuntimeError
            If the edited module does not run.
        """
        with seeded(seed):
            model = self._new()
        modules = dict(model.named_modules())
        for name, module in modules.items():
            if next(module.parameters(recurse=False), None) is not None:
                module.slot = name or "(model)"
        functions = {}
        for name, edit in edits.items():
            if name in modules:
                with seeded(mixed(seed, name)):
                    self._apply(model, name, modules[name], edit, seed)
            elif name in self.slots and "kind" in edit:
                functions[name] = edit["kind"]
        if functions:
            Calls(functions, self.dims).watch(model)
        whole = self.wrap(model)
        if any(RESHAPING & set(edit) for edit in edits.values()):
            self._adapt(model, whole, seed)
        with torch.no_grad():
            for name in edits:
                _redraw(modules.get(name), edits[name].get("init"), mixed(seed, f"{name}.init"))
        restart(model, edits)
        return whole

    def _new(self) -> nn.Module:
        model = self.make_model()
        return model if list(model.children()) else nn.Sequential(model)

    def _supple(self, slot: Slot) -> bool:
        """Whether a layer can have another width: one more, since 1 would broadcast."""
        try:
            model = self.build({slot.name: {"units": slot.options["units"] + 1}})
            return _run(model, self.inputs).shape == self.outputs.shape
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            return False

    def _apply(
        self, model: nn.Module, name: str, module: nn.Module, edit: Mapping, seed: int
    ) -> None:
        kind = self.slots[name].kind if name in self.slots else ""
        if kind == "activation" and "kind" in edit:
            put(model, module, Activation(edit["kind"], self.dims.get(name, -1)))
        if kind == "dropout" and "p" in edit:
            module.p = edit["p"]
        if kind.startswith("pool") and "size" in edit:
            module.kernel_size = module.stride = edit["size"]
            module.padding, module.ceil_mode = 0, True
        shape = {k: edit[k] for k in ("units", "kernel", "stride", "padding") if k in edit}
        if shape:
            become(model, module, resized(module, shape))
        if "bias" in edit and kind.startswith(("dense", "conv")):
            width = len(module.weight)
            module.bias = nn.Parameter(module.weight.new_zeros(width)) if edit["bias"] else None
        if edit.get("remove"):
            put(model, module, nn.Identity())
        behind = _behind(module, edit, self.dims.get(name, -1), name)
        if behind:
            put(model, module, nn.Sequential(module, *behind))

    def _adapt(self, model: nn.Module, whole: nn.Module, seed: int) -> None:
        """Give layers the width that reaches them, and see that the module runs twice."""

        def hook(module: nn.Module, inputs: tuple) -> None:
            width = inputs[0].shape[channel_axis(module)] if inputs else None
            if width not in (None, input_width(module)):
                with seeded(mixed(seed, getattr(module, "slot", ""))):
                    become(model, module, resized(module, {"n_in": width}))

        found = [module for module in model.modules() if input_width(module) is not None]
        handles = [module.register_forward_pre_hook(hook) for module in found]
        try:
            _run(whole, self.inputs)
        finally:
            for handle in handles:
                handle.remove()
        _run(whole, self.inputs)


@torch.no_grad()
def _run(model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with seeded(0):
        output = model(*inputs)
    for module, mode in modes:
        module.training = mode
    return output


def _look(model: nn.Module, whole: nn.Module, inputs: tuple) -> tuple[list, dict, Tensor]:
    """Slots in the order in which they run, the channel axis of activations, and the output.

    The activation whose values are the output itself is left out: it is not a hidden one.
    """
    order, dims, made, axis = [], {}, {}, [-1]
    names = {id(module): name for name, module in reversed(list(model.named_modules()))}

    def note(name: str, output: object, dim: int) -> None:
        if name not in order:
            order.append(name)
            dims[name] = dim
        made[name] = output

    def hook(module: nn.Module, inputs: tuple, output: Any) -> None:
        if isinstance(module, CONVOLUTIONS | nn.Linear):
            axis[0] = 1 if isinstance(module, CONVOLUTIONS) else -1
        note(names[id(module)], output, axis[0])

    def active(name: str) -> bool:
        return name.endswith("()") or is_activation(model.get_submodule(name))

    found = [m for m in model.modules() if type(m) in LAYERS or is_activation(m)]
    handles = [module.register_forward_hook(hook) for module in found]
    calls = Calls({}, {}, note=lambda name, output: note(name, output, axis[0]))
    handles += calls.watch(model)
    try:
        output = _run(whole, inputs)
    finally:
        for handle in handles:
            handle.remove()
        calls.unwatch(model)
    final = {name for name, value in made.items() if _same(value, output) and active(name)}
    return [name for name in order if name not in final], dims, output


def _same(one: Any, other: Tensor) -> bool:
    """Whether one tensor holds the values of another, perhaps in another shape."""
    if not torch.is_tensor(one):
        return False
    return one.numel() == other.numel() and one.data_ptr() == other.data_ptr()


def _behind(module: nn.Module, edit: Mapping, dim: int, name: str) -> list[nn.Module]:
    """What an edit puts behind a layer."""
    what, _, value = str(edit.get("insert", "")).partition(":")
    found: list[nn.Module] = []
    if what == "dense":
        inserted = nn.Linear(module.out_features, int(value))
        inserted.slot = f"{name}_inserted"
        found += [inserted, Activation("relu")]
    elif what == "dropout":
        found.append(nn.Dropout(float(value)))
    elif what:
        found.append(Activation(what, dim))
    return found + ([Detach()] if edit.get("detach") else [])


def _redraw(module: nn.Module | None, init: str | None, seed: int) -> None:
    """Draw the weights of a layer anew, by the name of an initializer; biases stay."""
    if init is None or module is None:
        return
    generator = torch.Generator().manual_seed(seed)
    for leaf, parameter in module.named_parameters(recurse=False):
        if leaf.startswith("weight"):
            INITIALIZERS[init](parameter, generator)
