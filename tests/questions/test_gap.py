"""What the functions of RQ1 compute, on tables and worlds with known answers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.corpus import sample_programs
from analysis_lib.errors import InputError
from analysis_lib.evaluation import score_table, simulate_world
from analysis_lib.questions import detectors, gap
from analysis_lib.questions.thinned import Thinned


def predictions(rows, **columns) -> pd.DataFrame:
    """rows: (program, label, predicted, how often)."""
    table = pd.DataFrame(rows, columns=["program", "label", "predicted", "times"])
    table = table.loc[table.index.repeat(table.pop("times"))].reset_index(drop=True)
    return table.assign(run_id=[f"r{i}" for i in range(len(table))], **columns)


GOOD = [("p", "x", "x", 10), ("p", "y", "y", 10), ("q", "x", "x", 10), ("q", "y", "y", 10)]
HALF = [("p", "x", "x", 10), ("p", "y", "x", 10), ("q", "x", "x", 10), ("q", "y", "y", 10)]
BAD = [("p", "x", "y", 10), ("p", "y", "x", 10), ("q", "x", "x", 10), ("q", "y", "x", 10)]


def test_scores_and_intervals_of_a_table_done_by_hand():
    row = gap.interval_table(predictions(HALF, strategy="E4"), by=["strategy"]).iloc[0]
    assert row["score"] == 0.75 and row["pooled"] == 0.75 and row["programs"] == 2
    assert row["worst_quartile"] == 0.5 and row["chance"] == 0.5
    assert row["high"] - 0.75 == pytest.approx(12.706 * np.std([0.5, 1], ddof=1) / 2**0.5, rel=1e-3)
    assert row["pooled_low"] == 0.5 and row["pooled_high"] == 1.0
    fast = gap.interval_table(predictions(HALF, s="E4"), by=["s"], n_resamples=0).iloc[0]
    assert fast["pooled"] == 0.75 and np.isnan(fast["pooled_low"])


def test_scores_are_those_of_the_score_table():
    _, runs = simulate_world("none", programs=9, classes=3, configurations=3, seeds=3)
    rng = np.random.default_rng(0)
    table = runs.assign(predicted=rng.permutation(runs["label"]), s="E1")
    row, expected = gap.interval_table(table, by=["s"]).iloc[0], score_table(table)
    assert row["score"] == pytest.approx(expected["program_macro_recall"])
    assert row["pooled"] == pytest.approx(expected["pooled_balanced_accuracy"])
    assert row["worst_quartile"] == pytest.approx(expected["worst_quartile"])


def test_the_gap_table_holds_a_gap_per_group():
    parts = [
        predictions(rows, technique=t, strategy=s)
        for t, s, rows in (
            ("a", "E1", GOOD),
            ("a", "E4", HALF),
            ("b", "E1", GOOD),
            ("b", "E4", BAD),
        )
    ]
    table = gap.gap_table(pd.concat(parts), n_resamples=50).set_index(["technique", "metric"])
    macro = table.xs("program_macro_recall", level="metric")["estimate"]
    assert macro.to_dict() == {"a": 0.25, "b": 0.75}


def test_paired_differences_use_common_programs_alone():
    more = [*GOOD, ("z", "x", "y", 10)]
    found = gap.paired_difference(predictions(more), predictions(HALF))
    assert found.estimate == 0.25 and found.n == 2
    with pytest.raises(InputError, match="no scored program in common"):
        gap.paired_difference(predictions(GOOD[:2]), predictions(HALF[2:]))


def test_every_strategy_is_compared_with_the_e4_of_its_kind():
    def part(strategy, rows):
        return predictions(rows, technique="t", strategy=strategy)

    headline = pd.concat([part("E1", GOOD), part("E4", HALF)])
    others = pd.concat([part("E3", HALF[:2]), part("E4", BAD), part("E6", HALF)])
    table = gap.split_table(headline, others).set_index(["strategy", "held_out"])
    assert set(table.index) == {
        ("E1", ""), ("E3", ""), ("E4", "one"), ("E4", "groups"), ("E6", "groups")
    }  # fmt: skip
    assert table.loc[("E1", ""), "above"] == 0.25
    assert table.loc[("E3", ""), "above"] == 0 and table.loc[("E3", ""), "programs"] == 1
    assert table.loc[("E6", "groups"), "above"] == 0.5
    assert np.isnan(table.loc[("E4", "groups"), "above"])


def test_groups_of_programs_are_averaged_program_by_program():
    runs = pd.DataFrame({"program": ["p", "q"], "modality": ["image", "text"]})
    table = pd.concat(
        [predictions(r, strategy=s) for s, r in (("E1", GOOD), ("E2", HALF), ("E4", BAD))]
    )
    found = gap.program_table(table, runs, "modality").set_index("modality")
    assert found.loc["image", ["E1", "E2", "E4"]].tolist() == [1.0, 0.5, 0.0]
    assert found.loc["text", ["replicate leak", "program part", "total"]].tolist() == [0, 0.5, 0.5]
    both = gap.program_table(table, runs.assign(modality="image"), "modality").iloc[0]
    assert both[["programs", "E1", "E2", "E4"]].tolist() == [2, 1.0, 0.75, 0.25]
    recall, groups = gap.recall_table(predictions(HALF), runs)
    assert recall.loc["p"].tolist() == [1.0, 0.0] and groups.tolist() == ["image", "text"]


def test_recall_is_sorted_by_group_then_score():
    rows = [("a", "x", "y", 5), ("b", "x", "x", 5), ("c", "x", "x", 5)]
    runs = pd.DataFrame({"program": list("abc"), "modality": ["m", "m", "k"]})
    assert gap.recall_table(predictions(rows), runs)[0].index.tolist() == ["c", "b", "a"]


def test_all_strategies_of_a_world(world, tmp_path):
    corpus, tree = world()
    options = {"techniques": [tree], "window": 1, "cache": tmp_path}
    head = gap.headline_predictions(corpus, corpus.runs, repeats=2, **options)
    repeats = head.groupby("strategy")["repeat"].nunique().to_dict()
    assert repeats == {"E1": 2, "E2": 2, "E2bal": 2, "E4bal": 1, "E4": 1}
    plain = gap.headline_predictions(corpus, corpus.runs, balanced=False, **options)
    assert set(plain["strategy"]) == {"E1", "E2", "E4"}
    rest = gap.split_predictions(corpus, corpus.runs, n_groups=2, **options)
    assert set(rest["strategy"]) == {"E3", "E4", "E5", "E6"}
    assert rest.groupby("strategy")["fold"].nunique()[["E4", "E5"]].tolist() == [2, 2]


def test_programs_that_cannot_be_trained_alone_are_left_out_of_e3(world):
    corpus, tree = world()
    one = corpus.runs.drop_duplicates(["program", "label"])["configuration"]
    runs = corpus.runs[(corpus.runs["program"] != "p00") | corpus.runs["configuration"].isin(one)]
    found = gap.split_predictions(corpus, runs, techniques=[tree], window=1, n_groups=2)
    programs = found.groupby("strategy")["program"].nunique()
    assert programs["E3"] == 3 and programs["E4"] == 4
    few = corpus.runs[corpus.runs["configuration"].isin(one)]
    assert gap.alone_predictions(corpus, few, techniques=[tree], windows=[1]) is None


def test_a_share_of_each_class_is_trained_on():
    y = np.repeat(["a", "b", "c"], [40, 20, 1])
    model = Thinned(DecisionTreeClassifier(), share=0.25, random_state=0).fit(y[:, None] == "a", y)
    assert model.n_kept_ == 10 + 5 + 1 and set(model.classes_) == set("abc")
    again = Thinned(DummyClassifier(), share=1.0).fit(np.zeros((61, 1)), y)
    assert again.n_kept_ == 61
    with pytest.raises(InputError, match="share is 0"):
        Thinned(DummyClassifier(), share=0).fit(np.zeros((61, 1)), y)


FLAGS = [
    *(("p", "x", "x", 3), ("p", "x", "Healthy", 1), ("p", "y", "x", 1), ("p", "y", "y", 3)),
    *(("q", "x", "Healthy", 2), ("q", "y", "Healthy", 2)),
]


def test_detectors_that_abstain():
    alarms = pd.DataFrame(
        {"technique": "d", "program": list("ppq"), "flagged": [True, False, True]}
    )
    row = detectors.detector_table(predictions(FLAGS, technique="d"), alarms).iloc[0]
    assert row["coverage"] == pytest.approx((7 / 8 + 0) / 2)
    assert row["right"] == pytest.approx(6 / 7) and row["programs"] == 1
    # 7 flagged runs of p: labels 3 x, 4 y; guesses 4 x, 3 y
    assert row["by_chance"] == pytest.approx((3 * 4 + 4 * 3) / 49)
    assert row["lift"] == pytest.approx(6 / 7 - 24 / 49) and row["false_alarms"] == 0.75
    silent = predictions([("p", "x", "Healthy", 3)], technique="d")
    assert np.isnan(detectors.detector_table(silent)["right"]).all()


def test_flags_by_class():
    alarms = pd.DataFrame({"technique": "d", "program": "p", "flagged": [True, False]})
    table = detectors.flag_table(predictions(FLAGS, technique="d"), alarms).set_index("label")
    assert table.loc["x"].drop("technique").tolist() == [3 / 8, 0, 5 / 8]
    assert table.loc["y"].drop("technique").tolist() == [3 / 8, 1 / 8, 1 / 2]
    assert table.loc["Healthy"].drop("technique").tolist() == [0, 0.5, 0.5]


def test_programs_are_spread_over_modalities():
    sizes = {"image": 10, "text": 5, "graph": 1}
    names = [(f"{m}{i:02d}", m) for m, n in sizes.items() for i in range(n)]
    runs = pd.DataFrame(names * 2, columns=["program", "modality"])
    modality = dict(names)
    for seed in range(5):
        eight = sample_programs(runs, 8, seed)
        count = pd.Series([modality[p] for p in eight]).value_counts().to_dict()
        assert count in ({"image": 5, "text": 2, "graph": 1}, {"image": 4, "text": 3, "graph": 1})
        assert set(sample_programs(runs, 4, seed)) < set(eight)
        assert len({modality[p] for p in sample_programs(runs, 3, seed)}) == 3
    assert sample_programs(runs, 8, 0) == sample_programs(runs.sample(frac=1), 8, 0)
    assert sample_programs(runs, 8, 0) != sample_programs(runs, 8, 1)
    assert sample_programs(runs, 0) == sample_programs(runs, 99) == sorted(modality)
    with pytest.raises(InputError, match="n is -1"):
        sample_programs(runs, -1)
    with pytest.raises(InputError, match="modalities"):
        sample_programs(pd.concat([runs, runs.assign(modality="text")]), 3)
