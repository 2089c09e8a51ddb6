"""What a run is called: killed or survived, unstable, mismatched, and its fault class."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from analysis_lib.configuration import HEALTHY
from analysis_lib.errors import InputError

__all__ = [
    "FAULT_CLASSES_4",
    "FAULT_CLASSES_6",
    "UNTYPED_OPERATORS",
    "equivalent_configurations",
    "exact_sign_flip",
    "first_bad_epoch",
    "killed_configurations",
    "label_runs",
    "select_runs",
]

FAULT_CLASSES_4 = ("Hyperparameter", "Loss", "Activation", "Optimization")
"""The categories that both DeepFD and DEFault know."""

FAULT_CLASSES_6 = (*FAULT_CLASSES_4, "Weights", "Regularization")
"""The six model and training groups of DeepCrime."""

UNTYPED_OPERATORS = ("HNE", "RCP", "VRM")
"""Operators known by the length of the run or a missing channel, never part of fault typing."""

COMPLETE = ("ok", "nonfinite")
HEALTHY_CATEGORY = "Healthy"
KILL_COLUMNS = tuple(
    ("program operator parameters configuration seed status higher_is_better final_metric").split()
)


def label_runs(
    runs: pd.DataFrame,
    epochs: pd.DataFrame,
    *,
    alpha: float = 0.05,
    effect: float = 0.5,
    min_pairs: int = 5,
    explosion_factor: float = 1e3,
    explosion_floor: float = 1e5,
    mismatch_gap: float = 0.1,
) -> pd.DataFrame:
    """Label every run.

    - *killed*: the configuration is worse than the healthy program, see
      :func:`killed_configurations`; the same for all its runs, False for healthy ones.
    - *unstable*: at any snapshot the train or validation loss is not finite, or the train loss
      exceeds max(``explosion_factor`` x its value at ``init``, ``explosion_floor``).
    - *mismatch*: train and validation accuracy differ by more than ``mismatch_gap`` at the last
      snapshot; missing where the run is unstable or has no accuracy.
    - *label*: "Healthy", the category of a killed fault, or missing for a survivor.

    Parameters
    ----------
    runs : DataFrame of shape (n_runs, ...)
        Columns run_id, program, operator, category, parameters, configuration, seed, status,
        higher_is_better, final_metric.
    epochs : DataFrame
        Columns run_id, epoch, train_loss, valid_loss, train_accuracy, valid_accuracy.
    alpha : float, default=0.05
        Significance level of a kill.
    effect : float, default=0.5
        Smallest Cohen's d of a kill.
    min_pairs : int, default=5
        Smallest number of matched seeds of a kill.
    explosion_factor : float, default=1e3
        See *unstable*.
    explosion_floor : float, default=1e5
        See *unstable*.
    mismatch_gap : float, default=0.1
        See *mismatch*.

    Returns
    -------
    DataFrame of shape (n_runs, 5)
        killed (bool), unstable (bool), first_bad_epoch (Int64, -1 is ``init``, missing where
        stable), mismatch (boolean), label (str), with the index of ``runs``.

    Raises
    ------
    InputError
        If a column is missing or a run_id occurs twice.

    Notes
    -----
    A validation loss that is missing at every snapshot although the train loss is not was not
    measured, and does not make a run unstable. A run without snapshots is stable, for lack of
    evidence. Accuracies are stored as float32: a gap within 1e-6 of the threshold equals it.

    Examples
    --------
    >>> runs = pd.DataFrame({"run_id": ["a"], "program": "p", "operator": "healthy",
    ...                      "category": "Healthy", "parameters": "{}", "configuration": "c",
    ...                      "seed": 0, "status": "ok", "higher_is_better": True,
    ...                      "final_metric": 0.9})
    >>> epochs = pd.DataFrame({"run_id": "a", "epoch": [-1, 0], "train_loss": [1.0, 2e6],
    ...                        "valid_loss": 1.0, "train_accuracy": 0.5, "valid_accuracy": 0.5})
    >>> found = label_runs(runs, epochs)
    >>> bool(found.at[0, "unstable"]), int(found.at[0, "first_bad_epoch"])
    (True, 0)
    """
    _require(runs, "runs", ("run_id", "category"))
    _require(epochs, "epochs", ("run_id", "epoch"))
    if runs["run_id"].duplicated().any():
        raise InputError("a run_id occurs twice in runs; every run needs its own")
    table = killed_configurations(runs, alpha=alpha, effect=effect, min_pairs=min_pairs)
    killed = runs["configuration"].isin(table.index[table["killed"]])
    curves = _curves(epochs)
    bad = first_bad_epoch(
        curves, explosion_factor=explosion_factor, explosion_floor=explosion_floor
    )
    first_bad = pd.Series(bad.reindex(runs["run_id"]).to_numpy(), index=runs.index)
    unstable = first_bad.notna()
    gap = _last_gap(curves).reindex(runs["run_id"])
    gap = pd.Series(gap.to_numpy(), index=runs.index).where(~unstable)
    mismatch = (gap > mismatch_gap + 1e-6).astype("boolean").where(gap.notna())
    healthy = runs["operator"] == HEALTHY
    label = runs["category"].where(killed).mask(healthy, HEALTHY_CATEGORY)
    return pd.DataFrame(
        {
            "killed": killed,
            "unstable": unstable,
            "first_bad_epoch": first_bad.astype("Int64"),
            "mismatch": mismatch,
            "label": label.astype("str"),
        }
    )


def first_bad_epoch(
    epochs: pd.DataFrame, *, explosion_factor: float = 1e3, explosion_floor: float = 1e5
) -> pd.Series:
    """Return the first snapshot at which a run is unstable, see :func:`label_runs`.

    Parameters
    ----------
    epochs : DataFrame
        Columns run_id, epoch, train_loss, valid_loss, train_accuracy, valid_accuracy.
    explosion_factor : float, default=1e3
        On the train loss at ``init``; 0 leaves the floor alone.
    explosion_floor : float, default=1e5
        Of the train loss; if infinite, only values that are not finite count.

    Returns
    -------
    Series indexed by run_id
        Epochs, -1 is ``init``; stable runs do not occur.

    Raises
    ------
    InputError
        If a column is missing.

    Examples
    --------
    >>> epochs = pd.DataFrame({"run_id": ["a", "a", "b", "b"], "epoch": [-1, 0, -1, 0],
    ...                        "train_loss": [1.0, 2e5, 1.0, 0.5], "valid_loss": 1.0,
    ...                        "train_accuracy": 0.5, "valid_accuracy": 0.5})
    >>> first_bad_epoch(epochs).to_dict()
    {'a': 0}
    """
    curves = _curves(epochs)
    train, valid = (curves[c].astype(float) for c in ("train_loss", "valid_loss"))
    run = curves["run_id"]
    measured = valid.notna().groupby(run).transform("any") | train.isna()
    first = train[~run.duplicated()].set_axis(run[~run.duplicated()])
    initial = run.map(first).astype(float)  # of no runs it would be text
    limit = np.fmax(explosion_factor * initial.where(np.isfinite(initial)), explosion_floor)
    bad = ~np.isfinite(train) | (~np.isfinite(valid) & measured) | (train > limit)
    return curves.loc[bad, ["run_id", "epoch"]].groupby("run_id")["epoch"].min()


def killed_configurations(
    runs: pd.DataFrame, *, alpha: float = 0.05, effect: float = 0.5, min_pairs: int = 5
) -> pd.DataFrame:
    """Test every faulty configuration against the declared healthy one of its program.

    The goodness of a run is its final metric, negated where smaller is better; a run that did not
    end well (status other than "ok", or a non-finite metric) counts as just below the worst
    goodness seen in its program. With the differences ``d_s = healthy - faulty`` over the seeds s
    that both have, a configuration is killed if the one-sided exact sign-flip test of ``mean(d)``
    has ``p < alpha`` and Cohen's ``d = mean(d) / sqrt((var_healthy + var_faulty) / 2)`` is at least
    ``effect``. With five pairs the smallest p is 1/32, reached when all five are worse.

    Parameters
    ----------
    runs : DataFrame
        Columns program, operator, parameters, configuration, seed, status, higher_is_better,
        final_metric.
    alpha : float, default=0.05
        Level of the test.
    effect : float, default=0.5
        Smallest Cohen's d.
    min_pairs : int, default=5
        With fewer matched seeds a configuration cannot be killed.

    Returns
    -------
    DataFrame indexed by configuration
        program, operator, pairs, difference (mean of d), p_value, effect, killed. Both numbers
        are missing without a pair; ``effect`` is infinite where neither side varies but the means
        differ, and missing where nothing differs or there is one pair.

    Raises
    ------
    InputError
        If a column is missing, or a seed of the healthy configuration occurs twice.

    References
    ----------
    The effect size is DeepCrime's (Humbatova et al., ISSTA 2021), the paired permutation test
    replaces its linear model because there are five matched seeds instead of twenty.

    Examples
    --------
    >>> runs = pd.DataFrame({
    ...     "program": "p", "operator": ["healthy"] * 5 + ["HLR"] * 5, "parameters": "{}",
    ...     "configuration": ["p/healthy"] * 5 + ["p/HLR"] * 5, "seed": list(range(5)) * 2,
    ...     "status": "ok", "higher_is_better": True,
    ...     "final_metric": [.9, .91, .92, .9, .91] + [.5, .6, .5, .6, .5]})
    >>> row = killed_configurations(runs).loc["p/HLR"]
    >>> float(row["p_value"]), bool(row["killed"])
    (0.03125, True)
    """
    _require(runs, "runs", KILL_COLUMNS)
    if not (0 < alpha < 1 and min_pairs >= 1):
        raise InputError(
            f"alpha is {alpha} and min_pairs {min_pairs}; need 0 < alpha < 1, min_pairs >= 1"
        )
    table = runs[["program", "operator", "configuration", "seed"]].assign(goodness=_goodness(runs))
    bare = runs["parameters"].fillna("").isin(["", "{}"])
    reference = table[(table["operator"] == HEALTHY) & bare]
    if reference.duplicated(["program", "seed"]).any():
        raise InputError("a seed of a healthy configuration occurs twice; give each run its seed")
    reference = reference.set_index(["program", "seed"])["goodness"].rename("reference")
    faulty = table[table["operator"] != HEALTHY].join(reference, on=["program", "seed"])
    rows = []
    for configuration, group in faulty.groupby("configuration", sort=False):
        pairs = group.dropna(subset=["goodness", "reference"])
        p_value, size = _compare(pairs["reference"].to_numpy(), pairs["goodness"].to_numpy())
        rows.append(
            {
                "configuration": configuration,
                "program": group["program"].iloc[0],
                "operator": group["operator"].iloc[0],
                "pairs": len(pairs),
                "difference": (pairs["reference"] - pairs["goodness"]).mean(),
                "p_value": p_value,
                "effect": size,
                "killed": bool(len(pairs) >= min_pairs and p_value < alpha and size >= effect),
            }
        )
    names = "configuration program operator pairs difference p_value effect killed".split()
    result = pd.DataFrame(rows, columns=names).set_index("configuration")
    return result.astype({"killed": bool})


def exact_sign_flip(differences: np.ndarray) -> float:
    """Return the one-sided exact p-value of a sign-flip test that the mean exceeds zero.

    p is the share of the ``2**n`` sign patterns whose mean is at least the observed one, which is
    the share of subsets of the differences whose sum is at most zero. In this form large and small
    differences do not cancel in floating point.

    Parameters
    ----------
    differences : ndarray of shape (n,)
        Paired differences, 1 to 20 of them.

    Raises
    ------
    InputError
        If there are none, more than 20, or one is not finite.

    Examples
    --------
    >>> exact_sign_flip(np.array([1.0, 2.0, 1e30, 0.1, 3.0]))
    0.03125
    >>> exact_sign_flip(np.array([1.0, -1.0]))
    0.75
    """
    d = np.asarray(differences, dtype=float)
    if d.ndim != 1 or not 1 <= d.size <= 20 or not np.isfinite(d).all():
        raise InputError(f"the exact sign-flip test takes 1 to 20 finite differences, got {d!r}")
    largest = np.abs(d).max()
    if largest > 0:
        d = d / largest  # sums must not overflow
    sums, sizes = np.zeros(1), np.zeros(1)
    for value in d:
        sums = np.concatenate([sums, sums + value])
        sizes = np.concatenate([sizes, sizes + abs(value)])
    return float(np.mean(sums <= 1e-12 * sizes))


def select_runs(
    runs: pd.DataFrame,
    classes: Iterable[str] | None = FAULT_CLASSES_4,
    *,
    healthy: bool = False,
) -> pd.DataFrame:
    """Return the labelled runs that take part in fault typing.

    These are runs of killed faults with a complete trace (status "ok" or "nonfinite"), without
    :data:`UNTYPED_OPERATORS`. Of configurations that train bit for bit alike
    (:func:`equivalent_configurations`) the first is kept, and none if their labels differ: the
    same training can neither stand on both sides of a fold nor have two causes.

    Parameters
    ----------
    runs : DataFrame
        Columns operator, status, label; with program, configuration, seed and weights_digest,
        equivalent configurations are dropped, too.
    classes : iterable of str or None
        Labels to keep; None keeps every category present.
    healthy : bool, default=False
        Also keep the healthy runs, as a class of their own.

    Returns
    -------
    DataFrame
        Rows of ``runs``, unchanged.

    Raises
    ------
    InputError
        If a class does not occur in ``runs``.

    Examples
    --------
    >>> runs = pd.DataFrame({"operator": ["HLR", "HNE", "healthy"], "status": "ok",
    ...                      "label": ["Hyperparameter", "Hyperparameter", "Healthy"]})
    >>> select_runs(runs, ["Hyperparameter"]).index.tolist()
    [0]
    """
    _require(runs, "runs", ("operator", "status", "label"))
    known = set(runs["label"].dropna()) - {HEALTHY_CATEGORY}
    wanted = set(known if classes is None else classes)
    if isinstance(classes, str) or wanted - known:
        raise InputError(
            f"no run is labelled {classes if isinstance(classes, str) else sorted(wanted - known)}"
            f"; classes present: {', '.join(sorted(known)) or 'none'} (give a list of them)"
        )
    wanted |= {HEALTHY_CATEGORY} if healthy else set()
    keep = runs["label"].isin(wanted) & runs["status"].isin(COMPLETE)
    if "weights_digest" in runs:
        keep &= ~runs["configuration"].isin(_superfluous(runs))
    return runs[keep & ~runs["operator"].isin(UNTYPED_OPERATORS)]


def equivalent_configurations(runs: pd.DataFrame) -> pd.DataFrame:
    """Find configurations of one program that train bit for bit alike.

    Two configurations are equivalent if, for every seed, they end with the same weights; runs
    that did not end well are not compared. Different operators can amount to the same training,
    such as two losses whose gradients agree for one output.

    Parameters
    ----------
    runs : DataFrame
        Columns program, configuration, seed, status, weights_digest, label.

    Returns
    -------
    DataFrame indexed by configuration
        ``first``, the first configuration of its group, and ``label``; only configurations that
        have an equivalent.

    Examples
    --------
    >>> runs = pd.DataFrame({"program": "p", "configuration": list("abc"), "seed": 0,
    ...                      "status": "ok", "weights_digest": list("xxy"), "label": list("uvw")})
    >>> equivalent_configurations(runs)["first"].to_dict()
    {'a': 'a', 'b': 'a'}
    """
    needed = ("program", "configuration", "seed", "status", "weights_digest", "label")
    _require(runs, "runs", needed)
    ordered = runs.sort_values(["configuration", "seed"])
    table = ordered.groupby("configuration").agg(
        program=("program", "first"),
        label=("label", "first"),
        well=("status", lambda s: (s == "ok").all()),
        weights=("weights_digest", ",".join),
    )
    table = table[table["well"]]
    groups = table.groupby(["program", "weights"])["label"]
    table = table.assign(
        first=groups.transform(lambda s: s.index[0]), size=groups.transform("size")
    )
    return table.loc[table["size"] > 1, ["first", "label"]]


def _superfluous(runs: pd.DataFrame) -> set:
    alike = equivalent_configurations(runs)
    ambiguous = alike.groupby("first")["label"].transform(lambda s: s.nunique(dropna=False) > 1)
    return set(alike.index[ambiguous | (alike.index != alike["first"])])


def _require(table: pd.DataFrame, name: str, columns: Iterable[str]) -> None:
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise InputError(f"{name} lacks the columns {', '.join(missing)}")


def _goodness(runs: pd.DataFrame) -> pd.Series:
    better = runs["higher_is_better"].astype(bool)
    metric = pd.to_numeric(runs["final_metric"], errors="coerce").astype(float)
    ended = (runs["status"] == "ok") & np.isfinite(metric)
    goodness = metric.where(better, -metric).where(ended)
    worst = goodness.groupby(runs["program"]).transform("min")
    return goodness.fillna(np.nextafter(worst, -np.inf))


def _compare(healthy: np.ndarray, faulty: np.ndarray) -> tuple[float, float]:
    """Return the p-value and Cohen's d of healthy being better, both missing where undefined."""
    if len(healthy) == 0:
        return np.nan, np.nan
    scale = max(np.abs(healthy).max(), np.abs(faulty).max())
    if scale > 1e100:  # squares must not overflow; neither result depends on the unit
        healthy, faulty = healthy / scale, faulty / scale
    difference = np.mean(healthy) - np.mean(faulty)
    p_value = exact_sign_flip(healthy - faulty)
    if len(healthy) == 1:
        return p_value, np.nan
    pooled = np.sqrt((np.var(healthy, ddof=1) + np.var(faulty, ddof=1)) / 2)
    if pooled > 0:
        return p_value, float(difference / pooled)
    return p_value, float(np.sign(difference) * np.inf) if difference else np.nan


def _curves(epochs: pd.DataFrame) -> pd.DataFrame:
    names = "train_loss valid_loss train_accuracy valid_accuracy".split()
    _require(epochs, "epochs", names)
    return epochs[["run_id", "epoch", *names]].sort_values(["run_id", "epoch"], kind="stable")


def _last_gap(curves: pd.DataFrame) -> pd.Series:
    last = curves.drop_duplicates("run_id", keep="last").set_index("run_id")
    gap = (last["train_accuracy"].astype(float) - last["valid_accuracy"].astype(float)).abs()
    return gap.where(np.isfinite(gap))
