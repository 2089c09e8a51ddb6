import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.errors import InputError
from analysis_lib.evaluation.folds import (
    check_folds,
    load_splits,
    make_folds,
    pick_splits,
    save_splits,
)
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.evaluation.predictions import save_predictions
from analysis_lib.evaluation.splits import make_splits
from analysis_lib.evaluation.worlds import simulate_world

FEATURES, RUNS = simulate_world("transferable", programs=6, classes=3)
ALL = ["E1", "E2", "E3", "E4", "E5", "E6", "E2bal"]
FOLDS = make_folds(RUNS, label="label", strategies=ALL, repeats=2)


def test_every_strategy_and_draw_has_every_run_once():
    sizes = FOLDS.groupby(["strategy", "repeat"])["run_id"].nunique()
    assert sizes.eq(len(RUNS)).all() and len(FOLDS) == sizes.sum()
    draws = FOLDS.groupby("strategy")["repeat"].nunique().to_dict()
    assert draws == {"E1": 2, "E2": 2, "E3": 2, "E4": 1, "E5": 1, "E6": 1}
    expected = make_splits(RUNS, strategy="E2", label="label", random_state=1)
    for name in ("E2", "E2bal"):
        pd.testing.assert_frame_equal(
            pick_splits(FOLDS, name, repeat=1), expected, check_dtype=False
        )
    pd.testing.assert_frame_equal(
        pick_splits(FOLDS, "E4", repeat=1), pick_splits(FOLDS, "E4bal", repeat=0)
    )


def test_saved_folds_come_back_and_are_small(tmp_path):
    file = save_splits(FOLDS, tmp_path / "new" / "s.parquet", runs=RUNS, label="label", corpus="c1")
    got = load_splits(file, runs=RUNS.sample(frac=1, random_state=0), label="label")
    pd.testing.assert_frame_equal(got, FOLDS)
    assert got.attrs["corpus"] == "c1" and got.attrs["label"] == "label"
    assert file.stat().st_size < 4 * len(FOLDS)
    assert [f.name for f in file.parent.iterdir()] == ["s.parquet"]
    x = cross_predict(
        FEATURES, RUNS, DecisionTreeClassifier(), "E2", "label", splits=pick_splits(got, "E2")
    )
    assert x["fold"].tolist() == make_splits(RUNS, strategy="E2", label="label")["fold"].tolist()


def broken(change):
    return change(FOLDS.copy())


def set_fold(folds, strategy, fold):
    first = folds.index[folds["strategy"] == strategy][0]
    folds.loc[first, "fold"] = fold
    return folds


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="repeat"), "lacks repeat"),
        (lambda f: f.iloc[:0], "lacks rows"),
        (lambda f: f.assign(fold=f["fold"] - 1), "whole numbers"),
        (lambda f: f.assign(fold=f["fold"] + 0.5), "whole numbers"),
        (lambda f: pd.concat([f, f.iloc[:1]]), "several folds"),
        (lambda f: f.iloc[1:], "1 runs have no fold and 0 folds"),
        (lambda f: f.assign(strategy="E0"), "unknown strategy"),
        (lambda f: set_fold(f, "E2", 4), "1 values of configuration are spread"),
        (lambda f: set_fold(f, "E4", 4), "1 values of program are spread"),
        (lambda f: set_fold(f, "E6", 9), "1 values of program x operator are spread"),
        (lambda f: set_fold(f, "E3", 29), "values of configuration are spread"),
        (
            lambda f: f.assign(fold=np.where(f["strategy"] == "E3", f["fold"] % 5, f["fold"])),
            "mixes several values of program",
        ),
        (
            lambda f: f.assign(fold=np.where(f["strategy"] == "E1", 0, f["fold"])),
            "fewer than two classes",
        ),
    ],
)
def test_damage_is_found_and_named(change, message):
    with pytest.raises(InputError, match=message):
        check_folds(broken(change), RUNS, label="label")


def test_other_runs_labels_and_files_are_refused(tmp_path):
    file = save_splits(FOLDS, tmp_path / "s.parquet", runs=RUNS, label="label")
    with pytest.raises(InputError, match="0 runs have no fold and 5 folds are of other runs"):
        load_splits(file, runs=RUNS.iloc[5:])
    with pytest.raises(InputError, match="folds for label, not for unstable"):
        load_splits(file, label="unstable")
    with pytest.raises(InputError, match="no file"):
        load_splits(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(InputError, match="no Parquet file"):
        load_splits(tmp_path / "text.parquet")
    FOLDS.to_parquet(tmp_path / "plain.parquet")
    with pytest.raises(InputError, match="holds no known format; expected analysis_lib.splits 1"):
        load_splits(tmp_path / "plain.parquet")
    table = RUNS[["run_id", "program", "label"]].assign(
        technique="t", window=1, strategy="E4", repeat=0, fold=0, predicted="x"
    )
    save_predictions(table, tmp_path / "p.parquet")
    with pytest.raises(InputError, match="holds analysis_lib.predictions 1"):
        load_splits(tmp_path / "p.parquet")
    with pytest.raises(InputError, match="no folds of E1, repeat 7"):
        pick_splits(FOLDS, "E1", repeat=7)
    with pytest.raises(InputError, match="no folds to make"):
        make_folds(RUNS, label="label", strategies=[])
