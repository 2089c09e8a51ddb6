"""The shipped model belongs to the shipped corpus; a model is made and saved the same twice."""

import io

import numpy as np
import pandas as pd
import pytest

from analysis_lib import InputError, load_corpus
from analysis_lib.corpus.load import DEFAULT, read_manifest
from analysis_lib.diagnosis import build_model, load_model, training
from analysis_lib.diagnosis.candidates import boosting
from analysis_lib.diagnosis.curves import CHANNELS, CURVES
from analysis_lib.diagnosis.features import curves_of
from analysis_lib.diagnosis.model import EPOCHS, SHIPPED, USUAL, DiagnosisModel, align
from analysis_lib.labels import select_runs


@pytest.fixture(scope="module")
def model():
    return load_model()


@pytest.fixture(scope="module")
def corpus():
    return load_corpus(channels=list(CHANNELS), verify=False)


@pytest.fixture(scope="module")
def small(corpus):
    """A few programs and seeds, enough to fit something."""
    runs = corpus.runs
    programs = ["snn_wine", "gat_digits_knn", "lstm_elec", "nade_digits"]
    kept = runs[runs["program"].isin(programs) & (runs["seed"] < 1)]
    epochs = corpus.epochs[corpus.epochs["run_id"].isin(kept["run_id"])]
    return type(corpus)(kept, epochs, pd.DataFrame())


def test_it_was_made_from_the_shipped_corpus(model):
    """Otherwise make it anew: python -m analysis_lib diagnosis-model."""
    assert model.about["corpus"] == read_manifest(DEFAULT)["digest"]


def test_it_gives_the_probabilities_it_was_saved_with(model, corpus):
    rows = model.about["check"]
    ids = [row["run_id"] for row in rows]
    run_ids, epoch, values, broken = curves_of(corpus.epochs[corpus.epochs["run_id"].isin(ids)])
    order = pd.Index(run_ids).get_indexer(ids)
    assert (epoch[order] == np.arange(-1, EPOCHS)).all()
    p = model.predict(values[order], broken[order], window=USUAL)
    expected = [row["probabilities"] for row in rows]
    np.testing.assert_allclose(p, expected, atol=1e-4)


def test_its_reference_is_the_corpus(model, corpus):
    runs = select_runs(corpus.runs, None, healthy=True)
    assert set(model.reference.runs["configuration"]) == set(runs["configuration"])
    assert set(model.classes) == set(runs["label"])
    assert model.about["runs"] == len(runs) and model.about["programs"] == 52


def test_it_is_small_and_holds_no_object(model):
    assert SHIPPED.stat().st_size < 3 * 2**20
    with np.load(SHIPPED, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)
    assert model.to_bytes() == SHIPPED.read_bytes()


def test_what_it_says_of_itself_is_plausible(model):
    scores = model.table("scores").set_index("case")
    chance = 1 / len(model.classes)
    assert scores.loc["window 5", "all_classes"] > 0.6
    assert (scores["all_classes"] > 2 * chance).all()
    groups = scores.filter(like="without ", axis=0)
    assert (groups["all_classes"] < scores.loc["window 5", "all_classes"]).all()
    assert scores.loc["window 5", "error"] < 0.08
    kept = model.table("abstention").set_index("coverage")["risk"]
    assert kept[0.5] < 0.5 * kept[1.0]
    rates = model.table("instability").set_index("level")["unstable"]
    assert rates["low"] < rates["raised"] < rates["high"]


@pytest.fixture(scope="module")
def made(small):
    return build_model(small, make=boosting(2, 0.3, bins=4), folds=2)


def test_the_same_corpus_makes_the_same_bytes(small, made):
    again = build_model(small, make=boosting(2, 0.3, bins=4), folds=2)
    assert again.to_bytes() == made.to_bytes()


def test_saved_and_loaded_it_predicts_the_same(small, made, tmp_path):
    again = load_model(made.save(tmp_path / "deep" / "model.npz"))
    traces = training.read_traces(small)
    inputs = traces.values, traces.broken
    np.testing.assert_array_equal(again.predict(*inputs, window=3), made.predict(*inputs, window=3))
    assert again.about == made.about


def test_held_out_scores_never_see_the_program(small, monkeypatch):
    traces, seen = training.read_traces(small), []

    def watched(make, traces, rows, seed):
        seen.append(set(traces.program[rows]))
        return fit(make, traces, rows, seed)

    fit = training.fit
    monkeypatch.setattr(training, "fit", watched)
    cases = {"window 3": (3, ())}
    scores, fold = training.held_out_scores(traces, cases, make=boosting(2, 0.3, bins=4), folds=4)
    assert len(seen) == 4 == len(np.unique(fold))
    for k, trained in enumerate(seen):
        assert trained.isdisjoint(traces.program[fold == k]) and len(trained) == 3
    assert np.isfinite(scores["window 3"]).all()


def test_training_rows_are_masked_by_whole_groups(small):
    traces = training.read_traces(small)
    rows = np.arange(len(traces.runs))
    x, y, weight = training.training_table(traces, rows)
    assert len(x) == len(y) == len(weight) == training.COPIES * len(rows)
    groups = training.feature_groups()
    full = np.isfinite(traces.features(5)).any(axis=0)
    gone = np.array(
        [np.isnan(x[:, (groups == g) & full]).all(axis=1) for g in np.unique(groups) if g]
    )
    assert gone.any(axis=0).mean() == pytest.approx(training.MASKED, abs=0.1)
    by_class = pd.Series(weight).groupby(y).sum()
    assert by_class.std() / by_class.mean() < 0.1


def test_masks_reach_whole_groups_and_nothing_else(small):
    traces = training.read_traces(small)
    groups = training.feature_groups()
    full, masked = traces.features(5), traces.features(5, without=["curvature"])
    assert np.isnan(masked[:, groups == "curvature"]).all()
    np.testing.assert_array_equal(masked[:, groups != "curvature"], full[:, groups != "curvature"])


def test_snapshots_are_put_where_the_model_has_them():
    values = np.array([[1.0], [2.0], [3.0]])
    found = align(np.array([-1, 4, 30]), values)
    assert found.shape == (EPOCHS + 1, 1)
    assert found[0, 0] == 1 and found[5, 0] == 2 and np.isfinite(found).sum() == 2
    assert (
        not align(np.array([0]), np.array([True]))[0] and align(np.array([0]), np.array([True]))[1]
    )


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, content):
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="diagnosis-model"):
        load_model(path)
    with pytest.raises(InputError, match="there is no model"):
        load_model(tmp_path / "none.npz")


def test_a_pickle_is_never_opened(tmp_path):
    file = io.BytesIO()
    np.savez(file, text=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "model.npz").write_bytes(file.getvalue())
    with pytest.raises(InputError, match="no diagnosis model"):
        load_model(tmp_path / "model.npz")


def test_other_features_are_refused(model, tmp_path, monkeypatch):
    path = model.save(tmp_path / "model.npz")
    monkeypatch.setattr("analysis_lib.diagnosis.model.feature_names", lambda: ["x"])
    with pytest.raises(InputError, match="another version"):
        load_model(path)


def test_a_corpus_with_short_runs_is_refused(small):
    short = type(small)(small.runs, small.epochs[small.epochs["epoch"] < 6], pd.DataFrame())
    with pytest.raises(InputError, match="snapshots"):
        training.read_traces(short)


def test_a_model_is_a_model(model):
    assert isinstance(model, DiagnosisModel) and len(model.reference.centre) == len(CURVES)
