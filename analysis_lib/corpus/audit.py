"""Is the content of a corpus sound? What the checks of a store do not ask.

:func:`~analysis_lib.corpus.verify_store` asks whether the files are whole and as planned; here it
is asked whether the channels carry information, gaps have reasons, pairs are complete, and healthy
runs are healthy.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from analysis_lib.channels import CHANNELS
from analysis_lib.configuration import HEALTHY
from analysis_lib.corpus.load import Corpus
from analysis_lib.corpus.schema import TRACED

__all__ = [
    "EXPLAINED",
    "audit_corpus",
    "channel_ranges",
    "copied_channels",
    "missing_values",
    "repeated_traces",
    "without_kappa",
]

EXPLAINED = {
    "deepfd_weight_change_little": "DeepFD names this check, and never sets it",
}
"""Findings that are as they should be, and why; see :func:`audit_corpus`."""

_LIMITS = {"share": (0.0, 1.0), "flag": (0.0, 1.0), "count": (0.0, np.inf)}


def _traced(corpus: Corpus) -> pd.DataFrame:
    runs = corpus.runs[corpus.runs["status"].isin(TRACED)]
    names = ["run_id", "program", "configuration", "operator", "status", "unstable", "label"]
    return corpus.epochs.merge(runs[names], on="run_id")


def copied_channels(epochs: pd.DataFrame, channels: Sequence[str] | None = None) -> pd.DataFrame:
    """Find pairs of channels that hold the same values wherever both are finite.

    Parameters
    ----------
    epochs : DataFrame
        One row per run and snapshot.
    channels : sequence of str, optional
        Default: every column but run_id and epoch.

    Returns
    -------
    DataFrame
        ``first``, ``second``, ``same``: "value", or "order" if either is an increasing function of
        the other (Spearman's rank correlation above 1 - 1e-6, as many distinct values to 1 %).

    Examples
    --------
    >>> epochs = pd.DataFrame({"run_id": "a", "epoch": range(4), "loss": [4.0, 2.0, 1.0, 0.5]})
    >>> epochs = epochs.assign(square=epochs["loss"] ** 2, flat=1.0)
    >>> copied_channels(epochs).values.tolist()
    [['loss', 'square', 'order']]
    """
    names = list(channels or [c for c in epochs if c not in ("run_id", "epoch")])
    values = epochs[names].replace([np.inf, -np.inf], np.nan)
    correlation = values.rank().corr(min_periods=3).to_numpy()
    rows = []
    for i, j in np.argwhere(np.triu(correlation > 1 - 1e-6, k=1)):
        one, two = values[names[i]], values[names[j]]
        both = one.notna() & two.notna()
        fewer, more = sorted((one[both].nunique(), two[both].nunique()))
        if (one[both] == two[both]).all():
            rows.append({"first": names[i], "second": names[j], "same": "value"})
        elif fewer >= 0.99 * more:
            rows.append({"first": names[i], "second": names[j], "same": "order"})
    return pd.DataFrame(rows, columns=["first", "second", "same"])


def missing_values(corpus: Corpus) -> pd.DataFrame:
    """Count missing values by channel and reason.

    A value is missing because the run ``ended`` (became non-finite, so that nothing was
    measured), because it is ``overflowed`` in a run that exploded, because it does ``not exist``
    (all seeds of the configuration lack it at that snapshot: no classes, no rectifier, no step
    yet; or see :func:`without_kappa`), or for an ``unknown`` reason.

    Returns
    -------
    DataFrame indexed by channel
        Shares of all snapshots: ended, overflowed, not exist, unknown.
    """
    table = _traced(corpus)
    names = corpus.channels
    missing = table[names].isna()
    ended = missing.all(axis=1) | table[_present(names, "train_loss")].isna().all(axis=1)
    exploded = table["unstable"] | (table["status"] != "ok") | np.isinf(table[names]).any(axis=1)
    at = [table["configuration"], table["epoch"]]
    absent = missing.groupby(at, sort=False).transform("mean").eq(1.0)
    calm = missing.loc[~exploded]
    everywhere = calm.groupby([table["program"], table["epoch"]], sort=False).transform("mean")
    structural = absent | everywhere.eq(1.0).reindex(missing.index, fill_value=False)
    if "kappa" in names:
        structural["kappa"] |= without_kappa(table)
    reason = {}
    left = missing.copy()
    for name, mask in (
        ("ended", _wide(ended, names)),
        ("not exist", structural),
        ("overflowed", _wide(exploded, names)),
    ):
        reason[name] = (left & mask).mean()
        left &= ~mask
    reason["unknown"] = left.mean()
    order = ["ended", "overflowed", "not exist", "unknown"]
    return pd.DataFrame(reason, index=pd.Index(names, name="channel"))[order]


def without_kappa(epochs: pd.DataFrame) -> pd.Series:
    """Return at which snapshots kappa cannot be known although other channels are.

    An adaptive optimizer has no preconditioner before its first step, which comes after more than
    one epoch where gradients are accumulated over many batches; and without finite products with
    the Hessian there is no eigenvalue.

    Parameters
    ----------
    epochs : DataFrame
        Columns run_id, epoch, kappa and, if it was asked for, hvp_norm; snapshots in order.

    Returns
    -------
    Series of bool
        With the index of ``epochs``.
    """
    begun = epochs["kappa"].notna().groupby(epochs["run_id"], sort=False).cummax()
    return ~begun | (epochs["hvp_norm"].isna() if "hvp_norm" in epochs else False)


def _present(names: Sequence[str], *wanted: str) -> list[str]:
    return [name for name in wanted if name in names]


def _wide(rows: pd.Series, names: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        np.repeat(rows.to_numpy()[:, None], len(names), axis=1), index=rows.index, columns=names
    )


def repeated_traces(corpus: Corpus) -> pd.DataFrame:
    """Find runs of different configurations whose traces are equal in every channel.

    Returns
    -------
    DataFrame
        ``configuration``, ``like`` (the first of its group), ``seeds``: how many of its runs.
    """
    names = corpus.channels
    rows = pd.util.hash_pandas_object(corpus.epochs[["epoch", *names]], index=False)
    whole = rows.groupby(corpus.epochs["run_id"], sort=False).agg(tuple)
    runs = corpus.runs[["run_id", "configuration"]].assign(trace=corpus.runs["run_id"].map(whole))
    runs = runs.dropna(subset="trace").sort_values("configuration", kind="stable")
    runs["like"] = runs.groupby("trace")["configuration"].transform("first")
    twice = runs[runs["like"] != runs["configuration"]]
    return twice.groupby(["configuration", "like"]).size().rename("seeds").reset_index()


def channel_ranges(corpus: Corpus) -> pd.DataFrame:
    """Describe every channel over the stable runs.

    Returns
    -------
    DataFrame indexed by channel
        unit, low, median, high (over finite values), missing (share), sane (whether shares and
        flags lie in [0, 1], and counts and norms are not negative).
    """
    table = _traced(corpus)
    stable = table.loc[~table["unstable"] & (table["status"] == "ok"), corpus.channels]
    finite = stable.replace([np.inf, -np.inf], np.nan)
    low, high = finite.min(), finite.max()
    unit = pd.Series({name: CHANNELS.get(name, ("", ""))[0] for name in corpus.channels})
    floor = pd.Series({n: _floor(n, unit[n]) for n in corpus.channels})
    ceiling = unit.map(lambda u: _LIMITS.get(u, (0, np.inf))[1])
    return pd.DataFrame(
        {
            "unit": unit,
            "low": low,
            "median": finite.median(),
            "high": high,
            "missing": stable.isna().mean(),
            "sane": ~(low < floor - 1e-6) & ~(high > ceiling + 1e-6),
        }
    ).rename_axis("channel")


def _floor(name: str, unit: str) -> float:
    if unit in _LIMITS:
        return 0.0
    return 0.0 if "norm" in name or name.endswith(("_std", "_se", "_residual")) else -np.inf


def _pairs(runs: pd.DataFrame) -> list[str]:
    plain = runs[(runs["operator"] == HEALTHY) & (runs["parameters"] == "{}")]
    have = set(zip(plain["program"], plain["seed"], strict=True))
    lacks = [k for k in zip(runs["program"], runs["seed"], strict=True) if k not in have]
    seeds = runs.groupby("configuration")["seed"].nunique()
    short = seeds.index[seeds < runs["seed"].nunique()]
    return [f"{p}, seed {s}" for p, s in sorted(set(lacks))] + list(short)


def _unwell(corpus: Corpus) -> list[str]:
    """Healthy runs that failed, exploded, or ended far from the others: by half the usual gain."""
    healthy = corpus.runs[corpus.runs["operator"] == HEALTHY].set_index("run_id")
    metric = corpus.epochs[corpus.epochs["run_id"].isin(healthy.index)].pivot(
        index="run_id", columns="epoch", values="valid_metric"
    )
    sign = np.where(healthy["higher_is_better"], 1, -1)
    ends = (
        metric.iloc[:, [0, -1]]
        .reindex(healthy.index)
        .mul(sign, axis=0)
        .set_axis(["first", "last"], axis=1)
    )
    declared = ends.where(healthy["parameters"] == "{}").groupby(healthy["program"]).median()
    usual = declared.reindex(healthy["program"]).set_index(healthy.index)
    enough = ends["last"] >= (usual["first"] + usual["last"]) / 2
    ill = healthy[~enough | (healthy["status"] != "ok") | healthy["unstable"]]
    return sorted(f"{r.configuration}, seed {r.seed}" for r in ill.itertuples())


def audit_corpus(corpus: Corpus, *, explained: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Ask whether the content of a corpus is sound.

    Parameters
    ----------
    corpus : Corpus
    explained : mapping, optional
        Names that are left out of a finding, with the reason; default :data:`EXPLAINED`.

    Returns
    -------
    DataFrame
        One row per question: ``question``, ``found`` (how many), ``ok``, ``detail`` (the first
        five).

    Examples
    --------
    >>> from analysis_lib import load_corpus
    >>> audit = audit_corpus(load_corpus(programs=["snn_wine"]))
    >>> audit["question"].iloc[0]
    'channels that never change'
    """
    explained = EXPLAINED if explained is None else explained
    epochs, names = corpus.epochs, corpus.channels
    constant = [n for n in names if epochs[n].nunique(dropna=True) < 2]
    copies = copied_channels(epochs[names].drop(columns=constant))
    twins = repeated_traces(corpus)
    ranges = channel_ranges(corpus)
    unknown = missing_values(corpus)["unknown"]
    questions: dict[str, Callable[[], list[str]]] = {
        "channels that never change": lambda: constant,
        "channels that repeat another": lambda: [
            f"{c.second} ({c.same} of {c.first})" for c in copies.itertuples()
        ],
        "channels with values missing for an unknown reason": lambda: [
            f"{n} ({share:.2%})" for n, share in unknown[unknown > 0].items()
        ],
        "channels out of their range": lambda: list(ranges.index[~ranges["sane"]]),
        "configurations whose traces repeat another's": lambda: [
            f"{t.configuration} like {t.like}" for t in twins.itertuples()
        ],
        "configurations with incomplete pairs": lambda: _pairs(corpus.runs),
        "healthy runs that are not well": lambda: _unwell(corpus),
        "columns about the machine that look like channels": lambda: [
            n for n in names if n.startswith("meta_") or n not in CHANNELS
        ],
    }
    rows = []
    for question, ask in questions.items():
        found = [f for f in ask() if f.split(" ")[0] not in explained]
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        detail = "; ".join(found[:5]) + more
        rows.append({"question": question, "found": len(found), "ok": not found, "detail": detail})
    return pd.DataFrame(rows)
