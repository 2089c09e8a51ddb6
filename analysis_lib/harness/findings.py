"""What is wrong with a table of traces or its evaluation, under fixed codes."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd

from analysis_lib.errors import unknown

__all__ = [
    "CODES",
    "SEVERITIES",
    "Code",
    "Finding",
    "counted",
    "findings_table",
    "list_checks",
    "listed",
]

SEVERITIES = ("problem", "warning", "note")
"""A problem can make the scores wrong, a warning limits what they mean, a note informs."""

SHOWN = 8
COLUMNS = ["code", "severity", "what", "columns", "advice"]


class Code(NamedTuple):
    """What a check asks, how bad it is to fail it, and what to do then."""

    severity: str
    title: str
    advice: str


class Finding(NamedTuple):
    """A check that failed: its code, what was found, in which columns, how bad if not as usual."""

    code: str
    what: str
    columns: Sequence[str] = ()
    severity: str | None = None


CODES: Mapping[str, Code] = MappingProxyType(
    {
        "GAP001": Code(
            "warning",
            "rows with identical features",
            "drop copies, or give runs that are one and the same the same configuration",
        ),
        "GAP002": Code(
            "note",
            "replicates of a configuration on both sides of a fold",
            "quote E2, not E1, as the score on seen programs",
        ),
        "GAP003": Code("note", "columns with one value", "drop them"),
        "GAP004": Code(
            "warning",
            "a column alone identifies the program",
            "make it relative to its value at the start or to a healthy run, or leave it out",
        ),
        "GAP005": Code(
            "warning",
            "columns that describe the machine, the time or the session",
            "leave them out of the features: they say where a run was made, not what is wrong",
        ),
        "GAP006": Code(
            "warning",
            "classes that programs lack",
            "compare programs by chance-corrected scores; a lacking class cannot be balanced",
        ),
        "GAP007": Code(
            "warning",
            "programs with a single class",
            "collect another class there: a recall is not a balanced accuracy, and whoever "
            "recognises the program knows the class",
        ),
        "GAP008": Code(
            "problem",
            "a column alone tells the class in unseen programs",
            "see whether it is computed from the label or set by the fault; if so leave it out",
        ),
        "GAP009": Code(
            "warning",
            "missing or infinite values",
            "say what they mean; named techniques replace them within the fold, see `parameters`",
        ),
        "GAP010": Code(
            "warning",
            "few programs",
            "collect more programs: more rows of the same ones do not narrow the intervals",
        ),
        "GAP011": Code(
            "warning",
            "class mixes differ between programs",
            "read the class-prior leak and the prior oracle before the gap",
        ),
        "GAP012": Code(
            "warning",
            "configuration ids that mean several things",
            "make an id of program, fault and its parameters",
        ),
        "GAP013": Code(
            "warning",
            "a feature looks like a seed or a row number",
            "name it (`seed=`) or leave it out of the features",
        ),
        "GAP014": Code(
            "note",
            "columns left out of the features",
            "encode them as numbers, or name the features",
        ),
        "GAP015": Code("warning", "rows left out", "fill the columns in, or accept the loss"),
        "GAP016": Code(
            "note",
            "evaluated at reduced cost",
            "raise `max_rows`, or set `groups=0` to hold out one program at a time",
        ),
        "GAP017": Code(
            "warning",
            "replicate leak unknown",
            "give `configuration=`: an id that all seeds of one fault with the same parameters "
            "share",
        ),
        "GAP018": Code(
            "warning",
            "a configuration has the same seed twice",
            "drop copies of a run, or make ids that tell its configurations apart",
        ),
        "GAP019": Code(
            "note",
            "classes with few runs in a program",
            "read `by_program` with care: such recalls are coarse",
        ),
        "GAP020": Code(
            "note",
            "classes that are never predicted for unseen programs",
            "see whether the technique knows these classes at all",
        ),
        "GAP021": Code(
            "warning",
            "unseen programs are diagnosed almost without error",
            "look for a leak before believing it: start with GAP001, GAP005 and GAP008",
        ),
        "GAP022": Code(
            "problem",
            "the session tells the class",
            "spread every class over the sessions, or the machine's traces are learned instead",
        ),
        "GAP023": Code(
            "warning",
            "names that differ in case or spaces alone",
            "spell them alike if they mean the same",
        ),
        "GAP024": Code(
            "warning",
            "the technique gives no answer for some rows",
            "a missing prediction counts as wrong",
        ),
        "GAP025": Code(
            "warning",
            "classes with a single configuration in a program",
            "collect two or more per class and program; until then E1 - E2 also holds what cannot "
            "be learned of a class whose only configuration is tested",
        ),
    }
)
"""The checks by code."""


def list_checks() -> pd.DataFrame:
    """Return all checks.

    Returns
    -------
    DataFrame indexed by code
        severity, title, advice.

    Examples
    --------
    >>> list_checks().loc["GAP003", "title"]
    'columns with one value'
    """
    return pd.DataFrame.from_dict(dict(CODES), orient="index", columns=Code._fields).rename_axis(
        "code"
    )


def findings_table(findings: Iterable[Finding], *, ignore: Iterable[str] = ()) -> pd.DataFrame:
    """Return findings as a table, worst first.

    Parameters
    ----------
    findings : iterable of Finding
    ignore : iterable of str
        Codes to leave out.

    Returns
    -------
    DataFrame
        code, severity, what, columns (the first few, as text), advice.

    Raises
    ------
    InputError
        If a code to ignore is unknown.

    Examples
    --------
    >>> findings_table([Finding("GAP003", "1 column is constant", ["a"])])["code"].tolist()
    ['GAP003']
    """
    ignored = [ignore] if isinstance(ignore, str) else list(ignore)
    for code in ignored:
        if code not in CODES:
            raise unknown("check", code, CODES)
    rows = [
        {
            "code": found.code,
            "severity": found.severity or CODES[found.code].severity,
            "what": found.what,
            "columns": listed(found.columns),
            "advice": CODES[found.code].advice,
        }
        for found in findings
        if found.code not in ignored
    ]
    rows.sort(key=lambda row: (SEVERITIES.index(row["severity"]), row["code"]))
    return pd.DataFrame(rows, columns=COLUMNS)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> counted(1, "class", "classes"), counted(1200, "row")
    ('1 class', '1,200 rows')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Iterable, shown: int = SHOWN) -> str:
    """Return names as text, the first few of many."""
    names = [str(name) for name in names]
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
