r"""How much of a feature's variance belongs to program, fault, and their interaction.

The unit is the configuration (the mean of its seeds), where there is one, so that copies of a run
do not count as evidence. Per feature:

- *program*: the intraclass correlation of the runs of one class, the healthy one, so that no fault
  is taken for a program,
  :math:`(MS_B - MS_W) / (MS_B + (n_0 - 1) MS_W)` with
  :math:`n_0 = (N - \sum_g n_g^2 / N) / (G - 1)`;
- *fault*: :math:`\omega^2 = (SS_c - df_c\, MS_E) / (SS_T + MS_E)` of the class, after centring by
  program;
- *interaction*: the same of program x class, after program and class: what does not transfer;
- *replicate*: the share of seeds of one configuration in the variance of runs.

What to keep has a small program share and a large fault share. A large program share alone is no
fault of a feature.
"""

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError, unknown
from analysis_lib.evaluation.predict import features_of

__all__ = ["variance_shares"]


def variance_shares(
    features: pd.DataFrame, runs: pd.DataFrame, label: str, *, healthy: str | None = None
) -> pd.DataFrame:
    """Return the shares of program, fault, interaction and replicates in each feature's variance.

    Parameters
    ----------
    features : DataFrame indexed by run_id
        On a scale on which variances mean something, such as a logarithmic one.
    runs : DataFrame
        run_id, program, the label, and configuration (optional).
    label : str
    healthy : str, optional
        Class whose runs give the program share; they take no part in the others. By default it is
        the mean of the correlations within every class.

    Returns
    -------
    DataFrame indexed by feature
        program, fault, interaction, replicate: estimates, which can be slightly below 0; missing
        where a feature is constant or there is nothing to estimate it from. replicate is missing
        without seeds of one configuration.

    Raises
    ------
    InputError
        As ``cross_predict`` for features; if ``healthy`` is no class, there are fewer than two
        programs or fault classes, or no class has two configurations in a program.

    References
    ----------
    Shrout and Fleiss, Psychological Bulletin 1979 (ICC(1)); Olejnik and Algina, Psychological
    Methods 2003 (omega squared).

    Examples
    --------
    >>> from analysis_lib.evaluation.worlds import simulate_world
    >>> shares = variance_shares(*simulate_world("transferable", identity=9.0), "label")
    >>> bool((shares["program"] > shares["fault"]).mean() > 0.8)
    True
    """
    x = features_of(features, runs)
    table = pd.DataFrame({"program": runs["program"].to_numpy()})
    table["label"] = runs[label].astype(str).to_numpy()
    if healthy is not None and str(healthy) not in set(table["label"]):
        raise unknown(label, healthy, table["label"].unique())
    unit = runs["configuration" if "configuration" in runs else "run_id"].to_numpy()
    code = pd.factorize(unit)[0]
    if (table.groupby(code).nunique() > 1).any(axis=None):
        raise InputError("a configuration has several programs or labels; name them apart")
    constant = np.ptp(x, axis=0) <= 1e-12 * np.maximum(1, np.abs(x).max(axis=0))
    units = table.groupby(code).first()
    means = _means(x, code)
    fault = (units["label"] != str(healthy)).to_numpy() | (healthy is None)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "program": _program(means, units, healthy),
            **_faults(means[fault], units[fault]),
            "replicate": _replicate(x, code),
        }
    result = pd.DataFrame(columns, index=pd.Index(features.columns, name="feature"))
    result[constant] = np.nan
    return result


def _means(x: np.ndarray, code: np.ndarray) -> np.ndarray:
    return pd.DataFrame(x).groupby(code).mean().to_numpy()


def _rest(x: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Return sums of squares around the means of groups."""
    return ((x - _means(x, code)[code]) ** 2).sum(axis=0)


def _program(x: np.ndarray, units: pd.DataFrame, healthy: str | None) -> np.ndarray:
    names = units["label"].unique() if healthy is None else [str(healthy)]
    found = []
    for name in names:
        own = (units["label"] == name).to_numpy()
        group, programs = pd.factorize(units["program"][own])
        n, g = len(group), len(programs)
        if g < 2 or n == g:
            continue
        sizes = np.bincount(group)
        typical = (n - (sizes**2).sum() / n) / (g - 1)
        total = ((x[own] - x[own].mean(axis=0)) ** 2).sum(axis=0)
        inside = _rest(x[own], group)
        between, within = (total - inside) / (g - 1), inside / (n - g)
        found.append((between - within) / (between + (typical - 1) * within))
    if not found:
        raise InputError(
            f"no program share: class {healthy or '(any)'} needs two programs, one of them with "
            "two configurations"
        )
    return np.mean(found, axis=0)


def _faults(x: np.ndarray, units: pd.DataFrame) -> dict[str, np.ndarray]:
    group, programs = pd.factorize(units["program"])
    kind, classes = pd.factorize(units["label"])
    cell = units.groupby(["program", "label"]).ngroup().to_numpy()
    n, g, k, cells = len(x), len(programs), len(classes), cell.max() + 1
    if g < 2 or k < 2 or n == cells:
        raise InputError(
            f"{g} programs, {k} fault classes, {n} configurations in {cells} cells; need two of "
            "each, and two configurations in a cell"
        )
    design = np.hstack([np.eye(g)[group], np.eye(k)[kind]])
    coefficients, _, rank, _ = np.linalg.lstsq(design, x, rcond=None)
    total, error = _rest(x, group), _rest(x, cell)
    additive = ((x - design @ coefficients) ** 2).sum(axis=0)
    noise = error / (n - cells)
    fault = (total - additive - (rank - g) * noise) / (total + noise)
    interaction = (additive - error - (cells - rank) * noise) / (total + noise)
    return {"fault": fault, "interaction": interaction}


def _replicate(x: np.ndarray, code: np.ndarray) -> np.ndarray:
    n, units = len(x), code.max() + 1
    if n == units:
        return np.full(x.shape[1], np.nan)
    return _rest(x, code) / (n - units) / x.var(axis=0, ddof=1)
