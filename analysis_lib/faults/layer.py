"""Faults of layers: DEFault's ten operators."""

from collections.abc import Callable

import numpy as np

from analysis_lib.faults.operator import Parameter, operator
from analysis_lib.faults.slots import buildable, names, needs, pick, uniform
from analysis_lib.programs.program import Program, Setup

__all__ = [
    "add_layer",
    "change_cell",
    "change_cell_units",
    "change_filters",
    "change_kernel",
    "change_padding",
    "change_pool",
    "change_stride",
    "change_units",
    "remove_layer",
]


def _free_dense(program: Program) -> tuple[str, ...]:
    return names(program, "dense", free=True)


def _free_conv(program: Program) -> tuple[str, ...]:
    return names(program, "conv", free=True)


@operator(
    "LCN",
    category="Layer",
    title="change the units of a dense layer",
    source="DEFault LCN",
    parameters={
        "layer": Parameter(str, "dense slot", choices=_free_dense),
        "units": Parameter(int, "number of units", 1, 1024),
    },
    applies=needs(_free_dense, "dense layer whose width may change"),
    sample=lambda p, rng: {"layer": pick(rng, _free_dense(p)), "units": int(rng.integers(1, 3))},
    weight=2.0,
)
def change_units(program: Program, setup: Setup, *, layer: str, units: int) -> Setup:
    """Give a hidden dense layer another width."""
    return setup.edited(layer, units=units)


@operator(
    "LCF",
    category="Layer",
    title="change the filters of a convolution",
    source="DEFault LCF",
    parameters={
        "layer": Parameter(str, "convolution slot", choices=_free_conv),
        "filters": Parameter(int, "number of filters", 1, 256),
    },
    applies=needs(_free_conv, "convolution whose width may change"),
    sample=lambda p, rng: {"layer": pick(rng, _free_conv(p)), "filters": 1},
)
def change_filters(program: Program, setup: Setup, *, layer: str, filters: int) -> Setup:
    """Give a convolution another number of filters."""
    return setup.edited(layer, units=filters)


def _options(
    key: str, *kinds: str, values: tuple, rigid: bool = True
) -> Callable[[Program], dict[str, tuple]]:
    """Return a function: slots of a program to the harmful values of an option they can take."""

    def found(program: Program) -> dict[str, tuple]:
        slots = [s for s in program.slots() if s.kind.startswith(kinds)]
        slots = [s for s in slots if rigid or not s.rigid]
        usable = {s.name: buildable(program, s.name, key, values) for s in slots}
        return {name: able for name, able in usable.items() if able}

    return found


def _sample_option(found: Callable[[Program], dict[str, tuple]], key: str) -> Callable:
    def sample(program: Program, rng: np.random.Generator) -> dict:
        usable = found(program)
        layer = pick(rng, tuple(usable))
        return {"layer": layer, key: pick(rng, usable[layer])}

    return sample


_kernels = _options("kernel", "conv", values=(1, 7))


@operator(
    "LKS",
    category="Layer",
    title="change the kernel size of a convolution",
    source="DEFault LKS",
    parameters={
        "layer": Parameter(str, "convolution slot", choices=lambda p: names(p, "conv")),
        "kernel": Parameter(int, "kernel size", choices=(1, 3, 5, 7)),
    },
    applies=needs(_kernels, "convolution"),
    sample=_sample_option(_kernels, "kernel"),
    weight=0.25,
)
def change_kernel(program: Program, setup: Setup, *, layer: str, kernel: int) -> Setup:
    """Give a convolution another kernel size, keeping the padding rule."""
    return setup.edited(layer, kernel=kernel)


_sizes = _options("size", "pool", values=(1, 3, 5))


@operator(
    "LCP",
    category="Layer",
    title="change the size of a pool",
    source="DEFault LCP",
    parameters={
        "layer": Parameter(str, "pool slot", choices=lambda p: names(p, "pool")),
        "size": Parameter(int, "width and stride of the pool", 1, 5),
    },
    applies=needs(_sizes, "pool whose size may change"),
    sample=_sample_option(_sizes, "size"),
    weight=0.5,
)
def change_pool(program: Program, setup: Setup, *, layer: str, size: int) -> Setup:
    """Pool over windows of another size."""
    return setup.edited(layer, size=size)


def _supple(program: Program) -> tuple[str, ...]:
    return tuple(s.name for s in program.slots("conv") if not s.rigid)


_strides = _options("stride", "conv", values=(3, 5), rigid=False)


@operator(
    "LCS",
    category="Layer",
    title="change the stride of a convolution",
    source="DEFault LCS, which crashes as released",
    parameters={
        "layer": Parameter(str, "convolution slot", choices=_supple),
        "stride": Parameter(int, "stride", 1, 5),
    },
    applies=needs(_strides, "convolution whose stride may change"),
    sample=_sample_option(_strides, "stride"),
)
def change_stride(program: Program, setup: Setup, *, layer: str, stride: int) -> Setup:
    """Move a convolution in other steps."""
    return setup.edited(layer, stride=stride)


PADDINGS = {"valid": "0", "same": None}


def _paddings(program: Program) -> dict[str, tuple]:
    usable = {}
    for slot in program.slots("conv"):
        padding = slot.options["padding"]
        other = "valid" if padding is None or int(padding) else "same"
        wide = slot.options["kernel"] > 1 and not slot.rigid
        if wide and buildable(program, slot.name, "padding", (PADDINGS[other],)):
            usable[slot.name] = (other,)
    return usable


@operator(
    "LCD",
    category="Layer",
    title="change the padding of a convolution",
    source="DEFault LCD; causal padding is left out, which 2-D convolutions do not know",
    parameters={
        "layer": Parameter(str, "convolution slot", choices=lambda p: tuple(_paddings(p))),
        "padding": Parameter(str, "padding", choices=tuple(PADDINGS)),
    },
    applies=needs(_paddings, "convolution whose padding may change"),
    sample=_sample_option(_paddings, "padding"),
    weight=0.25,
)
def change_padding(program: Program, setup: Setup, *, layer: str, padding: str) -> Setup:
    """Let a convolution lose the border ("valid") or keep the size ("same")."""
    return setup.edited(layer, padding=PADDINGS[padding])


def _cells(program: Program) -> tuple[str, ...]:
    return tuple(s.name for s in program.slots("recurrent") if "cell" in s.options)


def _other_cells(program: Program, layer: str) -> list[str]:
    own = next(s.options["cell"] for s in program.slots("recurrent") if s.name == layer)
    return [cell for cell in ("lstm", "gru", "rnn") if cell != own]


def _sample_cell(program: Program, rng: np.random.Generator) -> dict:
    layer = pick(rng, _cells(program))
    return {"layer": layer, "cell": pick(rng, _other_cells(program, layer))}


@operator(
    "LCT",
    category="Layer",
    title="swap the type of a recurrent layer",
    source="DEFault LCT; the plain recurrent layer besides LSTM and GRU",
    parameters={
        "layer": Parameter(str, "recurrent slot", choices=_cells),
        "cell": Parameter(str, "type of the layer", choices=("rnn", "gru", "lstm")),
    },
    applies=needs(_cells, "recurrent layer whose type may change"),
    sample=_sample_cell,
    weight=0.5,
)
def change_cell(program: Program, setup: Setup, *, layer: str, cell: str) -> Setup:
    """Put another recurrent layer in the place of one."""
    return setup.edited(layer, cell=cell)


def _free_recurrent(program: Program) -> tuple[str, ...]:
    return names(program, "recurrent", free=True)


@operator(
    "LCO",
    category="Layer",
    title="change the units of a recurrent layer",
    source="DEFault LCO",
    parameters={
        "layer": Parameter(str, "recurrent slot", choices=_free_recurrent),
        "units": Parameter(int, "number of units", 1, 256),
    },
    applies=needs(_free_recurrent, "recurrent layer whose width may change"),
    sample=lambda p, rng: {
        "layer": pick(rng, _free_recurrent(p)),
        "units": int(rng.integers(1, 3)),
    },
    weight=2.0,
)
def change_cell_units(program: Program, setup: Setup, *, layer: str, units: int) -> Setup:
    """Give a recurrent layer another width."""
    return setup.edited(layer, units=units)


INSERTED = (
    *(f"dense:{n}" for n in (1, 2, 3, 4, 32, 64, 128)),
    *(f"dropout:{p / 100:g}" for p in (30, 50, 70, *range(90, 100))),
    "sigmoid",
    "tanh",
)


def _sample_layer(program: Program, rng: np.random.Generator) -> dict:
    narrow = f"dense:{1 if rng.random() < 0.7 else 2}"
    strong = f"dropout:{round(uniform(rng, 0.95, 0.99), 2):g}"
    return {
        "layer": pick(rng, _free_dense(program)),
        "what": narrow if rng.random() < 0.5 else strong,
    }


@operator(
    "LAD",
    category="Layer",
    title="insert a layer",
    source="DEFault LAD",
    parameters={
        "layer": Parameter(str, "dense slot before the new layer", choices=_free_dense),
        "what": Parameter(str, "inserted layer", choices=INSERTED),
    },
    applies=needs(_free_dense, "dense layer whose width may change"),
    sample=_sample_layer,
)
def add_layer(program: Program, setup: Setup, *, layer: str, what: str) -> Setup:
    """Insert a narrow dense layer, a strong dropout or a squashing activation."""
    return setup.edited(layer, insert=what)


@operator(
    "LRM",
    category="Layer",
    title="remove a layer",
    source="DEFault LRM",
    parameters={"layer": Parameter(str, "dense slot", choices=_free_dense)},
    applies=needs(_free_dense, "dense layer that may be removed"),
    sample=lambda p, rng: {"layer": pick(rng, _free_dense(p))},
    weight=0.1,
)
def remove_layer(program: Program, setup: Setup, *, layer: str) -> Setup:
    """Leave a hidden dense layer out."""
    return setup.edited(layer, remove=True)
