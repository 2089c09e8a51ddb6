"""The command line: ``python -m analysis_lib COMMAND``.

Exit status: 0 success, 1 something failed while it ran, 2 something given was wrong,
130 interrupted. Commands import what they need when they run, so that help is instant.
"""

import sys
from collections.abc import Sequence

import typer

from analysis_lib.cli import corpus, diagnose, explore, gap, leaderboard, publish
from analysis_lib.errors import InputError

__all__ = ["app", "main"]

app = typer.Typer(
    name="analysis_lib",
    help="Traces of faulty deep-learning training runs, and how their diagnosis is evaluated.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("programs")(explore.programs)
app.command("faults")(explore.faults)
app.command("run")(explore.run)
app.add_typer(corpus.app, name="corpus")
app.command("gap")(gap.gap)
app.command("leaderboard")(leaderboard.leaderboard)
app.command("diagnose")(diagnose.diagnose)
app.command("diagnosis-model")(diagnose.diagnosis_model)
app.command("notebooks")(publish.notebooks)
app.command("book")(publish.book)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process unless given.
    """
    try:
        app(args=arguments, prog_name="python -m analysis_lib")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a path that is too long, may not be read, or is not what it should
        if error.filename is None or error.strerror is None:
            raise
        what = f"cannot use {str(error.filename)!r} ({error.strerror})"
        print(f"error: {what}; check the path and its permissions", file=sys.stderr)
        return 2
    return 0
