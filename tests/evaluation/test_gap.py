import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import InputError
from analysis_lib.evaluation.gap import STEPS, evaluation_gap
from analysis_lib.evaluation.inference import t_interval
from analysis_lib.evaluation.scores import by_program, pooled_balanced_accuracy
from analysis_lib.evaluation.significance import sign_flip_test

SKILL = {"E1": 0.9, "E2": 0.7, "E4": 0.5}
ALL = SKILL | {"E2bal": 0.65, "E4bal": 0.55}
METRICS = ("program_macro_recall", "pooled_balanced_accuracy")


def make_predictions(skill: float, programs: int = 10, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        [(p, c, i) for p in range(programs) for c in "abc" for i in range(8 + p)],
        columns=["program", "label", "i"],
    )
    right = rng.random(len(rows)) < skill
    rows["predicted"] = np.where(right, rows["label"], "wrong")
    rows["run_id"] = [f"r{i}" for i in range(len(rows))]
    return rows


@pytest.fixture
def given():
    return {s: make_predictions(p, seed=i) for i, (s, p) in enumerate(SKILL.items())}


def test_the_parts_add_up_in_every_metric_and_program(given):
    gap = evaluation_gap(given)
    for metric in ("program_macro_recall", "pooled_balanced_accuracy"):
        part = gap.decomposition.loc[metric]["estimate"]
        assert part["replicate leak"] + part["program part"] == pytest.approx(part["total"])
    table = gap.by_program
    pd.testing.assert_series_equal(
        table["replicate leak"] + table["program part"], table["total"], check_names=False
    )


def test_every_part_is_what_its_definition_says(given):
    gap = evaluation_gap(given, min_runs=3)
    difference = (
        by_program(given["E2"], min_runs=3)["score"] - by_program(given["E4"], min_runs=3)["score"]
    )
    row = gap.decomposition.loc[("program_macro_recall", "program part")]
    interval = t_interval(difference)
    assert row[["estimate", "low", "high"]].tolist() == pytest.approx(
        [interval.estimate, interval.low, interval.high]
    )
    assert row["p_value"] == sign_flip_test(difference)
    assert (row["first"], row["second"], row["programs"]) == ("E2", "E4", 10)
    pooled = gap.decomposition.loc[("pooled_balanced_accuracy", "total")]
    assert pooled["estimate"] == pytest.approx(
        pooled_balanced_accuracy(given["E1"]) - pooled_balanced_accuracy(given["E4"])
    )
    assert pooled["low"] < pooled["estimate"] < pooled["high"]


def test_order_of_rows_does_not_matter(given):
    shuffled = {s: p.sample(frac=1, random_state=1) for s, p in given.items()}
    pd.testing.assert_frame_equal(
        evaluation_gap(given).decomposition, evaluation_gap(shuffled).decomposition
    )


def test_two_strategies_are_enough_and_others_are_scored(given):
    gap = evaluation_gap({"E1": given["E1"], "E4": given["E4"], "E5": given["E2"]})
    assert gap.decomposition.index.get_level_values("part").unique().tolist() == ["total"]
    assert gap.scores.index.tolist() == ["E1", "E4", "E5"]
    assert gap.to_frame()["metric"].tolist() == ["program_macro_recall", "pooled_balanced_accuracy"]
    assert str(gap).startswith("total (E1 - E4): 0.")


def test_what_cannot_be_compared_is_refused(given):
    with pytest.raises(InputError, match="at least two of E1, E2, E4"):
        evaluation_gap({"E1": given["E1"]})
    with pytest.raises(InputError, match="not of the same runs"):
        evaluation_gap({"E1": given["E1"], "E4": given["E4"].iloc[:-1]})
    relabelled = given["E4"].assign(label="a")
    with pytest.raises(InputError, match="same labels"):
        evaluation_gap({"E1": given["E1"], "E4": relabelled})
    twice = pd.concat([given["E4"], given["E4"]])
    with pytest.raises(InputError, match="several predictions"):
        evaluation_gap({"E1": given["E1"], "E4": twice})


def test_repeats_average_over_the_draws():
    runs = pd.DataFrame({"run_id": list("abcd"), "program": list("ppqq"), "label": list("xyxy")})
    right, wrong = runs.assign(predicted=runs["label"]), runs.assign(predicted="x")
    both = pd.concat([right.assign(repeat=0), wrong.assign(repeat=1)])
    gap = evaluation_gap({"E1": both, "E4": wrong}, min_runs=1, n_resamples=10)
    assert gap.scores.loc["E1", "program_macro_recall"] == 0.75
    assert gap.decomposition["estimate"].tolist() == [0.25, 0.25]
    with pytest.raises(InputError, match="one per run and repeat"):
        evaluation_gap({"E1": both.drop(columns="repeat"), "E4": wrong}, min_runs=1)
    with pytest.raises(InputError, match="one per run and repeat"):
        evaluation_gap({"E1": both.iloc[1:], "E4": wrong}, min_runs=1)


def test_a_table_with_a_column_strategy_will_do():
    given = {s: make_predictions(k) for s, k in SKILL.items()}
    table = pd.concat(p.assign(strategy=s) for s, p in given.items())
    expected = evaluation_gap(given, n_resamples=50).decomposition
    found = evaluation_gap(table, n_resamples=50).decomposition
    pd.testing.assert_frame_equal(found, expected)
    with pytest.raises(InputError, match="no column 'strategy'"):
        evaluation_gap(given["E1"])


def test_four_parts_telescope_exactly_in_every_metric_program_and_repeat():
    parts = {s: make_predictions(k, seed=i) for i, (s, k) in enumerate(ALL.items())}
    drawn = [parts["E2bal"].assign(repeat=0), make_predictions(0.6, seed=9).assign(repeat=1)]
    parts["E2bal"] = pd.concat(drawn)
    gap = evaluation_gap(parts, n_resamples=50)
    for metric in METRICS:
        part = gap.decomposition.loc[metric]["estimate"]
        assert part[list(STEPS)].sum() == pytest.approx(part["total"], abs=1e-12)
        assert part[list(STEPS[1:])].sum() == pytest.approx(part["program part"], abs=1e-12)
        steps = gap.waterfall(metric)
        assert steps["part"].tolist() == list(STEPS)
        np.testing.assert_allclose(steps["end"][:-1], steps["start"][1:], atol=1e-12)
        assert steps["start"].iloc[0] == pytest.approx(gap.scores.loc["E1", metric])
        assert steps["end"].iloc[-1] == pytest.approx(gap.scores.loc["E4", metric])
    table = gap.by_program
    np.testing.assert_allclose(table[list(STEPS)].sum(axis=1), table["total"], atol=1e-12)
    assert gap.scores.loc["E2bal", "runs"] == 2 * gap.scores.loc["E1", "runs"]


def test_the_waterfall_of_three_strategies_has_two_steps(given):
    steps = evaluation_gap(given, n_resamples=50).waterfall()
    assert steps["part"].tolist() == ["replicate leak", "program part"]
    with pytest.raises(InputError, match="unknown metric 'accuracy'"):
        evaluation_gap(given, n_resamples=50).waterfall("accuracy")
    with pytest.raises(InputError, match="needs the predictions of E1, E2 and E4"):
        evaluation_gap({s: given[s] for s in ("E1", "E4")}, n_resamples=50).waterfall()
