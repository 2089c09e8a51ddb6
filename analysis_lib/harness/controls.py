"""Controls of a gap report: what the same table and technique score without the fault's signal.

================= ======== =========================================================
control           strategy what it shows
================= ======== =========================================================
dummy             E4       guessing by class frequency
prior oracle      none     knowing the class mix of every program, and nothing else
program only      seen     the same, learned from training rows by the program's name
permuted labels   seen     the technique, if labels are permuted in every program
renamed classes   seen     the technique, if classes have other names in every program
program identity  none     programs recognised from features, on classes held out
================= ======== =========================================================

"Seen" is E2 where configurations are known, else E1. Renaming is done on class mixes that are even,
and its score is to be compared with that of the technique on the same rows, not renamed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.naive_bayes import CategoricalNB

from analysis_lib.errors import InputError
from analysis_lib.evaluation import (
    balanced_runs,
    cross_predict,
    identity_predictions,
    identity_scores,
    permute_within_program,
    prior_oracle,
    rename_within_program,
    score_table,
)
from analysis_lib.harness.bound import ESTIMATORS, FiniteValues, bind, row_numbers
from analysis_lib.harness.checks import class_codes
from analysis_lib.harness.singles import program_groups
from analysis_lib.harness.tables import RunTable, draw_rows
from analysis_lib.techniques import Technique

__all__ = ["CONTROLS", "run_controls"]

IDENTITY_ROWS = 4000


Found = tuple[float, float, float, str]
"""Score, balanced accuracy, what to compare the score with, and what that is."""


@dataclass(frozen=True)
class _Setting:
    """What all controls need."""

    table: RunTable
    technique: Technique
    seen: str
    own: float
    even: bool
    repeats: int
    min_runs: int
    random_state: int
    n_jobs: int

    def predict(
        self,
        runs: pd.DataFrame,
        technique: Any,
        strategy: str,
        features: pd.DataFrame | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        x = row_numbers(self.table) if features is None else features
        options |= {"random_state": self.random_state, "n_jobs": self.n_jobs}
        return cross_predict(x, runs, technique, strategy, "label", **options)

    def score(self, predictions: pd.DataFrame) -> tuple[float, float]:
        found = score_table(predictions, min_runs=self.min_runs)
        return found["program_macro_recall"], found["pooled_balanced_accuracy"]

    def repeated(
        self, relabel: Callable, runs: pd.DataFrame, **options: Any
    ) -> tuple[float, float]:
        """Return the mean scores on labels that are drawn anew in every repeat."""
        scores = []
        for repeat in range(self.repeats):
            drawn = relabel(runs, "label", random_state=self.random_state + repeat, **options)
            scores.append(self.score(self.predict(drawn, self.technique, self.seen)))
        return tuple(np.mean(scores, axis=0))


def run_controls(
    table: RunTable,
    technique: Technique,
    *,
    seen: str,
    own: float,
    even: bool,
    permutations: int = 1,
    min_runs: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Return the scores of all controls.

    Parameters
    ----------
    table : RunTable
    technique : Technique
        Bound to the table.
    seen : {"E1", "E2"}
        Strategy of the controls on seen programs.
    own : float
        Program-macro recall of the technique under that strategy, to compare with.
    even : bool
        Whether class mixes are even, so that renaming needs no balancing.
    permutations : int, default=1
        Repeats of the two controls that fit the technique; 0 leaves out both, and identity.
    min_runs : int, default=5
        See :func:`~analysis_lib.evaluation.scores.recall_cells`.
    random_state, n_jobs : int

    Returns
    -------
    DataFrame indexed by control
        strategy, score (program-macro recall; for identity the mean share of a program's runs that
        are recognised), pooled (balanced accuracy), compare, against (what that is), repeats,
        shows. Without a score where a control is not possible; ``shows`` says why.
    """
    setting = _Setting(
        table, technique, seen, own, even, permutations, min_runs, random_state, n_jobs
    )
    rows = {}
    for name, (control, strategy, shows) in CONTROLS.items():
        if name in DEAR and not permutations:
            continue
        row: dict[str, Any] = {"strategy": seen if strategy == "seen" else strategy}
        row |= {"score": np.nan, "pooled": np.nan, "compare": np.nan, "against": ""}
        row |= {"repeats": permutations if name in REPEATED else 1, "shows": shows}
        try:
            row["score"], row["pooled"], row["compare"], row["against"] = control(setting)
        except InputError as error:
            row["shows"] = f"not possible: {error}"
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("control")


def _dummy(s: _Setting) -> Found:
    runs = s.table.runs
    splits = program_groups(runs, min(10, runs["program"].nunique()))
    guesses = s.predict(runs, bind("dummy", s.table), "E4", splits=splits)
    return *s.score(guesses), 1 / runs["label"].nunique(), "1 / classes"


def _oracle(s: _Setting) -> Found:
    return *s.score(prior_oracle(s.table.runs, "label")), s.own, f"the technique, {s.seen}"


def _program_only(s: _Setting) -> Found:
    codes = class_codes(s.table.runs["program"])
    bayes = CategoricalNB(alpha=1e-3, fit_prior=False, min_categories=int(codes.max()) + 1)
    x = pd.DataFrame({"program": codes}, index=s.table.features.index)
    found = s.predict(s.table.runs, bayes, s.seen, features=x)
    return *s.score(found), s.own, f"the technique, {s.seen}"


def _permuted(s: _Setting) -> Found:
    runs, unit = s.table.runs, "run"
    if "configuration" in runs and runs.groupby("configuration")["label"].nunique().max() == 1:
        unit = "configuration"
    found = s.repeated(permute_within_program, runs, unit=unit)
    return *found, s.own, f"the technique, {s.seen}"


def _renamed(s: _Setting) -> Found:
    runs, own = s.table.runs, s.own
    if not s.even:
        runs = balanced_runs(runs, "label", min_runs=s.min_runs, random_state=s.random_state)
        own = s.score(s.predict(runs, s.technique, s.seen))[0]
    return *s.repeated(rename_within_program, runs), own, "the same rows, not renamed"


def _identity(s: _Setting) -> Found:
    sizes = s.table.runs.groupby("program")["label"].agg(["size", "nunique"])
    eligible = sizes.index[(sizes["size"] >= 10) & (sizes["nunique"] > 1)]
    runs = s.table.runs[s.table.runs["program"].isin(eligible)]
    runs = runs[draw_rows(runs, IDENTITY_ROWS, random_state=s.random_state)]
    numbers = s.table.features.loc[runs["run_id"]].select_dtypes(["number", "bool"])
    if numbers.empty:
        raise InputError(
            "needs features that are numbers, and programs with ten rows of two classes"
        )
    x = pd.DataFrame(FiniteValues().fit_transform(numbers), index=numbers.index)
    options: dict[str, Any] = {"random_state": s.random_state, "n_jobs": s.n_jobs}
    forest = ESTIMATORS["forest"](s.random_state)
    found = identity_predictions(x, runs, "label", technique=forest, **options)
    row = identity_scores(found).loc["all"]
    return row["accuracy"], np.nan, row["chance"], "1 / programs"


CONTROLS = {
    "dummy": (_dummy, "E4", "guesses by class frequency"),
    "prior oracle": (_oracle, "", "knows the class mix of each program"),
    "program only": (_program_only, "seen", "knows the name of the program"),
    "permuted labels": (_permuted, "seen", "what identity and class mix alone buy"),
    "renamed classes": (_renamed, "seen", "what is learned program by program"),
    "program identity": (_identity, "", "share of runs whose program is recognised"),
}
"""The function of each control, its strategy, and what its score stands for."""

REPEATED = ("permuted labels", "renamed classes")
DEAR = (*REPEATED, "program identity")
