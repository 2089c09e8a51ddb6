"""Faults in a program of one's own: a PyTorch module, data and a loss, and a loop if there is one.

:func:`own_program` makes a program of them without rewriting any, :func:`fault_table` says which
faults can be put into it and why others cannot, :func:`own_corpus` trains a small corpus, and
:func:`predict_unseen` asks whether what was learned on other programs diagnoses it.
"""

from importlib import import_module

_HOME = {
    "OwnProgram": "program",
    "configuration_table": "corpus",
    "fault_table": "program",
    "own_corpus": "corpus",
    "own_program": "declare",
    "train_own": "loop",
    "predict_unseen": "unseen",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    # a process that trains needs nothing of what publishes and evaluates
    if name not in _HOME:
        raise AttributeError(f"module 'analysis_lib.injection' has no attribute '{name}'")
    return getattr(import_module(f"analysis_lib.injection.{_HOME[name]}"), name)
