"""The board as readers see it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.leaderboard.board import CONTEST
from analysis_lib.leaderboard.page import SortableTable
from analysis_lib.leaderboard.tasks import TASKS
from analysis_lib.report import NAME

__all__ = ["BoardFile", "board_columns", "board_table", "split_names"]

SHOWN = {
    "technique": "technique",
    "rank": "rank",
    "score": "macro recall",
    "behind": "behind the best",
    "gap": "gap to E1",
    "task": "task",
    "split": "split",
    "track": "track",
    "epochs": "epochs seen",
    "target_runs": "target runs",
    "seconds": "CPU seconds",
    "worst_quartile": "worst quarter",
    "pooled": "pooled accuracy",
    "brier": "Brier",
    "log_loss": "log-loss",
    "auc": "AUC",
    "chance": "chance",
    "programs": "programs",
}
ENDS = {
    "score": ("low", "high"),
    "behind": ("behind_low", "behind_high"),
    "pooled": ("pooled_low", "pooled_high"),
    "gap": ("gap_low", "gap_high"),
}


def split_names(board: pd.DataFrame) -> pd.Series:
    """Return strategy and number of groups as text, such as "E4, 5 groups"."""
    return board["strategy"] + board["held_out"].map(lambda kind: kind and f", {kind}")


def board_columns(board: pd.DataFrame) -> tuple[pd.DataFrame, dict]:
    """Return the columns that are shown, named for readers, and how their values are written.

    Parameters
    ----------
    board : DataFrame
        As :func:`~analysis_lib.leaderboard.board.leaderboard` returns it.

    Returns
    -------
    table : DataFrame
        Columns without any value are left out.
    texts : dict of str to list of str
        Of columns with intervals, and of the rank: "1 =" for several that share it.
    """
    board = board.assign(split=split_names(board))
    titles = board["task"].map(lambda name: TASKS[name].title)
    shown = {old: new for old, new in SHOWN.items() if board[old].notna().any()}
    table = board.assign(task=titles)[list(shown)].rename(columns=shown)
    tied = board.groupby([*CONTEST, "rank"], dropna=False)["rank"].transform("size") > 1
    texts = {"rank": [f"{r} =" if t else str(r) for r, t in zip(board["rank"], tied, strict=True)]}
    for column in ENDS:
        if column in shown:
            rows = board[[column, *ENDS[column]]].to_numpy(dtype=float)
            texts[shown[column]] = [_with_interval(*row) for row in rows]
    leads = (board["behind"] == 0) & (board["behind_high"] == 0)
    behind = zip(texts["behind the best"], leads, strict=True)
    texts["behind the best"] = ["best" if leading else text for text, leading in behind]
    return table, texts


def board_table(
    board: pd.DataFrame,
    *,
    name: str = "leaderboard",
    caption: str = "All entries.",
    chosen: Mapping[str, str] | None = None,
) -> SortableTable:
    """Return the board as a table to sort and filter.

    Parameters
    ----------
    board : DataFrame
        As :func:`~analysis_lib.leaderboard.board.leaderboard` returns it.
    name, caption : str
    chosen : mapping of str to str, optional
        What the filters (task, split, track, epochs seen) show at first; by default all.

    Raises
    ------
    InputError
        If a filter chooses what is not there.
    """
    table, texts = board_columns(board)
    forms = dict.fromkeys(("worst quarter", "Brier", "log-loss", "AUC", "chance"), ".3f")
    forms |= {"CPU seconds": ".3g", "target runs": ".0f"}
    filters = dict.fromkeys(("task", "split", "track", "epochs seen"), "") | dict(chosen or {})
    falling = ("macro recall", "pooled accuracy", "worst quarter", "AUC")
    return SortableTable(
        table,
        name=name,
        caption=caption,
        formats={k: v for k, v in forms.items() if k in table} | texts,
        filters=filters,
        descending=[column for column in falling if column in table],
    )


class BoardFile:
    """The board with every column, which the book offers as a CSV file and shows nowhere.

    Parameters
    ----------
    board : DataFrame
        As :func:`~analysis_lib.leaderboard.board.leaderboard` returns it.
    name : str
        Of the file, unique in the book: lower-case letters, digits and hyphens.

    Examples
    --------
    >>> BoardFile(pd.DataFrame({"technique": ["a", "b"], "score": [0.6, 0.5]}), name="tab-all")
    2 entries with 2 columns
    """

    def __init__(self, board: pd.DataFrame, *, name: str):
        if not NAME.fullmatch(name):
            raise InputError(f"name {name!r} of a file does not fit; try 'tab-board'")
        self.board, self.name = board, name

    def __repr__(self) -> str:
        return f"{len(self.board)} entries with {self.board.shape[1]} columns"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        link = f"{{download}}`Download as CSV <tables/{self.name}.csv>`"
        data = {
            "text/plain": repr(self),
            "text/html": f"<p>{self!r}</p>",
            "text/markdown": f"{self!r}: {link}",
        }
        return data, {"table": {"name": self.name, "csv": self.board.to_csv(index=False)}}


def _with_interval(value: float, low: float, high: float) -> str:
    if np.isnan(value):
        return "–"
    # "z": what rounds to zero has no sign
    return f"{value:z.3f}" + (f" [{low:z.3f}, {high:z.3f}]" if np.isfinite(low + high) else "")
