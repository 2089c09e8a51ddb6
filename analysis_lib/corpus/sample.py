"""A few programs of a corpus, spread over its modalities."""

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError

__all__ = ["sample_programs"]


def sample_programs(runs: pd.DataFrame, n: int, random_state: int = 0) -> list[str]:
    """Choose programs at random, spread over modalities.

    Every modality gives one program before any gives a second; the others are shared out in
    proportion to the number of programs of a modality (Sainte-Lague: the program at place j of m
    has its turn at (j - 1/2) / m). A larger sample holds every smaller one of the same seed.

    Parameters
    ----------
    runs : DataFrame
        Columns program and modality.
    n : int
        Number of programs; 0, or as many as there are or more, gives all of them.
    random_state : int, default=0

    Returns
    -------
    list of str
        Names of programs, sorted.

    Raises
    ------
    InputError
        If a column is missing, a program has two modalities, or ``n`` is negative.

    Examples
    --------
    >>> runs = pd.DataFrame({"program": list("abcdef"), "modality": ["image"] * 4 + ["text"] * 2})
    >>> len(sample_programs(runs, 3)), len(set(sample_programs(runs, 2)) & {"e", "f"})
    (3, 1)
    >>> sample_programs(runs, 0)
    ['a', 'b', 'c', 'd', 'e', 'f']
    """
    missing = [c for c in ("program", "modality") if c not in runs]
    if missing:
        raise InputError(f"runs lacks the columns {', '.join(missing)}")
    if n < 0:
        raise InputError(f"n is {n}; expected a number of programs, or 0 for all")
    table = runs[["program", "modality"]].drop_duplicates().sort_values("program")
    if table["program"].duplicated().any():
        raise InputError("a program has several modalities")
    if n == 0 or n >= len(table):
        return table["program"].tolist()
    rng = np.random.default_rng(random_state)
    table = table.iloc[rng.permutation(len(table))]
    modality = table.groupby("modality")["program"]
    place, size = modality.cumcount().to_numpy(), modality.transform("size").to_numpy()
    turn = np.where(place == 0, 0, (place + 0.5) / size)
    first = np.argsort(turn, kind="stable")[:n]
    return sorted(table["program"].iloc[first])
