"""Data of any usual form as arrays, and the batches of a run as a loop meets them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    TensorDataset,
    default_collate,
)

from analysis_lib.errors import InputError

__all__ = ["Loader", "Part", "read_part"]

FORMS = "(inputs..., target) arrays or tensors, a dict of them, a Dataset or a DataLoader"


class Part(NamedTuple):
    """Training or validation data: arrays with the target last, and what a loader says besides."""

    arrays: tuple[np.ndarray, ...]
    names: tuple[str, ...] | None
    batch_size: int | None
    shuffle: bool


def read_part(data: object, what: str, *, target: str | None = None) -> Part:
    """Return data as arrays.

    Parameters
    ----------
    data : tuple, list, dict, Dataset or DataLoader
        Arrays or tensors with one row per example; the rows of a data set are read once and
        collated as its loader does, so random augmentation is drawn once.
    what : str
        ``train`` or ``valid``, for messages.
    target : str, optional
        Key of the target, if the data are a dict; the last key by default.

    Raises
    ------
    InputError
        If the data have another form, no row, or arrays of different lengths.

    Examples
    --------
    >>> part = read_part({"x": np.zeros((4, 2)), "y": np.arange(4)}, "train")
    >>> part.names, [a.shape for a in part.arrays]
    (('x', 'y'), [(4, 2), (4,)])
    """
    size, shuffle, collate = None, True, default_collate
    if isinstance(data, DataLoader):
        size, collate = data.batch_size, data.collate_fn
        shuffle = isinstance(data.sampler, RandomSampler)
        data = data.dataset
    if isinstance(data, IterableDataset):
        raise InputError(f"{what} is an iterable data set, whose rows have no number; give {FORMS}")
    if isinstance(data, TensorDataset):
        data = data.tensors
    elif isinstance(data, Dataset):
        data = collate([data[i] for i in range(len(data))])
    names = None
    if isinstance(data, Mapping):
        names = tuple(data)
        if target is not None and target not in names:
            raise InputError(f"{what} has no target '{target}'; its keys are {', '.join(names)}")
        last = names[-1] if target is None else target
        names = (*(n for n in names if n != last), last)
        data = [data[name] for name in names]
    if not isinstance(data, Sequence) or isinstance(data, str) or len(data) < 2:
        raise InputError(f"{what} is a {type(data).__name__}; expected {FORMS}")
    arrays = tuple(_array(a, what) for a in data)
    lengths = {len(a) for a in arrays}
    if len(lengths) > 1 or min(lengths) < 2:
        raise InputError(
            f"the arrays of {what} have {', '.join(str(len(a)) for a in arrays)} rows; expected "
            "the same number in all, at least 2"
        )
    return Part(arrays, names, size, shuffle)


def _array(values: Any, what: str) -> np.ndarray:
    try:
        found = values.detach().cpu().numpy() if torch.is_tensor(values) else np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{what} holds what is no array ({error}); give {FORMS}") from None
    if found.dtype.kind not in "fiub" or found.ndim == 0:
        raise InputError(f"{what} holds values of type {found.dtype}; expected arrays of numbers")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise InputError(f"{what} holds values that are not finite; replace them before")
    return found


class Loader:
    """The batches of a run, in the form in which the data were given.

    Parameters
    ----------
    tensors : tuple of Tensor
    names : tuple of str, optional
        Batches are then dicts.
    batch_size : int
    order : callable
        Returns the row numbers of a pass.
    one_batch : bool, default=False
        Every batch is the first one.
    whole_batches : bool, default=False
        A last batch of one row is left out, of which batch statistics cannot be taken.
    """

    def __init__(
        self,
        tensors: tuple[Tensor, ...],
        names: tuple[str, ...] | None,
        batch_size: int,
        order: Callable[[], Tensor],
        *,
        one_batch: bool = False,
        whole_batches: bool = False,
    ):
        self.dataset = TensorDataset(*tensors)
        self.names, self.batch_size, self.order = names, batch_size, order
        self.one_batch, self.whole_batches = one_batch, whole_batches

    def __len__(self) -> int:
        rows = len(self.dataset)
        return -(-rows // self.batch_size) - (self.whole_batches and rows % self.batch_size == 1)

    def __iter__(self) -> Iterator[tuple[Tensor, ...] | dict[str, Tensor]]:
        order = self.order()
        for number in range(len(self)):
            start = 0 if self.one_batch else number * self.batch_size
            chosen = order[start : start + self.batch_size]
            batch = tuple(t[chosen] for t in self.dataset.tensors)
            yield batch if self.names is None else dict(zip(self.names, batch, strict=True))
