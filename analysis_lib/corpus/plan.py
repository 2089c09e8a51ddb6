"""Which runs make up a corpus: static, seeded, balanced."""

import numpy as np

from analysis_lib.configuration import HEALTHY, Configuration, Run
from analysis_lib.errors import InputError

__all__ = ["make_plan"]

VARIANTS = ({}, {"lr_factor": 0.7}, {"batch_factor": 1.5, "lr_factor": 1.3})
"""Healthy configurations: as declared, and two label-preserving variants."""


def make_plan(
    programs: list[str] | None = None,
    *,
    configurations: int = 4,
    healthy: int = 3,
    seeds: int = 5,
    random_state: int = 0,
) -> list[Run]:
    """Plan a corpus with the same class mix in every program.

    For every program and category, ``configurations`` faulty configurations are drawn: operators
    that apply take turns in an order weighted by :attr:`Operator.weight` (so that at least two
    are used where two apply), parameters are drawn per program. Every configuration runs with
    the same seeds as the healthy one (matched pairs). The draw of a program does not depend on
    which other programs are planned.

    Parameters
    ----------
    programs : list of str, optional
        Default: all registered programs.
    configurations, healthy, seeds : int
        Faulty configurations per program and category; healthy ones per program (1 to 3); seeds.
    random_state : int

    Returns
    -------
    list of Run

    Raises
    ------
    InputError
        For an unknown program or a count out of range.

    Examples
    --------
    >>> plan = make_plan(["snn_wine"], configurations=1, healthy=1, seeds=2)
    >>> plan[0].key
    'snn_wine/healthy/seed=0'
    """
    from analysis_lib.faults import CATEGORIES
    from analysis_lib.programs import get_program, list_programs

    for name, value, highest in (
        ("configurations", configurations, 100),
        ("healthy", healthy, len(VARIANTS)),
        ("seeds", seeds, 1000),
    ):
        if type(value) is not int or not 1 <= value <= highest:
            raise InputError(f"{name} is {value!r}; expected an integer from 1 to {highest}")
    chosen = [get_program(n) for n in programs] if programs else list_programs()
    plan = []
    for program in chosen:
        planned = [Configuration(program.name, HEALTHY, v) for v in VARIANTS[:healthy]]
        for category in CATEGORIES:
            words = [random_state, *f"{program.name}/{category}".encode()]
            rng = np.random.default_rng(np.random.SeedSequence(words))
            planned += _draw(program, category, configurations, rng)
        plan += [Run(c, seed) for c in planned for seed in range(seeds)]
    return plan


def _draw(program, category: str, count: int, rng: np.random.Generator) -> list[Configuration]:
    from analysis_lib.faults import list_operators

    candidates = [o for o in list_operators(category) if o.applies(program) is None]
    if not candidates:
        return []
    weights = np.array([o.weight for o in candidates])
    drawn: list[Configuration] = []
    used = np.zeros(len(candidates))
    for _ in range(100 * count):
        if len(drawn) == count:
            break
        # the operator furthest behind its share (Sainte-Lague), ties broken at random
        behind = (used + 0.5) / weights + rng.uniform(0, 0.05, len(candidates))
        turn = int(np.argmin(behind))
        operator = candidates[turn]
        new = Configuration(program.name, operator.id, operator.sample(program, rng))
        used[turn] += 1
        if new not in drawn:
            drawn.append(new)
    return drawn
