"""Scores, ranks and ties with known answers."""

import numpy as np
import pandas as pd
import pytest
from board_kit import entry_of, runs_of

from analysis_lib.errors import InputError
from analysis_lib.evaluation import evaluation_gap
from analysis_lib.leaderboard import (
    BoardFile,
    board_columns,
    board_table,
    leaderboard,
    leaders,
    probability_scores,
    rank_scores,
    split_names,
)

RUNS = runs_of(programs=12)


def shaken(entry, cells, seed=0):
    """The entry with ``cells`` random predictions of every program turned wrong."""
    table = entry.predictions.copy()
    rng = np.random.default_rng(seed)
    for rows in table.groupby("program").indices.values():
        wrong = rng.choice(rows, size=rng.integers(0, cells + 1), replace=False)
        table.loc[wrong, "predicted"] = "Healthy"
    return type(entry)(**{**vars(entry), "predictions": table})


def test_scores_and_gap_are_those_of_the_evaluation():
    seen, unseen = entry_of(RUNS, 1, "E1"), shaken(entry_of(RUNS, 2, "E4"), 4)
    board = leaderboard([seen, unseen], n_resamples=50).set_index("strategy")
    gap = evaluation_gap({"E1": seen.predictions, "E4": unseen.predictions}, n_resamples=10)
    part = gap.decomposition.loc[("program_macro_recall", "total")]
    got = board.loc["E4", ["gap", "gap_low", "gap_high"]].astype(float)
    np.testing.assert_allclose(got, part[["estimate", "low", "high"]].astype(float))
    for mine, theirs in (("score", "program_macro_recall"), ("pooled", "pooled_balanced_accuracy"),
                         ("worst_quartile", "worst_quartile"), ("chance", "chance")):  # fmt: skip
        np.testing.assert_allclose(
            board[mine].astype(float), gap.scores[theirs].astype(float).loc[board.index]
        )
    assert board.loc["E1", "score"] == pytest.approx(5 / 6) and np.isnan(board.loc["E1", "gap"])
    assert (board["rank"] == 1).all() and not board["resolved"].any()


def test_who_is_not_resolved_from_the_best_shares_its_rank():
    entries = [
        shaken(entry_of(RUNS, 1, technique="good"), 1, seed=0),
        shaken(entry_of(RUNS, 1, technique="as good"), 1, seed=1),
        shaken(entry_of(RUNS, 3, technique="worse"), 1, seed=2),
        shaken(entry_of(RUNS, 6, technique="worst"), 1, seed=3),
    ]
    board = leaderboard(entries[::-1], n_resamples=0)
    assert board["technique"].tolist()[2:] == ["worse", "worst"]
    assert board["rank"].tolist() == [1, 1, 3, 4]
    assert board["resolved"].tolist() == [False, False, True, True]
    assert (board["behind"] >= 0).all() and board.loc[0, "behind"] == 0
    table, texts = board_columns(board)
    assert texts["rank"] == ["1 =", "1 =", "3", "4"]
    assert texts["behind the best"][0] == "best" and texts["behind the best"][2].startswith("0.")
    assert list(table)[:3] == ["technique", "rank", "macro recall"] and "AUC" not in table


def test_entries_compete_only_where_everything_but_the_technique_agrees():
    other = {"track": "H", "target_runs": 5.0}
    entries = [
        entry_of(RUNS, 3, technique="a"),
        entry_of(RUNS, 0, technique="b", **other),
        entry_of(RUNS, 0, technique="c", held_out="3 groups"),
        entry_of(RUNS, 0, "E1", technique="d"),
        entry_of(RUNS, 0, technique="e", task="typing-6"),
    ]
    board = leaderboard(entries, n_resamples=0)
    assert (board["rank"] == 1).all()
    assert set(split_names(board)) == {"E1", "E4, one", "E4, 3 groups"}
    assert board["task"].tolist() == ["typing-4"] * 4 + ["typing-6"]


def test_an_entry_that_occurs_twice_or_none_is_refused():
    with pytest.raises(InputError, match="several entries of t "):
        leaderboard([entry_of(RUNS), entry_of(RUNS, 1)])
    with pytest.raises(InputError, match="no entries"):
        leaderboard([])


def test_differences_are_charged_for_many_comparisons():
    rng = np.random.default_rng(1)
    scores = pd.DataFrame(0.5 + 0.1 * rng.standard_normal((15, 30)))
    scores[0] += 0.05  # often resolved from one, seldom from the luckiest of many
    alone = rank_scores(scores[[0, int((scores.mean()).idxmin())]])
    together = rank_scores(scores)
    worst = scores.mean().idxmin()
    wide, narrow = (t.loc[worst, "behind_high"] - t.loc[worst, "behind"] for t in (together, alone))
    assert wide > 1.2 * narrow
    assert alone.loc[worst, "resolved"]


def test_few_programs_resolve_nothing_and_one_has_no_interval():
    scores = pd.DataFrame({"a": [0.9, 0.8, 0.9], "b": [0.1, 0.2, 0.1]})
    assert rank_scores(scores)["rank"].tolist() == [1, 1]
    assert rank_scores(scores.head(1))["behind_high"].tolist() == [0, np.inf]
    with pytest.raises(InputError, match="no program is scored"):
        rank_scores(scores.assign(b=np.nan))


def test_probabilities_are_scored_by_program_and_class():
    p = pd.DataFrame({"program": list("ppppq"), "label": list("xxxyy"), "p_x": [1, 1, 1, 1, 0.5]})
    p["p_y"] = 1 - p["p_x"]
    found = probability_scores(p, min_runs=1)
    assert found["brier"] == pytest.approx(((0 + 2) / 2 + 0.5) / 2)
    assert found["log_loss"] == pytest.approx(((0 - np.log(1e-6)) / 2 + np.log(2)) / 2)
    few = probability_scores(p, min_runs=2)
    assert few["brier"] == 0, "cells with one run do not count"
    p["p_z"] = 0.0
    assert probability_scores(p, min_runs=1)["brier"] == pytest.approx(found["brier"])
    p.loc[0, ["p_x", "p_y", "p_z"]] = np.nan
    assert np.isnan(probability_scores(p, min_runs=1)["brier"])
    assert np.isnan(probability_scores(p.drop(columns="p_y"), min_runs=1)["log_loss"])


def test_two_classes_are_scored_where_a_program_has_both():
    runs = RUNS.assign(label=RUNS["label"].map({"Loss": "stable", "Activation": "unstable"}))
    entry = entry_of(RUNS, task="instability")
    table = entry.predictions.assign(label=runs["label"], predicted="stable")
    table["p_unstable"] = np.linspace(0, 1, len(table))
    table["p_stable"] = 1 - table["p_unstable"]
    one_sided = table["program"].isin(["p0", "p1"]) & (table["label"] == "unstable")
    found = type(entry)(**{**vars(entry), "predictions": table[~one_sided]})
    row = leaderboard([found], n_resamples=0).iloc[0]
    assert row["programs"] == 10 and row["score"] == 0.5 and row["auc"] == 1


def test_the_shown_board_has_filters_and_sorts_numbers_downwards():
    entries = [entry_of(RUNS, 1, "E1"), entry_of(RUNS, 2, "E4"), entry_of(RUNS, 3, technique="u")]
    table = board_table(leaderboard(entries, n_resamples=0), chosen={"split": "E4, one"})
    assert "macro recall" in table.descending and table.filters["split"] == "E4, one"
    with pytest.raises(InputError, match="no row of table 'leaderboard' has 'E7'"):
        board_table(leaderboard(entries, n_resamples=0), chosen={"split": "E7"})


def test_leaders_name_those_who_share_their_rank_even_if_names_hold_commas():
    entries = [entry_of(RUNS, 1, technique=f"pool (20 runs, {mix})") for mix in ("even", "skewed")]
    row = leaders(leaderboard(entries, n_resamples=0)).iloc[0]
    assert row["tied"].split("; ") == ["pool (20 runs, skewed)"] and row["first"] == 2


def test_the_file_of_the_board_carries_every_column():
    board = leaderboard([entry_of(RUNS, 1)], n_resamples=0)
    data, about = BoardFile(board, name="tab-all")._repr_mimebundle_()
    assert "<tables/tab-all.csv>" in data["text/markdown"]
    assert about["table"]["csv"].splitlines()[0].split(",") == list(board)
    with pytest.raises(InputError, match="does not fit"):
        BoardFile(board, name="Two words")
