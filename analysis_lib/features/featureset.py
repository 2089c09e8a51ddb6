"""What a feature set is, the registry of them, and how one is computed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError, unknown
from analysis_lib.features import curvature, deepfd, default, optimizer, rules, scalefree
from analysis_lib.features.values import Cube, make_cube

__all__ = ["FEATURE_SETS", "FeatureSet", "extract", "get_feature_set"]

NEVER = frozenset("run_id epoch program configuration seed status label killed".split())


def _forbidden(name: str) -> bool:
    return str(name).startswith("meta_") or name in NEVER


@dataclass(frozen=True)
class FeatureSet:
    """A named function from traces to features.

    Parameters
    ----------
    name : str
    channels : tuple of str
        Epoch channels it reads, in the order in which ``compute`` gets them.
    compute : callable
        From a :class:`~analysis_lib.features.values.Cube` to a dict of arrays of shape (n_runs,).
    description : str
        One line.

    Raises
    ------
    InputError
        If a channel is a ``meta_`` column or says which run or program it is.

    Examples
    --------
    >>> first = FeatureSet(
    ...     "first", ("train_loss",), lambda cube: {"loss": cube.values[:, 0, 0]}, "before training"
    ... )
    >>> epochs = pd.DataFrame({"run_id": ["a", "a"], "epoch": [-1, 0], "train_loss": [2.0, 1.0]})
    >>> extract(epochs, first, window=1)["loss"].to_dict()
    {'a': 2.0}
    """

    name: str
    channels: tuple[str, ...]
    compute: Callable[[Cube], dict[str, np.ndarray]]
    description: str

    def __post_init__(self):
        wrong = [c for c in self.channels if _forbidden(c)]
        if wrong:
            raise InputError(
                f"feature set '{self.name}' reads {', '.join(wrong)}; a feature must come from "
                "a recorded channel, never from machine, time, identity or rate columns"
            )


FEATURE_SETS: Mapping[str, FeatureSet] = MappingProxyType(
    {
        s.name: s
        for s in (
            FeatureSet(
                "default",
                default.CHANNELS,
                default.default_features,
                "DEFault: mean of 26 logged columns over the window",
            ),
            FeatureSet(
                "default_faithful",
                default.CHANNELS,
                default.faithful_features,
                "DEFault: the same as published, without logarithm and indicator",
            ),
            FeatureSet(
                "deepfd",
                deepfd.CHANNELS,
                deepfd.deepfd_features,
                "DeepFD: eight statistics of 18 checks and 4 curves",
            ),
            FeatureSet(
                "curvature",
                curvature.CHANNELS,
                curvature.curvature_features,
                "Hessian-vector products and gradients: level and trend",
            ),
            FeatureSet(
                "optimizer",
                optimizer.CHANNELS,
                optimizer.optimizer_features,
                "optimizer steps, weights and activations: level and trend",
            ),
            FeatureSet(
                "scalefree",
                scalefree.CHANNELS,
                scalefree.scalefree_features,
                "ratios, shares, cosines and slopes that do not depend on units",
            ),
            FeatureSet(
                "dimensionless",
                scalefree.CURVATURE_CHANNELS,
                scalefree.dimensionless_features,
                "the ratios of curvature alone: chi, rho, kappa, spectrum, layers",
            ),
            *(
                FeatureSet(name, channels, rules.per_epoch, f"curves that {title} reads")
                for name, channels, title in (
                    ("autotrainer", rules.AUTOTRAINER, "AutoTrainer"),
                    ("deeplocalize", rules.DEEPLOCALIZE, "DeepLocalize"),
                    ("umlaut", rules.UMLAUT, "UMLAUT"),
                    ("deepdiagnosis", rules.DEEPDIAGNOSIS, "DeepDiagnosis"),
                )
            ),
        )
    }
)
"""The feature sets by name."""


def get_feature_set(name: str) -> FeatureSet:
    """Return a registered feature set; an unknown name is an InputError.

    Examples
    --------
    >>> "train_loss" in get_feature_set("deepfd").channels
    True
    """
    if name not in FEATURE_SETS:
        raise unknown("feature set", name, FEATURE_SETS)
    return FEATURE_SETS[name]


def extract(
    corpus_or_epochs: Any, feature_set: str | FeatureSet, *, window: int | None
) -> pd.DataFrame:
    """Compute the features of every run.

    Parameters
    ----------
    corpus_or_epochs : corpus or DataFrame
        A corpus, or its ``epochs`` table: run_id, epoch (-1 = ``init``), channels.
    feature_set : str or FeatureSet
        A key of :data:`FEATURE_SETS`, or a set of one's own.
    window : int or None
        Number of epochs that are visible: snapshots with epoch < ``window``. 0 is ``init``
        alone; None is the whole trace.

    Returns
    -------
    DataFrame of shape (n_runs, n_features), indexed by run_id
        float64, every value finite.

    Raises
    ------
    InputError
        If the set is unknown, a channel is missing, the window is invalid, or a run has no
        snapshot in it.

    Examples
    --------
    >>> epochs = pd.DataFrame({"run_id": ["a", "a"], "epoch": [-1, 0], "train_loss": [2.0, 1.0]})
    >>> own = FeatureSet("last loss", ("train_loss",),
    ...                  lambda cube: {"loss": cube.values[:, -1, 0]}, "loss at the end")
    >>> extract(epochs, own, window=1)["loss"].tolist()
    [1.0]
    """
    chosen = get_feature_set(feature_set) if isinstance(feature_set, str) else feature_set
    epochs = getattr(corpus_or_epochs, "epochs", corpus_or_epochs)
    cube = make_cube(epochs, chosen.channels, window=window)
    columns = chosen.compute(cube)
    table = pd.DataFrame(columns, index=pd.Index(cube.run_ids, name="run_id"), dtype=float)
    wrong = [c for c in table if _forbidden(c)]
    if wrong or not np.isfinite(table.to_numpy()).all():
        raise InputError(
            f"feature set '{chosen.name}' returned "
            + (f"the column {wrong[0]}" if wrong else "values that are not finite")
            + "; features are finite numbers computed from channels"
        )
    return table
