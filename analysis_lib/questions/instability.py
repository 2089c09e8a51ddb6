"""Unstable runs described: when they go bad, at which values of a channel, by which definition."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.evaluation import bootstrap_programs, t_interval
from analysis_lib.labels import first_bad_epoch

__all__ = [
    "LABEL_VARIANTS",
    "explosion_counts",
    "informative_programs",
    "label_sensitivity",
    "quintile_contrast",
    "rate_by_bin",
    "rate_by_quintile",
    "relabel",
]

NOT_FINITE = "not finite"

LABEL_VARIANTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "as defined": {"explosion_factor": 1e3, "explosion_floor": 1e5},
        "factor 100": {"explosion_factor": 1e2, "explosion_floor": 1e5},
        "factor 10,000": {"explosion_factor": 1e4, "explosion_floor": 1e5},
        "factor 100, no floor": {"explosion_factor": 1e2, "explosion_floor": 0.0},
        "loss above 1,000": {"explosion_factor": 0.0, "explosion_floor": 1e3},
        "not finite only": {"explosion_factor": 0.0, "explosion_floor": np.inf},
    }
)
"""Definitions of an unstable run: name -> thresholds of
:func:`analysis_lib.labels.first_bad_epoch`.

AutoTrainer's bound is a loss of 1,000; the study does not state its own.
"""


def explosion_counts(runs: pd.DataFrame) -> pd.DataFrame:
    """Count unstable runs by category and first bad epoch.

    Parameters
    ----------
    runs : DataFrame
        category, unstable, first_bad_epoch.

    Returns
    -------
    DataFrame indexed by category
        One column per epoch from -1 (``init``) to the last at which a run goes bad; categories
        without unstable runs are rows of zeros.

    Raises
    ------
    InputError
        If a column is missing.

    Examples
    --------
    >>> runs = pd.DataFrame({"category": ["Loss", "Loss", "Data"], "unstable": [True, True, False],
    ...                      "first_bad_epoch": [0, 0, None]})
    >>> explosion_counts(runs).loc["Loss"].to_dict()
    {-1: 0, 0: 2}
    """
    require(runs, "runs", ("category", "unstable", "first_bad_epoch"))
    bad = runs[runs["unstable"].astype(bool)]
    epoch = bad["first_bad_epoch"].astype(int)
    counts = pd.crosstab(bad["category"], epoch)
    span = range(-1, max(int(epoch.max()), 0) + 1) if len(bad) else range(-1, 1)
    categories = sorted(runs["category"].dropna().unique())
    return counts.reindex(index=categories, columns=list(span), fill_value=0)


def informative_programs(runs: pd.DataFrame, *, min_runs: int = 1) -> pd.DataFrame:
    """Return what every program can say about instability.

    Parameters
    ----------
    runs : DataFrame
        program, configuration, unstable, first_bad_epoch.
    min_runs : int, default=1
        Runs of each kind that a program needs for an AUC of its own.

    Returns
    -------
    DataFrame indexed by program
        runs, unstable, bad_at_init, late (first bad epoch above 0), configurations (with an
        unstable run), informative.
    """
    require(runs, "runs", ("program", "configuration", "unstable", "first_bad_epoch"))
    bad = runs["unstable"].astype(bool)
    epoch = runs["first_bad_epoch"].astype("Int64").astype(float)
    table = pd.DataFrame(
        {
            "program": runs["program"],
            "runs": 1,
            "unstable": bad.astype(int),
            "bad_at_init": (epoch == -1).astype(int),
            "late": (epoch > 0).astype(int),
        }
    )
    table = table.groupby("program").sum()
    hit = runs[bad].groupby("program")["configuration"].nunique()
    table["configurations"] = hit.reindex(table.index, fill_value=0)
    stable = table["runs"] - table["unstable"]
    table["informative"] = (table["unstable"] >= min_runs) & (stable >= min_runs)
    return table


def rate_by_quintile(
    epochs: pd.DataFrame,
    runs: pd.DataFrame,
    channels: Iterable[str],
    *,
    epoch: int = 0,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return the instability rate in every fifth of a channel's values, overall and in programs.

    Overall, a fifth holds a fifth of all runs; programs whose channel is large fill the upper
    ones. Within programs, runs are ranked among those of their own program, so every program has
    a fifth of its runs in each. Runs whose value is not finite are counted apart.

    Parameters
    ----------
    epochs : DataFrame
        run_id, epoch, channels.
    runs : DataFrame
        run_id, program, unstable.
    channels : iterable of str
        Channels of ``epochs``, or numeric columns of ``runs``.
    epoch : int, default=0
        Snapshot at which channels are read; -1 is ``init``.
    random_state : int, default=0

    Returns
    -------
    DataFrame
        channel, view ("overall", "within programs"), fifth ("1" to "5", "not finite"), runs,
        programs, unstable (count), rate, low, high (program bootstrap).

    Raises
    ------
    InputError
        If a column is missing.
    """
    require(runs, "runs", ("run_id", "program", "unstable"))
    at = _values_at(epochs, runs, channels, epoch)
    rows = []
    for channel in at:
        value = at[channel].to_numpy(dtype=float)
        finite = np.isfinite(value)
        for view in ("overall", "within programs"):
            known = pd.Series(np.where(finite, value, np.nan))
            by = np.zeros(len(runs)) if view == "overall" else runs["program"].to_numpy()
            place = (known.groupby(by).rank() - 0.5) / known.groupby(by).transform("count")
            fifth = np.where(finite, np.floor(5 * place.fillna(0)).astype(int) + 1, 0)
            names = np.array([NOT_FINITE, *"12345"])[fifth]
            rows += (
                _rates(names, runs, [*"12345", NOT_FINITE], "fifth", random_state)
                .assign(channel=channel, view=view)
                .to_dict("records")
            )
    table = pd.DataFrame(rows)
    return table[["channel", "view", *(c for c in table if c not in ("channel", "view"))]]


def quintile_contrast(
    epochs: pd.DataFrame, runs: pd.DataFrame, channels: Iterable[str], *, epoch: int = 0
) -> pd.DataFrame:
    """Compare the upper fifth of every program's runs with its lower fifth.

    Programs without unstable finite runs say nothing and are left out.

    Parameters
    ----------
    epochs, runs, channels, epoch
        See :func:`rate_by_quintile`.

    Returns
    -------
    DataFrame
        channel, difference (mean over programs of the instability rate in the upper fifth minus
        that in the lower), low, high (Student), programs.
    """
    require(runs, "runs", ("run_id", "program", "unstable"))
    at = _values_at(epochs, runs, channels, epoch)
    rows = []
    for channel in at:
        table = pd.DataFrame(
            {
                "program": runs["program"].to_numpy(),
                "unstable": runs["unstable"].to_numpy(dtype=float),
                "value": at[channel].to_numpy(dtype=float),
            }
        )
        table = table[np.isfinite(table["value"])]
        table = table[table.groupby("program")["unstable"].transform("sum") > 0]
        group = table.groupby("program")["value"]
        place = (group.rank() - 0.5) / group.transform("count")
        upper = table[place >= 0.8].groupby("program")["unstable"].mean()
        lower = table[place < 0.2].groupby("program")["unstable"].mean()
        difference = (upper - lower).dropna()
        if difference.empty:
            raise InputError(f"no program has unstable runs with a finite {channel}")
        i = t_interval(difference)
        row = {"channel": channel, "difference": i.estimate, "low": i.low, "high": i.high}
        rows.append(row | {"programs": i.n})
    return pd.DataFrame(rows)


def rate_by_bin(
    epochs: pd.DataFrame,
    runs: pd.DataFrame,
    channel: str,
    edges: Sequence[float],
    *,
    epoch: int = -1,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return the instability rate between fixed values of a channel.

    Parameters
    ----------
    epochs, runs, epoch, random_state
        See :func:`rate_by_quintile`.
    channel : str
    edges : sequence of float
        Rising; a bin holds its lower edge. The outer bins are open.

    Returns
    -------
    DataFrame
        channel, bin, runs, programs, unstable, rate, low, high; runs whose value is not finite
        last, empty bins left out.

    Raises
    ------
    InputError
        If a column is missing or the edges do not rise.
    """
    require(runs, "runs", ("run_id", "program", "unstable"))
    rising = np.asarray(edges, dtype=float)
    if rising.ndim != 1 or len(rising) < 1 or (np.diff(rising) <= 0).any():
        raise InputError(f"edges are {rising.tolist()}; expected rising numbers")
    value = _values_at(epochs, runs, [channel], epoch)[channel].to_numpy(dtype=float)
    text = [f"{e:g}" for e in rising]
    inner = [f"{a} to {b}" for a, b in zip(text[:-1], text[1:], strict=True)]
    names = [f"below {text[0]}", *inner, f"{text[-1]} or more", NOT_FINITE]
    place = np.where(np.isfinite(value), np.searchsorted(rising, value, side="right"), -1)
    table = _rates(np.array(names)[place], runs, names, "bin", random_state)
    return table.assign(channel=channel)[["channel", *table]]


def relabel(corpus: Any, runs: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Return the runs with unstable and first_bad_epoch by another definition.

    Parameters
    ----------
    corpus : corpus
        With ``epochs``.
    runs : DataFrame
        As of a corpus.
    variant : str
        Key of :data:`LABEL_VARIANTS`.

    Returns
    -------
    DataFrame
        In the order of ``runs``.
    """
    if variant not in LABEL_VARIANTS:
        raise InputError(f"variant is {variant!r}; expected one of {', '.join(LABEL_VARIANTS)}")
    epochs = corpus.epochs[corpus.epochs["run_id"].isin(runs["run_id"])]
    bad = first_bad_epoch(epochs, **LABEL_VARIANTS[variant])
    bad = pd.Series(bad.reindex(runs["run_id"]).to_numpy(), index=runs.index)
    return runs.assign(unstable=bad.notna(), first_bad_epoch=bad.astype("Int64"))


def label_sensitivity(labelled: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare definitions of instability with the first one.

    Parameters
    ----------
    labelled : mapping of str to DataFrame
        The same runs by each definition: run_id, program, unstable, first_bad_epoch.

    Returns
    -------
    DataFrame
        definition, unstable (runs), programs (with one), at_once (share of the unstable that are
        bad by the end of the first epoch), gained, lost (runs against the first definition).
    """
    rows, reference = [], None
    for name, runs in labelled.items():
        bad = runs.set_index("run_id")["unstable"].astype(bool)
        reference = bad if reference is None else reference.reindex(bad.index)
        epoch = runs.loc[runs["unstable"].astype(bool), "first_bad_epoch"].astype(float)
        rows.append(
            {
                "definition": name,
                "unstable": int(bad.sum()),
                "programs": runs.loc[bad.to_numpy(), "program"].nunique(),
                "at_once": float((epoch <= 0).mean()) if len(epoch) else np.nan,
                "gained": int((bad & ~reference).sum()),
                "lost": int((~bad & reference).sum()),
            }
        )
    return pd.DataFrame(rows)


def _values_at(
    epochs: pd.DataFrame, runs: pd.DataFrame, channels: Iterable[str], epoch: int
) -> pd.DataFrame:
    require(epochs, "epochs", ("run_id", "epoch"))
    channels = list(channels)
    own = [c for c in channels if c not in epochs]
    require(runs, "runs", own)
    there = epochs.loc[epochs["epoch"] == epoch].set_index("run_id")
    table = there[[c for c in channels if c in epochs]].reindex(runs["run_id"])
    for column in own:
        table[column] = pd.to_numeric(runs[column]).to_numpy(dtype=float, na_value=np.nan)
    return table[channels]


def _rates(
    groups: np.ndarray, runs: pd.DataFrame, names: Iterable[str], column: str, random_state: int
) -> pd.DataFrame:
    code, programs = pd.factorize(runs["program"], sort=True)
    bad = runs["unstable"].to_numpy(dtype=float)
    rows = []
    for name in names:
        inside = groups == name
        if not inside.any():
            continue
        size = np.bincount(code[inside], minlength=len(programs)).astype(float)
        hits = np.bincount(code[inside], weights=bad[inside], minlength=len(programs))
        i = bootstrap_programs(ratio_of_sums(hits, size), len(programs), random_state=random_state)
        rows.append(
            {
                column: name,
                "runs": int(inside.sum()),
                "programs": int((size > 0).sum()),
                "unstable": int(bad[inside].sum()),
                "rate": i.estimate,
                "low": i.low,
                "high": i.high,
            }
        )
    return pd.DataFrame(rows)


def ratio_of_sums(above: np.ndarray, below: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a statistic of weighted programs: sum of one column over sum of another."""

    def statistic(weights):
        total = weights @ below
        return np.divide(weights @ above, total, out=np.full(len(total), np.nan), where=total > 0)

    return statistic


def require(table: pd.DataFrame, name: str, columns: Iterable[str]) -> None:
    """Raise an InputError if a table lacks columns."""
    missing = [c for c in columns if c not in table]
    if missing:
        raise InputError(f"{name} lacks the columns {', '.join(missing)}")
