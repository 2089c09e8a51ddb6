"""The command that checks prediction files and ranks them beside techniques."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis_lib.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["leaderboard"]


def leaderboard(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files with predictions (.parquet, .csv), or folders of these."),
    ] = None,
    technique: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE.py", help="A registered technique, or a file that declares some."
        ),
    ] = None,
    task: Annotated[
        str, typer.Option(help="Task of the techniques, and of files that do not say.")
    ] = "typing-4",
    strategies: Annotated[
        str, typer.Option(help="Splits of the techniques, separated by commas.")
    ] = "E1,E4",
    window: Annotated[int, typer.Option(min=0, max=12, help="Epochs that they see.")] = 5,
    groups: Annotated[
        int, typer.Option(min=0, help="Groups of programs held out in turn; 0 is one at a time.")
    ] = 5,
    programs: Annotated[int, typer.Option(min=0, help="Programs that take part; 0 is all.")] = 0,
    corpus: Annotated[Path | None, typer.Option(help="Folder of another corpus.")] = None,
    jobs: Annotated[int, typer.Option(min=-1, help="Worker processes; -1 is all cores.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of programs, folds and estimators.")] = 0,
    save: Annotated[
        Path | None, typer.Option(help="Folder to which the techniques' predictions go.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the board to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the board as a page.")] = None,
) -> None:
    """Check files of predictions, fit techniques, and rank them by task, split and track."""
    if not files and not technique:
        raise InputError("nothing to rank; give a file with predictions, or --technique")
    for path in (csv, html):
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"the folder {path.parent} does not exist")

    from analysis_lib import ROOT, load_corpus
    from analysis_lib import leaderboard as board
    from analysis_lib.techniques import get_technique, load_techniques

    data = load_corpus(corpus)
    runs: dict = {}

    def runs_of(name: str) -> "pd.DataFrame":
        if name not in runs:
            runs[name] = board.task_runs(data, name, n_programs=programs, random_state=seed)
        return runs[name]

    entries = []
    for path in files or ():
        for entry in board.read_entries(path, task=task):
            entries.append(board.check_entry(entry, runs_of(entry.task), corpus=data))
            typer.echo(f"{entry.source}: {entry.name} fits")
    own = [name for name in technique or () if Path(name).suffix == ".py"]
    chosen = [get_technique(name) for name in technique or () if name not in own]
    chosen += load_techniques(own).values() if own else []
    if chosen:
        found = board.study_entries(
            data,
            runs_of(task),
            task,
            techniques=chosen,
            windows=[window],
            strategies=[name.strip() for name in strategies.split(",")],
            n_groups=groups,
            random_state=seed,
            n_jobs=jobs,
            cache=ROOT / "_build" / "predictions",
        )
        entries += found
        if save is not None:
            for entry in found:
                path = board.save_entry(entry, save, runs=runs_of(task), corpus=data)
                typer.echo(f"saved {path}")
    if not entries:
        raise InputError("the folders hold no file with predictions")
    table = board.leaderboard(entries, random_state=seed)
    typer.echo(_lines(table))
    if csv is not None:
        table.to_csv(csv, index=False)
    if html is not None:
        html.write_text(board.board_table(table, caption="Leaderboard.").to_page(), "utf-8")


def _lines(table: "pd.DataFrame") -> str:
    from analysis_lib.leaderboard import CONTEST, board_columns

    shown, texts = board_columns(table)
    shown = shown.assign(**texts)
    names = ["rank", "technique", "macro recall", "behind the best"]
    names += [name for name in ("worst quarter", "gap to E1", "CPU seconds") if name in shown]
    blocks = []
    for contest, part in table.groupby(CONTEST, sort=False):
        task, strategy, held_out, window, track = contest
        kind = f"{strategy}, {held_out}" if held_out else strategy
        rows = shown.loc[part.index, names].to_string(index=False, float_format="%.3g")
        blocks.append(f"{task}, {kind}, {window} epochs, track {track}\n{rows}")
    return "\n\n".join(blocks)
