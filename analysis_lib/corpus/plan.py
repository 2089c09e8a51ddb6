"""Which runs make up a corpus: static, seeded, balanced."""

from typing import TYPE_CHECKING

import numpy as np

from analysis_lib.configuration import HEALTHY, Configuration, Run
from analysis_lib.errors import InputError

if TYPE_CHECKING:
    from analysis_lib.programs import Program

__all__ = ["make_plan"]

VARIANTS: tuple[dict[str, float], ...] = (
    {},
    {"lr_factor": 0.7},
    {"batch_factor": 1.5, "lr_factor": 1.3},
)
"""Healthy configurations: as declared, and two label-preserving variants."""

FEWER = ("Data", "Loop")
"""Categories with one configuration less per program."""

PATIENCE = 20
"""Draws of an operator that may train like others before it is given up."""


def make_plan(
    programs: list[str] | None = None,
    *,
    configurations: int = 4,
    healthy: int = 3,
    seeds: int = 5,
    random_state: int = 0,
) -> list[Run]:
    """Plan a corpus with the same class mix in every program.

    For every program and category, ``configurations`` faulty configurations are drawn (one less of
    Data and Loop): operators that apply are drawn with chances ``weight / (1 + draws so far)^2``,
    with :attr:`Operator.weight`, at least two where two apply; those of weight 0 never. Parameters
    are drawn per program. A draw that would train like another of the program, the healthy one
    included, or that has no gradient to follow, is drawn again; see
    :class:`analysis_lib.faults.gradients.Training`. Every configuration runs with the same seeds as
    the healthy one (matched pairs). The draw of a program does not depend on which other programs
    are planned.

    Parameters
    ----------
    programs : list of str, optional
        Default: all registered programs.
    configurations : int, default=4
        Faulty configurations per program and category.
    healthy : int, default=3
        Healthy configurations per program, 1 to 3.
    seeds : int, default=5
        Seeds of every configuration.
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
    from analysis_lib.faults.gradients import training_of
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
        seen = [training_of(Configuration(program.name))]
        for category in CATEGORIES:
            words = [random_state, *f"{program.name}/{category}".encode()]
            rng = np.random.default_rng(np.random.SeedSequence(words))
            count = max(1, configurations - (category in FEWER))
            planned += _draw(program, category, count, rng, seen)
        plan += [Run(c, seed) for c in planned for seed in range(seeds)]
    return plan


def _draw(
    program: "Program", category: str, count: int, rng: np.random.Generator, seen: list
) -> list:
    """Draw configurations that train unlike those seen; adds what they train to ``seen``."""
    from analysis_lib.faults import list_operators
    from analysis_lib.faults.gradients import training_of

    candidates = [o for o in list_operators(category) if o.weight and o.applies(program) is None]
    weights = np.array([o.weight for o in candidates])
    used, failed = np.zeros(len(candidates)), np.zeros(len(candidates))
    drawn: list[Configuration] = []
    while len(drawn) < count and (failed < PATIENCE).any():
        chances = weights / (1 + used) ** 2 * (failed < PATIENCE)
        if len(drawn) == 1 and (fresh := chances * (used == 0)).any():
            chances = fresh
        turn = int(rng.choice(len(candidates), p=chances / chances.sum()))
        operator = candidates[turn]
        new = Configuration(program.name, operator.id, operator.sample(program, rng))
        training = training_of(new)
        if not training.usable or training in seen:
            failed[turn] += 1
            continue
        used[turn] += 1
        drawn.append(new)
        seen.append(training)
    return drawn
