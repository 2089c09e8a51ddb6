"""Editable models: every layer comes from a named slot that an operator can change."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from analysis_lib.errors import InputError, unknown

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Design",
    "Slot",
    "flat_size",
]

ACTIVATIONS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "linear": lambda x, dim: x,
    "relu": lambda x, dim: F.relu(x),
    "leaky_relu": lambda x, dim: F.leaky_relu(x, 0.1),
    "elu": lambda x, dim: F.elu(x),
    "selu": lambda x, dim: F.selu(x),
    "gelu": lambda x, dim: F.gelu(x),
    "silu": lambda x, dim: F.silu(x),
    # not F.mish, whose second derivative is NaN where exp(x) overflows (torch 2.13)
    "mish": lambda x, dim: x * torch.tanh(F.softplus(x)),
    "softplus": lambda x, dim: F.softplus(x),
    "softsign": lambda x, dim: F.softsign(x),
    "tanh": lambda x, dim: torch.tanh(x),
    "sigmoid": lambda x, dim: torch.sigmoid(x),
    # relu6 rather than hardsigmoid, which has no second derivative in torch 2.13
    "hard_sigmoid": lambda x, dim: F.relu6(x + 3) / 6,
    "exponential": lambda x, dim: torch.exp(x),
    "softmax": lambda x, dim: torch.softmax(x, dim),
}
"""Activation functions by name; ``dim`` is the channel axis (used by softmax alone)."""


@dataclass(frozen=True)
class Slot:
    """A named, editable part of a model and what the healthy program puts there.

    ``kind`` is one of dense, conv1d, conv2d, transposed2d, recurrent, embedding, pool1d, pool2d,
    activation, dropout, norm. A slot that is ``fixed`` keeps its width, one that is ``rigid`` its
    spatial size (others rely on it).
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fixed: bool = False
    rigid: bool = False


class Activation(nn.Module):
    """An activation function by name, as a module that a monitor can find."""

    def __init__(self, kind: str, dim: int = -1):
        super().__init__()
        if kind not in ACTIVATIONS:
            raise unknown("activation", kind, ACTIVATIONS)
        self.kind = kind
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.kind](x, self.dim)

    def extra_repr(self) -> str:
        return self.kind


class Detach(nn.Module):
    """Passes values on and cuts the gradient, like a stray ``.detach()``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


class Recurrent(nn.Module):
    """A recurrent layer over (n, steps, n_in); returns outputs and the last state.

    ``forward(x, start=None)``: ``start`` (n, units) is the initial hidden state, zero by default
    (the memory of an LSTM starts at zero); the outputs have shape (n, steps, width), the last
    state (n, width), with ``width`` twice the units if bidirectional.
    """

    def __init__(self, cell: str, n_in: int, units: int, *, bias: bool, bidirectional: bool):
        super().__init__()
        if cell not in CELLS:
            raise unknown("recurrent cell", cell, CELLS)
        self.cell = CELLS[cell](
            n_in, units, bias=bias, batch_first=True, bidirectional=bidirectional
        )
        self.directions = 1 + bidirectional
        self.width = self.directions * units

    def forward(self, x: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
        state = None
        if start is not None:
            state = start.expand(self.directions, *start.shape).contiguous()
            if isinstance(self.cell, nn.LSTM):
                state = (state, torch.zeros_like(state))
        outputs, last = self.cell(x, state)
        last = last[0] if isinstance(last, tuple) else last
        return outputs, last.transpose(0, 1).flatten(1)


CELLS: dict[str, type[nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
"""Recurrent layers by name; ``rnn`` is Elman's, with tanh."""


class _Layer(nn.Sequential):
    """A parametrised layer and whatever an edit put behind it; knows its output width."""

    def __init__(self, *modules: nn.Module, width: int):
        super().__init__(*modules)
        self.width = width


class Design:
    """Hands out the parts of a model by slot name, with edits applied.

    A program builds its model from a Design only; an operator edits slots and the same building
    code yields the faulty model, with widths passed on through :attr:`width` of each layer.

    Parameters
    ----------
    edits : mapping of slot name to mapping, optional
        What replaces the healthy options of a slot: ``units``, ``filters``, ``kernel``, ``bias``,
        ``init``, ``stride``, ``padding``, ``size`` (pools), ``cell`` (recurrent layers), ``kind``
        (activations), ``p`` (dropout), ``remove``, ``insert`` (a layer behind: ``dense:64``,
        ``dropout:0.5``, ``tanh``...), ``detach``.

    Examples
    --------
    >>> d = Design({"hidden": {"units": 3}})
    >>> hidden = d.dense("hidden", 8, 16)
    >>> hidden.width, d.slots["hidden"].options["units"]
    (3, 16)
    """

    def __init__(self, edits: Mapping[str, Mapping[str, Any]] | None = None):
        self.edits = {name: dict(edit) for name, edit in (edits or {}).items()}
        self.slots: dict[str, Slot] = {}

    def dense(
        self,
        name: str,
        n_in: int,
        units: int,
        *,
        bias: bool = True,
        init: str = "glorot_uniform",
        fixed: bool = False,
    ) -> _Layer:
        """A fully connected layer, shape (..., n_in) -> (..., units)."""
        o = self._take(name, "dense", fixed, n_in=n_in, units=units, bias=bias, init=init)
        if o.get("remove"):
            return _Layer(nn.Identity(), width=n_in)
        layer = nn.Linear(n_in, o["units"], bias=o["bias"])
        return self._finish(name, layer, o, o["units"])

    def conv2d(self, name: str, n_in: int, filters: int, kernel: int, **options: Any) -> _Layer:
        """A 2-D convolution; ``options`` are stride, padding, dilation, groups, bias, init, fixed
        and rigid.

        Without ``padding`` it keeps the size (for stride 1). A depthwise convolution has
        ``groups="depthwise"`` and as many filters as inputs; it is fixed. ``rigid`` marks one
        whose stride and padding must stay, because its output is added or compared to another.
        """
        return self._conv(nn.Conv2d, "conv2d", name, n_in, filters, kernel, **options)

    def conv1d(self, name: str, n_in: int, filters: int, kernel: int, **options: Any) -> _Layer:
        """A 1-D convolution, with the options of :meth:`conv2d`."""
        return self._conv(nn.Conv1d, "conv1d", name, n_in, filters, kernel, **options)

    def transposed2d(
        self, name: str, n_in: int, filters: int, kernel: int, *, stride: int = 1, padding: int = 0
    ) -> nn.ConvTranspose2d:
        """A transposed 2-D convolution, which enlarges by its stride; its shape is fixed."""
        o = self._take(
            name, "transposed2d", True, n_in=n_in, units=filters, kernel=kernel, bias=True,
            init="glorot_uniform",
        )  # fmt: skip
        layer = nn.ConvTranspose2d(
            n_in, filters, kernel, stride=stride, padding=padding, bias=o["bias"]
        )
        layer.slot, layer.init, layer.width = name, o["init"], filters
        return layer

    def recurrent(
        self,
        name: str,
        n_in: int,
        units: int,
        *,
        cell: str,
        bidirectional: bool = False,
        fixed: bool = False,
    ) -> Recurrent:
        """A recurrent layer (``cell``: rnn, gru or lstm) over (n, steps, n_in).

        Glorot inputs, orthogonal recurrence, zero biases but one for an LSTM's forget gates.
        """
        o = self._take(name, "recurrent", fixed, n_in=n_in, units=units, cell=cell, bias=True)
        layer = Recurrent(o["cell"], n_in, o["units"], bias=o["bias"], bidirectional=bidirectional)
        layer.cell.slot, layer.cell.init = name, o.get("init", "glorot_uniform")
        return layer

    def pool1d(self, name: str, kind: str, size: int) -> nn.Module:
        """A pool ("max" or "average") of width and stride ``size``."""
        return self._pool(name, "pool1d", kind, size)

    def pool2d(self, name: str, kind: str, size: int) -> nn.Module:
        """A pool ("max" or "average") over squares; stride equals size."""
        return self._pool(name, "pool2d", kind, size)

    def gru_cell(self, name: str, n_in: int, units: int) -> nn.GRUCell:
        """A gated recurrent cell; glorot inputs, orthogonal recurrence, zero biases."""
        o = self._take(name, "recurrent", False, n_in=n_in, units=units, bias=True)
        cell = nn.GRUCell(n_in, o["units"], bias=o["bias"])
        cell.width = o["units"]
        cell.slot, cell.init = name, o.get("init", "glorot_uniform")
        return cell

    def embedding(
        self, name: str, rows: int, width: int, *, init: str = "random_uniform"
    ) -> nn.Embedding:
        """A lookup table of ``rows`` vectors."""
        o = self._take(name, "embedding", True, rows=rows, units=width, init=init)
        table = nn.Embedding(rows, width)
        table.slot, table.init = name, o["init"]
        table.width = width
        return table

    def activation(self, name: str, kind: str, *, dim: int = -1) -> Activation:
        """A hidden activation; ``dim`` is the channel axis."""
        return Activation(self._take(name, "activation", False, kind=kind)["kind"], dim)

    def dropout(self, name: str, p: float, *, alpha: bool = False) -> nn.Module:
        """Dropout with probability ``p``."""
        o = self._take(name, "dropout", False, p=p, alpha=alpha)
        return (nn.AlphaDropout if alpha else nn.Dropout)(o["p"])

    def norm(self, name: str, kind: str, width: int, *, groups: int = 1) -> nn.Module:
        """A normalisation: batch1d, batch2d, layer or group."""
        o = self._take(name, "norm", False, kind=kind, groups=groups)
        if o.get("remove"):
            return nn.Identity()
        return {
            "batch1d": lambda: nn.BatchNorm1d(width),
            "batch2d": lambda: nn.BatchNorm2d(width),
            "layer": lambda: nn.LayerNorm(width),
            "group": lambda: nn.GroupNorm(math.gcd(groups, width), width),
        }[o["kind"]]()

    def unused(self) -> list[str]:
        """Names of edited slots that the model never asked for."""
        return sorted(set(self.edits) - set(self.slots))

    def _take(
        self, name: str, kind: str, fixed: bool, rigid: bool = False, /, **options: Any
    ) -> dict:
        if name in self.slots:
            raise InputError(f"two slots are called '{name}'; slot names must be unique")
        self.slots[name] = Slot(name, kind, dict(options), fixed, rigid)
        return {**options, **self.edits.get(name, {})}

    def _pool(self, name: str, slot: str, kind: str, size: int) -> nn.Module:
        o = self._take(name, slot, True, kind=kind, size=size)
        # rounded up, so that a pool larger than its input leaves one value
        return _POOLS[slot, kind](o["size"], ceil_mode=True)

    def _conv(
        self,
        make: type[nn.Module],
        kind: str,
        name: str,
        n_in: int,
        filters: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        groups: int | str = 1,
        bias: bool = True,
        init: str = "glorot_uniform",
        fixed: bool = False,
        rigid: bool = False,
    ) -> _Layer:
        depthwise = groups == "depthwise"
        options = {"stride": stride, "padding": padding, "bias": bias, "init": init}
        o = self._take(
            name, kind, fixed or depthwise, rigid,
            n_in=n_in, units=n_in if depthwise else filters, kernel=kernel, **options,
        )  # fmt: skip
        padding = dilation * (o["kernel"] // 2) if o["padding"] is None else int(o["padding"])
        layer = make(
            n_in,
            o["units"],
            o["kernel"],
            stride=o["stride"],
            padding=padding,
            dilation=dilation,
            groups=n_in if depthwise else groups,
            bias=o["bias"],
        )
        return self._finish(name, layer, o, o["units"])

    def _finish(self, name: str, layer: nn.Module, o: Mapping, width: int) -> _Layer:
        layer.slot, layer.init = name, o["init"]
        parts = [layer]
        dim = 1 if isinstance(layer, nn.Conv1d | nn.Conv2d) else -1
        if o.get("insert"):
            what, _, value = str(o["insert"]).partition(":")
            if what == "dense":
                behind = nn.Linear(width, int(value))
                behind.slot, behind.init = f"{name}_inserted", "glorot_uniform"
                parts += [behind, Activation("relu")]
                width = int(value)
            elif what == "dropout":
                parts.append(nn.Dropout(float(value)))
            else:
                parts.append(Activation(what, dim))
        if o.get("detach"):
            parts.append(Detach())
        return _Layer(*parts, width=width)


_POOLS: dict[tuple[str, str], type[nn.Module]] = {
    ("pool1d", "max"): nn.MaxPool1d,
    ("pool1d", "average"): nn.AvgPool1d,
    ("pool2d", "max"): nn.MaxPool2d,
    ("pool2d", "average"): nn.AvgPool2d,
}


@torch.no_grad()
def flat_size(module: nn.Module, *shape: int) -> int:
    """Return the flattened output width of ``module`` for one input of ``shape``."""
    was_training = module.training
    module.eval()
    size = module(torch.zeros(1, *shape)).flatten(1).shape[1]
    module.train(was_training)
    return size
