r"""The evaluation-strategy gap and its parts.

.. math::

    \underbrace{E_1 - E_4}_{\text{gap}} = \underbrace{(E_1 - E_2)}_{\text{replicate leak}}
    + \underbrace{(E_2 - E_2^{bal})}_{\text{class-prior leak}}
    + \underbrace{(E_2^{bal} - E_4^{bal})}_{\text{program-specific part}}
    + \underbrace{(E_4^{bal} - E_4)}_{\text{prior-shift cost}}

Every term is a difference of two scores of the same tested runs, so the sum is exact, in each
program and in all. The balanced strategies differ from the others in training alone, where every
program has the same number (or weight) of runs of each class it has.

================= ============================================================ ================
part              what a technique owes to                                     sign
================= ============================================================ ================
replicate leak    runs of the tested configuration in training                 mostly positive
class-prior leak  knowing which classes are common in the tested program       mostly positive
program-specific  signatures of faults that are the program's own, and how     mostly positive
part              far features that tell programs apart hinder transfer
prior-shift cost  class mixes of other programs, which mislead in this one     any
================= ============================================================ ================

Read the class-prior leak off pooled balanced accuracy. Whoever predicts the commonest class of a
program gets one of its classes right and the others wrong, so its macro recall hardly moves.
Which classes a program lacks altogether cannot be balanced away; it stays in the program-specific
part. Drawing fewer runs costs skill of its own, in both middle terms; ``balance="weights"`` of
:func:`~analysis_lib.evaluation.predict.cross_predict` does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analysis_lib.errors import InputError, unknown
from analysis_lib.evaluation.inference import (
    Interval,
    cluster_bootstrap,
    t_interval,
)
from analysis_lib.evaluation.scores import MIN_RUNS, by_program, score_table
from analysis_lib.evaluation.significance import sign_flip_test

__all__ = ["PARTS", "STEPS", "Gap", "evaluation_gap"]

PARTS = {
    "replicate leak": ("E1", "E2"),
    "class-prior leak": ("E2", "E2bal"),
    "program-specific part": ("E2bal", "E4bal"),
    "prior-shift cost": ("E4bal", "E4"),
    "program part": ("E2", "E4"),
    "total": ("E1", "E4"),
}
"""Parts of the gap: the score under the first strategy minus that under the second."""

STEPS = tuple(PARTS)[:4]
"""Parts whose sum is the total; the last three of them add up to the program part."""


@dataclass(frozen=True)
class Gap:
    """Scores of one technique under several strategies, and their differences.

    Attributes
    ----------
    scores : DataFrame indexed by strategy
        program_macro_recall, pooled_balanced_accuracy, worst_quartile, chance, programs, runs.
    decomposition : DataFrame indexed by (metric, part)
        first, second (strategies), estimate, low, high, p_value, programs; wide_low, wide_high: for
        program-macro recall, the interval that also allows for other training programs, by
        Nadeau and Bengio's correction.
    by_program : DataFrame indexed by program
        The score under every strategy and the difference of every part.
    """

    scores: pd.DataFrame
    decomposition: pd.DataFrame
    by_program: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return the decomposition with metric and part as columns."""
        return self.decomposition.reset_index()

    def waterfall(self, metric: str = "program_macro_recall") -> pd.DataFrame:
        """Return the steps from the score under E1 down to that under E4.

        Parameters
        ----------
        metric : {"program_macro_recall", "pooled_balanced_accuracy"}

        Returns
        -------
        DataFrame
            part, start, end (scores), estimate = start - end, low, high (of the estimate); the
            four parts where the balanced strategies were given, two otherwise.

        Raises
        ------
        InputError
            If the metric is unknown or E1, E2 or E4 were not given.
        """
        known = self.decomposition.index.get_level_values("metric").unique()
        if metric not in known:
            raise unknown("metric", metric, known)
        table = self.decomposition.loc[metric]
        names = STEPS if set(STEPS) <= set(table.index) else ("replicate leak", "program part")
        if not set(names) <= set(table.index):
            raise InputError("a waterfall needs the predictions of E1, E2 and E4")
        steps = table.loc[list(names)]
        start = self.scores[metric].astype(float).reindex(steps["first"]).to_numpy()
        steps = steps.assign(start=start, end=start - steps["estimate"].to_numpy())
        return steps[["start", "end", "estimate", "low", "high"]].reset_index()

    def __str__(self):
        table = self.decomposition.loc["program_macro_recall"]
        lines = [
            f"{part} ({row['first']} - {row['second']}): "
            f"{row['estimate']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
            for part, row in table.iterrows()
        ]
        return "\n".join(lines)


def evaluation_gap(
    predictions_by_strategy: Mapping[str, pd.DataFrame] | pd.DataFrame,
    *,
    min_runs: int = MIN_RUNS,
    level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Gap:
    """Take the gap apart into the parts that the module's description defines.

    With E1, E2 and E4 alone there are two parts: the replicate leak, and the *program part*
    E2 - E4, which is what a technique owes to knowing the program: its class mix, its identity,
    and fault signatures that are its own.

    For program-macro recall the estimate is the mean of the per-program differences, with
    Student's interval over programs and a sign-flip test; for pooled balanced accuracy the
    difference of the pooled scores, with a bootstrap over programs. Both are conditional on the
    trained models; the wide interval is not.

    Parameters
    ----------
    predictions_by_strategy : mapping of str to DataFrame, or DataFrame
        A table with a column ``strategy``, such as ``run_study`` returns for one technique and
        window, or: for "E1", "E2", "E2bal", "E4bal", "E4" (two at least that make a part; other
        strategies are scored but not differenced): run_id, program, label, predicted, of the same
        runs; a column ``repeat`` where folds were drawn several times.
    min_runs : int, default=5
        Cells with fewer runs do not enter program-macro recall.
    level : float, default=0.95
    n_resamples, random_state : int
        Of the bootstrap.

    Returns
    -------
    Gap

    Raises
    ------
    InputError
        If no two strategies that make a part are given, or they are not of the same runs and
        labels.

    Examples
    --------
    >>> runs = pd.DataFrame({"run_id": list("abcd"), "program": list("ppqq")})
    >>> runs["label"] = list("xyxy")
    >>> seen, unseen = runs.assign(predicted=list("xyxy")), runs.assign(predicted=list("xyxx"))
    >>> print(evaluation_gap({"E1": seen, "E4": unseen}, min_runs=1))
    total (E1 - E4): 0.250 [-2.927, 3.427]
    """
    if isinstance(predictions_by_strategy, pd.DataFrame):
        if "strategy" not in predictions_by_strategy:
            raise InputError("the table of predictions has no column 'strategy'")
        given = {str(s): p for s, p in predictions_by_strategy.groupby("strategy")}
    else:
        given = dict(predictions_by_strategy)
    parts = {k: p for k, p in PARTS.items() if p[0] in given and p[1] in given}
    if not parts:
        raise InputError(
            f"predictions are given for {', '.join(given) or 'no strategy'}; "
            "a gap needs at least two of E1, E2, E4 (E2bal, E4bal)"
        )
    _same_runs(given)
    scores = {s: score_table(p, min_runs=min_runs) for s, p in given.items()}
    table = pd.DataFrame({s: by_program(p, min_runs=min_runs)["score"] for s, p in given.items()})
    macro, pooled = [], []
    for part, (first, second) in parts.items():
        table[part] = table[first] - table[second]
        row = {"part": part, "first": first, "second": second}
        interval = t_interval(table[part], level=level)
        p_value = sign_flip_test(table[part], random_state=random_state)
        n = interval.n
        wide = t_interval(table[part], level=level, overlap=1 / (n - 1) if n > 1 else 0.0)
        macro.append(
            {"metric": "program_macro_recall"}
            | row
            | _fields(interval, p_value)
            | {"wide_low": wide.low, "wide_high": wide.high}
        )
        interval = cluster_bootstrap(
            given[first],
            given[second],
            level=level,
            n_resamples=n_resamples,
            random_state=random_state,
        )
        pooled.append({"metric": "pooled_balanced_accuracy"} | row | _fields(interval, None))
    decomposition = pd.DataFrame(macro + pooled).set_index(["metric", "part"])
    return Gap(pd.DataFrame(scores).T.rename_axis("strategy"), decomposition, table)


def _fields(interval: Interval, p_value: float | None) -> dict:
    return {
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "p_value": float("nan") if p_value is None else p_value,
        "programs": interval.n,
    }


def _same_runs(given: Mapping[str, pd.DataFrame]) -> None:
    reference = None
    for strategy, predictions in given.items():
        if "run_id" not in predictions:
            raise InputError(f"the predictions of {strategy} have no column run_id")
        unit = ["run_id", "repeat"] if "repeat" in predictions else ["run_id"]
        if predictions.duplicated(unit).any() or predictions["run_id"].value_counts().nunique() > 1:
            raise InputError(
                f"runs have unequal or several predictions under {strategy}; give one per run, "
                "or one per run and repeat in a column 'repeat'"
            )
        key = predictions.drop_duplicates("run_id").set_index("run_id")
        key = key[["program", "label"]].astype(str).sort_index()
        if reference is not None and not key.equals(reference[1]):
            raise InputError(
                f"the predictions of {reference[0]} and {strategy} are not of the same runs "
                "with the same labels"
            )
        reference = (strategy, key)
