from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import InputError
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.features import AUDIT_SETS, FEATURE_SETS, audit_feature_set, extract
from analysis_lib.features.audit import leak_table
from analysis_lib.techniques import TECHNIQUES, audit_techniques
from analysis_lib.techniques.hierarchy import HierarchicalForest


@pytest.fixture
def corpus():
    rng = np.random.default_rng(0)
    n, snapshots = 40, 4
    channels = sorted({c for s in FEATURE_SETS.values() for c in s.channels})
    epochs = pd.DataFrame(rng.random((n * snapshots, len(channels))), columns=channels)
    epochs.insert(0, "run_id", np.repeat([f"r{i:02d}" for i in range(n)], snapshots))
    epochs.insert(1, "epoch", np.tile(np.arange(-1, snapshots - 1), n))
    label = np.resize(["Loss", "Hyperparameter"], n)
    runs = pd.DataFrame(
        {
            "run_id": [f"r{i:02d}" for i in range(n)],
            "program": np.repeat(list("pqst"), n // 4),
            "configuration": [f"c{i}" for i in range(n)],
            "label": label,
            "meta_learning_rate": np.where(label == "Loss", 1e-3, 0.5),
            "meta_batch_size": pd.array([None] * n, dtype="Int64"),
            "meta_steps": 10,
            "meta_cpu_s": rng.random(n),
            "meta_wall_s": rng.random(n),
        }
    )
    return SimpleNamespace(runs=runs, epochs=epochs)


def test_leaks_are_named_and_finite(corpus):
    for name in AUDIT_SETS:
        table = extract(corpus, audit_feature_set(corpus, name), window=2)
        assert table.index.tolist() == corpus.runs["run_id"].tolist() and len(table.columns)
    rate = leak_table(corpus, "audit_rate")["leak_learning_rate"]
    np.testing.assert_allclose(10 ** (rate - 12), corpus.runs["meta_learning_rate"], rtol=1e-6)
    assert list(leak_table(corpus, "audit_program")) == [f"leak_program_{p}" for p in "pqst"]
    assert (leak_table(corpus, "audit_epochs") == 3).all(axis=None)
    assert len(leak_table(corpus, "audit_all").columns) == 1 + 1 + 2 + 2 + 4


def test_rows_belong_to_their_runs_whatever_the_order(corpus):
    chosen = audit_feature_set(corpus, "default_as_released")
    table = extract(corpus, chosen, window=2)
    mixed = extract(corpus.epochs.sample(frac=1, random_state=1), chosen, window=2)
    pd.testing.assert_frame_equal(table, mixed.loc[table.index])
    assert list(table.filter(like="leak_")) == [
        "leak_learning_rate", "leak_epochs", "leak_cpu_s", "leak_wall_s"
    ]  # fmt: skip
    with pytest.raises(InputError, match="not in the corpus of the audit"):
        extract(corpus.epochs.assign(run_id=lambda t: "x" + t["run_id"]), chosen, window=2)


def test_no_registered_set_or_technique_leaks(corpus):
    assert not set(AUDIT_SETS) & set(FEATURE_SETS)
    assert not set(audit_techniques(corpus)) & set(TECHNIQUES)
    for name in FEATURE_SETS:
        columns = extract(corpus, name, window=2).columns
        assert not columns.str.contains("leak|rate@|learning_rate").any()
    for technique in TECHNIQUES.values():
        model = technique.make_estimator(0)
        assert not getattr(model, "as_released", False) and not getattr(model, "rate", False)
        assert technique.feature_set in FEATURE_SETS


def test_the_audit_shows_what_the_rate_buys(corpus):
    technique = audit_techniques(corpus)["audit-rate"]
    x = extract(corpus, technique.feature_set, window=1)
    found = cross_predict(x, corpus.runs, technique, "E4", "label")
    assert (found["predicted"] == found["label"]).all()


def test_released_techniques_run_on_their_sets(corpus):
    found = audit_techniques(corpus)
    for name in ("DEFault-as-released", "DeepFD-as-released", "UMLAUT-with-rate"):
        x = extract(corpus, found[name].feature_set, window=2)
        model = found[name].make_estimator(0).fit(x.to_numpy(), corpus.runs["label"])
        assert len(model.predict(x.to_numpy())) == 40
    assert isinstance(found["DEFault-as-released"].make_estimator(0), HierarchicalForest)
    umlaut = found["UMLAUT-with-rate"]
    x = extract(corpus, umlaut.feature_set, window=2).to_numpy()
    symptoms = umlaut.make_estimator(0).symptoms(x)
    expected = np.where(corpus.runs["label"] == "Loss", "", "learning_rate")
    assert ((symptoms == "learning_rate") == (expected == "learning_rate")).all()


def test_the_shift_of_deepfd_loses_four_checks_and_renames_the_rest(corpus):
    shifted = extract(corpus, audit_feature_set(corpus, "deepfd_as_released"), window=2)
    ours = extract(corpus, "deepfd", window=2)
    assert len(shifted.columns) == 148
    np.testing.assert_array_equal(shifted["deepfd_increase_loss_mean"], ours["train_loss_mean"])
    np.testing.assert_array_equal(
        shifted["deepfd_cons_mean_weight_mean"], ours["train_accuracy_mean"]
    )
    last = corpus.epochs.loc[corpus.epochs["epoch"] == 1, "valid_accuracy"]
    np.testing.assert_allclose(shifted["valid_accuracy_last"], last)
