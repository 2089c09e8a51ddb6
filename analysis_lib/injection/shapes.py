"""What kinds of layers a module has, and the same layers in another shape."""

import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from analysis_lib.monitor.activations import is_activation
from analysis_lib.programs.design import Activation, Slot

__all__ = [
    "CONVOLUTIONS",
    "LAYERS",
    "become",
    "channel_axis",
    "input_width",
    "put",
    "read_slots",
    "resized",
]

LAYERS = {
    nn.Linear: "dense",
    nn.Conv1d: "conv1d",
    nn.Conv2d: "conv2d",
    nn.ConvTranspose2d: "transposed2d",
    nn.Embedding: "embedding",
    nn.RNN: "recurrent",
    nn.GRU: "recurrent",
    nn.LSTM: "recurrent",
    nn.MaxPool1d: "pool1d",
    nn.AvgPool1d: "pool1d",
    nn.MaxPool2d: "pool2d",
    nn.AvgPool2d: "pool2d",
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), "dropout"),
    **dict.fromkeys((nn.AlphaDropout, nn.FeatureAlphaDropout), "dropout"),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), "norm"),
    **dict.fromkeys((nn.LayerNorm, nn.GroupNorm), "norm"),
}
"""Modules that are slots, by exact type: what a subclass does is not known."""

ACTIVATION_NAMES = {"leakyrelu": "leaky_relu", "hardsigmoid": "hard_sigmoid"}
CONVOLUTIONS = nn.Conv1d | nn.Conv2d
PROBABILITIES = nn.Softmax | nn.Softmax2d | nn.LogSoftmax | nn.Softmin
"""No hidden activations: they make weights of attention, or the output."""


def read_slots(model: nn.Module) -> dict[str, Slot]:
    """Every layer and activation of a module as a slot, by its path."""
    owners: dict[int, int] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    slots = {}
    for name, module in model.named_modules():
        tied = any(owners[id(p)] > 1 for p in module.parameters(recurse=False))
        if is_activation(module) and not isinstance(module, PROBABILITIES):
            kind = type(module).__name__.lower()
            kind = module.kind if isinstance(module, Activation) else kind
            options = {"kind": ACTIVATION_NAMES.get(kind, kind)}
            slots[name] = Slot(name, "activation", options)
        elif type(module) in LAYERS:
            kind = LAYERS[type(module)]
            slots[name] = Slot(name, kind, _options(module, kind), tied, tied)
    return slots


def _one(value: Any) -> int:
    return max(value) if isinstance(value, tuple) else value


def _options(module: nn.Module, kind: str) -> dict[str, Any]:
    if kind == "dense":
        n_in, units = module.in_features, module.out_features
        return {"n_in": n_in, "units": units, "bias": module.bias is not None}
    if kind.startswith(("conv", "transposed")):
        padding = module.padding
        kept = tuple(d * (k // 2) for d, k in zip(module.dilation, module.kernel_size, strict=True))
        same = padding == "same" or padding == kept
        padding = None if same else 0 if padding == "valid" else _one(padding)
        return {
            "n_in": module.in_channels, "units": module.out_channels,
            "kernel": _one(module.kernel_size), "stride": _one(module.stride),
            "padding": padding, "bias": module.bias is not None,
        }  # fmt: skip
    if kind == "recurrent":
        return {"n_in": module.input_size, "units": module.hidden_size, "bias": module.bias}
    if kind == "embedding":
        return {"rows": module.num_embeddings, "units": module.embedding_dim}
    if kind.startswith("pool"):
        name = "max" if "Max" in type(module).__name__ else "average"
        return {"kind": name, "size": _one(module.kernel_size)}
    if kind == "dropout":
        return {"p": module.p}
    name = type(module).__name__.lower()
    return {"kind": name.replace("norm", "")}


def input_width(module: nn.Module) -> int | None:
    """How wide the input of a layer must be, or None if any width will do."""
    if isinstance(module, nn.Linear):
        return module.in_features
    if isinstance(module, CONVOLUTIONS | nn.ConvTranspose2d):
        return module.in_channels
    if isinstance(module, nn.RNNBase):
        return module.input_size
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return module.num_features
    if isinstance(module, nn.GroupNorm):
        return module.num_channels
    if isinstance(module, nn.LayerNorm):
        return module.normalized_shape[0] if len(module.normalized_shape) == 1 else None
    return None


NAMES = {
    "n_in": ("in_features", "in_channels", "input_size"),
    "units": ("out_features", "out_channels", "hidden_size"),
}


def channel_axis(module: nn.Module) -> int:
    """Axis of a layer's input along which its width is counted."""
    first = CONVOLUTIONS | nn.ConvTranspose2d | nn.GroupNorm | nn.modules.batchnorm._BatchNorm
    return 1 if isinstance(module, first) else -1


def resized(module: nn.Module, shape: Mapping[str, Any]) -> nn.Module:
    """A new layer like one, with another width, kernel, stride or padding."""
    known: Iterable[str] = inspect.signature(type(module).__init__).parameters
    if isinstance(module, nn.RNNBase):
        known = dict.fromkeys(
            "input_size hidden_size num_layers bias batch_first dropout bidirectional".split()
        ) | ({"nonlinearity": None} if isinstance(module, nn.RNN) else {})
    made = {name: getattr(module, name) for name in known if hasattr(module, name)}
    if not isinstance(module, nn.RNNBase) and "bias" in known:
        made["bias"] = module.bias is not None
    for what, aliases in NAMES.items():
        made |= {name: shape[what] for name in aliases if what in shape and name in made}
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        if module.groups > 1:
            if not module.groups == module.in_channels == module.out_channels:
                raise ValueError("the width of a convolution in groups cannot change")
            made |= {k: shape["n_in"] for k in ("groups", "out_channels") if "n_in" in shape}
        padding = shape.get("padding", _options(module, "conv")["padding"])
        kernel = shape.get("kernel", module.kernel_size)
        sizes = kernel if isinstance(kernel, tuple) else (kernel,) * len(module.kernel_size)
        if padding is None:
            padding = tuple(d * (k // 2) for d, k in zip(module.dilation, sizes, strict=True))
        elif "padding" not in shape:
            padding = module.padding
        made |= {"kernel_size": sizes, "padding": padding}
        made["padding"] = int(padding) if padding in ("0",) else padding
        made["stride"] = shape.get("stride", module.stride)
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        made["num_features"] = shape["n_in"]
    elif isinstance(module, nn.GroupNorm):
        width = shape["n_in"]
        made |= {"num_channels": width, "num_groups": math.gcd(module.num_groups, width)}
    elif isinstance(module, nn.LayerNorm):
        made["normalized_shape"] = shape["n_in"]
    return type(module)(**made)


def become(model: nn.Module, module: nn.Module, fresh: nn.Module) -> None:
    """Turn a layer into another one of its type, in place; those that share weights refuse."""
    mine = {id(p) for p in module.parameters(recurse=False)}
    others = (m for m in model.modules() if m is not module)
    if any(id(p) in mine for m in others for p in m.parameters(recurse=False)):
        raise ValueError("the shape of shared weights cannot change")
    first = next(module.parameters(), None)
    kept = {name for name in vars(module) if "hook" in name} | {"slot", "training"}
    fresh = fresh if first is None else fresh.to(first.dtype)
    vars(module).update({k: v for k, v in vars(fresh).items() if k not in kept})


def put(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module wherever another one is registered."""
    if model is old:
        raise ValueError("the model is a single layer")
    new.training = old.training
    for parent in list(model.modules()):
        if parent is not new:
            for name, child in parent.named_children():
                if child is old:
                    parent._modules[name] = new
