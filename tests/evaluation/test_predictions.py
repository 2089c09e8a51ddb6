import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.errors import InputError
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.evaluation.predictions import (
    check_predictions,
    load_predictions,
    save_predictions,
    score_predictions,
)
from analysis_lib.evaluation.scores import score_table
from analysis_lib.evaluation.worlds import simulate_world

WORLD = simulate_world("transferable", programs=4, classes=2, configurations=3)


def make_table():
    tree = DecisionTreeClassifier(max_depth=2)
    parts = []
    for strategy, repeat in (("E2", 0), ("E2", 1), ("E4", 0)):
        part = cross_predict(
            *WORLD, tree, strategy, "label", random_state=repeat, probabilities=True
        )
        parts.append(part.assign(technique="tree", window=5, strategy=strategy, repeat=repeat))
    return pd.concat(parts, ignore_index=True)


TABLE = make_table()


def test_what_is_saved_is_what_is_loaded(tmp_path):
    file = save_predictions(TABLE, tmp_path / "a" / "t.parquet", metadata={"corpus": "c1"})
    got = load_predictions(file)
    pd.testing.assert_frame_equal(got, check_predictions(TABLE))
    assert got.columns[:5].tolist() == ["technique", "window", "strategy", "repeat", "run_id"]
    assert got.attrs["corpus"] == "c1" and got.attrs["version"] == 1
    assert [f.name for f in file.parent.iterdir()] == ["t.parquet"]


def test_a_folder_of_files_is_one_table(tmp_path):
    for (strategy, repeat), part in TABLE.groupby(["strategy", "repeat"]):
        save_predictions(part, tmp_path / f"{strategy}{repeat}.parquet")
    pd.testing.assert_frame_equal(load_predictions(tmp_path), check_predictions(TABLE))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no .parquet file"):
        load_predictions(tmp_path / "empty")


def test_scores_need_no_fitting(tmp_path):
    got = score_predictions(load_predictions(save_predictions(TABLE, tmp_path / "t.parquet")))
    assert got["strategy"].tolist() == ["E2", "E4"] and got["runs"].tolist() == [240, 120]
    own = score_table(TABLE[TABLE["strategy"] == "E2"])
    row = got[got["strategy"] == "E2"].iloc[0]
    assert row["program_macro_recall"] == own["program_macro_recall"]
    assert len(score_predictions(TABLE, by=["strategy", "repeat"])) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns=["window", "fold"]), "lack the columns window, fold"),
        (lambda t: t.iloc[:0], "no predictions"),
        (lambda t: t.assign(predicted=t["predicted"].where(t.index > 2)), "3 predictions have no"),
        (lambda t: t.assign(window=-1), "window must hold whole numbers"),
        (lambda t: t.assign(fold=0.5), "fold must hold whole numbers"),
        (lambda t: t.assign(repeat="first"), "repeat must hold whole numbers"),
        (lambda t: t.assign(repeat=0), "120 predictions occur twice"),
        (lambda t: t.assign(label=np.where(t.index == 0, "other", t["label"])), "values of label"),
        (lambda t: t.assign(program=np.where(t.index == 0, "x", t["program"])), "of program"),
        (lambda t: t.assign(**{"p_class 0": 0.7}), "not between 0 and 1 with"),
        (lambda t: t.assign(**{"p_class 0": np.nan}), "give all classes, or none"),
    ],
)
def test_what_breaks_the_format_is_named(change, message):
    with pytest.raises(InputError, match=message):
        check_predictions(change(TABLE))


def test_rows_without_probabilities_may_stand_beside_those_with_them():
    some = TABLE.copy()
    some.loc[some["strategy"] == "E4", ["p_class 0", "p_class 1"]] = np.nan
    assert check_predictions(some).shape == some.shape
    plain = check_predictions(TABLE.drop(columns=["p_class 0", "p_class 1", "configuration"]))
    assert len(plain) == len(TABLE)
