"""Prediction files as entries: what is read, what is tolerated, what is refused."""

import numpy as np
import pandas as pd
import pytest
from board_kit import SET, corpus, entry_of, predictions_of, runs_of

from analysis_lib.errors import InputError
from analysis_lib.evaluation import load_predictions, save_predictions
from analysis_lib.evaluation.study import run_study
from analysis_lib.leaderboard import (
    check_entry,
    read_entries,
    save_entry,
    split_entries,
    study_entries,
    task_digest,
    transfer_entries,
)
from analysis_lib.techniques import Technique
from analysis_lib.techniques.general import make_logistic

RUNS = runs_of()
LINEAR = Technique("linear", SET, make_logistic, "linear")


def test_an_entry_comes_back_as_it_was_saved(tmp_path):
    entry = entry_of(RUNS, wrong=2, seconds=3.5, track="U", target_runs=20.0, versions={"a": "1"})
    path = save_entry(entry, tmp_path, runs=RUNS)
    assert path.name == "typing-4-t-U-k5-E4-4programs-one.parquet"
    (found,) = read_entries(tmp_path)
    for name in ("technique", "task", "strategy", "track", "window", "held_out", "seconds",
                 "target_runs", "versions"):  # fmt: skip
        assert getattr(found, name) == getattr(entry, name), name
    assert found.source == path.name
    assert load_predictions(path).attrs["runs"] == task_digest(RUNS)
    check_entry(found, RUNS)


def test_a_csv_with_the_least_columns_is_enough(tmp_path):
    path = tmp_path / "mine.csv"
    predictions_of(RUNS).drop(columns="repeat").to_csv(path, index=False)
    (entry,) = read_entries(path, task="typing-4")
    assert (entry.track, entry.target_runs, np.isnan(entry.seconds)) == ("Z", 0, True)
    check_entry(entry, RUNS)
    with pytest.raises(InputError, match="which task it is for"):
        read_entries(path)


def test_columns_go_before_metadata_and_metadata_before_arguments(tmp_path):
    path = tmp_path / "a.parquet"
    save_predictions(predictions_of(RUNS), path, metadata={"task": "typing-6", "seconds": 2})
    (entry,) = read_entries(path, task="typing-4", seconds=9, track="H")
    assert (entry.task, entry.seconds, entry.track) == ("typing-6", 2, "H")
    both = {"task": "typing-6", "seconds": 2}
    save_predictions(predictions_of(RUNS).assign(track="K", seconds=7), path, metadata=both)
    (entry,) = read_entries(path, track="H")
    assert (entry.track, entry.seconds) == ("K", 7) and np.isnan(entry.target_runs)


def test_a_file_with_several_techniques_and_tasks_holds_several_entries(tmp_path):
    table = pd.concat([predictions_of(RUNS), predictions_of(RUNS, technique="u")])
    table = pd.concat([table.assign(task=t) for t in ("typing-4", "typing-6")])
    table.to_csv(tmp_path / "many.csv", index=False)
    found = read_entries(tmp_path)
    assert [(e.technique, e.task) for e in found] == [
        ("t", "typing-4"), ("u", "typing-4"), ("t", "typing-6"), ("u", "typing-6")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[3:], "lacks 3 of 48 runs in repeat 0, such as r000"),
        (lambda t: t.assign(run_id=t["run_id"].replace("r001", "zz")), "do not take part, such as"),
        (lambda t: t.assign(label="Loss"), "24 runs another label, such as 'Loss'"),
        (lambda t: t.assign(program=t["program"].replace("p1", "p0")), "another program"),
        (lambda t: t.assign(predicted="Los"), "predicts 'Los'; the classes are"),
        (lambda t: t.assign(fold=np.arange(len(t)) % 4), "the division leaks"),
    ],
)
def test_what_does_not_fit_the_task_is_named(change, message):
    (entry,) = split_entries(change(predictions_of(RUNS)), task="typing-4")
    with pytest.raises(InputError, match=message) as error:
        check_entry(entry, RUNS)
    assert "t (typing-4, E4" in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: pd.concat([t, t.head(2)]), "2 predictions occur twice"),
        (lambda t: t.drop(columns="fold"), "lack the columns fold"),
        (lambda t: t.assign(strategy="E9"), "unknown strategy 'E9'"),
        (lambda t: t.assign(track="X"), "unknown track 'X'"),
        (lambda t: t.assign(task="typing-5"), "did you mean 'typing-6'"),
        (lambda t: t.assign(seconds=-1), "seconds is -1"),
    ],
)
def test_what_is_not_in_the_format_is_named_with_its_file(tmp_path, change, message):
    path = tmp_path / "mine.csv"
    change(predictions_of(RUNS)).to_csv(path, index=False)
    with pytest.raises(InputError, match=message) as error:
        read_entries(path, task="typing-4")
    assert "mine.csv" in str(error.value)


def test_the_seal_of_another_corpus_and_too_long_windows_are_refused():
    sealed = corpus()
    sealed.manifest = {"seal": "x", "files": {}}
    with pytest.raises(InputError, match="is of corpus abc, not of"):
        check_entry(entry_of(RUNS, corpus="abc"), RUNS, corpus=sealed)
    check_entry(entry_of(RUNS, corpus="abc"), RUNS)
    late = split_entries(predictions_of(RUNS, window=7), task="mismatch")[0]
    with pytest.raises(InputError, match="more than the 6 epochs"):
        check_entry(late, RUNS)


@pytest.mark.parametrize("track", ["K", "U"])
def test_runs_that_teach_need_no_prediction_but_half_of_a_program_does(track):
    table = predictions_of(RUNS)
    tested = table.groupby(["program", "label"]).cumcount() >= 2
    (entry,) = split_entries(table[tested], task="typing-4", track=track, target_runs=4)
    check_entry(entry, RUNS)
    few = table[(table["program"] != "p2") | (table.groupby("program").cumcount() < 5)]
    (entry,) = split_entries(few, task="typing-4", track=track)
    with pytest.raises(InputError, match="42% of the runs of p2 in repeat 0"):
        check_entry(entry, RUNS)
    none = table[table["program"] != "p2"]
    with pytest.raises(InputError, match="0% of the runs of p2"):
        check_entry(split_entries(none, task="typing-4", track=track)[0], RUNS)


def test_transfer_methods_are_entries_by_method_and_pool():
    parts = []
    for name, track, size, mix, draws in (
        ("plain", "Z", 0, "even", 1), ("pool", "U", 20, "skewed", 2), ("shots", "K", 5, "even", 1)
    ):  # fmt: skip
        for draw in range(draws):
            part = predictions_of(RUNS, technique=name).drop(columns=["repeat", "window"])
            tags = {"track": track, "size": size, "mix": mix, "draw": draw, "seconds": 1.0 + draw}
            parts.append(part.assign(**tags))
    found = transfer_entries(pd.concat(parts, ignore_index=True), "typing-4")
    assert [(e.technique, e.track, e.target_runs, e.seconds) for e in found] == [
        ("plain", "Z", 0, 4), ("pool (20 runs, skewed)", "U", 20, 6),
        ("shots (5 per class)", "K", 10, 4),
    ]  # fmt: skip
    assert found[1].predictions["repeat"].nunique() == 2
    for entry in found:
        check_entry(entry, RUNS)


def test_groups_of_programs_are_counted_from_the_folds():
    table = predictions_of(RUNS)
    pairs = table.assign(fold=table["fold"] // 2)
    assert split_entries(table, task="typing-4")[0].held_out == "one"
    assert split_entries(pairs, task="typing-4")[0].held_out == "2 groups"
    # E6: an operator in a group is a fold, and folds that share programs are one group
    operator = np.arange(len(table)) % 3
    of_operators = pairs.assign(strategy="E6", fold=pairs["fold"] * 3 + operator)
    assert split_entries(of_operators, task="typing-4")[0].held_out == "2 groups"
    assert split_entries(predictions_of(RUNS, strategy="E1"), task="typing-4")[0].held_out == ""


def test_techniques_are_predicted_once_and_their_costs_kept(tmp_path):
    data = corpus()
    options = {"techniques": [LINEAR], "windows": [1], "n_groups": 2, "cache": tmp_path}
    first = study_entries(data, data.runs, "typing-4", **options)
    assert [(e.strategy, e.held_out) for e in first] == [
        ("E1", ""), ("E2", ""), ("E4", "2 groups")
    ]  # fmt: skip
    assert all(e.seconds > 0 for e in first)
    again = study_entries(data, data.runs, "typing-4", **options)
    assert [e.seconds for e in again] == [e.seconds for e in first], "from the cache"
    for entry in first:
        check_entry(entry, data.runs, corpus=data)
    found = run_study(
        data, data.runs, label="label", techniques=[LINEAR], windows=[1], strategies=["E1"]
    )
    wanted = first[0].predictions["predicted"].tolist()
    assert wanted == found["predicted"].tolist()
    with pytest.raises(InputError, match="allows 6 epochs"):
        study_entries(data, data.runs, "mismatch", techniques=[LINEAR], windows=[7])


def test_seconds_of_draws_are_averaged_and_missing_if_one_is():
    table = pd.concat([predictions_of(RUNS, strategy="E1").assign(repeat=k) for k in (0, 1)])
    tags = {"technique": "t", "window": 5, "strategy": "E1"}
    table.attrs["costs"] = [tags | {"repeat": k, "seconds": 1.0 + k} for k in (0, 1)]
    assert split_entries(table, task="typing-4")[0].seconds == 1.5
    table.attrs["costs"][1]["seconds"] = None
    assert np.isnan(split_entries(table, task="typing-4")[0].seconds)
