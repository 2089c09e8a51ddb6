"""Simulated worlds in which the truth about the evaluation gap is known."""

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError, unknown

__all__ = ["WORLDS", "simulate_world"]

WORLDS = ("none", "transferable", "specific", "mixed")
"""No signal; the same signal in all programs; another one in each program; half of both."""


def simulate_world(
    world: str,
    *,
    programs: int = 16,
    classes: int = 4,
    configurations: int = 4,
    seeds: int = 5,
    features: int = 12,
    signal: float = 1.5,
    identity: float = 3.0,
    replicate: float = 1.0,
    skew: float | None = None,
    least: int = 0,
    direction_state: int | None = None,
    random_state: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw features and runs from x = identity_g + signal_(g)c + replicate_f + noise.

    A program g has an offset, a class c a direction (the same in all programs, or drawn anew in
    each), a configuration f an offset that its seeds share, and every run unit noise; all are
    normal with the given standard deviations.

    Parameters
    ----------
    world : {"none", "transferable", "specific", "mixed"}
    programs : int
    classes : int
    configurations : int
        Of every program and class.
    seeds : int
        Of every configuration.
    features : int
    signal : float
        Standard deviation of the part of the class.
    identity : float
        Standard deviation of the part of the program.
    replicate : float
        Standard deviation of the part of the configuration.
    skew : float or None
        Parameter of a symmetric Dirichlet distribution from which the class mix of every program
        is drawn (small is very uneven); None for equal mixes.
    least : int, default=0
        Configurations that every program has of every class, whatever its mix.
    direction_state : int, optional
        Seed of the class directions that all programs share, so that many worlds can differ in
        their programs alone; by default they are drawn with everything else.
    random_state : int

    Returns
    -------
    features : DataFrame of shape (n_runs, features), indexed by run_id
    runs : DataFrame
        run_id, program, family, operator, configuration, seed, status, label. There are four
        families at most, which mean nothing; an operator is a class.

    Raises
    ------
    InputError
        If the world is unknown, or ``least`` is not between 0 and ``configurations``.

    Examples
    --------
    >>> features, runs = simulate_world("transferable", programs=3, classes=2)
    >>> features.shape, runs["program"].nunique()
    ((120, 12), 3)
    """
    if world not in WORLDS:
        raise unknown("world", world, WORLDS)
    if not 0 <= least <= configurations:
        raise InputError(f"least is {least}; expected a number from 0 to {configurations}")
    rng = np.random.default_rng(random_state)
    offset = identity * rng.standard_normal((programs, features))
    common = np.broadcast_to(
        rng.standard_normal((classes, features)), (programs, classes, features)
    )
    if direction_state is not None:
        shared = np.random.default_rng(direction_state).standard_normal((classes, features))
        common = np.broadcast_to(shared, common.shape)
    own = rng.standard_normal((programs, classes, features))
    direction = {
        "none": np.zeros_like(own),
        "transferable": common,
        "specific": own,
        "mixed": (common + own) / np.sqrt(2),
    }[world]
    g, c = _cells(rng, programs, classes, configurations, skew, least)
    f = np.arange(len(g))
    centre = offset[g] + signal * direction[g, c]
    centre = centre + replicate * rng.standard_normal(centre.shape)
    f, g, c = (np.repeat(index, seeds) for index in (f, g, c))
    values = centre[f] + rng.standard_normal((len(f), features))
    seed = np.tile(np.arange(seeds), len(f) // seeds)
    runs = pd.DataFrame(
        {
            "run_id": [f"r{i:05d}" for i in range(len(f))],
            "program": [f"p{i:02d}" for i in g],
            "family": [f"f{i % 4}" for i in g],
            "operator": [f"o{i}" for i in c],
            "configuration": [f"p{i:02d}/o{k}({j})" for i, k, j in zip(g, c, f, strict=True)],
            "seed": seed,
            "status": "ok",
            "label": [f"class {k}" for k in c],
        }
    )
    names = [f"x{i}" for i in range(features)]
    return pd.DataFrame(values, columns=names, index=pd.Index(runs["run_id"])), runs


def _cells(
    rng: np.random.Generator,
    programs: int,
    classes: int,
    configurations: int,
    skew: float | None,
    least: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return program and class of every configuration."""
    total = classes * configurations
    if skew is None:
        mixes = np.tile(np.repeat(np.arange(classes), configurations), (programs, 1))
    else:
        shares = rng.dirichlet(np.full(classes, skew), size=programs)
        kept = np.repeat(np.arange(classes), least)
        free = total - len(kept)
        mixes = np.array([[*kept, *rng.choice(classes, size=free, p=p)] for p in shares])
    return np.repeat(np.arange(programs), total), mixes.ravel()
