"""Commands that run the notebooks and build the book."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from analysis_lib.notebooks import Project

__all__ = ["book", "notebooks"]

Profile = Annotated[
    str, typer.Option(help="Set of parameters in notebooks/profiles.yml: quick or full.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("-p", metavar="NAME=VALUE", help="Another value for a parameter; repeatable."),
]


def _say(line: str) -> None:
    typer.echo(line)


def _fail(error: Exception) -> typer.Exit:
    typer.echo(f"error: {error}", err=True)
    return typer.Exit(1)


def _run(project: "Project", **options: Any) -> None:
    from analysis_lib.notebooks import NotebookFailed, run

    try:
        run(project, say=_say, **options)
    except NotebookFailed as error:
        raise _fail(error) from error
    except KeyboardInterrupt as error:
        typer.echo("\ninterrupted; the same command goes on from this notebook", err=True)
        raise typer.Exit(130) from error


def notebooks(
    profile: Profile = "quick",
    overrides: Overrides = None,
    only: Annotated[
        str | None, typer.Option(metavar="NOTEBOOK", help="Run this one alone: 03, or its name.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run even what is up to date.")] = False,
) -> None:
    """Run the notebooks that are not up to date, in order."""
    from analysis_lib.notebooks import Project

    _run(Project(profile), overrides=overrides or (), only=only, force=force)


def book(
    profile: Profile = "quick",
    overrides: Overrides = None,
    no_run: Annotated[
        bool, typer.Option("--no-run", help="Refuse, instead of running notebooks first.")
    ] = False,
) -> None:
    """Run the notebooks that need it, then build the book."""
    from analysis_lib.book import BuildFailed, build
    from analysis_lib.notebooks import Project

    project = Project(profile)
    if not no_run:
        _run(project, overrides=overrides or ())
    try:
        index = build(project, overrides=overrides or (), say=_say)
    except BuildFailed as error:
        raise _fail(error) from error
    _say(project.relative(index))
