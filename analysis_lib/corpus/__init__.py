"""The corpus: planned, generated run by run into a journal, published as Parquet, and loaded.

Names are loaded on first use, so that a notebook that only loads a corpus imports nothing else.
``generate``, ``publish``, ``repair``, ``reproduce`` and ``restore`` are modules with a function of
that name.
"""

from importlib import import_module

_HOME = {
    "Corpus": "load",
    "Journal": "journal",
    "audit_corpus": "audit",
    "load_corpus": "load",
    "make_plan": "plan",
    "sample_programs": "sample",
    "status": "verify",
    "verify_store": "verify",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'analysis_lib.corpus' has no attribute '{name}'")
    return getattr(import_module(f"analysis_lib.corpus.{_HOME[name]}"), name)
