"""Faults of the training data; validation data stay as they are."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from analysis_lib.errors import unknown
from analysis_lib.faults.operator import Parameter, operator
from analysis_lib.faults.slots import log_uniform, rows, uniform
from analysis_lib.programs.program import Program, Setup, draws_target

__all__ = [
    "add_noise",
    "change_labels",
    "delete_rows",
    "edit_data",
    "has_classes",
    "mix_values",
    "overlap_classes",
    "unbalance_classes",
]

Arrays = tuple[np.ndarray, ...]


def edit_data(
    arrays: Arrays, edits: Mapping[str, Mapping[str, float]], *, classes: bool, seed: int
) -> Arrays:
    """Return changed copies of training arrays.

    Parameters
    ----------
    arrays : tuple of ndarray
        Inputs and, last, the target; not changed.
    edits : mapping of str to mapping
        What is done (``labels``, ``delete``, ``unbalance``, ``noise``, ``mix``, ``overlap``) with
        which parameters, in this order.
    classes : bool
        Whether the target is one class per row.
    seed : int
        Seed of all draws.

    Raises
    ------
    InputError
        For an unknown edit.

    Examples
    --------
    >>> x, y = np.arange(8.0)[:, None], np.arange(8) % 2
    >>> x, y = edit_data((x, y), {"delete": {"share": 0.5}}, classes=True, seed=0)
    >>> len(x), y.tolist().count(0)
    (4, 2)
    """
    for name, parameters in edits.items():
        if name not in _EDITS:
            raise unknown("edit of the data", name, _EDITS)
        rng = np.random.default_rng([seed, *name.encode()])
        arrays = _EDITS[name](arrays, rng, classes=classes, **parameters)
    return arrays


def _classes(target: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels in ascending order of their frequency, the place of each row's, and frequencies."""
    labels, codes, counts = np.unique(target.reshape(-1), return_inverse=True, return_counts=True)
    order = np.argsort(counts, kind="stable")
    return labels[order], np.argsort(order)[codes.reshape(-1)], counts[order]


def _some(rng: np.random.Generator, found: np.ndarray, share: float) -> np.ndarray:
    """Draw a share of rows, at least one."""
    return rng.permutation(found)[: max(1, round(share * len(found)))]


def _inputs(arrays: Arrays) -> int:
    """How many of the arrays are inputs: all but the last, or the only one."""
    return max(1, len(arrays) - 1)


def _labels(arrays: Arrays, rng: np.random.Generator, *, classes: bool, share: float) -> Arrays:
    target = arrays[-1].copy()
    chosen = _some(rng, np.arange(len(target)), share)
    if classes:
        labels, places, _ = _classes(target)
        other = (places[chosen] + rng.integers(1, len(labels), len(chosen))) % len(labels)
        target[chosen] = labels[other].reshape(target[chosen].shape)
    else:
        target[chosen] = target[rng.permutation(chosen)]
    return (*arrays[:-1], target)


def _delete(arrays: Arrays, rng: np.random.Generator, *, classes: bool, share: float) -> Arrays:
    groups = [np.arange(len(arrays[-1]))]
    if classes:
        labels, places, _ = _classes(arrays[-1])
        groups = [np.flatnonzero(places == i) for i in range(len(labels))]
    kept = np.sort(np.concatenate([_some(rng, g, 1 - share) for g in groups]))
    return tuple(a[kept] for a in arrays)


def _unbalance(arrays: Arrays, rng: np.random.Generator, *, classes: bool, share: float) -> Arrays:
    labels, places, _ = _classes(arrays[-1])
    small = np.flatnonzero(places < len(labels) // 2)
    kept = np.setdiff1d(np.arange(len(places)), _some(rng, small, share))
    return tuple(a[kept] for a in arrays)


def _noise(
    arrays: Arrays, rng: np.random.Generator, *, classes: bool, share: float, size: float
) -> Arrays:
    chosen = _some(rng, np.arange(len(arrays[-1])), share)
    changed = list(arrays)
    for i in range(_inputs(arrays)):
        if np.issubdtype(arrays[i].dtype, np.floating):
            x = changed[i] = arrays[i].copy()
            deviation = x.std(axis=0 if x.ndim == 2 else None)
            noise = size * deviation * rng.standard_normal(x[chosen].shape)
            x[chosen] += noise.astype(x.dtype)
    return tuple(changed)


def _mix(arrays: Arrays, rng: np.random.Generator, *, classes: bool, share: float) -> Arrays:
    chosen = _some(rng, np.arange(len(arrays[-1])), share)
    changed = list(arrays)
    for i in range(_inputs(arrays)):
        if not np.issubdtype(arrays[i].dtype, np.floating):
            changed[i] = arrays[i].copy()
            columns = arrays[i].reshape(len(arrays[i]), -1)
            donors = rng.integers(0, len(columns), (len(chosen), columns.shape[1]))
            mixed = np.take_along_axis(columns, donors, axis=0)
            changed[i][chosen] = mixed.reshape(changed[i][chosen].shape)
    return tuple(changed)


def _overlap(arrays: Arrays, rng: np.random.Generator, *, classes: bool, share: float) -> Arrays:
    labels, places, _ = _classes(arrays[-1])
    chosen = _some(rng, np.flatnonzero(places == len(labels) - 1), share)
    repeated = [np.concatenate([a, a[chosen]]) for a in arrays]
    repeated[-1][len(places) :] = labels[-2]
    return tuple(repeated)


_EDITS: dict[str, Callable[..., Arrays]] = {
    "labels": _labels,
    "delete": _delete,
    "unbalance": _unbalance,
    "noise": _noise,
    "mix": _mix,
    "overlap": _overlap,
}


# Operators -------------------------------------------------------------------------------------

SHARE = Parameter(float, "share of the rows", 0.01, 1.0)


def _edited(setup: Setup, name: str, **parameters: float) -> Setup:
    return replace(setup, data_edits={**setup.data_edits, name: parameters})


def has_classes(program: Program) -> bool:
    """Whether the last training array holds one class per row."""
    return program.classifies and not draws_target(program)


def _no_label(program: Program) -> str | None:
    if draws_target(program):
        return "its target is drawn or derived while it trains"
    return "its target is its input" if program.task == "generative" else None


def _no_class(program: Program) -> str | None:
    if reason := _no_label(program):
        return reason
    return None if program.classifies else "its target is not a class"


def _sample_labels(program: Program, rng: np.random.Generator) -> dict:
    classes = len(np.unique(program.arrays().train[-1])) if has_classes(program) else 0
    even = 1 - 1 / classes if classes else 1.0  # from here on a label says nothing
    return {"share": uniform(rng, 0.75 * even, 0.98 * even)}


@operator(
    "TCL",
    category="Data",
    title="change labels",
    source="DeepCrime TCL, on rows of all classes; values are exchanged between rows",
    parameters={"share": SHARE},
    applies=_no_label,
    sample=_sample_labels,
    weight=2.0,
)
def change_labels(program: Program, setup: Setup, *, share: float) -> Setup:
    """Give a share of the rows another label, or another row's value."""
    return _edited(setup, "labels", share=share)


@operator(
    "TRD",
    category="Data",
    title="delete training data",
    source="DeepCrime TRD: a share of every class",
    parameters={"share": Parameter(float, "share of the rows", 0.01, 0.995)},
    applies=lambda p: None if rows(p) >= 16 else "it has fewer than 16 training rows",
    sample=lambda p, rng: {"share": uniform(rng, 0.9, 0.98)},
)
def delete_rows(program: Program, setup: Setup, *, share: float) -> Setup:
    """Train on what is left of every class."""
    return _edited(setup, "delete", share=share)


@operator(
    "TUD",
    category="Data",
    title="unbalance the classes",
    source="DeepCrime TUD, on the smaller half of the classes, so that balanced data have some",
    parameters={"share": Parameter(float, "share of the rows", 0.01, 0.999)},
    applies=_no_class,
    sample=lambda p, rng: {"share": uniform(rng, 0.93, 0.99)},
)
def unbalance_classes(program: Program, setup: Setup, *, share: float) -> Setup:
    """Drop rows of the smaller half of the classes."""
    return _edited(setup, "unbalance", share=share)


def _has_inputs(floating: bool) -> Callable[[Program], bool]:
    def found(program: Program) -> bool:
        train = program.arrays().train
        kinds = [np.issubdtype(a.dtype, np.floating) for a in train[: _inputs(train)]]
        return floating in kinds

    return found


def _lacks(found: Callable, what: str) -> Callable[[Program], str | None]:
    return lambda program: None if found(program) else f"none of its inputs are {what}"


@operator(
    "TAN",
    category="Data",
    title="add noise to the inputs",
    source="DeepCrime TAN",
    parameters={
        "share": SHARE,
        "size": Parameter(float, "deviation of the noise in the column's own", 0.01, 1000.0),
    },
    applies=_lacks(_has_inputs(True), "real numbers"),
    sample=lambda p, rng: {
        "share": uniform(rng, 0.8, 1.0),
        "size": log_uniform(rng, 3.0, 30.0),
    },
)
def add_noise(program: Program, setup: Setup, *, share: float, size: float) -> Setup:
    """Add normal noise to the real inputs of a share of the rows."""
    return _edited(setup, "noise", share=share, size=size)


@operator(
    "TDN",
    category="Data",
    title="mix up discrete inputs",
    source="what DeepCrime's TAN is for codes, which have no deviation",
    parameters={"share": SHARE},
    applies=_lacks(_has_inputs(False), "codes"),
    sample=lambda p, rng: {"share": uniform(rng, 0.8, 1.0)},
)
def mix_values(program: Program, setup: Setup, *, share: float) -> Setup:
    """Take every code in a share of the rows from the same column of a random row."""
    return _edited(setup, "mix", share=share)


@operator(
    "TCO",
    category="Data",
    title="let classes overlap",
    source="DeepCrime TCO",
    parameters={"share": SHARE},
    applies=_no_class,
    sample=lambda p, rng: {"share": uniform(rng, 0.8, 1.0)},
)
def overlap_classes(program: Program, setup: Setup, *, share: float) -> Setup:
    """Repeat rows of the largest class with the label of the second largest."""
    return _edited(setup, "overlap", share=share)
