"""What the numbers of a gap report say, in sentences that are computed from them."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from analysis_lib.harness.report import GapReport

__all__ = ["LEGEND", "summarise"]

MACRO = "program_macro_recall"
LEGEND = {
    "program-macro recall": "mean over programs of the mean recall of their classes",
    "pooled balanced accuracy": "mean over classes of the recall of all runs together",
    "E1, E2, E4": "tested on random runs, on whole configurations, on whole programs held out",
    "E2bal, E4bal": "the same on even class mixes; left out where mixes are even anyway",
    "low, high": "95 % interval over programs; wide: allowing for other training programs, too",
    "p_value": "of no difference, by flipping signs of whole programs; it can disagree with an "
    "interval that ends near zero",
    "resolvable": "the difference that so many programs would reveal four times in five",
}
"""What the words of a report mean."""
SAME = 0.03
"""Differences below are not called one."""


def summarise(report: "GapReport") -> list[str]:
    """Return sentences on the score, the gap, its parts, the controls and the checks.

    Parameters
    ----------
    report : GapReport

    Returns
    -------
    list of str
    """
    guess = max(report.scores.loc["E4", "chance"], report.controls.loc["dummy", "score"])
    lines = [_level(report, guess), _gap(report), _transfer(report.scores.loc["E4"], guess)]
    lines += _controls(report.controls, report.scores, guess)
    lines += [_resolution(report), _checks(report.checks)]
    return [line for line in lines if line]


def _between(row: "pd.Series", value: str) -> str:
    if not math.isfinite(row["low"]):
        return f"{row[value]:.3f}"
    return f"{row[value]:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _level(report: "GapReport", guess: float) -> str:
    scores = report.scores
    middle = ""
    if "E2" in scores.index:
        middle = (
            f"{_between(scores.loc['E2'], MACRO)} on new configurations of seen programs (E2), "
        )
    return (
        f"Program-macro recall is {_between(scores.loc['E1'], MACRO)} on random runs (E1), {middle}"
        f"{_between(scores.loc['E4'], MACRO)} on unseen programs (E4); guessing scores {guess:.3f}."
    )


def _gap(report: "GapReport") -> str:
    parts = report.decomposition.loc[MACRO]
    total = parts.loc["total"]
    text = f"The gap E1 - E4 is {_between(total, 'estimate')}"
    if total["low"] <= 0 <= total["high"]:
        text += ", which cannot be told from zero"
    if "replicate leak" not in parts.index:
        text += "; without configurations nobody can say how much of it is copies of tested runs"
        text += " in training"
        checks = report.checks.set_index("code")
        if "GAP001" in checks.index and checks.loc["GAP001", "severity"] == "problem":
            text += f", and there are exact ones: {checks.loc['GAP001', 'what'].split(', ')[0]}"
        return text + "."
    leak, rest = parts.loc["replicate leak"], parts.loc["program part"]
    text += f": {_between(leak, 'estimate')} comes with replicates of the tested configuration in "
    return text + f"training, {_between(rest, 'estimate')} with knowing the program."


def _transfer(unseen: "pd.Series", guess: float) -> str:
    if unseen["high"] < guess:
        return f"On unseen programs the technique is worse than guessing ({guess:.3f})."
    if unseen["low"] > guess:
        return (
            f"What is learned carries over to unseen programs: E4 is above guessing ({guess:.3f})."
        )
    return f"On unseen programs the technique cannot be told from guessing ({guess:.3f})."


def _controls(controls: "pd.DataFrame", scores: "pd.DataFrame", guess: float) -> list[str]:
    lines = []
    if "permuted labels" in controls.index:
        row = controls.loc["permuted labels"]
        if math.isfinite(row["pooled"]):
            text = (
                "With labels permuted inside every program it still reaches a balanced accuracy "
                f"of {row['pooled']:.3f}: so much comes from identity and class mix alone"
            )
            if row["pooled"] > scores.loc[row["strategy"], "pooled_balanced_accuracy"] - SAME:
                text += ", and the score on seen programs is no better"
            mix = controls.loc["prior oracle", "pooled"]
            lines.append(f"{text} (knowing the mix exactly gives {mix:.3f}).")
    if "renamed classes" in controls.index:
        row = controls.loc["renamed classes"]
        lost = row["compare"] - row["score"]
        if math.isfinite(lost):
            text = f"Other class names in every program change the seen score by {-lost:+.3f}"
            if max(row["compare"], row["score"]) < guess + SAME:
                text += ", which is no better than guessing either way"
            elif lost < SAME:
                text += ": classes need not mean the same across programs, it learns each program"
            else:
                text += ": so much rests on classes that mean the same in all programs"
            lines.append(text + ".")
    return lines


def _resolution(report: "GapReport") -> str:
    parts = report.decomposition.loc[MACRO]
    row = parts.loc["total"]
    if not math.isfinite(row["resolvable"]):
        return ""
    return (
        f"With {int(row['programs'])} programs that differ as these do, a gap below "
        f"{row['resolvable']:.3f} would be missed more often than one time in five."
    )


def _checks(checks: "pd.DataFrame") -> str:
    counts = checks["severity"].value_counts()
    found = [f"{n} {name}{'s' if n > 1 else ''}" for name, n in counts.items()]
    if not found:
        return "No check failed."
    codes = ", ".join(checks.loc[checks["severity"] == "problem", "code"])
    return f"Checks: {', '.join(found)}" + (f"; look first at {codes}." if codes else ".")
