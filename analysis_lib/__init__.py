"""Fault injection, curvature extraction and honest evaluation of fault diagnosis.

The names below are the public surface; everything else is reached through its module.
Importing the package is cheap: names are loaded on first use.
"""

from importlib import import_module
from pathlib import Path

__version__ = "0.1.0"

ROOT = Path(__file__).resolve().parents[1]
"""Folder of the project."""

DATA = ROOT / "data"
"""Folder of the shipped corpus."""

_HOME = {
    # programs and faults
    "Program": "programs",
    "get_program": "programs",
    "list_programs": "programs",
    "Operator": "faults",
    "get_operator": "faults",
    "list_operators": "faults",
    # runs and traces
    "Configuration": "configuration",
    "Run": "configuration",
    "Monitor": "monitor",
    "Trace": "training",
    "train": "training",
    # the corpus
    "Corpus": "corpus",
    "load_corpus": "corpus",
    "make_plan": "corpus",
    # a program of one's own
    "own_corpus": "injection",
    "own_program": "injection",
    # evaluation of one's own
    "gap_report": "harness",
    # diagnosis of one run
    "Diagnosis": "diagnosis",
    "diagnose": "diagnosis",
    # errors
    "InputError": "errors",
}

__all__ = ["DATA", "ROOT", "__version__", *_HOME]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'analysis_lib' has no attribute '{name}'")
    return getattr(import_module(f"analysis_lib.{_HOME[name]}"), name)


def __dir__():
    return sorted(__all__)
