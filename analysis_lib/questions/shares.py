"""Programs against faults: in distances between runs, and in the variance of every channel."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from analysis_lib.evaluation import mmd_ratio, t_interval, variance_shares
from analysis_lib.features import FeatureSet, extract, signed_log10
from analysis_lib.features import curvature as curvature_set
from analysis_lib.features import optimizer as optimizer_set
from analysis_lib.features.summary import summarise
from analysis_lib.features.values import Cube
from analysis_lib.flags import DEEPFD_FLAGS, DEFAULT_FLAGS

__all__ = [
    "CHANNEL_GROUPS",
    "channel_shares",
    "logarithmic",
    "set_shares",
    "shift_table",
    "total_shares",
]

SHARES = ["program", "fault", "interaction", "replicate", "program_total", "fault_total"]

CHANNEL_GROUPS: Mapping[str, tuple[str, ...]] = {
    "losses and accuracies": ("train_loss", "valid_loss", "train_accuracy", "valid_accuracy"),
    "checks": (*DEFAULT_FLAGS, *DEEPFD_FLAGS),
    "curvature and gradients": curvature_set.CHANNELS,
    "optimizer and activations": optimizer_set.CHANNELS,
    "dimensionless": ("rho", "kappa", "chi", "progress", "update_cosine", "grad_snr"),
}
"""Channels by group: what DEFault and DeepFD log, the two runtime feature sets, and ratios."""


def logarithmic(features: pd.DataFrame) -> pd.DataFrame:
    """Put statistics of losses on a signed log scale, where variances and distances mean something.

    Parameters
    ----------
    features : DataFrame
        Columns that begin with ``train_loss_`` or ``valid_loss_`` are changed, except skews; the
        other features of the registered sets are bounded or logarithmic already.

    Returns
    -------
    DataFrame

    Examples
    --------
    >>> table = pd.DataFrame({"train_loss_max": [1e30], "train_loss_skew": [2.0], "flag": [1.0]})
    >>> logarithmic(table).round(6).iloc[0].tolist()
    [42.0, 2.0, 1.0]
    """
    wide = [
        c
        for c in features
        if str(c).startswith(("train_loss_", "valid_loss_")) and not str(c).endswith("_skew")
    ]
    return features.assign(**{c: signed_log10(features[c].to_numpy()) for c in wide})


def shift_table(
    features_by_set: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    label: str,
    *,
    max_runs: int = 10,
    random_state: int = 0,
) -> pd.DataFrame:
    """Compare how far programs and how far fault classes are apart, for several feature sets.

    Parameters
    ----------
    features_by_set : mapping of str to DataFrame
    runs : DataFrame
        run_id, program, configuration and the label.
    label : str
    max_runs : int, default=10
        Runs drawn of each class and program.
    random_state : int

    Returns
    -------
    DataFrame
        features, between_programs, between_classes (mean MMD²), ratio with low, high (bootstrap
        over programs), pairs of programs.

    Raises
    ------
    InputError
        As :func:`analysis_lib.evaluation.mmd_ratio`.
    """
    rows = []
    for name, features in features_by_set.items():
        found = mmd_ratio(
            logarithmic(features), runs, label, max_runs=max_runs, random_state=random_state
        )
        rows.append(
            {
                "features": name,
                "between_programs": found.loc["between programs", "estimate"],
                "between_classes": found.loc["between classes", "estimate"],
                "ratio": found.loc["ratio", "estimate"],
                "low": found.loc["ratio", "low"],
                "high": found.loc["ratio", "high"],
                "pairs": int(found.loc["ratio", "pairs"]),
            }
        )
    return pd.DataFrame(rows)


def channel_shares(
    epochs: pd.DataFrame,
    runs: pd.DataFrame,
    label: str,
    *,
    window: int = 5,
    healthy: str | None = "Healthy",
) -> pd.DataFrame:
    """Return the shares of program and fault in the variance of every channel.

    A channel's level is its mean over the epochs of the window, on a signed log10 scale unless it
    is between 0 and 1.

    Parameters
    ----------
    epochs : corpus or DataFrame
        See :func:`analysis_lib.features.extract`.
    runs : DataFrame
        run_id, program, configuration and the label, with the healthy runs.
    label : str
    window : int, default=5
    healthy : str, optional
        See :func:`analysis_lib.evaluation.variance_shares`.

    Returns
    -------
    DataFrame
        channel, group (key of :data:`CHANNEL_GROUPS`), the columns of
        :func:`analysis_lib.evaluation.variance_shares` and of :func:`total_shares`, and score =
        fault_total - program_total. Channels that do not vary are left out.

    Raises
    ------
    InputError
        As ``extract`` and ``variance_shares``.
    """
    group = {channel: name for name, found in CHANNEL_GROUPS.items() for channel in found}
    levels = FeatureSet("channel levels", tuple(group), _levels, "mean level of every channel")
    table = getattr(epochs, "epochs", epochs)
    features = extract(table[table["run_id"].isin(runs["run_id"])], levels, window=window)
    shares = variance_shares(features, runs, label, healthy=healthy)
    shares = shares.join(total_shares(features, _faulty(runs, label, healthy), label))
    shares = shares.dropna(subset=["program_total", "fault_total"])
    shares = shares.rename_axis("channel").reset_index()
    shares.insert(1, "group", shares["channel"].map(group))
    return shares.assign(score=shares["fault_total"] - shares["program_total"])


def total_shares(features: pd.DataFrame, runs: pd.DataFrame, label: str) -> pd.DataFrame:
    r"""Return the shares of program, class and their interaction in one and the same variance.

    On the means of configurations, :math:`\omega^2 = (SS - df\, MS_E) / (SS_T + MS_E)` with the sum
    of squares of the program after the class, of the class after the program, and of their
    interaction after both; :math:`SS_T` is around the grand mean. So a channel lies high only if
    faults move it further than programs are apart.

    Parameters
    ----------
    features : DataFrame indexed by run_id
    runs : DataFrame
        run_id, program, configuration and the label, without the healthy runs.
    label : str

    Returns
    -------
    DataFrame indexed by feature
        program_total, fault_total, interaction_total; missing where a feature is constant.

    References
    ----------
    Olejnik and Algina, Psychological Methods 2003.

    Examples
    --------
    >>> from analysis_lib.evaluation import simulate_world
    >>> features, runs = simulate_world("transferable", identity=0, signal=3.0, random_state=1)
    >>> shares = total_shares(features, runs, "label")
    >>> bool((shares["fault_total"] > shares["program_total"]).all())
    True
    """
    x = features.loc[runs["run_id"]]
    x = x.groupby(runs["configuration"].to_numpy()).mean()
    units = runs.drop_duplicates("configuration").set_index("configuration").loc[x.index]
    program, kind = (pd.factorize(part)[0] for part in (units["program"], units[label]))
    cell = program * (kind.max() + 1) + kind
    values = x.to_numpy()
    design = np.hstack([np.eye(program.max() + 1)[program], np.eye(kind.max() + 1)[kind]])
    fitted, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    additive = ((values - design @ fitted) ** 2).sum(axis=0)
    within = {"program": _within(x, program), "kind": _within(x, kind), "cell": _within(x, cell)}
    groups = {"program": program.max() + 1, "kind": kind.max() + 1, "cell": len(np.unique(cell))}
    total = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    n = len(values)
    error = within["cell"] / max(n - groups["cell"], 1)
    sums = {
        "program_total": (within["kind"] - additive, rank - groups["kind"]),
        "fault_total": (within["program"] - additive, rank - groups["program"]),
        "interaction_total": (additive - within["cell"], groups["cell"] - rank),
    }
    constant = np.ptp(values, axis=0) <= 1e-12 * np.maximum(1, np.abs(values).max(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {name: (ss - df * error) / (total + error) for name, (ss, df) in sums.items()}
    result = pd.DataFrame(found, index=x.columns)
    result[constant] = np.nan
    return result


def set_shares(
    features_by_set: Mapping[str, pd.DataFrame],
    runs: pd.DataFrame,
    label: str,
    *,
    healthy: str | None = "Healthy",
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Average the variance shares over the features of a set, with a jackknife over programs.

    Parameters
    ----------
    features_by_set : mapping of str to DataFrame
    runs : DataFrame
        run_id, program, configuration and the label, with the healthy runs.
    label : str
    healthy : str, optional
    n_jobs : int

    Returns
    -------
    DataFrame
        features, share (a column of ``variance_shares`` or :func:`total_shares`), estimate, low,
        high:
        the mean over features, with Student's interval of the jackknife's pseudo-values.

    Raises
    ------
    InputError
        As :func:`analysis_lib.evaluation.variance_shares`.
    """
    programs = sorted(runs["program"].unique())
    jobs = [(f, p) for f in features_by_set for p in (None, *programs)]
    tables = {name: logarithmic(features) for name, features in features_by_set.items()}
    found = Parallel(n_jobs=n_jobs)(
        delayed(_mean_shares)(tables[f], runs[runs["program"] != p], label, healthy)
        for f, p in jobs
    )
    means = dict(zip(jobs, found, strict=True))
    rows, n = [], len(programs)
    for name in features_by_set:
        whole = means[name, None]
        pseudo = np.array([n * whole - (n - 1) * means[name, p] for p in programs])
        for k, share in enumerate(SHARES):
            interval = t_interval(pseudo[:, k])
            half = interval.high - interval.estimate
            rows.append(
                {
                    "features": name,
                    "share": share,
                    "estimate": whole[k],
                    "low": whole[k] - half,
                    "high": whole[k] + half,
                }
            )
    return pd.DataFrame(rows)


def _levels(cube: Cube) -> dict[str, np.ndarray]:
    table = summarise(cube, initial=())
    return {channel: table[f"{channel}_mean"] for channel in cube.channels}


def _mean_shares(
    features: pd.DataFrame, runs: pd.DataFrame, label: str, healthy: str | None
) -> np.ndarray:
    found = variance_shares(features, runs, label, healthy=healthy)
    found = found.join(total_shares(features, _faulty(runs, label, healthy), label))
    return found.mean().reindex(SHARES).to_numpy()


def _faulty(runs: pd.DataFrame, label: str, healthy: str | None) -> pd.DataFrame:
    return runs if healthy is None else runs[runs[label] != healthy]


def _within(x: pd.DataFrame, group: np.ndarray) -> np.ndarray:
    """Return sums of squares around the means of groups."""
    return ((x - x.groupby(group).transform("mean")) ** 2).sum().to_numpy()
