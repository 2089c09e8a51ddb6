"""What a detector of instability may see, and when: three settings, and sets of features.

=============== =================================== ==========================================
setting         last snapshot of an unstable run    question
=============== =================================== ==========================================
contemporaneous its first bad one                   does the detector see that it is bad?
before          the one before its first bad one    does it see it coming?
init            the state before the first step     was it to be seen before training?
=============== =================================== ==========================================

A run that is bad at ``init`` has nothing before; it takes part in the first setting alone. A
stable run has no bad epoch, so its trace is cut where those of unstable runs are: within a program
with unstable runs it gets one of their last snapshots, elsewhere one of all unstable runs. The
length of a trace then says nothing about its label within a program. What it says in all is
reported, as the feature set *length*.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError, unknown
from analysis_lib.features import FeatureSet, audit_feature_set, extract
from analysis_lib.features.summary import summarise

__all__ = [
    "DETECTION_SETS",
    "SETTINGS",
    "cut_traces",
    "dimensionless_channels",
    "feature_table",
    "last_snapshots",
]

SETTINGS = ("contemporaneous", "before", "init")
"""When a detector is asked."""

SMALLEST = {"rho_size": 1e-6, "chi": 2.0**-24, "share": 1e-3}
DIMENSIONLESS = (
    "chi",
    "rho_size",
    "rho_negative",
    "rho_share_max",
    "rho_share_first",
    "rho_share_last",
)


def last_snapshots(runs: pd.DataFrame, setting: str, *, random_state: int = 0) -> pd.Series:
    """Return the last snapshot that a detector sees of every run that takes part.

    Parameters
    ----------
    runs : DataFrame
        run_id, program, unstable, first_bad_epoch (-1 is ``init``).
    setting : str
        One of :data:`SETTINGS`.
    random_state : int, default=0
        Which stable run is cut where.

    Returns
    -------
    Series indexed by run_id
        Epoch of the last visible snapshot, -1 for ``init``.

    Raises
    ------
    InputError
        If the setting is unknown, a column is missing, or no unstable run can take part.

    Examples
    --------
    >>> runs = pd.DataFrame({"run_id": list("abcd"), "program": list("ppqq"),
    ...                      "unstable": [True, False, True, False],
    ...                      "first_bad_epoch": [3, None, 0, None]})
    >>> last_snapshots(runs, "before").to_dict()
    {'a': 2, 'b': 2, 'c': -1, 'd': -1}
    """
    if setting not in SETTINGS:
        raise unknown("setting", setting, SETTINGS)
    missing = [c for c in ("run_id", "program", "unstable", "first_bad_epoch") if c not in runs]
    if missing:
        raise InputError(f"runs lacks the columns {', '.join(missing)}")
    bad = runs["first_bad_epoch"].astype("Int64").astype(float).to_numpy()
    last = bad if setting == "contemporaneous" else bad - 1
    unstable = runs["unstable"].to_numpy(dtype=bool)
    taking = ~unstable | (last >= -1)
    if not (taking & unstable).any():
        raise InputError("no unstable run has a snapshot that this setting may show")
    if setting == "init":
        last = np.full(len(runs), -1.0)
    else:
        rng = np.random.default_rng(random_state)
        everywhere = last[taking & unstable]
        last = last.copy()
        for rows in runs.groupby("program", sort=True).indices.values():
            own = last[rows[taking[rows] & unstable[rows]]]
            stable = rows[~unstable[rows]]
            last[stable] = _dealt(own if len(own) else everywhere, len(stable), rng)
    index = pd.Index(runs["run_id"].to_numpy()[taking], name="run_id")
    return pd.Series(last[taking].astype(int), index=index, name="last")


def cut_traces(epochs: pd.DataFrame, last: pd.Series) -> pd.DataFrame:
    """Return the snapshots of some runs up to the last one that may be seen of each.

    Parameters
    ----------
    epochs : DataFrame
        run_id, epoch, channels.
    last : Series indexed by run_id
        As :func:`last_snapshots` returns it.

    Returns
    -------
    DataFrame

    Examples
    --------
    >>> epochs = pd.DataFrame({"run_id": list("aab"), "epoch": [-1, 0, -1]})
    >>> cut_traces(epochs, pd.Series({"a": -1}))["epoch"].tolist()
    [-1]
    """
    return epochs[epochs["epoch"] <= epochs["run_id"].map(last).fillna(-2)]


def dimensionless_channels(epochs: pd.DataFrame, layers: pd.DataFrame) -> pd.DataFrame:
    """Return readings of the next step that depend neither on scale nor on size of a program.

    - chi, and the magnitude of rho with its sign apart (1 = negative curvature along the step);
    - how rho is spread over the layers: with r_l the part of layer l, the share
      ``|r_l| / sum |r|`` of the largest, of the first and of the last layer.

    Magnitudes are clipped to [2^-24, 2^24] (chi) and [1e-6, 1e6] (rho), shares to [1e-3, 1].
    Layers are recorded at some epochs only; at others the latest shares before them hold.

    Parameters
    ----------
    epochs : DataFrame
        run_id, epoch, train_loss, rho, chi.
    layers : DataFrame
        run_id, epoch, depth, rho of the layer.

    Returns
    -------
    DataFrame
        run_id, epoch, train_loss, and the six channels, in the order of run_id and epoch.

    Raises
    ------
    InputError
        If a column is missing.

    References
    ----------
    rho: directional sharpness, Pan and Li, arXiv:2306.00204. chi: critical sharpness,
    arXiv:2601.16979.

    Examples
    --------
    >>> epochs = pd.DataFrame({"run_id": "a", "epoch": [-1, 0], "train_loss": 1.0,
    ...                        "rho": [0.5, -2.0], "chi": [0.4, 3.0]})
    >>> layers = pd.DataFrame({"run_id": "a", "epoch": -1, "depth": [0.0, 1.0], "rho": [0.1, 0.4]})
    >>> found = dimensionless_channels(epochs, layers)
    >>> found["rho_share_last"].round(2).tolist()
    [0.8, 0.8]
    """
    for table, name, columns in (
        (epochs, "epochs", ("run_id", "epoch", "train_loss", "rho", "chi")),
        (layers, "layers", ("run_id", "epoch", "depth", "rho")),
    ):
        missing = [c for c in columns if c not in table]
        if missing:
            raise InputError(f"{name} lacks the columns {', '.join(missing)}")
    table = epochs[["run_id", "epoch", "train_loss"]].copy()
    rho, chi = (epochs[c].astype(float) for c in ("rho", "chi"))
    table["chi"] = chi.clip(SMALLEST["chi"], 1 / SMALLEST["chi"])
    table["rho_size"] = rho.abs().clip(SMALLEST["rho_size"], 1 / SMALLEST["rho_size"])
    table["rho_negative"] = (rho < 0).astype(float)
    parts = layers[["run_id", "epoch", "depth"]].assign(size=layers["rho"].abs().astype(float))
    parts = parts.sort_values(["run_id", "epoch", "depth"], kind="stable")
    whole = _sums(parts)
    parts["share"] = (parts["size"] / whole.where(whole > 0)).clip(SMALLEST["share"], 1)
    share = parts.groupby(["run_id", "epoch"])["share"]
    found = pd.DataFrame(
        {
            "rho_share_max": share.max(),
            "rho_share_first": share.nth(0).set_axis(share.size().index),
            "rho_share_last": share.nth(-1).set_axis(share.size().index),
        }
    )
    table = table.merge(found.reset_index(), on=["run_id", "epoch"], how="left")
    table = table.sort_values(["run_id", "epoch"], kind="stable").reset_index(drop=True)
    names = list(found)
    table[names] = table.groupby("run_id")[names].ffill()
    return table


def feature_table(
    corpus: Any, runs: pd.DataFrame, name: str, setting: str, *, random_state: int = 0
) -> pd.DataFrame:
    """Compute a set of features of the runs that take part in a setting.

    Parameters
    ----------
    corpus : corpus
        With ``epochs``, ``layers`` (for *dimensionless*) and ``runs`` (for the nuisances).
    runs : DataFrame
        The runs that may take part, with unstable and first_bad_epoch.
    name : str
        Key of :data:`DETECTION_SETS`.
    setting : str
        One of :data:`SETTINGS`.
    random_state : int, default=0
        Of :func:`last_snapshots`.

    Returns
    -------
    DataFrame of shape (n_runs, n_features), indexed by run_id

    Raises
    ------
    InputError
        If the set or the setting is unknown, or a column is missing.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> runs = pd.DataFrame({"run_id": list("ab"), "program": "p", "unstable": [True, False],
    ...                      "first_bad_epoch": [3, None]})
    >>> corpus = SimpleNamespace(runs=runs)
    >>> feature_table(corpus, runs, "length", "contemporaneous")["length"].to_dict()
    {'a': 3.0, 'b': 3.0}
    """
    if name not in DETECTION_SETS:
        raise unknown("feature set of detection", name, DETECTION_SETS)
    last = last_snapshots(runs, setting, random_state=random_state)
    make = DETECTION_SETS[name][1]
    return make(corpus, last).reindex(last.index)


def _dealt(cuts: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n cuts with the shares that ``cuts`` have, up to rounding."""
    return rng.permutation(np.resize(rng.permutation(cuts), n))


def _sums(parts: pd.DataFrame) -> pd.Series:
    """Sums over the layers of a snapshot, missing if one is."""
    by = [parts["run_id"], parts["epoch"]]
    holes = parts["size"].isna().groupby(by).transform("any")
    return parts["size"].groupby(by).transform("sum").mask(holes)


def _registered(corpus: Any, last: pd.Series, *, name: str) -> pd.DataFrame:
    return extract(cut_traces(corpus.epochs, last), name, window=None)


def _dimensionless(corpus: Any, last: pd.Series) -> pd.DataFrame:
    epochs = corpus.epochs[corpus.epochs["run_id"].isin(last.index)]
    layers = corpus.layers[corpus.layers["run_id"].isin(last.index)]
    table = cut_traces(dimensionless_channels(epochs, layers), last)
    compute = partial(summarise, initial=DIMENSIONLESS)
    own = FeatureSet("dimensionless", DIMENSIONLESS, compute, "readings of the next step")
    return extract(table, own, window=None)


def _loss(corpus: Any, last: pd.Series) -> pd.DataFrame:
    compute = partial(summarise, initial=("train_loss",))
    own = FeatureSet("loss", ("train_loss",), compute, "the training loss")
    return extract(cut_traces(corpus.epochs, last), own, window=None)


def _with_rate(corpus: Any, last: pd.Series) -> pd.DataFrame:
    parts = [_registered(corpus, last, name="curvature"), _audited(corpus, last, name="audit_rate")]
    return pd.concat(parts, axis=1)


def _audited(corpus: Any, last: pd.Series, *, name: str) -> pd.DataFrame:
    return extract(cut_traces(corpus.epochs, last), audit_feature_set(corpus, name), window=None)


def _length(corpus: Any, last: pd.Series) -> pd.DataFrame:
    return last.astype(float).to_frame("length")


DETECTION_SETS: Mapping[str, tuple[str, Callable]] = MappingProxyType(
    {
        "curvature": ("raw curvature", partial(_registered, name="curvature")),
        "dimensionless": ("dimensionless curvature", _dimensionless),
        "curvature_rate": ("raw curvature and rate", _with_rate),
        "optimizer": ("optimizer and activations", partial(_registered, name="optimizer")),
        "loss": ("training loss", _loss),
        "rate": ("learning rate", partial(_audited, name="audit_rate")),
        "program": ("program", partial(_audited, name="audit_program")),
        "length": ("length of the trace", _length),
    }
)
"""Sets of features: name -> (title, how it is computed)."""
