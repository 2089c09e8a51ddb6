"""Random states: seeded inside, undisturbed outside."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["mixed", "seeded"]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch, NumPy and Python inside, and leave their random states as they were.

    Examples
    --------
    >>> with seeded(0):
    ...     first = torch.rand(1)
    >>> with seeded(0):
    ...     first == torch.rand(1)
    tensor([True])
    """
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    torch.random.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])


def mixed(seed: int, name: str) -> int:
    """Return a seed of its own for something that has a name.

    Examples
    --------
    >>> mixed(0, "a") == mixed(0, "b")
    False
    """
    for byte in name.encode():
        seed = (seed * 1_000_003 ^ byte) & 0x7FFF_FFFF_FFFF_FFFF
    return seed
