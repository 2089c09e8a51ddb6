"""A subsample whose class mix differs from program to program, as in corpora that just grew."""

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError

__all__ = ["natural_sample"]


def natural_sample(
    runs: pd.DataFrame, *, label: str = "label", concentration: float = 1.0, random_state: int = 0
) -> pd.DataFrame:
    """Draw a subsample with an uneven class mix of its own in every program.

    For every program, shares :math:`s_c` of its classes are drawn from a Dirichlet distribution,
    independently of other programs. Of the :math:`n_c` configurations of class c,
    :math:`\\mathrm{round}(n_c\\, s_c / \\max_j s_j)` are kept, drawn at random, with all their
    runs: the class with the largest share stays whole, others thin out or vanish. From a corpus
    with equal mixes this makes one whose mix tells programs apart.

    Parameters
    ----------
    runs : DataFrame
        program, configuration and the label; rows without a label are left out.
    label : str, default="label"
    concentration : float, default=1.0
        Of the symmetric Dirichlet distribution; 1 makes all mixes equally likely, less makes
        them more uneven.
    random_state : int

    Returns
    -------
    DataFrame
        Rows of ``runs``, in their order.

    Raises
    ------
    InputError
        If a column is missing or the concentration is not positive.

    Examples
    --------
    >>> runs = pd.DataFrame({"program": "p", "configuration": list("aabbccdd"),
    ...                      "label": list("xxxxyyyy")})
    >>> natural_sample(runs).groupby("label")["configuration"].nunique().tolist()
    [2, 1]
    """
    missing = [c for c in ("program", "configuration", label) if c not in runs]
    if missing:
        raise InputError(f"runs lacks the columns {', '.join(missing)}")
    if not concentration > 0:
        raise InputError(f"concentration is {concentration}; expected a positive number")
    labelled = runs.dropna(subset=[label]).drop_duplicates("configuration")
    labelled = labelled.sort_values("configuration")
    kept: list[str] = []
    for program, group in labelled.groupby("program"):
        rng = np.random.default_rng([random_state, *str(program).encode()])
        classes = group.groupby(label)["configuration"]
        shares = rng.dirichlet(np.full(classes.ngroups, concentration))
        for share, (_, names) in zip(shares / shares.max(), classes, strict=True):
            kept += rng.choice(names, round(len(names) * share), replace=False).tolist()
    return runs[runs["configuration"].isin(kept) & runs[label].notna()]
