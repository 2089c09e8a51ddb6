"""What about a table of runs makes its scores wrong, or limits what they mean.

The checks look at the rows themselves, not at a technique; :func:`check_predictions` adds what
shows in predictions alone, and :mod:`analysis_lib.harness.singles` what single columns tell.
"""

import re

import numpy as np
import pandas as pd
from sklearn.naive_bayes import CategoricalNB

from analysis_lib.evaluation import cross_predict, pooled_balanced_accuracy
from analysis_lib.evaluation.scores import MIN_RUNS
from analysis_lib.harness.bound import NO_ANSWER
from analysis_lib.harness.findings import Finding, counted, listed
from analysis_lib.harness.tables import RunTable

__all__ = [
    "check_predictions",
    "check_table",
    "class_codes",
    "mix_distance",
]

FEW_PROGRAMS = (5, 10)
UNEVEN = 0.05
COPIES = 0.05
TOO_GOOD = 0.98
SESSION = 0.2
MACHINE = re.compile(
    r"(?:^|[\W_])(cpu|gpu|ram|mem|memory|host|hostname|machine|node|worker|pid|time|timestamp|date|"
    r"duration|elapsed|wall|sec|secs|second|seconds|runtime|throughput|temperature|watt|watts|"
    r"session|uuid)(?:$|[\W_])"
)
COUNTER = re.compile(r"(?:^|[\W_])(seed|random state|random_state|run_?id|row|index|id|unnamed)"
                     r"(?:$|[\W_])")  # fmt: skip


def check_table(table: RunTable) -> list[Finding]:
    """Return what is found in the rows: copies, replicates, constants, mixes, names, gaps.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    list of Finding
        Together with what :func:`~analysis_lib.harness.tables.make_table` found.
    """
    runs = table.runs
    return [
        *table.findings,
        *_copies(table),
        *_replicates(runs),
        *_columns(table.features),
        *_mixes(runs),
        *_session(runs),
        *_spelling(runs),
    ]


def check_predictions(predictions: pd.DataFrame) -> list[Finding]:
    """Return what shows in the predictions for unseen programs.

    Parameters
    ----------
    predictions : DataFrame
        strategy, label, predicted.
    """
    unseen = predictions[predictions["strategy"] == "E4"]
    findings = []
    never = sorted(set(unseen["label"]) - set(unseen["predicted"]))
    if never:
        what = f"never predicted of {counted(unseen['label'].nunique(), 'class', 'classes')}: "
        findings.append(Finding("GAP020", what + listed(never)))
    if (score := pooled_balanced_accuracy(unseen)) >= TOO_GOOD:
        what = f"the balanced accuracy on unseen programs is {score:.3f}"
        findings.append(Finding("GAP021", what))
    if silent := int((unseen["predicted"] == NO_ANSWER).sum()):
        what = f"{silent:,} of {len(unseen):,} rows of unseen programs get no answer"
        findings.append(Finding("GAP024", what))
    return findings


def mix_distance(runs: pd.DataFrame) -> float:
    """Return how far class mixes of programs are from that of all.

    Half the sum over classes of the absolute difference of P(class in program) and P(class),
    averaged over programs: 0 where all mixes are alike.

    Examples
    --------
    >>> mix_distance(pd.DataFrame({"program": list("ppqq"), "label": list("xxyy")}))
    0.5
    """
    shares = pd.crosstab(runs["program"], runs["label"], normalize="index")
    whole = runs["label"].value_counts(normalize=True)[shares.columns]
    return float((shares - whole).abs().sum(axis=1).mean() / 2)


def class_codes(names: pd.Series) -> np.ndarray:
    """Return names as numbers, in the order of the names."""
    return pd.factorize(names, sort=True)[0]


def _copies(table: RunTable) -> list[Finding]:
    runs = table.runs
    key = pd.util.hash_pandas_object(table.features, index=False).to_numpy()
    copied = pd.Series(key).duplicated(keep=False).to_numpy()
    if not copied.any():
        return []
    several = runs[copied].groupby(key[copied])[["program", "label"]].nunique()
    size = np.unique(key[copied], return_counts=True)[1]
    across = int(size[(several["program"] > 1).to_numpy()].sum())
    mixed = int(size[(several["label"] > 1).to_numpy()].sum())
    what = f"{int(copied.sum()):,} of {len(runs):,} rows have the features of another row"
    what += f", {across:,} that of one in another program, {mixed:,} that of another class"
    # copies inside a configuration are its replicates, and E2 keeps those together
    share = (across if "configuration" in runs else int(copied.sum())) / len(runs)
    severity = "problem" if share > COPIES else "warning" if across or mixed else "note"
    return [Finding("GAP001", what, severity=severity)]


def _replicates(runs: pd.DataFrame) -> list[Finding]:
    if "configuration" not in runs:
        what = "no configuration column: whether rows repeat one another cannot be told, so E1 may "
        what += "hold replicates on both sides, and E2 is missing"
        return [Finding("GAP017", what)]
    findings = []
    shared = runs["configuration"].duplicated(keep=False)
    if shared.any():
        what = f"{int(shared.sum()):,} of {len(runs):,} rows share their configuration with others"
        findings.append(Finding("GAP002", what + "; E1 deals them to both sides"))
    units = runs.drop_duplicates("configuration").groupby(["program", "label"]).size()
    if (units == 1).mean() > 0.5:
        what = f"{int((units == 1).sum())} of {len(units)} combinations of program and class have "
        findings.append(Finding("GAP025", what + "one configuration"))
    if "seed" in runs:
        named = runs[runs["seed"].notna()]
        twice = int(named.duplicated(["configuration", "seed"]).sum())
        if twice:
            what = f"{counted(twice, 'row')} with the configuration and the seed of another"
            findings.append(Finding("GAP018", what))
    return findings


def _columns(features: pd.DataFrame) -> list[Finding]:
    findings = []
    constant = [c for c in features if features[c].nunique(dropna=False) <= 1]
    if constant:
        findings.append(
            Finding("GAP003", f"{counted(len(constant), 'column')} with one value", constant)
        )
    plain = {c: re.sub(r"([a-z])([A-Z])", r"\1_\2", str(c)).lower() for c in features}
    machine = [c for c, n in plain.items() if MACHINE.search(n) or n.startswith("meta_")]
    if machine:
        what = f"{counted(len(machine), 'feature')} named like machine, time or session"
        findings.append(Finding("GAP005", what, machine))
    numbers = features.select_dtypes(["number"])
    counting = [c for c in numbers if _counts(numbers[c])]
    counters = [c for c, n in plain.items() if COUNTER.search(n) or c in counting]
    if counters:
        what = f"{counted(len(counters), 'feature')} named like a seed or id, or counting rows"
        findings.append(Finding("GAP013", what, counters))
    values = numbers.to_numpy(dtype=float)
    infinite = np.isinf(values).sum(axis=0)
    missing = features.isna().sum()
    gaps = [c for c in features if missing[c]]
    gaps += [c for c, n in zip(numbers, infinite, strict=True) if n and c not in gaps]
    if gaps:
        what = f"{int(missing.sum()):,} missing and {int(infinite.sum()):,} infinite values in "
        findings.append(Finding("GAP009", what + counted(len(gaps), "column"), gaps))
    return findings


def _counts(column: pd.Series) -> bool:
    """Whether a column only goes up by one from row to row."""
    values = column.to_numpy(dtype=float)[:10_000]
    return len(values) > 10 and bool((values[:-1] + 1 == values[1:]).all())


def _mixes(runs: pd.DataFrame) -> list[Finding]:
    findings = []
    counts = pd.crosstab(runs["program"], runs["label"])
    number = len(counts)
    if number < FEW_PROGRAMS[1]:
        severity = "problem" if number < FEW_PROGRAMS[0] else "warning"
        what = f"{number} programs; intervals over programs are wide"
        findings.append(Finding("GAP010", what, severity=severity))
    single = list(counts.index[(counts > 0).sum(axis=1) == 1])
    if single:
        what = f"{len(single)} of {counted(number, 'program')} with one class ({listed(single)})"
        worst = "problem" if len(single) == number else None
        findings.append(Finding("GAP007", what, severity=worst))
    absent = counts == 0
    if absent.any(axis=None):
        lacking = absent.sum()[lambda n: n > 0].sort_values(ascending=False)
        what = f"{counted(len(lacking), 'class', 'classes')} missing in programs, most of all "
        what += f"'{lacking.index[0]}' "
        what += f"(in {lacking.iloc[0]} of {number})"
        severity = "warning" if lacking.iloc[0] > 0.2 * number else "note"
        findings.append(Finding("GAP006", what, severity=severity))
    if (distance := mix_distance(runs)) > UNEVEN:
        what = f"the class mix of a program differs from that of all by {distance:.0%} of its rows"
        findings.append(Finding("GAP011", what))
    small = int(((counts > 0) & (counts < MIN_RUNS)).sum(axis=None))
    if small:
        what = f"{small} of {int((counts > 0).sum(axis=None))} combinations of program and class "
        findings.append(Finding("GAP019", what + f"have fewer than {MIN_RUNS} rows"))
    return findings


def _session(runs: pd.DataFrame) -> list[Finding]:
    """Ask whether the session tells the class better than the program does."""
    if "session" not in runs:
        return []
    named = runs[runs["session"].notna()]
    sizes = named["label"].value_counts()
    named = named[named["label"].isin(sizes.index[sizes >= 5])]
    if named["session"].nunique() < 2 or named["label"].nunique() < 2:
        return []
    scores = {}
    for key in ("session", "program"):
        codes = class_codes(named[key])
        bayes = CategoricalNB(alpha=1e-3, fit_prior=False, min_categories=codes.max() + 1)
        x = pd.DataFrame({key: codes}, index=named["run_id"])
        scores[key] = pooled_balanced_accuracy(cross_predict(x, named, bayes, "E1", "label"))
    if scores["session"] - scores["program"] < SESSION:
        return []
    what = f"the session alone tells the class with a balanced accuracy of {scores['session']:.2f},"
    return [Finding("GAP022", f"{what} the program alone with {scores['program']:.2f}")]


def _spelling(runs: pd.DataFrame) -> list[Finding]:
    findings = []
    for key in ("label", "program"):
        names = pd.Series(runs[key].unique())
        alike = names[names.str.strip().str.lower().duplicated(keep=False)]
        if len(alike):
            what = f"{key}: {listed(map(repr, sorted(alike)))} differ in case or spaces alone"
            findings.append(Finding("GAP023", what))
    return findings
