"""Our estimate for every claim of the study, from the functions and options of the chapters.

What the chapters have fitted is read from their caches where the options are the same; whatever is
missing is fitted here.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from analysis_lib.corpus import Corpus, sample_programs
from analysis_lib.labels import FAULT_CLASSES_4, select_runs
from analysis_lib.questions.cache import CACHE
from analysis_lib.questions.estimates_gap import (
    gap_estimates,
    hierarchy_predictions,
    structure_estimates,
)
from analysis_lib.questions.estimates_training import instability_estimates, mismatch_estimates
from analysis_lib.questions.gap import headline_predictions
from analysis_lib.questions.verdicts import Estimate

__all__ = ["claim_estimates", "of_programs"]


def claim_estimates(
    corpus: Any,
    *,
    n_programs: int = 0,
    window: int = 5,
    windows: Iterable[int] = (1, 5),
    repeats: int = 1,
    program_groups: int = 5,
    detection_groups: int = 10,
    permutations: int = 3,
    trees: int = 20,
    random_state: int = 0,
    n_jobs: int = 1,
    cache: str | Path | None = None,
    results: str | Path = CACHE,
) -> dict[str, Estimate]:
    """Estimate what every claim of the study is about.

    Parameters
    ----------
    corpus : corpus
        All programs, all channels.
    n_programs : int, default=0
        Programs that take part, 0 is all; for mismatch, of those that have an accuracy.
    window : int, default=5
        Epochs seen.
    windows : iterable of int
        Windows of the claim on every window.
    repeats : int
        Draws of the folds of E1 and E2.
    program_groups : int, default=5
        Groups of programs held out where windows are compared.
    detection_groups : int, default=10
        Groups of programs held out for detectors of instability.
    permutations : int
        Permutations of labels that are averaged.
    trees : int
        Of the forests of the controls.
    random_state, n_jobs : int
    cache : path, optional
        Folder of finished predictions, see :func:`analysis_lib.evaluation.run_study`.
    results : path
        Folder of finished tables, see :mod:`analysis_lib.questions.cache`.

    Returns
    -------
    dict of str to Estimate
        By claim, for :func:`analysis_lib.questions.claims.judge`.
    """
    chosen = sample_programs(corpus.runs, n_programs, random_state)
    here = of_programs(corpus, chosen)
    runs = select_runs(here.runs, FAULT_CLASSES_4)
    options: dict[str, Any] = {"random_state": random_state, "n_jobs": n_jobs}
    headline = headline_predictions(
        here, runs, window=window, repeats=repeats, cache=cache, **options
    )
    hierarchy = hierarchy_predictions(
        here, runs, window=window, program_groups=program_groups, cache=cache, **options
    )
    return {
        "traces": Estimate(float(len(here.runs))),
        "programs": Estimate(float(len(chosen))),
        **gap_estimates(
            here,
            runs,
            headline,
            hierarchy=hierarchy,
            window=window,
            windows=tuple(windows),
            program_groups=program_groups,
            cache=cache,
            **options,
        ),
        **structure_estimates(
            here,
            runs,
            headline,
            hierarchy=hierarchy,
            window=window,
            permutations=permutations,
            trees=trees,
            results=results,
            **options,
        ),
        **instability_estimates(
            here, detection_groups=detection_groups, results=results, **options
        ),
        **mismatch_estimates(corpus, n_programs=n_programs, window=window, cache=cache, **options),
    }


def of_programs(corpus: Any, programs: Iterable[str]) -> Corpus:
    """Return the part of a corpus that ``load_corpus(..., programs=...)`` returns.

    Parameters
    ----------
    corpus : corpus
    programs : iterable of str

    Returns
    -------
    Corpus

    Examples
    --------
    >>> from analysis_lib import load_corpus
    >>> corpus = load_corpus(programs=["snn_wine", "mlp_breast_cancer"], channels=["train_loss"])
    >>> of_programs(corpus, ["snn_wine"]).runs["program"].unique().tolist()
    ['snn_wine']
    """
    runs = corpus.runs[corpus.runs["program"].isin(list(programs))].reset_index(drop=True)
    kept = corpus.epochs["run_id"].isin(runs["run_id"])

    def layers():
        whole = corpus.layers
        return whole[whole["run_id"].isin(runs["run_id"])].reset_index(drop=True)

    epochs = corpus.epochs[kept].reset_index(drop=True)
    return Corpus(runs, epochs, layers, corpus.path, corpus.manifest)
