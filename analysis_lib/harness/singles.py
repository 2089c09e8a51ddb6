"""What each feature alone tells: the program, on classes that were not trained on, and the class,
in programs that were not trained on. Small trees on a sample of the rows."""

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.errors import InputError
from analysis_lib.evaluation import (
    cross_predict,
    identity_predictions,
    identity_scores,
    pooled_balanced_accuracy,
)
from analysis_lib.harness.bound import FiniteValues
from analysis_lib.harness.findings import Finding, counted
from analysis_lib.harness.tables import RunTable, draw_rows

__all__ = ["check_columns", "column_scores", "program_groups"]

IDENTIFIES = 0.5
TELLS = (0.9, 0.98)


def check_columns(scores: pd.DataFrame) -> list[Finding]:
    """Return columns that alone tell the program or the class, from :func:`column_scores`."""
    findings = []
    tells = scores[scores["corrected"].ge(IDENTIFIES) & (scores["low"] > scores["chance"])]
    tells = tells.sort_values("program", ascending=False)
    if len(tells):
        what = f"{counted(len(tells), 'column')} alone recognising the program of unseen "
        what += "classes, the best one "
        what += f"in {tells['program'].iloc[0]:.0%} of runs (chance {tells['chance'].iloc[0]:.0%})"
        findings.append(Finding("GAP004", what, list(tells.index)))
    copies = scores[scores["label"] >= TELLS[0]].sort_values("label", ascending=False)
    if len(copies):
        best = copies["label"].iloc[0]
        what = f"{counted(len(copies), 'column')} alone telling the class in unseen programs, the "
        what += f"best one with a balanced accuracy of {best:.3f}"
        severity = "problem" if best >= TELLS[1] else "warning"
        findings.append(Finding("GAP008", what, list(copies.index), severity))
    return findings


def column_scores(table: RunTable, *, max_rows: int = 3000, random_state: int = 0) -> pd.DataFrame:
    """Return how well each feature alone tells the program, and the class.

    Parameters
    ----------
    table : RunTable
    max_rows : int, default=3000
        About how many rows are drawn.
    random_state : int

    Returns
    -------
    DataFrame indexed by feature
        program, low (accuracy of recognising programs by
        :func:`~analysis_lib.evaluation.identity.identity_predictions`, and the lower end of its
        interval), chance, corrected = (program - chance) / (1 - chance), label (pooled balanced
        accuracy in unseen programs, three groups held out in turn). Missing where it cannot be
        tested. Features that are not numbers or have one value are left out.
    """
    kept = draw_rows(table.runs, max_rows, random_state=random_state)
    runs = table.runs[kept]
    numbers = table.features.loc[kept].select_dtypes(["number", "bool"])
    numbers = numbers.loc[:, numbers.nunique() > 1]
    sizes = runs.groupby("program")["label"].agg(["size", "nunique"])
    eligible = sizes.index[(sizes["size"] >= 10) & (sizes["nunique"] > 1)]
    known = runs[runs["program"].isin(eligible)]
    splits = program_groups(runs, min(3, runs["program"].nunique()))
    tree = DecisionTreeClassifier(min_samples_leaf=3, random_state=random_state)
    small = DecisionTreeClassifier(
        class_weight="balanced",
        max_leaf_nodes=4 * len(table.classes),
        min_samples_leaf=3,
        random_state=random_state,
    )
    rows = {}
    for column in numbers:
        x = FiniteValues().fit_transform(numbers[[column]])
        x = pd.DataFrame(x, index=numbers.index)
        row = dict.fromkeys(["program", "low", "chance", "corrected", "label"], np.nan)
        if len(eligible) > 1:
            try:
                found = identity_predictions(x, known, "label", technique=tree)
                score = identity_scores(found).loc["all"]
                row |= {"program": score["accuracy"], "low": score["low"]}
                row["chance"] = score["chance"]
                row["corrected"] = (row["program"] - row["chance"]) / (1 - row["chance"])
            except InputError:  # no class is left that programs share
                pass
        try:
            guesses = cross_predict(x, runs, small, "E4", "label", splits=splits)
            row["label"] = pooled_balanced_accuracy(guesses)
        except InputError:  # a group leaves one class to train on
            pass
        rows[column] = row
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["program", "low", "chance", "corrected", "label"]
    ).rename_axis("feature")


def program_groups(runs: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return folds that hold out ``number`` groups of programs in turn."""
    code = pd.factorize(runs["program"], sort=True)[0]
    return pd.DataFrame({"run_id": runs["run_id"], "fold": code % number})
