"""What a user gives, checked and put together as a program."""

import copy
import inspect
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from analysis_lib.errors import InputError, unknown
from analysis_lib.injection.batches import read_part
from analysis_lib.injection.modules import ByName, ModuleTree
from analysis_lib.injection.program import LOOK, OWN_LOSS, OwnProgram, as_tensors, introduce
from analysis_lib.injection.seeds import seeded
from analysis_lib.programs.design import ACTIVATIONS
from analysis_lib.programs.metrics import METRICS
from analysis_lib.programs.optimizers import OPTIMIZERS
from analysis_lib.programs.program import Data, Setup
from analysis_lib.training import weights_digest

__all__ = ["own_program"]

LOSSES = {
    (nn.CrossEntropyLoss, F.cross_entropy): ("cce", "softmax"),
    (nn.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits): ("bce", "sigmoid"),
    (nn.BCELoss, F.binary_cross_entropy): ("bce", "linear"),
    (nn.MSELoss, F.mse_loss): ("mse", "linear"),
    (nn.L1Loss, F.l1_loss): ("mae", "linear"),
    (nn.HuberLoss, F.huber_loss, nn.SmoothL1Loss, F.smooth_l1_loss): ("huber", "linear"),
}
"""Losses of torch: what operators call them, and the output activation that belongs to them."""

ARGUMENTS = ("model", "loader", "loss", "optimizer", "epochs")


def own_program(
    make_model: Callable[[], nn.Module],
    train: object,
    valid: object,
    *,
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: str | Callable = "adam",
    lr: float | None = None,
    batch_size: int | None = None,
    loop: Callable | None = None,
    metric: str | Callable[[np.ndarray, np.ndarray], float] | None = None,
    higher_is_better: bool = True,
    forward: Callable | None = None,
    target: str | None = None,
    output: str | None = None,
    clip_norm: float | None = None,
    probe_rows: int = 32,
    name: str = "my_program",
) -> OwnProgram:
    """Make a program of a PyTorch module, data, a loss and, if you like, your own loop.

    The healthy program is yours: your module with its own initial values under the seed of the
    run, your loss and your optimizer. Operators change copies of these. They find layers by type
    anywhere in the module, and activations as modules or as functions such as ``F.relu``; see
    :func:`fault_table` for those that apply to it.

    Parameters
    ----------
    make_model : callable
        Returns a new module: a class or a function. Its output is one tensor.
    train : tuple, dict, Dataset or DataLoader
        Inputs and, last, the target, one row per example. A loader also gives the batch size and
        whether rows are shuffled; rows are read once. Real arrays get the module's type.
    valid : tuple, dict, Dataset or DataLoader
        The same of the validation rows.
    loss : callable
        ``loss(output, target)``, a scalar: an instance such as ``nn.CrossEntropyLoss()``, or a
        function.
    optimizer : str or callable, default="adam"
        ``optimizer(parameters)`` returns an optimizer; or a name such as "sgd", with torch's
        settings.
    lr : float, optional
        Learning rate of an optimizer given by name; torch's default for it otherwise.
    batch_size : int, optional
        That of the loader, else 32.
    loop : callable, optional
        Your own training function. It takes ``model``, ``loader``, ``loss``, ``optimizer`` by
        these names and trains one epoch, or takes ``epochs`` as well and trains them all. A pass
        over the loader with at least one ``optimizer.step()`` is an epoch. Default: the usual
        loop.
    metric : str or callable, optional
        Name in :data:`analysis_lib.programs.metrics.METRICS`, or ``metric(output, target)`` on
        arrays of the validation data; accuracy or r2 by default.
    higher_is_better : bool, default=True
        Of a metric of your own.
    forward : callable, optional
        ``forward(model, inputs)`` with a dict, where the data are dicts and ``model(**inputs)``
        does not fit.
    target : str, optional
        Key of the target in dicts; the last one by default.
    output : str, optional
        Activation that the loss applies to the outputs itself, such as "softmax" in a loss of
        your own on logits; that of torch's losses is known.
    clip_norm : float, optional
        Gradient norm to which the usual loop clips.
    probe_rows : int, default=32
        Rows of the batch on which channels are measured.
    name : str
        Letters, digits, ``_``, ``-`` and ``.``.

    Returns
    -------
    OwnProgram
        Known by its name to every operator in this process; another program of the name is
        replaced.

    Raises
    ------
    InputError
        If some part does not fit another, with the part.

    Notes
    -----
    Each run seeds torch, NumPy and Python, so a loop may draw from their global generators; a
    generator of its own, seeded by a constant, gives all runs the same draws. A run trains on the
    CPU, in one thread.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    >>> y = (x[:, 0] > 0).astype(int)
    >>> program = own_program(
    ...     lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)),
    ...     (x[:40], y[:40]), (x[40:], y[40:]), loss=nn.CrossEntropyLoss(), lr=0.01, name="tiny",
    ... )
    >>> [slot.name for slot in program.slots()], program.metric
    (['0', '1', '2'], 'accuracy')
    """
    if isinstance(make_model, nn.Module) or not callable(make_model):
        raise InputError(
            f"make_model is a {type(make_model).__name__}; expected a class or function that "
            "returns a new module, so that every run starts from weights of its own: "
            "make_model=lambda: Net(...)"
        )
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise InputError(f"name is {name!r}; expected letters, digits, _, - and .")
    for what, function in (("loss", loss), ("forward", forward or len), ("loop", loop or len)):
        if not callable(function) or isinstance(function, type):
            raise InputError(f"{what} is {function!r}; expected a function or an instance")
    _check_loop(loop)
    parts = [read_part(d, w, target=target) for d, w in ((train, "train"), (valid, "valid"))]
    if parts[0].names != parts[1].names or len(parts[0].arrays) != len(parts[1].arrays):
        raise InputError("train and valid have different parts; give both the same form")
    with seeded(0):
        model = _attempt("make_model", make_model)
    if not isinstance(model, nn.Module):
        raise InputError(f"make_model returned a {type(model).__name__}; expected a module")
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    known, unseen = (
        tuple(_typed(a, dtype, i == len(p.arrays) - 1) for i, a in enumerate(p.arrays))
        for p in parts
    )
    contents = Data(known, unseen)
    named = parts[0].names
    wrap = _Wrap(named and named[:-1], forward)
    *inputs, truth = as_tensors(contents.train, slice(LOOK))
    tree = _attempt("the model on a batch", ModuleTree, make_model, tuple(inputs), wrap)
    if not torch.is_tensor(tree.outputs):
        raise InputError(f"the model returns a {type(tree.outputs).__name__}; expected one tensor")
    kind, activation = _loss_name(loss, tree.outputs, truth)
    if output is not None and output not in ACTIVATIONS:
        raise unknown("output activation", output, ACTIVATIONS)
    task = _task(kind, tree.outputs, contents.train[-1])
    metric_name, measure = _metric(metric, task, tree.outputs, truth)
    make = _optimizer(optimizer, lr)
    program = OwnProgram(
        name=name, modality="own", family="own", source="own data", task=task,
        data=lambda: contents, build=tree, metric=metric_name, reaches=math.nan,
        description="a program of the user", probe_rows=probe_rows, contents=contents,
        setup=Setup(
            loss=kind, output=output or activation, optimizer="", lr=1.0,
            batch_size=batch_size or parts[0].batch_size or 32, clip_norm=clip_norm,
        ),
        names=named, loss_function=loss, optimizer_of=make, metric_function=measure,
        better=METRICS[metric].higher_is_better if isinstance(metric, str) else higher_is_better,
        shuffles=parts[0].shuffle, dtype=dtype, loop=loop,
    )  # fmt: skip
    program = replace(program, setup=_with_optimizer(program))
    _check(program)
    introduce(program)
    return program


class _Wrap:
    """Lets a module with named inputs take positions."""

    def __init__(self, names: tuple[str, ...] | None, forward: Callable | None):
        self.names, self.forward = names, forward

    def __call__(self, model: nn.Module) -> nn.Module:
        return model if self.names is None else ByName(model, self.names, self.forward)


def _attempt(what: str, call: Callable, *arguments: Any) -> Any:
    """Call a part of the user's, and say which one failed and where."""
    try:
        return call(*arguments)
    except Exception as error:
        raise InputError(f"{what} fails: {type(error).__name__}: {error}") from error


def _check_loop(loop: Callable | None) -> None:
    if loop is None:
        return
    taken = inspect.signature(loop).parameters.values()
    free = any(p.kind is p.VAR_KEYWORD for p in taken)
    names = {p.name for p in taken}
    needed = {p.name for p in taken if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
    if missing := [n for n in ARGUMENTS[:4] if n not in names and not free]:
        raise InputError(
            f"loop does not take '{missing[0]}'; expected loop(model, loader, loss, optimizer) "
            "for one epoch, or with epochs for all; wrap yours: loop=lambda model, loader, loss, "
            "optimizer: fit(loader, model, ...)"
        )
    if other := needed - set(ARGUMENTS):
        raise InputError(
            f"loop needs '{sorted(other)[0]}', which is not known here; wrap it in a function of "
            "model, loader, loss and optimizer"
        )


def _typed(values: np.ndarray, dtype: torch.dtype, last: bool) -> np.ndarray:
    if values.dtype.kind == "f":
        return values.astype(str(dtype).removeprefix("torch."))
    return values.astype(np.int64) if last else values


def _loss_name(loss: Callable, raw: Tensor, target: Tensor) -> tuple[str, str]:
    found = [names for known, names in LOSSES.items() if loss in known or type(loss) in known]
    if not found:
        return OWN_LOSS, "linear"
    names = found[0]
    if names[0] == "cce":  # operators take the last axis for the classes
        return names if raw.ndim == 2 and target.ndim == 1 else (OWN_LOSS, "linear")
    if raw.shape != target.shape:
        raise InputError(
            f"the model returns shape {tuple(raw.shape)} for a target of shape "
            f"{tuple(target.shape)}; reshape one of them, or the loss compares every row with "
            "every other"
        )
    return names


def _task(loss: str, raw: Tensor, target: np.ndarray) -> str:
    classes = target.ndim == 1 and raw.ndim <= 2
    one = raw.numel() == len(raw)
    if target.dtype.kind == "i" and classes:
        return "binary" if one else "classification"
    if loss == "bce" and one and np.isin(target, (0, 1)).all():
        return "binary"
    return "regression"


def _metric(
    metric: str | Callable | None, task: str, raw: Tensor, target: Tensor
) -> tuple[str, Callable]:
    if metric is None:
        same = raw.shape == target.shape and target.is_floating_point()
        if task == "regression" and not same:
            raise InputError("give a metric: metric=function(output, target) on arrays")
        metric = "r2" if task == "regression" else "accuracy"
    if isinstance(metric, str):
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)
        return metric, METRICS[metric].compute
    if not callable(metric):
        raise InputError(f"metric is {metric!r}; expected a name or function(output, target)")
    return getattr(metric, "__name__", "own").strip("<>"), metric


def _optimizer(optimizer: str | Callable, lr: float | None) -> Callable:
    if not isinstance(optimizer, str):
        if lr is not None:
            raise InputError("give lr with an optimizer by name; yours sets its own")
        if not callable(optimizer):
            raise InputError(
                f"optimizer is a {type(optimizer).__name__}; expected a name, or a function of "
                "the parameters: optimizer=lambda p: torch.optim.SGD(p, lr=0.1)"
            )
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise unknown("optimizer", optimizer, OPTIMIZERS)
    if lr is not None and not lr > 0:
        raise InputError(f"lr is {lr}; expected a number above 0")
    return _ByClass(OPTIMIZERS[optimizer].make, {} if lr is None else {"lr": lr})


class _ByClass:
    def __init__(self, make: type[torch.optim.Optimizer], options: dict):
        self.make, self.options = make, options

    def __call__(self, parameters: Iterable) -> torch.optim.Optimizer:
        return self.make(parameters, **self.options)


def _with_optimizer(program: OwnProgram) -> Setup:
    """The setup with what operators read of the optimizer: its name, rate and options."""
    parameters = list(program.model().parameters())
    made = _attempt("optimizer", program.optimizer_of, parameters)
    if not isinstance(made, torch.optim.Optimizer):
        raise InputError(f"optimizer returned a {type(made).__name__}; expected a torch optimizer")
    group = made.param_groups[0]
    names = [n for n, entry in OPTIMIZERS.items() if entry.make is type(made)]
    options = {k: group[k] for k in ("weight_decay", "momentum", "nesterov") if group.get(k)}
    name = names[0] if names else type(made).__name__.lower()
    return replace(program.setup, optimizer=name, lr=float(group["lr"]), options=options)


def _check(program: OwnProgram) -> None:
    """See that the parts fit: loss, gradient, metric, and that a seed gives the same weights."""
    if not 2 <= program.setup.batch_size <= 10**9 or program.probe_rows < 2:
        raise InputError(
            f"batch_size is {program.setup.batch_size} and probe_rows {program.probe_rows}; "
            "expected at least 2"
        )
    first, again = program.model(seed=1), program.model(seed=1)
    if weights_digest(first) != weights_digest(again):
        raise InputError(
            "make_model gives other weights under the same seed; let it draw from torch's, "
            "NumPy's or Python's global generator"
        )
    inputs, target = program.prepare(as_tensors(program.contents.train, slice(LOOK)), None)
    with seeded(0):
        raw = _attempt("the model on a batch", copy.deepcopy(first).train(), *inputs)
        value = _attempt("loss(output, target)", program.loss_function, raw, target)
    if not torch.is_tensor(value) or value.numel() != 1:
        shape = tuple(value.shape) if torch.is_tensor(value) else type(value).__name__
        raise InputError(f"loss returned {shape}; expected a scalar tensor")
    if not value.requires_grad:
        raise InputError("the loss has no gradient; a weight of the model must lead to it")
    if not torch.isfinite(value):
        raise InputError(f"the loss of the untrained model is {value.item()}; scale the inputs")
    inputs, target = program.prepare(as_tensors(program.contents.valid), None)
    with torch.no_grad(), seeded(0):
        raw = _attempt("the model on the validation data", first.eval(), *inputs)
    score = _attempt("metric(output, target)", program.score, raw.numpy(), target.numpy())
    if not math.isfinite(score):
        raise InputError(f"the metric of the untrained model is {score}; expected a number")
