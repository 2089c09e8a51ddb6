"""Commands that plan, generate, check and publish a corpus."""

import contextlib
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from analysis_lib.errors import InputError, unknown

__all__ = ["app"]

ROOT = Path(__file__).resolve().parents[2]
JOURNAL = ROOT / "data" / "journal.sqlite"
PILOT = ROOT / "data" / "reports" / "pilot.csv"
STORE = ROOT / "data" / "dynfault-torch"

app = typer.Typer(help="Plan, generate, check and publish a corpus.", no_args_is_help=True)

Programs = Annotated[
    list[str] | None, typer.Option("--program", metavar="NAME", help="Only this; repeatable.")
]
Configurations = Annotated[int, typer.Option(help="Faulty configurations per category.")]
Healthy = Annotated[int, typer.Option(help="Healthy configurations per program.")]
Seeds = Annotated[int, typer.Option(help="Seeds of every configuration.")]
State = Annotated[int, typer.Option(min=0, help="Seed of the plan's own draws.")]
JournalPath = Annotated[Path, typer.Option("--journal", help="File that keeps every result.")]
Store = Annotated[Path, typer.Argument(help="Folder of a published corpus.")]


def _plan(programs, configurations, healthy, seeds, random_state):
    from analysis_lib.corpus.plan import make_plan

    return make_plan(
        programs or None,
        configurations=configurations,
        healthy=healthy,
        seeds=seeds,
        random_state=random_state,
    )


@app.command()
def plan(
    programs: Programs = None,
    configurations: Configurations = 4,
    healthy: Healthy = 3,
    seeds: Seeds = 5,
    random_state: State = 0,
    save: Annotated[Path | None, typer.Option(help="Write one row per run to this CSV.")] = None,
) -> None:
    """Show how many runs of which category every program gets."""
    import pandas as pd

    from analysis_lib.configuration import HEALTHY
    from analysis_lib.faults import get_operator

    runs = _plan(programs, configurations, healthy, seeds, random_state)
    table = pd.DataFrame(
        {
            "run_id": [run.run_id for run in runs],
            "key": [run.key for run in runs],
            "program": [run.configuration.program for run in runs],
            "operator": [run.configuration.operator for run in runs],
        }
    )
    table["category"] = [
        "Healthy" if name == HEALTHY else get_operator(name).category for name in table["operator"]
    ]
    counts = pd.crosstab(table["program"], table["category"], margins=True, margins_name="all")
    typer.echo(counts.to_string())
    if save is not None:
        if not save.absolute().parent.is_dir():
            raise InputError(f"--save {save}: the folder {save.parent} does not exist")
        table.to_csv(save, index=False)
        typer.echo(f"saved to {save}")


@app.command()
def pilot(
    programs: Programs = None,
    draws: Annotated[int, typer.Option(min=1, help="Configurations per operator.")] = 2,
    seeds: Annotated[int, typer.Option(min=2, help="Seeds of every configuration.")] = 3,
    random_state: State = 0,
    workers: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1,
    save: Annotated[Path, typer.Option(help="Table to write.")] = PILOT,
) -> None:
    """Measure, without monitor, what share of each operator's faults does harm."""
    from analysis_lib.corpus.pilot import PILOT_PROGRAMS, summarise
    from analysis_lib.corpus.pilot import pilot as measure

    if not save.absolute().parent.is_dir():
        raise InputError(f"--save {save}: the folder {save.parent} does not exist")
    table = measure(
        programs or PILOT_PROGRAMS,
        draws=draws,
        seeds=seeds,
        random_state=random_state,
        workers=workers,
    )
    table.to_csv(save, index=False, float_format="%.6g")
    typer.echo(summarise(table).to_string(index=False, float_format=lambda value: f"{value:.2f}"))
    typer.echo(f"saved to {save}")


@app.command()
def generate(
    programs: Programs = None,
    configurations: Configurations = 4,
    healthy: Healthy = 3,
    seeds: Seeds = 5,
    random_state: State = 0,
    journal: JournalPath = JOURNAL,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time; the usable cores by default.")
    ] = None,
    cpu_s: Annotated[int, typer.Option(help="CPU seconds a run may take.")] = 60,
    wall_s: Annotated[float, typer.Option(help="Seconds a run may take.")] = 600,
    memory_gib: Annotated[
        float | None, typer.Option(help="GiB of memory a run may allocate; 4 on the CPU.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where runs train: cpu or cuda.")] = "cpu",
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Train on this Dask cluster.")
    ] = None,
    dask_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same, by its scheduler file.")
    ] = None,
    retry: Annotated[
        list[str] | None,
        typer.Option(metavar="STATUS", help="Make runs of this status again; repeatable."),
    ] = None,
) -> None:
    """Train every planned run the journal does not hold; may be interrupted and repeated."""
    from analysis_lib.corpus.child import GPU_TRAINER, TRAINER
    from analysis_lib.corpus.cluster import connect
    from analysis_lib.corpus.generate import generate as train_all

    on_cluster = dask is not None or dask_file is not None
    if on_cluster and workers is not None:
        raise InputError("--workers is for this machine; on a Dask cluster its workers count")
    trainers = {"cpu": TRAINER, "cuda": GPU_TRAINER}
    if device not in trainers:
        raise unknown("device", device, trainers)
    if device == "cpu" and memory_gib is None:
        memory_gib = 4.0  # a GPU's driver reserves far more address space than a run uses
    runs = _plan(programs, configurations, healthy, seeds, random_state)
    options: dict[str, Any] = {
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "memory_gib": memory_gib,
        "retry": retry or (),
    }
    options["trainer"] = trainers[device]
    # batch systems end a job by SIGTERM; it is to end like Ctrl-C
    with contextlib.suppress(ValueError):  # outside the main thread there are no signals
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.ExitStack() as stack:
            if on_cluster:
                found = connect(dask, scheduler_file=dask_file)
                options["executor"] = stack.enter_context(found)
            summary = train_all(runs, journal, workers=workers, **options)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if summary.interrupted:
        raise typer.Exit(130)
    if not summary.complete:
        raise typer.Exit(1)


@app.command()
def status(
    programs: Programs = None,
    configurations: Configurations = 4,
    healthy: Healthy = 3,
    seeds: Seeds = 5,
    random_state: State = 0,
    journal: JournalPath = JOURNAL,
) -> None:
    """Say how far a generation is, also while it runs."""
    from analysis_lib.corpus.verify import status as progress

    runs = _plan(programs, configurations, healthy, seeds, random_state)
    table = progress(journal, runs)
    unknown = table["running"].isna().any()
    shown = table.astype({"running": object}).fillna({"running": "-"})
    typer.echo(shown.to_string(float_format=lambda value: f"{value:.1f}", na_rep="-"))
    if unknown:
        typer.echo("how many are running is not known: Dask does not tell; they count as missing")


@app.command()
def publish(
    programs: Programs = None,
    configurations: Configurations = 4,
    healthy: Healthy = 3,
    seeds: Seeds = 5,
    random_state: State = 0,
    journal: JournalPath = JOURNAL,
    to: Annotated[Path, typer.Option(help="Folder of the published corpus.")] = STORE,
    partial: Annotated[
        bool, typer.Option("--partial", help="Publish although planned runs are missing.")
    ] = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="Keep every bit and snapshot; about twice the size.")
    ] = False,
) -> None:
    """Label the planned runs and write them as Parquet with a manifest and a data card."""
    import pandas as pd

    from analysis_lib.corpus.publish import publish as write_store
    from analysis_lib.corpus.thinning import Thinning
    from analysis_lib.faults import list_operators
    from analysis_lib.labels import label_runs
    from analysis_lib.programs import list_programs

    about = [
        {
            "program": p.name,
            "modality": p.modality,
            "family": p.family,
            "source": p.source,
            "metric_name": p.metric,
            "higher_is_better": p.higher_is_better,
        }
        for p in list_programs()
    ]
    manifest = write_store(
        journal,
        to,
        programs=pd.DataFrame(about),
        categories={o.id: o.category for o in list_operators()},
        label=label_runs,
        plan=_plan(programs, configurations, healthy, seeds, random_state),
        partial=partial,
        thinning=None if whole else Thinning(),
    )
    typer.echo(f"{manifest['runs']} of {manifest['planned']} planned runs published to {to}")


@app.command()
def describe(store: Store = STORE) -> None:
    """Write the data card of a published corpus and its other texts anew, not its tables."""
    from analysis_lib.corpus.publish import describe_store

    manifest = describe_store(store)
    typer.echo(f"{store} is described; the digest of its contents is {manifest['digest'][:16]}")


@app.command()
def verify(store: Store = STORE) -> None:
    """Check a published corpus against its manifest, plan and schema."""
    from analysis_lib.corpus.verify import verify_store
    from analysis_lib.labels import label_runs

    checks = verify_store(store, label=label_runs)
    passed = checks["ok"].fillna(False)
    for check, good in zip(checks.itertuples(), passed, strict=True):
        detail = f": {check.detail}" if check.detail else ""
        word = "ok     " if good else "skipped" if check.detail == "not checked" else "failed "
        typer.echo(f"{word} {check.check}{detail}")
    if not passed.all():
        failed = int((~checks["ok"].fillna(True)).sum())
        raise InputError(
            f"{store} does not hold what it promises: {failed} of {len(checks)} checks failed; "
            "do not use it, or publish it again"
        )


@app.command()
def repair(journal: JournalPath = JOURNAL) -> None:
    """Drop damaged runs, and save the others of a damaged file; generating makes them anew."""
    from analysis_lib.corpus.repair import repair as mend

    dropped = mend(journal)
    typer.echo(dropped.to_string(index=False) if len(dropped) else "nothing is damaged")


@app.command()
def restore(store: Store = STORE, journal: JournalPath = JOURNAL) -> None:
    """Fill a journal with the runs of a published corpus, to extend it without training anew."""
    from analysis_lib.corpus.restore import restore as fill

    typer.echo(f"{fill(store, journal)} runs of {store} written to {journal}")


@app.command()
def audit(store: Store = STORE) -> None:
    """Ask whether the channels, pairs and healthy runs of a published corpus are sound."""
    from analysis_lib.corpus.audit import audit_corpus
    from analysis_lib.corpus.load import load_corpus

    questions = audit_corpus(load_corpus(store))
    for asked in questions.itertuples():
        word = "none   " if asked.ok else f"{asked.found:<7}"
        typer.echo(f"{word} {asked.question}" + (f": {asked.detail}" if asked.detail else ""))
    if not questions["ok"].all():
        raise InputError(
            f"{store} has {int((~questions['ok']).sum())} findings without an explanation; look at "
            "them before you use it"
        )


@app.command()
def reproduce(
    store: Store = STORE,
    runs: Annotated[int, typer.Option(min=1, help="Runs to train again.")] = 100,
    programs: Programs = None,
    random_state: State = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes at a time.")] = None,
) -> None:
    """Train a random sample of a corpus again and compare it with what is stored."""
    from analysis_lib.corpus.load import load_corpus
    from analysis_lib.corpus.reproduce import reproduce as again

    table = again(
        load_corpus(store),
        count=runs,
        programs=programs or None,
        random_state=random_state,
        workers=workers,
        progress=True,
    )
    for row in table[~table["equal"]].itertuples():
        typer.echo(f"{row.configuration}, seed {row.seed}: {row.channel} by {row.worst:.1e}")
    typer.echo(f"{int(table['equal'].sum())} of {len(table)} runs equal bit for bit")
