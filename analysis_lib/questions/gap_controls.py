"""What else could make the gap (RQ1): class mixes within programs, and sizes of training sets."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.evaluation import (
    balanced_runs,
    evaluation_gap,
    natural_sample,
    permute_within_program,
    pooled_balanced_accuracy,
    prior_oracle,
    program_macro_recall,
    run_study,
)
from analysis_lib.questions.contrasts import change_of_gap
from analysis_lib.questions.gap import MACRO, paired_difference
from analysis_lib.questions.thinned import Thinned
from analysis_lib.techniques import Technique, get_technique

__all__ = ["mix_table", "mixes", "size_matched"]

DIFFERS_FROM = {"balanced": "designed", "thinned": "designed", "natural": "thinned"}


def mixes(runs: pd.DataFrame, *, label: str = "label", random_state: int = 0) -> dict:
    """Return corpora that differ in how the classes are mixed within programs.

    Returns
    -------
    dict of str to DataFrame
        designed (all runs), balanced (the same number of runs of every class a program has),
        natural (:func:`~analysis_lib.evaluation.natural.natural_sample`: uneven mixes), thinned
        (as many configurations of every program as the natural one, but drawn regardless of class).

    Examples
    --------
    >>> runs = pd.DataFrame({"program": "p", "configuration": [f"c{i // 5}" for i in range(40)]})
    >>> sets = mixes(runs.assign(label=["x"] * 20 + ["y"] * 20))
    >>> len(sets["designed"]), len(sets["natural"]) == len(sets["thinned"])
    (40, True)
    """
    natural = natural_sample(runs, label=label, random_state=random_state)
    rng = np.random.default_rng(random_state)
    units = runs.drop_duplicates("configuration").sort_values("configuration")
    units = units.iloc[rng.permutation(len(units))]
    number = natural.groupby("program")["configuration"].nunique()
    place = units.groupby("program").cumcount()
    kept = units[place < units["program"].map(number).fillna(0)]["configuration"]
    return {
        "designed": runs,
        "balanced": balanced_runs(runs, label, random_state=random_state),
        "natural": natural,
        "thinned": runs[runs["configuration"].isin(kept)],
    }


def mix_table(
    corpus: Any,
    runs: pd.DataFrame,
    *,
    label: str = "label",
    technique: str | Technique = "DEFault",
    window: int = 5,
    n_groups: int = 5,
    permutations: int = 1,
    n_resamples: int = 2000,
    random_state: int = 0,
    n_jobs: int = 1,
    cache: str | Path | None = None,
) -> pd.DataFrame:
    """Measure the gap, and what labels without meaning score, under several class mixes.

    Parameters
    ----------
    corpus, runs, label, n_groups, random_state, n_jobs, cache
        See :func:`analysis_lib.evaluation.study.run_study`.
    technique : str or Technique
    window : int, default=5
    permutations : int, default=1
        How often labels are permuted among the runs of a program; the scores are averaged.
    n_resamples : int
        Of the bootstrap of pooled balanced accuracy.

    Returns
    -------
    DataFrame
        mix, runs, programs, chance, prior_oracle, permuted (pooled balanced accuracy under E1 with
        permuted labels), then of the labels as they are: E1, E2, E4 (pooled balanced accuracy) and,
        for both metrics, gap, low, high and their ``macro_`` counterparts; against (the mix that
        this one differs from in one thing: the thinned one from the designed one in its number of
        configurations, the natural one from the thinned one in its skew), change, change_low,
        change_high (of the pooled gap, bootstrap over programs).
    """
    options: dict[str, Any] = {
        "label": label,
        "techniques": [technique],
        "windows": [window],
        "random_state": random_state,
        "n_groups": n_groups,
        "n_jobs": n_jobs,
        "cache": cache,
    }
    rows, predictions = [], {}
    for name, chosen in mixes(runs, label=label, random_state=random_state).items():
        found = run_study(corpus, chosen, strategies=["E1", "E2", "E4"], **options)
        predictions[name] = found
        gap = evaluation_gap(found, n_resamples=n_resamples, random_state=random_state)
        pooled = gap.scores["pooled_balanced_accuracy"]
        row = {"mix": name, "runs": len(chosen), "programs": chosen["program"].nunique()}
        row |= {"chance": 1 / chosen[label].nunique()}
        row |= {"prior_oracle": pooled_balanced_accuracy(prior_oracle(chosen, label))}
        permuted = [
            pooled_balanced_accuracy(
                run_study(
                    corpus,
                    permute_within_program(chosen, label, random_state=random_state + k),
                    strategies=["E1"],
                    **options,
                )
            )
            for k in range(permutations)
        ]
        row |= {"permuted": float(np.mean(permuted)) if permuted else np.nan}
        row |= {s: float(pooled[s]) for s in ("E1", "E2", "E4")}
        for prefix, metric in (("", "pooled_balanced_accuracy"), ("macro_", MACRO)):
            part = gap.decomposition.loc[(metric, "total")]
            row |= {prefix + "gap": part["estimate"]}
            row |= {prefix + end: part[end] for end in ("low", "high")}
        rows.append(row)
    for row in rows:
        if other := DIFFERS_FROM.get(row["mix"]):
            pair = (predictions[row["mix"]], predictions[other])
            change = change_of_gap(*pair, n_resamples=n_resamples, random_state=random_state)
            ends = {"change_low": change.low, "change_high": change.high}
            row |= {"against": other, "change": change.estimate} | ends
    return pd.DataFrame(rows)


def size_matched(
    corpus: Any,
    runs: pd.DataFrame,
    *,
    label: str = "label",
    technique: str = "DEFault",
    window: int = 5,
    n_splits: int = 5,
    n_groups: int = 10,
    random_state: int = 0,
    n_jobs: int = 1,
    cache: str | Path | None = None,
) -> dict:
    """Train for unseen programs on as many runs as E1 trains on.

    E1 trains on 1 - 1 / ``n_splits`` of the runs, E4 in groups of programs on about
    1 - 1 / ``n_groups``. Each model of E4 is trained on a random share of its runs, such that the
    numbers agree; what is lost is the part of the gap's size that the numbers hide.

    Returns
    -------
    dict
        share (of the training runs kept), E4, E4_matched (program-macro recall), difference
        (:class:`~analysis_lib.evaluation.inference.Interval` of the first minus the second).
    """
    base = get_technique(technique)
    groups = min(n_groups, runs["program"].nunique())
    share = min(1.0, (1 - 1 / n_splits) / (1 - 1 / groups))
    thin = Technique(
        f"{base.name}-thinned",
        base.feature_set,
        lambda seed: Thinned(base.make_estimator(seed), share=share, random_state=seed),
        f"{base.name} on a share of the training runs",
    )
    found = run_study(
        corpus,
        runs,
        label=label,
        techniques=[base, thin],
        windows=[window],
        strategies=["E4"],
        n_groups=n_groups,
        random_state=random_state,
        n_jobs=n_jobs,
        cache=cache,
    )
    full, matched = (found[found["technique"] == t.name] for t in (base, thin))
    return {
        "share": share,
        "E4": program_macro_recall(full),
        "E4_matched": program_macro_recall(matched),
        "difference": paired_difference(full, matched),
    }
