"""Techniques of the leak audit: what nuisance columns and released leaks buy. Never in a result."""

from typing import Any

from sklearn.base import BaseEstimator

from analysis_lib.features.audit import audit_feature_set
from analysis_lib.techniques.deepfd import make_deepfd
from analysis_lib.techniques.general import make_forest
from analysis_lib.techniques.hierarchy import HierarchicalForest
from analysis_lib.techniques.technique import Technique
from analysis_lib.techniques.umlaut import Umlaut

__all__ = ["audit_techniques"]


def audit_techniques(corpus: Any) -> dict[str, Technique]:
    """Return the techniques that read what must not be a feature, or leak as released.

    They are in no registry: a study gets them from here or not at all.

    Parameters
    ----------
    corpus : corpus
        With ``runs`` (``meta_*`` columns included) and ``epochs``.

    Returns
    -------
    dict of str to Technique
        By name. ``audit-...``: a forest that sees only the learning rate, the number of epochs,
        steps and batch size, CPU and wall-clock seconds, the program, or all of these.
        ``...-as-released``: DEFault's hierarchy with hardware, rate and epoch among its features
        and preprocessing fitted on test rows, too; DeepFD with its shifted columns.
        ``UMLAUT-with-rate``: UMLAUT with its rule on the learning rate.

    Examples
    --------
    >>> import pandas as pd
    >>> from types import SimpleNamespace
    >>> columns = ["learning_rate", "steps", "batch_size", "cpu_s", "wall_s"]
    >>> runs = pd.DataFrame({"run_id": ["a"], "program": ["p"]} | {f"meta_{c}": 1 for c in columns})
    >>> epochs = pd.DataFrame({"run_id": ["a"], "epoch": [-1]})
    >>> sorted(audit_techniques(SimpleNamespace(runs=runs, epochs=epochs)))[0]
    'DEFault-as-released'
    """
    nuisances = {
        "audit-rate": "learning rate alone",
        "audit-epochs": "number of epochs alone",
        "audit-steps": "steps and batch size alone",
        "audit-hardware": "CPU and wall-clock seconds alone",
        "audit-program": "program alone",
        "audit-all": "all nuisance columns",
    }
    found = [
        Technique(
            name,
            audit_feature_set(corpus, name.replace("-", "_")),
            make_forest,
            f"leak audit: {description}, forest",
        )
        for name, description in nuisances.items()
    ]
    found += [
        Technique(
            "DEFault-as-released",
            audit_feature_set(corpus, "default_as_released"),
            _default_as_released,
            "leak audit: DEFault with hardware and rate, test rows in the preprocessing",
        ),
        Technique(
            "DeepFD-as-released",
            audit_feature_set(corpus, "deepfd_as_released"),
            make_deepfd,
            "leak audit: DeepFD with its shifted header",
        ),
        Technique(
            "UMLAUT-with-rate",
            audit_feature_set(corpus, "umlaut_with_rate"),
            _umlaut_with_rate,
            "leak audit: UMLAUT with its rule on the learning rate",
        ),
    ]
    return {technique.name: technique for technique in found}


def _default_as_released(random_state: int | None = None) -> BaseEstimator:
    return HierarchicalForest(as_released=True, random_state=random_state)


def _umlaut_with_rate(random_state: int | None = None) -> BaseEstimator:
    return Umlaut(rate=True)
