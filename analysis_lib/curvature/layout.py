"""How the parameters of a model lie in one flat vector, and which belong to which layer."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.errors import InputError, unknown

__all__ = ["Layout", "layers"]


def layers(model: nn.Module) -> dict[str, list[str]]:
    """Group parameter names into layers: the modules that own parameters themselves.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    dict
        Layer name (module path, ``"(model)"`` for the model itself) to its parameter names, in
        the order of ``named_parameters``. A parameter shared by two modules appears once; a
        parametrised weight belongs to the layer that uses it.

    Examples
    --------
    >>> layers(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)))
    {'0': ['0.weight', '0.bias'], '2': ['2.weight', '2.bias']}
    """
    grouped: dict[str, list[str]] = {}
    for name, _ in model.named_parameters():
        owner = (
            f".{name}".partition(".parametrizations.")[0]
            if ".parametrizations." in name
            else (f".{name}".rpartition(".")[0])
        )
        grouped.setdefault(owner.lstrip(".") or "(model)", []).append(name)
    return grouped


class Layout:
    """The trainable parameters of a model as one flat vector of n entries.

    Parameters
    ----------
    model : torch.nn.Module

    Attributes
    ----------
    names : list of str
        Names of the trainable parameters, in the order of ``named_parameters``.
    parameters : list of torch.nn.Parameter
    sizes : ndarray of shape (n_tensors,)
    layers : dict of str to ndarray
        Layer name to the positions of its tensors.
    batches : bool
        Whether products with several vectors at once have worked so far.
    sound : bool
        Whether a gradient of the model has been found to be differentiable in all its parts.

    Raises
    ------
    InputError
        If the model has no trainable parameter.

    Examples
    --------
    >>> layout = Layout(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)))
    >>> list(layout.layers), int(layout.sizes.sum())
    (['0', '1'], 13)
    """

    def __init__(self, model: nn.Module):
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        if not named:
            raise InputError(
                f"{type(model).__name__} has no trainable parameter; curvature is taken in "
                "parameters with requires_grad=True"
            )
        self.batches, self.sound = True, False
        self.names = [n for n, _ in named]
        self.parameters = [p for _, p in named]
        self.sizes = np.array([p.numel() for p in self.parameters])
        self._starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        position = {name: i for i, name in enumerate(self.names)}
        found = {
            layer: np.array([position[n] for n in names if n in position])
            for layer, names in layers(model).items()
        }
        self.layers = {layer: where for layer, where in found.items() if len(where)}

    @property
    def size(self) -> int:
        """Number n of entries."""
        return int(self.sizes.sum())

    def flatten(self, tensors: Iterable[Tensor]) -> Tensor:
        """Concatenate tensors shaped like the parameters into a vector of n entries."""
        dense = (t.to_dense() if t.is_sparse else t for t in tensors)
        return torch.cat([t.detach().reshape(-1) for t in dense])

    def split(self, flat: Tensor) -> list[Tensor]:
        """Cut a vector into views of the parameters' shapes (cast to their dtypes if needed)."""
        parts = flat.split(self.sizes.tolist())
        return [
            part.view(p.shape).to(p.dtype) for part, p in zip(parts, self.parameters, strict=True)
        ]

    def named(self, flat: Tensor) -> dict[str, Tensor]:
        """Cut a vector into a mapping from parameter names."""
        return dict(zip(self.names, self.split(flat), strict=True))

    def checked(self, v: Mapping[str, Tensor]) -> Tensor:
        """Flatten a mapping from parameter names, naming both sides of any mismatch."""
        for name in v:
            if name not in self.names:
                raise unknown("parameter", name, self.names)
        for name, p in zip(self.names, self.parameters, strict=True):
            if name not in v:
                raise InputError(f"v has no entry for parameter '{name}' of shape {tuple(p.shape)}")
            for what in ("shape", "dtype", "device"):
                mine, theirs = getattr(v[name], what), getattr(p, what)
                if mine != theirs:
                    raise InputError(
                        f"v['{name}'] has {what} {mine}, the parameter has {what} {theirs}"
                    )
        return self.flatten(v[name] for name in self.names)

    def sums_by_tensor(self, entries: np.ndarray) -> np.ndarray:
        """Sum entries of shape (..., n) within each tensor: shape (..., n_tensors)."""
        return np.add.reduceat(entries, self._starts, axis=-1)

    def sums_by_layer(self, entries: np.ndarray) -> np.ndarray:
        """Sum entries of shape (..., n) within each layer: shape (..., n_layers)."""
        tensors = self.sums_by_tensor(entries)
        return np.stack([tensors[..., w].sum(-1) for w in self.layers.values()], axis=-1)
