import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import recall_score

from analysis_lib.errors import InputError
from analysis_lib.evaluation.scores import (
    by_program,
    chance_level,
    pooled_balanced_accuracy,
    program_macro_recall,
    recall_cells,
    score_table,
    worst_quartile,
)

names = st.sampled_from("abc")
tables = st.lists(st.tuples(st.sampled_from("pqrst"), names, names), min_size=1, max_size=60).map(
    lambda rows: pd.DataFrame(rows, columns=["program", "label", "predicted"])
)


def cell(table, program, label):
    rows = [r for r in table.itertuples() if r.program == program and r.label == label]
    return len(rows), sum(r.predicted == label for r in rows)


@given(tables, st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_cells_and_scores_agree_with_plain_loops(table, min_runs):
    cells = recall_cells(table, min_runs=min_runs).set_index(["program", "label"])
    present = set(zip(table["program"], table["label"], strict=True))
    assert set(cells.index) == present
    scores = {}
    for program in sorted(set(table["program"])):
        recalls = []
        for label in "abc":
            runs, correct = cell(table, program, label)
            if not runs:
                continue
            row = cells.loc[(program, label)]
            assert (row["runs"], row["correct"]) == (runs, correct)
            assert bool(row["averaged"]) is (runs >= min_runs)
            if runs >= min_runs:
                recalls.append(correct / runs)
        if recalls:
            scores[program] = np.mean(recalls)
    if not scores:
        with pytest.raises(InputError, match="lower min_runs"):
            program_macro_recall(table, min_runs=min_runs)
        return
    got = by_program(table, min_runs=min_runs)["score"].dropna().to_dict()
    assert got == pytest.approx(scores)
    assert program_macro_recall(table, min_runs=min_runs) == pytest.approx(
        np.mean(list(scores.values()))
    )
    worst = sorted(scores.values())[: -(-len(scores) // 4)]
    assert worst_quartile(table, min_runs=min_runs) == pytest.approx(np.mean(worst))


@given(tables)
@settings(max_examples=60, deadline=None)
def test_pooled_balanced_accuracy_is_scikit_learns(table):
    classes = sorted(set(table["label"]))
    expected = recall_score(table["label"], table["predicted"], labels=classes, average="macro")
    assert pooled_balanced_accuracy(table) == pytest.approx(expected)


def test_programs_count_once_and_runs_do_not():
    big = pd.DataFrame({"program": "big", "label": list("ab") * 50, "predicted": list("ab") * 50})
    small = pd.DataFrame({"program": "small", "label": list("ab") * 5, "predicted": list("ba") * 5})
    both = pd.concat([big, small], ignore_index=True)
    assert program_macro_recall(both) == 0.5
    assert pooled_balanced_accuracy(both) == pytest.approx(100 / 110)
    assert worst_quartile(both) == 0.0
    assert by_program(both)["corrected"].to_dict() == {"big": 1.0, "small": -1.0}


@pytest.mark.parametrize(("programs", "worst"), [(3, 0.0), (4, 0.0), (5, 0.1), (8, 0.1)])
def test_the_worst_quartile_is_a_quarter_rounded_up(programs, worst):
    parts = []
    for i in range(programs):
        predicted = ["a"] * 2 * i + ["b"] * (10 - 2 * i) if i < 6 else "a"
        parts.append(pd.DataFrame({"program": i, "label": ["a"] * 10, "predicted": predicted}))
    assert worst_quartile(pd.concat(parts)) == pytest.approx(worst)


def test_rare_cells_are_shown_but_not_averaged():
    table = pd.DataFrame({"program": "p", "label": ["a"] * 5 + ["b"] * 4, "predicted": "a"})
    assert recall_cells(table)["averaged"].tolist() == [True, False]
    assert program_macro_recall(table) == 1.0
    assert program_macro_recall(table, min_runs=4) == 0.5


def test_the_summary_holds_every_score():
    table = pd.DataFrame({"program": list("pq") * 10, "label": list("ab") * 10, "predicted": "a"})
    got = score_table(table)
    assert got["program_macro_recall"] == program_macro_recall(table) == 0.5
    assert got["chance"] == chance_level(table) == 0.5
    assert (got["programs"], got["runs"]) == (2, 20)


def test_incomplete_predictions_are_refused():
    table = pd.DataFrame({"program": ["p"], "label": ["a"], "predicted": [None]})
    with pytest.raises(InputError, match="missing values"):
        recall_cells(table)
    with pytest.raises(InputError, match="predicted"):
        recall_cells(table.drop(columns="predicted"))
