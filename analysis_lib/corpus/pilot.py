"""A pilot: which of the faults that a plan would draw do harm, on a few cheap programs."""

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd

from analysis_lib.configuration import Configuration, Run

__all__ = ["PILOT_PROGRAMS", "pilot", "summarise"]

PILOT_PROGRAMS = (
    "snn_wine",
    "mlp_breast_cancer",
    "fasttext_tate",
    "gat_digits_knn",
    "cnn1d_meats",
    "vae_digits",
    "lenet5_mnist",
    "dcn_diamonds",
)
"""Cheap programs of several modalities, tasks and optimizers.

:meta hide-value:
"""


def pilot(
    programs: Iterable[str] = PILOT_PROGRAMS,
    *,
    operators: Iterable[str] | None = None,
    draws: int = 2,
    seeds: int = 3,
    workers: int = 1,
    random_state: int = 0,
) -> pd.DataFrame:
    """Draw configurations of every operator, train them without monitor, and test them.

    Draws with no gradient to follow, or that train like the healthy program or an earlier draw of
    the same operator, are left out, as a plan would leave them out. Killed is decided as for the
    corpus, with the level at what the seeds allow: all of them must be worse.

    Parameters
    ----------
    programs : iterable of str
    operators : iterable of str, optional
        Ids; all that a plan draws by default.
    draws : int, default=2
        Configurations per operator and program.
    seeds : int, default=3
        Seeds of each.
    workers : int, default=1
        Processes.
    random_state : int

    Returns
    -------
    DataFrame
        One row per configuration: program, category, operator, parameters, healthy and faulty
        (mean metrics), effect (Cohen's d), killed, finite (share of runs that ended well).
    """
    from analysis_lib.faults import get_operator
    from analysis_lib.labels import killed_configurations
    from analysis_lib.programs import get_program

    chosen = [c for name in programs for c in _draws(name, operators, draws, random_state)]
    runs = [Run(c, seed) for c in chosen for seed in range(seeds)]
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            ended = list(pool.map(_train, runs, chunksize=8))
    else:
        ended = [_train(run) for run in runs]
    table = pd.DataFrame(
        {
            "program": run.configuration.program,
            "operator": run.configuration.operator,
            "parameters": str(dict(run.configuration.parameters)),
            "configuration": run.configuration.key,
            "seed": run.seed,
            "status": status,
            "higher_is_better": get_program(run.configuration.program).higher_is_better,
            "final_metric": metric,
        }
        for run, (status, metric) in zip(runs, ended, strict=True)
    )
    tested = killed_configurations(table, alpha=1.1 * 2.0**-seeds, min_pairs=seeds)
    means = table.groupby("configuration").agg(
        faulty=("final_metric", "mean"),
        finite=("status", lambda s: (s == "ok").mean()),
        parameters=("parameters", "first"),
    )
    healthy = table[table["operator"] == "healthy"].groupby("program")["final_metric"].mean()
    found = tested.join(means).reset_index(drop=True)
    found["healthy"] = found["program"].map(healthy)
    found["category"] = [get_operator(o).category for o in found["operator"]]
    columns = "program category operator parameters healthy faulty effect killed finite".split()
    return found[columns]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return, per operator, how many configurations were tried and what share was killed."""
    groups = table.groupby(["category", "operator"], sort=False)["killed"]
    return groups.agg(configurations="size", killed="mean").reset_index()


def _draws(
    name: str, operators: Iterable[str] | None, draws: int, random_state: int
) -> list[Configuration]:
    from analysis_lib.faults import get_operator, list_operators
    from analysis_lib.faults.gradients import training_of
    from analysis_lib.programs import get_program

    program = get_program(name)
    found = [Configuration(name)]
    healthy = training_of(found[0])
    for operator in [get_operator(o) for o in operators] if operators else list_operators():
        if operator.applies(program) is not None or not operator.weight:
            continue
        rng = np.random.default_rng([random_state, *f"{name}/{operator.id}/pilot".encode()])
        seen = [healthy]
        for _ in range(5 * draws):
            new = Configuration(name, operator.id, operator.sample(program, rng))
            training = training_of(new)
            if training.usable and training not in seen and len(seen) <= draws:
                seen.append(training)
                found.append(new)
    return found


def _train(run: Run) -> tuple[str, float]:
    import torch

    from analysis_lib.training import train

    torch.set_num_threads(1)
    trace = train(run, monitor=False)
    return trace.status, trace.record["final_metric"]
