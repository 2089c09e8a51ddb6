"""The command that measures the gap on a table of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from analysis_lib.errors import InputError

__all__ = ["gap"]


def _list(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def gap(
    table: Annotated[Path, typer.Argument(help="CSV (also compressed) or Parquet file.")],
    program: Annotated[str, typer.Option(metavar="COLUMN", help="The program of each run.")],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="The class to diagnose.")],
    features: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Columns; by default all other columns of numbers."),
    ] = None,
    configuration: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Id that the seeds of one fault share.")
    ] = None,
    seed: Annotated[str | None, typer.Option(metavar="COLUMN", help="Number of the seed.")] = None,
    session: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Machine or sitting of each run.")
    ] = None,
    operator: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Fault operator; scores unseen ones, too.")
    ] = None,
    family: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Family of programs; the same.")
    ] = None,
    technique: Annotated[
        str, typer.Option(metavar="NAME", help="DEFault, forest, logistic, knn, tree or dummy.")
    ] = "DEFault",
    ignore: Annotated[
        str | None, typer.Option(metavar="CODES", help="Checks to leave out, as GAP003,GAP009.")
    ] = None,
    groups: Annotated[
        int | None, typer.Option(help="Groups of programs to hold out; 0 is one at a time.")
    ] = None,
    permutations: Annotated[int, typer.Option(help="Repeats of the dear controls.")] = 1,
    max_rows: Annotated[int, typer.Option(help="Rows that are drawn from larger tables.")] = 12_000,
    random_state: Annotated[int, typer.Option(min=0, help="Seed of all that is drawn.")] = 0,
    encoding: Annotated[str, typer.Option(help="Of a CSV.")] = "utf-8",
    workers: Annotated[int, typer.Option(min=1, help="Processes that fit models.")] = 1,
    json: Annotated[Path | None, typer.Option(help="Write all tables to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report to this page.")] = None,
) -> None:
    """Measure the gap between seen and unseen programs on a table of your own runs."""
    for option, path in (("--json", json), ("--html", html)):
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            what = "is a folder" if path.is_dir() else f"the folder {path.parent} does not exist"
            raise InputError(f"{option} {path}: {what}")

    from analysis_lib.harness import gap_report

    report = gap_report(
        table,
        program=program,
        label=label,
        features=_list(features),
        configuration=configuration,
        seed=seed,
        session=session,
        operator=operator,
        family=family,
        technique=technique,
        ignore=_list(ignore) or (),
        groups=groups,
        permutations=permutations,
        max_rows=max_rows,
        random_state=random_state,
        encoding=encoding,
        n_jobs=workers,
    )
    typer.echo(str(report))
    for path, write in ((json, report.to_json), (html, report.to_html)):
        if path is not None:
            write(path)
            typer.echo(f"saved to {path}")
