"""The leaderboard: techniques by tasks, splits and tracks, from saved predictions."""

from analysis_lib.leaderboard.board import (
    CONTEST,
    leaderboard,
    leaders,
    probability_scores,
    rank_scores,
)
from analysis_lib.leaderboard.check import check_entry
from analysis_lib.leaderboard.entries import (
    Entry,
    read_entries,
    save_entry,
    split_entries,
)
from analysis_lib.leaderboard.page import SortableTable
from analysis_lib.leaderboard.study import study_entries, transfer_entries
from analysis_lib.leaderboard.tasks import (
    TASKS,
    Task,
    get_task,
    task_digest,
    task_runs,
    task_traces,
)
from analysis_lib.leaderboard.view import BoardFile, board_columns, board_table, split_names
from analysis_lib.transfer import TRACKS

__all__ = [
    # tasks
    "TASKS",
    "Task",
    "get_task",
    "task_digest",
    "task_runs",
    "task_traces",
    # entries
    "TRACKS",
    "Entry",
    "check_entry",
    "read_entries",
    "save_entry",
    "split_entries",
    "study_entries",
    "transfer_entries",
    # the board
    "CONTEST",
    "leaderboard",
    "leaders",
    "probability_scores",
    "rank_scores",
    # as readers see it
    "BoardFile",
    "SortableTable",
    "board_columns",
    "board_table",
    "split_names",
]
