"""Does a technique that learned on other programs diagnose this one?"""

from collections.abc import Iterable

import pandas as pd

from analysis_lib.corpus.load import Corpus, load_corpus
from analysis_lib.errors import InputError
from analysis_lib.evaluation.predict import features_of, fit_predict, make_factory
from analysis_lib.features import extract
from analysis_lib.features.featureset import get_feature_set
from analysis_lib.labels import FAULT_CLASSES_6, select_runs
from analysis_lib.techniques import Technique, get_technique

__all__ = ["predict_unseen"]


def predict_unseen(
    corpus: Corpus,
    technique: str | Technique = "DEFault",
    *,
    classes: Iterable[str] = FAULT_CLASSES_6,
    healthy: bool = False,
    window: int | None = 5,
    learned_on: Corpus | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Predict the runs of one corpus by a technique that has seen another one only.

    This is the strategy E4 with the new programs held out: what is fitted, is fitted on the killed
    faults of ``learned_on``, and each killed fault of ``corpus`` is predicted once.

    Parameters
    ----------
    corpus : Corpus
        Of the new program, for example by :func:`~analysis_lib.injection.own_corpus`.
    technique : str or Technique
    classes : iterable of str
        Categories to tell apart; those without a killed fault in ``corpus`` are learned, but not
        tested.
    healthy : bool, default=False
        Also tell healthy runs from faulty ones, as a class.
    window : int or None, default=5
        Epochs that are visible; None is the whole trace.
    learned_on : Corpus, optional
        The shipped corpus by default.
    random_state : int

    Returns
    -------
    DataFrame
        run_id, program, configuration, label, predicted; recall by category is
        :func:`analysis_lib.evaluation.recall_cells` of it.

    Raises
    ------
    InputError
        If a program is in both corpora, or ``corpus`` has no killed fault of these classes.

    Examples
    --------
    >>> from analysis_lib import load_corpus
    >>> new = load_corpus(programs="snn_wine")
    >>> old = load_corpus(programs=["mlp_breast_cancer", "lenet5_mnist"])
    >>> predict_unseen(new, learned_on=old, window=2).columns.tolist()
    ['run_id', 'program', 'configuration', 'label', 'predicted']
    """
    chosen = get_technique(technique) if isinstance(technique, str) else technique
    classes = tuple(classes)
    if learned_on is None:
        found = chosen.feature_set
        found = get_feature_set(found) if isinstance(found, str) else found
        learned_on = load_corpus(channels=found.channels, window=window)
    shared = set(corpus.runs["program"]) & set(learned_on.runs["program"])
    if shared:
        raise InputError(
            f"program '{min(shared)}' is in both corpora; then it is not new to the technique"
        )
    known = [c for c in classes if (corpus.runs["label"] == c).any()]
    if not known:
        raise InputError(
            f"no fault of {', '.join(classes)} was killed in the new corpus; nothing to diagnose"
        )
    test = select_runs(corpus.runs, known, healthy=healthy)
    train = select_runs(learned_on.runs, classes, healthy=healthy)
    x, new = (
        features_of(extract(c.epochs, chosen.feature_set, window=window), runs)
        for c, runs in ((learned_on, train), (corpus, test))
    )
    labels = train["label"].astype(str).to_numpy(dtype=object)
    guess, _, _ = fit_predict(make_factory(chosen), x, labels, new, random_state)
    names = ["run_id", "program", "configuration", "label"]
    return test[names].assign(predicted=guess).reset_index(drop=True)
