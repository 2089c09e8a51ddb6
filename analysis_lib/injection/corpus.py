"""A small corpus of a program of one's own, made like the shipped one and read like it."""

import math
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from analysis_lib.configuration import EPOCHS, HEALTHY, Run
from analysis_lib.corpus.card import Card
from analysis_lib.corpus.generate import generate
from analysis_lib.corpus.journal import Journal
from analysis_lib.corpus.load import Corpus, load_corpus
from analysis_lib.corpus.plan import make_plan
from analysis_lib.corpus.publish import publish
from analysis_lib.errors import InputError, unknown
from analysis_lib.faults import CATEGORIES, get_operator, list_operators
from analysis_lib.injection.program import OwnProgram, introduce
from analysis_lib.labels import label_runs

__all__ = ["configuration_table", "own_corpus"]

JOURNAL = "journal.sqlite"


def own_corpus(
    program: OwnProgram,
    path: str | Path,
    *,
    seeds: int = 5,
    configurations_per_category: int = 2,
    healthy: int = 2,
    categories: Iterable[str] | None = None,
    epochs: int = EPOCHS,
    n_jobs: int = 1,
    seconds_per_run: float = 120,
    memory_gib: float | None = 4.0,
    random_state: int = 0,
    progress: bool = False,
) -> Corpus:
    """Put faults into a program, train it with and without them, and publish what happened.

    Every run is a process of its own, to which the program is sent by value, so it may be defined
    in a script or a notebook. A run that raises, crashes or takes too long is a row with that
    status. The call may be interrupted and repeated: what is recorded is not made again.

    Parameters
    ----------
    program : OwnProgram
    path : str or Path
        Folder of the corpus; the journal of its runs is kept beside it, in
        ``<path>-journal.sqlite``.
    seeds : int, default=5
        Seeds of every configuration; with fewer than five no fault can be called killed.
    configurations_per_category : int, default=2
        Faulty configurations per category; one less, but at least one, of Data and Loop. Drawn
        as :func:`analysis_lib.corpus.plan.make_plan` draws them.
    healthy : int, default=2
        Healthy configurations (1 to 3): as declared, and label-preserving variants.
    categories : iterable of str, optional
        Only faults of these categories.
    epochs : int, default=12
        Logged epochs of every run; techniques learned on the shipped corpus expect 12.
    n_jobs : int, default=1
        Runs at a time.
    seconds_per_run : float, default=120
        Largest CPU time of a run in seconds; it gets five times as long by the clock.
    memory_gib : float, optional
        Largest memory of a run in GiB; None sets no limit.
    random_state : int
        Seed of the draws.
    progress : bool, default=False
        Show how far it is.

    Returns
    -------
    Corpus
        As :func:`analysis_lib.load_corpus` reads it from ``path``: runs with labels (killed
        against the program's own healthy runs), epochs, layers.

    Raises
    ------
    InputError
        If a category is unknown, no healthy run trains to the end (with the reason), runs are
        missing because the call was interrupted, or the journal holds runs of another version of
        the program.
    """
    if not isinstance(program, OwnProgram):
        raise InputError(
            f"program is a {type(program).__name__}; expected what own_program(...) returns"
        )
    chosen = CATEGORIES if categories is None else tuple(categories)
    for category in chosen:
        if category not in CATEGORIES:
            raise unknown("category", category, CATEGORIES)
    introduce(program)
    plan = make_plan(
        [program.name],
        configurations=configurations_per_category,
        healthy=healthy,
        seeds=seeds,
        random_state=random_state,
    )
    kept = {HEALTHY, *(o.id for c in chosen for o in list_operators(c))}
    plan = [
        Run(run.configuration, run.seed, epochs)
        for run in plan
        if run.configuration.operator in kept
    ]
    place = Path(path)
    journal = place.with_name(f"{place.name}-{JOURNAL}")
    journal.parent.mkdir(parents=True, exist_ok=True)
    _claim(program, journal)
    options: dict[str, Any] = {
        "trainer": _by_value(program),
        "workers": n_jobs,
        "cpu_s": math.ceil(seconds_per_run),
        "wall_s": 5 * seconds_per_run,
        "memory_gib": memory_gib,
        "progress": None if progress else False,
    }
    generate([run for run in plan if run.configuration.operator == HEALTHY], journal, **options)
    _check_healthy(program, plan, journal)
    # in rounds, because a call stops where its first runs all fail, and here faults may do that
    made = generate(plan, journal, **options)
    while not made.complete and not made.interrupted and made.recorded.total():
        made = generate(plan, journal, **options)
    publish(
        journal,
        place,
        programs=pd.DataFrame([_about(program)]),
        categories={o.id: o.category for o in list_operators()},
        label=label_runs,
        plan=plan,
        card=_card(program),
    )
    return load_corpus(place)


def _by_value(program: OwnProgram) -> bytes:
    """The program as bytes, with the code of the user's files, which need not be importable."""
    import cloudpickle

    modules = {sys.modules.get(getattr(part, "__module__", "")) for part in program.parts}
    own = [m for m in modules if m is not None and _of_user(m)]
    own = [m for m in own if m.__name__ not in cloudpickle.list_registry_pickle_by_value()]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(program)
    except Exception as error:
        raise InputError(
            f"program '{program.name}' cannot be sent to another process "
            f"({type(error).__name__}: {error}); let its functions refer to no open files, locks "
            "or generators"
        ) from error
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)


def _of_user(module: ModuleType) -> bool:
    """Whether a module is neither the script or notebook, which goes by value anyway, nor
    installed."""
    file = getattr(module, "__file__", None)
    if module.__name__ == "__main__" or file is None:
        return False
    ours = Path(__file__).resolve().parents[1]
    homes = (ours, *(Path(p).resolve() for p in (sys.prefix, sys.base_prefix)))
    return not any(Path(file).resolve().is_relative_to(home) for home in homes)


def _claim(program: OwnProgram, path: Path) -> None:
    """Note which program the journal is of; refuse that of another one."""
    fingerprint = program.fingerprint
    with Journal(path, write=True) as journal:
        noted = journal.noted("program")
        if noted not in (None, fingerprint):
            raise InputError(
                f"{path} holds runs of another version of '{program.name}' (its data, model, "
                "settings or loop have changed); choose another path, or delete that file"
            )
        journal.note(program=fingerprint)


def _check_healthy(program: OwnProgram, plan: list[Run], path: Path) -> None:
    own = {run.run_id for run in plan if run.configuration.operator == HEALTHY}
    with Journal(path) as journal:
        rows = [row for row in journal.rows(program=program.name) if row.run_id in own]
    if not any(row.status == "ok" for row in rows):
        row = rows[0]
        raise InputError(
            f"no healthy run of '{program.name}' trains to the end; {row.status}: {row.reason} "
            f"(mend the program, and delete {path})"
        )


def _about(program: OwnProgram) -> dict:
    return {
        "program": program.name,
        "modality": program.modality,
        "family": program.family,
        "source": program.source,
        "metric_name": program.metric,
        "higher_is_better": program.higher_is_better,
    }


def _card(program: OwnProgram) -> Card:
    return Card(
        title=f"Runs of {program.name}",
        what=f"Traces of healthy and faulty training runs of one program, {program.name}.",
        made=(
            "Faults were injected into a program of the user; every run was trained in a process\n"
            "of its own, with one snapshot before training and one after each epoch."
        ),
        command=f"own_corpus({program.name}, ...)  # analysis_lib.injection",
        limits="One program, one injected fault at a time. The program is not part of the corpus.",
        author="its user",
        citation="Not published.",
    )


def configuration_table(corpus: Corpus) -> pd.DataFrame:
    """Return one row per configuration: category, operator, title, parameters, runs, killed, metric
    (mean of the final metric over the seeds) and status."""
    runs = corpus.runs
    grouped = runs.groupby(["category", "operator", "parameters"], sort=False)
    table = grouped.agg(
        runs=("run_id", "size"),
        killed=("killed", "first"),
        metric=("final_metric", "mean"),
        status=("status", lambda s: ", ".join(sorted(set(s)))),
    ).reset_index()
    titles = {o.id: o.title for o in list_operators()} | {HEALTHY: get_operator(HEALTHY).title}
    table.insert(2, "title", table["operator"].map(titles))
    return table
