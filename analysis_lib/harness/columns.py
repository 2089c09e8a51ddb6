"""Columns of a table of runs: found by name, read as names, read as numbers."""

from collections.abc import Hashable, Iterable, Mapping
from difflib import get_close_matches

import numpy as np
import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.harness.findings import Finding, counted, listed

__all__ = ["feature_columns", "find_column", "names_of"]


def find_column(frame: pd.DataFrame, name: object, role: str) -> Hashable:
    """Return the column of a name, which may be a number written as text."""
    known = {str(column): column for column in frame.columns}
    if str(name) not in known:
        close = get_close_matches(str(name), list(known), n=1, cutoff=0.5)
        same = [c for c in known if c.strip().lower() == str(name).strip().lower()]
        hint = f"; did you mean '{(same + close)[0]}'?" if same or close else ";"
        raise InputError(
            f"the table has no column '{name}', given as {role}{hint} it has {listed(known, 12)}"
        )
    return known[str(name)]


def names_of(column: pd.Series, role: str) -> pd.Series:
    """Return the values of a column of names as text, missing where they are missing."""
    nested = column.dropna().head(100).map(lambda v: isinstance(v, (list, dict, set, np.ndarray)))
    if nested.any():
        raise InputError(f"column '{column.name}', given as {role}, holds lists; give one of names")
    if pd.api.types.is_float_dtype(column.dtype):
        values = column.to_numpy(dtype=float, na_value=np.nan)
        present = values[~np.isnan(values)]
        if len(present) and np.isfinite(present).all() and (present == present.round()).all():
            column = column.astype("Int64")
    text = column.astype("object").map(str, na_action="ignore").astype("str")
    return text.mask(text.str.strip() == "").reset_index(drop=True)


def feature_columns(
    frame: pd.DataFrame, found: Mapping, wanted: Iterable | None, numeric: bool
) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the features as text or as numbers, and what was left out of them.

    Raises
    ------
    InputError
        If a column does not exist, has another role, or holds no numbers although it must; or if
        there is no feature.
    """
    roles = {column: role for role, column in found.items()}
    if wanted is None:
        return _all_numbers(frame, roles)
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    columns = list(dict.fromkeys(find_column(frame, name, "a feature") for name in wanted))
    taken = [f"'{c}' is given as {roles[c]}" for c in columns if c in roles]
    if taken:
        raise InputError(f"{'; '.join(taken)}, and as a feature; take it out of the features")
    if not columns:
        raise InputError("no feature is named; name one, or none to take all columns of numbers")
    if not numeric:
        x = frame[columns].reset_index(drop=True)
        return x.set_axis([str(c) for c in columns], axis=1), []
    x, reasons = {}, []
    for column in columns:
        values, reason = _numbers(frame[column])
        x[str(column)] = values
        reasons += [f"'{column}' ({reason})"] if reason else []
    if reasons:
        raise InputError(
            f"features must be numbers, but {listed(reasons)}; encode them, leave them out, or "
            "give a technique that takes them"
        )
    return pd.DataFrame(x), []


def _all_numbers(frame: pd.DataFrame, roles: Mapping) -> tuple[pd.DataFrame, list[Finding]]:
    x, reasons, meta = {}, {}, []
    for column in frame.columns:
        if column in roles:
            continue
        if str(column).startswith("meta_"):
            meta.append(str(column))
            continue
        values, reason = _numbers(frame[column])
        if reason:
            reasons[str(column)] = reason
        else:
            x[str(column)] = values
    if not x:
        why = listed(f"'{c}' ({r})" for c, r in reasons.items()) or "it has no other column"
        raise InputError(f"the table has no column of numbers to use as a feature: {why}")
    notes = []
    if reasons:
        why = listed(f"'{c}': {r}" for c, r in reasons.items())
        what = f"not numbers, and left out: {why}"
        spoiled = any(" word" in reason for reason in reasons.values())  # numbers, but for a few
        severity = "warning" if spoiled else "note"
        notes.append(Finding("GAP014", what, list(reasons), severity=severity))
    if meta:
        what = f"{counted(len(meta), 'column')} named meta_ left out"
        notes.append(Finding("GAP014", what, meta))
    return pd.DataFrame(x), notes


def _numbers(column: pd.Series) -> tuple[np.ndarray | None, str]:
    """Return a column as floats, or why it is none of numbers."""
    kind = pd.api.types
    plain = kind.is_numeric_dtype(column.dtype) or kind.is_bool_dtype(column.dtype)
    if kind.is_complex_dtype(column.dtype):
        return None, "complex numbers"
    if plain and not isinstance(column.dtype, pd.CategoricalDtype):
        return column.to_numpy(dtype=float, na_value=np.nan), ""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return None, "categories"
    if kind.is_datetime64_any_dtype(column.dtype) or kind.is_timedelta64_dtype(column.dtype):
        return None, "dates or times"
    present = column.dropna()
    if present.head(100).map(lambda v: isinstance(v, (list, dict, set, tuple, np.ndarray))).any():
        return None, "lists"
    try:
        parsed = pd.to_numeric(present, errors="coerce")
    except TypeError:
        return None, f"{type(present.iloc[0]).__name__} objects"
    if parsed.isna().any():
        odd = present[parsed.isna()]
        shown = str(odd.iloc[0])[:40]
        share = "text" if len(odd) > len(present) / 2 else counted(len(odd), "word")
        return None, f"{share}, such as '{shown}'"
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan), ""
