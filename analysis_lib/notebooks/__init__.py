"""The batch engine: parameters checked first, notebooks run in order, what is done kept."""

from analysis_lib.notebooks.engine import NotebookFailed, run
from analysis_lib.notebooks.planning import Notebook, Project, pending, plan, record_of

__all__ = ["Notebook", "NotebookFailed", "Project", "pending", "plan", "record_of", "run"]
