"""What a program is, how it is set up, and the registry of programs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.errors import InputError, unknown
from analysis_lib.programs.design import ACTIVATIONS, Design, Slot
from analysis_lib.programs.initializers import initialize
from analysis_lib.programs.losses import LOSSES, loss_value
from analysis_lib.programs.metrics import METRICS
from analysis_lib.programs.optimizers import OPTIMIZERS

__all__ = [
    "MODALITIES",
    "Data",
    "Program",
    "Setup",
    "draws_target",
    "get_program",
    "invite",
    "list_programs",
    "register",
    "restart",
]

MODALITIES = ("tabular", "image", "generative", "sequence", "text", "recommender", "graph")

_REGISTRY: dict[str, "Program"] = {}
_GUESTS: dict[str, "Program"] = {}


@dataclass(frozen=True)
class Data:
    """Arrays of a program: a tuple of inputs ending in the target, per part.

    Parameters
    ----------
    train : tuple of numpy.ndarray
        Inputs (one or more arrays) and, last, the target; equal first dimensions.
    valid : tuple of numpy.ndarray
        The same of the validation rows.
    extra : mapping
        Whatever the model needs besides: sizes, vocabulary, a graph.
    """

    train: tuple[np.ndarray, ...]
    valid: tuple[np.ndarray, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a program is trained; an operator returns a changed copy.

    Parameters
    ----------
    loss : str
        Name in :data:`analysis_lib.programs.losses.LOSSES`.
    output : str
        Activation of the output: linear, sigmoid or softmax in healthy programs.
    optimizer : str
        Name in :data:`analysis_lib.programs.optimizers.OPTIMIZERS`.
    lr : float
        Learning rate.
    batch_size : int
    options : mapping
        Further arguments of the optimizer (``momentum``, ``nesterov``, ``weight_decay``).
    clip_norm : float, optional
        Largest gradient norm.
    edits : mapping of slot name to mapping
        Changes of the model, see :class:`~analysis_lib.programs.design.Design`; besides,
        ``gain`` multiplies the initial weights of a slot, ``initial_bias`` sets its biases.
    penalties : mapping of slot name to {"l1", "l2", "l1_l2"}
        Keras-like weight penalties of 0.01, added to the loss.
    zero_grad : bool
        Whether the loop clears gradients before every step.
    shuffle : bool
        Whether rows are shuffled in each epoch.
    train_mode : bool
        Whether the model trains in training mode.
    output_twice : bool
        The output activation is applied once more before a loss that expects raw outputs.
    decay_per_batch : float
        Factor on the learning rate after every batch.
    broadcast : bool
        Predictions of shape (n, 1) meet targets of shape (n,), which broadcasts to (n, n).
    left_out : tuple of str
        Slots whose parameters the optimizer was not given.
    data_edits : mapping of str to mapping
        Changes of the training data, see :func:`analysis_lib.faults.data.edit_data`.
    reduction : {"mean", "sum"}
        Whether the loss is a mean over the rows of a batch, or is multiplied by their number.
    class_ratio : float
        Weight of the last class in the loss to that of the first, in equal ratios between.
    backward : bool
        Whether gradients are computed; without them nothing is trained.
    accumulate : int
        Batches whose gradients are added up for one step.
    one_batch : bool
        Every step sees the first rows of the training data.
    stop_after : int, optional
        Epochs after which no step is taken any more.
    patience : int, optional
        Epochs without a smaller validation loss after which no step is taken any more.

    Examples
    --------
    >>> setup = get_program("snn_wine").setup
    >>> setup.edited("hidden1", units=3).edits
    {'hidden1': {'units': 3}}
    """

    loss: str
    output: str
    optimizer: str
    lr: float
    batch_size: int
    options: Mapping[str, Any] = field(default_factory=dict)
    clip_norm: float | None = None
    edits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    penalties: Mapping[str, str] = field(default_factory=dict)
    zero_grad: bool = True
    shuffle: bool = True
    train_mode: bool = True
    output_twice: bool = False
    decay_per_batch: float = 1.0
    broadcast: bool = False
    left_out: tuple[str, ...] = ()
    data_edits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    reduction: str = "mean"
    class_ratio: float = 1.0
    backward: bool = True
    accumulate: int = 1
    one_batch: bool = False
    stop_after: int | None = None
    patience: int | None = None

    def edited(self, slot: str, **changes: Any) -> "Setup":
        """Return a copy in which ``slot`` is changed."""
        edits = {name: dict(edit) for name, edit in self.edits.items()}
        edits[slot] = {**edits.get(slot, {}), **changes}
        return replace(self, edits=edits)


def _split(batch: tuple[Tensor, ...], generator: torch.Generator) -> tuple[tuple, Tensor]:
    return batch[:-1], batch[-1]


@dataclass(frozen=True, kw_only=True)
class Program:
    """A small, real training program.

    Parameters
    ----------
    name : str
        ``<architecture>_<data>``.
    modality : str
        One of :data:`MODALITIES`.
    family : str
        Architecture family, for holding out families.
    source : str
        Package and data set.
    task : {"classification", "binary", "regression", "generative"}
        ``classification``: integer targets and one raw output per class; ``binary``: targets 0/1
        and one raw output; else real targets shaped like the output.
    data : callable
        Returns :class:`Data`; deterministic.
    build : callable
        ``build(design, data)`` returns the model, whose ``forward(*inputs)`` gives raw outputs
        (before the output activation). A model may offer ``extra_loss()``.
    setup : Setup
        Healthy training.
    metric : str
        Name in :data:`analysis_lib.programs.metrics.METRICS`, on validation data.
    reaches : float
        What a healthy run reaches after 12 epochs.
    probe_rows : int, default=32
        Rows of the fixed batch on which channels are measured; less where a product is dear.
    passes : int, default=1
        Passes over the training data per logged epoch.
    prepare : callable, optional
        ``prepare(batch, generator)`` turns a batch into (inputs, target), for objectives that
        draw noise. Default: the last array is the target.
    description : str
        One line for the reader.

    Examples
    --------
    >>> program = get_program("snn_wine")
    >>> program.task, program.metric, [slot.name for slot in program.slots("dense")]
    ('classification', 'accuracy', ['hidden1', 'hidden2', 'hidden3', 'head'])
    """

    name: str
    modality: str
    family: str
    source: str
    task: str
    data: Callable[[], Data]
    build: Callable[[Design, Data], nn.Module]
    setup: Setup
    metric: str
    reaches: float
    description: str
    passes: int = 1
    probe_rows: int = 32
    prepare: Callable = _split

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger metric is better."""
        return METRICS[self.metric].higher_is_better

    @property
    def classifies(self) -> bool:
        """Whether accuracy is defined."""
        return self.task in ("classification", "binary")

    def loss_value(self, loss: str, raw: Tensor, target: Tensor, *, output: str) -> Tensor:
        """Return a loss of raw outputs, see :func:`analysis_lib.programs.losses.loss_value`."""
        return loss_value(loss, raw, target, output=output)

    def score(self, output: np.ndarray, target: np.ndarray) -> float:
        """Return the metric of outputs as a user of the model sees them."""
        return METRICS[self.metric].compute(output, target)

    def arrays(self) -> Data:
        """Return the program's data, loaded once per process."""
        return _arrays(self.name)

    def slots(self, kind: str | None = None) -> list[Slot]:
        """Return the editable slots of the healthy model, optionally of one kind.

        ``kind`` may be a prefix: ``"conv"`` finds conv1d and conv2d.
        """
        return [s for s in _slots(self.name).values() if kind is None or s.kind.startswith(kind)]

    def model(self, setup: Setup | None = None, *, seed: int = 0) -> nn.Module:
        """Build and initialise the model of a setup (default: healthy).

        Raises
        ------
        InputError
            If an edit names a slot the model does not have.
        """
        design = Design((setup or self.setup).edits)
        model = self.build(design, self.arrays())
        if unused := design.unused():
            raise unknown(f"slot of program '{self.name}'", unused[0], design.slots)
        initialize(model, seed)
        restart(model, design.edits)
        return model


@torch.no_grad()
def restart(model: nn.Module, edits: Mapping[str, Mapping[str, Any]]) -> None:
    """Scale the initial weights and set the biases of edited slots."""
    for module in model.modules():
        edit = edits.get(getattr(module, "slot", ""), {})
        for leaf, parameter in module.named_parameters(recurse=False):
            if leaf.startswith("weight") and "gain" in edit:
                parameter.mul_(edit["gain"])
            elif leaf.startswith("bias") and "initial_bias" in edit:
                parameter.fill_(edit["initial_bias"])


def draws_target(program: Program) -> bool:
    """Whether the program makes its target from a batch while it trains."""
    return program.prepare is not _split


def register(program: Program) -> Program:
    """Add a program to the registry.

    Raises
    ------
    InputError
        If the name is taken; the modality, metric, task, loss, output or optimizer is unknown;
        or the batch size or learning rate is out of range.
    """
    if program.name in _REGISTRY:
        raise InputError(f"a program called '{program.name}' is registered already")
    if program.modality not in MODALITIES:
        raise unknown("modality", program.modality, MODALITIES)
    if program.metric not in METRICS:
        raise unknown("metric", program.metric, METRICS)
    if program.task not in ("classification", "binary", "regression", "generative"):
        raise unknown(
            "task", program.task, ("classification", "binary", "regression", "generative")
        )
    for what, name, known in (
        ("loss", program.setup.loss, LOSSES),
        ("activation", program.setup.output, ACTIVATIONS),
        ("optimizer", program.setup.optimizer, OPTIMIZERS),
    ):
        if name not in known:
            raise unknown(what, name, known)
    if program.setup.batch_size < 2 or not program.setup.lr > 0:
        raise InputError(
            f"program '{program.name}' has batch_size {program.setup.batch_size} and lr "
            f"{program.setup.lr}; expected at least 2 rows and a positive rate"
        )
    _REGISTRY[program.name] = program
    return program


def invite(program: Program) -> bool:
    """Make a program known by name in this process, without listing it among those of the corpus.

    It replaces another guest of that name; True if it is a new one.

    Raises
    ------
    InputError
        If a registered program has the name.
    """
    if program.name in _REGISTRY:
        raise InputError(
            f"a program of the corpus is called '{program.name}'; give yours another name"
        )
    new = _GUESTS.get(program.name) is not program
    _GUESTS[program.name] = program
    return new


def get_program(name: str) -> Program:
    """Return a registered program, or one that was invited, by name.

    Raises
    ------
    InputError
        If there is none, with the nearest match.

    Examples
    --------
    >>> get_program("snn_wine").modality
    'tabular'
    """
    known = {**_REGISTRY, **_GUESTS}
    if name not in known:
        raise unknown("program", name, known)
    return known[name]


def list_programs(modality: str | None = None) -> list[Program]:
    """Return all programs in the order of their modality and registration.

    Examples
    --------
    >>> {program.modality for program in list_programs("graph")}
    {'graph'}
    """
    if modality is not None and modality not in MODALITIES:
        raise unknown("modality", modality, MODALITIES)
    programs = sorted(_REGISTRY.values(), key=lambda p: MODALITIES.index(p.modality))
    return [p for p in programs if modality in (None, p.modality)]


@cache
def _arrays(name: str) -> Data:
    return get_program(name).data()


@cache
def _slots(name: str) -> Mapping[str, Slot]:
    program = get_program(name)
    design = Design()
    program.build(design, program.arrays())
    return MappingProxyType(design.slots)
