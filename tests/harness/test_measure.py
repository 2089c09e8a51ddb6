"""The gap report: its numbers by hand, worlds of which the truth is known, and its options."""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.tree import DecisionTreeClassifier

import analysis_lib
from analysis_lib.errors import InputError
from analysis_lib.evaluation import simulate_world
from analysis_lib.harness import FiniteValues, gap_report

COLUMNS = {"program": "program", "label": "label", "configuration": "configuration"}
CHEAP = {"technique": "tree", "permutations": 0, "n_resamples": 100}


def world(kind="transferable", **options):
    """Return a table with the features of a simulated world and its run columns."""
    options = {
        "programs": 6,
        "classes": 3,
        "configurations": 3,
        "seeds": 2,
        "features": 3,
        "signal": 2.5,
        **options,
    }
    features, runs = simulate_world(kind, **options)
    names = ["program", "label", "configuration", "seed", "operator", "family"]
    frame = runs.set_index("run_id")[names].join(features).reset_index(drop=True)
    return frame.rename(columns=str)


def report_of(frame, **options):
    options = {**COLUMNS, "features": [c for c in frame if c.startswith("x")], **CHEAP, **options}
    return gap_report(frame, **options)


@pytest.fixture(scope="module")
def report():
    return report_of(world())


class Tree:
    """A plain class, without a random state, that scikit-learn cannot clone."""

    def __init__(self):
        self.tree = DecisionTreeClassifier(random_state=0, max_features=None)

    def fit(self, x, y):
        self.tree.fit(x, y)

    def predict(self, x):
        return self.tree.predict(x)


def test_unseen_scores_are_those_of_a_loop_over_programs():
    frame = world("mixed", programs=4)
    frame = frame.drop(frame.index[frame["program"].eq("p01") & frame["label"].eq("class 0")][:4])
    found = report_of(frame, technique=Tree())
    x = [c for c in frame if c.startswith("x")]
    recalls, hits = {}, []
    for held in frame["program"].unique():
        train, test = frame[frame["program"] != held], frame[frame["program"] == held]
        model = DecisionTreeClassifier(random_state=0).fit(train[x], train["label"])
        right = pd.Series(model.predict(test[x]) == test["label"].to_numpy(), test.index)
        counts = test["label"].value_counts()
        kept = counts.index[counts >= 5]
        recalls[held] = np.mean([right[test["label"] == c].mean() for c in kept])
        hits.append(right)
    hits = pd.concat(hits)
    assert found.by_program["E4"].to_dict() == pytest.approx(recalls)
    assert found.scores.loc["E4", "program_macro_recall"] == pytest.approx(
        np.mean(list(recalls.values()))
    )
    pooled = np.mean([hits[frame["label"] == c].mean() for c in frame["label"].unique()])
    assert found.scores.loc["E4", "pooled_balanced_accuracy"] == pytest.approx(pooled)


def test_a_fold_never_mixes_what_its_strategy_keeps_apart():
    frame = world()
    predictions = report_of(frame).predictions
    rows = frame.loc[predictions["run_id"]].reset_index(drop=True)
    for strategy, column in (("E2", "configuration"), ("E4", "program")):
        mine = (predictions["strategy"] == strategy).to_numpy()
        folds = predictions.loc[mine, "fold"].to_numpy()
        assert (rows.loc[mine, column].groupby(rows.loc[mine, column]).size() > 1).all()
        by_unit = pd.Series(folds).groupby(rows.loc[mine, column].to_numpy()).nunique()
        assert (by_unit == 1).all()


def test_parts_add_up_and_have_intervals(report):
    macro = report.decomposition.loc["program_macro_recall"]
    assert macro.loc[["replicate leak", "program part"], "estimate"].sum() == pytest.approx(
        macro.loc["total", "estimate"]
    )
    levels = report.scores["program_macro_recall"]
    assert macro.loc["total", "estimate"] == pytest.approx(levels["E1"] - levels["E4"])
    assert ((macro["low"] <= macro["estimate"]) & (macro["estimate"] <= macro["high"])).all()
    assert ((report.scores["low"] <= levels) & (levels <= report.scores["high"])).all()
    spread = report.by_program["total"].std(ddof=1)
    # 2.84 to 3.8 standard errors, for many and for few programs
    assert 2.8 < macro.loc["total", "resolvable"] / (spread / np.sqrt(6)) < 4
    assert report.scores["chance"].eq(1 / 3).all()


def test_worlds_are_told_apart():
    """Identity with uneven mixes, a signal of all programs, signals of their own."""
    options = {"programs": 8, "configurations": 4, "seeds": 3, "features": 6, "random_state": 1}
    use = {"permutations": 1}
    identity = report_of(world("none", skew=0.5, **options), technique="forest", **use)
    shared = report_of(world("transferable", **options), **use)
    own = report_of(world("specific", **options), **use)

    pooled = "pooled_balanced_accuracy"
    assert set(identity.decomposition.loc[pooled].index) >= {"class-prior leak", "prior-shift cost"}
    permuted = identity.controls.loc["permuted labels", "pooled"]
    assert permuted > 0.45 and identity.scores.loc["E2", pooled] < permuted + 0.05
    assert identity.controls.loc["program only", "pooled"] > 0.5
    assert identity.decomposition.loc[(pooled, "class-prior leak"), "low"] > 0
    assert any("the score on seen programs is no better" in s for s in identity.summary)
    assert any("cannot be told from guessing" in s for s in identity.summary)

    assert shared.scores.loc["E4", "low"] > 0.5
    assert any("carries over to unseen programs" in s for s in shared.summary)
    for found in (shared, own):
        assert "class-prior leak" not in found.decomposition.loc[pooled].index
        assert found.controls.loc["permuted labels", "pooled"] < 0.42
    part = ("program_macro_recall", "program part")
    assert own.decomposition.loc[part, "low"] > 0.2
    assert own.decomposition.loc[part, "estimate"] > shared.decomposition.loc[part, "high"]


def test_renaming_shows_who_learns_what_classes_mean():
    shared = world("transferable", identity=0.1)
    own = world("specific", identity=6.0)
    lost = {}
    for name, frame in (("shared", shared), ("own", own)):
        row = report_of(frame, permutations=2).controls.loc["renamed classes"]
        lost[name] = row["compare"] - row["score"]
    assert lost["shared"] > 0.15 > 0.06 > lost["own"]


def test_who_knows_the_program_alone_picks_what_is_common_there():
    """Not the commonest class of the program, but the one that is over-represented in it."""
    counts = {("p", "x"): 60, ("p", "y"): 40, ("q", "x"): 90, ("q", "y"): 10}
    rows = [name for name, number in counts.items() for _ in range(number)]
    frame = pd.DataFrame(rows, columns=["program", "label"]).assign(x=1.0)
    found = report_of(frame, configuration=None, technique="dummy").controls
    expected = (90 / 150 + 40 / 50) / 2
    assert found.loc["program only", "pooled"] == pytest.approx(expected)
    assert found.loc["prior oracle", "pooled"] == pytest.approx(expected)


def test_the_dummy_has_no_gap_and_stays_at_chance():
    found = report_of(world(configurations=6), technique="dummy")
    assert found.scores["program_macro_recall"].between(0.25, 0.42).all()
    row = found.decomposition.loc[("program_macro_recall", "total")]
    assert row["low"] < 0 < row["high"]


def test_results_depend_on_the_seed_alone():
    frame = world(skew=1.0, programs=3, features=2)
    first = report_of(frame)
    with parallel_config("threading"):
        again = report_of(frame, n_jobs=2)
    assert first.to_json() == again.to_json()
    other = report_of(frame, random_state=1)
    assert other.to_json() != first.to_json()


def test_rows_out_of_order_and_their_index_do_not_matter():
    frame = world()
    shuffled = frame.sample(frac=1, random_state=0).set_axis(["row"] * len(frame), axis=0)
    a, b = report_of(frame, technique=Tree()), report_of(shuffled, technique=Tree())
    assert a.scores.loc["E4"].to_dict() == pytest.approx(b.scores.loc["E4"].to_dict(), abs=0.1)
    assert a.by_program["runs"].equals(b.by_program["runs"])
    assert (shuffled.index == "row").all() and "run_id" not in shuffled


def test_without_configurations_the_replicate_leak_is_unknown():
    found = report_of(world(), configuration=None)
    assert list(found.scores.index) == ["E1", "E4"]
    assert set(found.decomposition.loc["program_macro_recall"].index) == {"total"}
    assert "GAP017" in set(found.checks["code"])
    assert any("without configurations" in line for line in found.summary)


def test_families_and_operators_add_strategies():
    frame = world(programs=4)
    frame["operator"] = frame["label"] + frame["configuration"].str[-2:-1]
    found = report_of(frame, family="family", operator="operator")
    assert list(found.scores.index) == ["E1", "E2", "E4", "E5", "E6"]
    assert found.scores.loc["E5", "models"] == 4


def test_replicates_alone_make_a_replicate_leak():
    """Every configuration is a point of its own, without any class: only copies can be known."""
    frame = world("none", replicate=5.0, identity=0.0, programs=8, seeds=4)
    found = report_of(frame, technique="knn")
    macro = found.decomposition.loc["program_macro_recall"]
    assert macro.loc["replicate leak", "low"] > 0.2
    assert macro.loc["program part", "low"] < 0 < macro.loc["program part", "high"] + 0.1


def test_large_tables_are_drawn_and_grouped_and_it_is_said():
    frame = world(programs=30, seeds=4)
    found = report_of(frame, max_rows=400, groups=3)
    assert found.parameters["rows_given"] == len(frame) == 1080
    assert 400 <= found.parameters["rows"] <= 540 and found.scores.loc["E4", "models"] == 3
    used = found.predictions.drop_duplicates("run_id")
    sizes = used.groupby("configuration").size()
    assert (sizes == 4).all()  # whole configurations
    assert used.groupby("program")["label"].nunique().eq(3).all()
    said = found.checks[found.checks["code"] == "GAP016"]["what"]
    assert said.str.contains("of 1,080 rows").any() and said.str.contains("3 groups").any()


def test_small_cells_lower_the_number_of_runs_that_counts():
    found = report_of(world(configurations=1, seeds=3))
    assert found.parameters["min_runs"] == 1
    assert found.scores["program_macro_recall"].notna().all()
    assert report_of(world(configurations=3)).parameters["min_runs"] == 5


def test_integer_and_boolean_classes_come_back_as_they_were():
    seen = []

    class Remembers(Tree):
        def fit(self, x, y):
            seen.append((list(x.columns), set(y)))
            super().fit(x, y)

    frame = world()
    frame["code"] = frame["label"].str[-1].astype(int)
    frame["flag"] = frame["code"] > 0
    a = report_of(frame, label="code", technique=Remembers())
    b = report_of(frame, technique=Tree())
    assert a.scores.equals(b.scores)
    assert all(columns == ["x0", "x1", "x2"] and y <= {0, 1, 2} for columns, y in seen)
    seen.clear()
    report_of(frame, label="flag", technique=Remembers())
    assert all(y == {True, False} for _, y in seen)


def test_missing_values_are_replaced_inside_the_fold():
    x = pd.DataFrame({"a": [1.0, 2.0, np.inf, np.nan], "b": [0.0, 1, 2, 3]})
    values = FiniteValues().fit(x.iloc[:2])
    later = values.transform(x)
    assert later.tolist() == [[1, 0], [2, 1], [2, 2], [1.5, 3]]  # no column says where: none had
    assert FiniteValues().fit_transform(x)[:, 2].tolist() == [0, 0, 1, 1]
    assert values.transform([[-np.inf, 0.5]]).tolist() == [[1, 0.5]]
    nothing = FiniteValues().fit_transform(np.full((2, 1), np.nan))
    assert nothing.tolist() == [[0, 1], [0, 1]]
    huge = FiniteValues().fit_transform([[1e300], [-1e300]])
    assert np.isfinite(huge.astype(np.float32)).all()


@pytest.mark.parametrize("technique", ["DEFault", "logistic", "knn"])
def test_tables_with_gaps_are_scored(technique):
    frame = world(programs=3)
    frame.loc[::7, "x0"], frame.loc[::5, "x1"], frame["x9"] = np.nan, -np.inf, np.nan
    found = report_of(frame, technique=technique)
    assert found.scores["program_macro_recall"].between(0.3, 1).all()
    row = found.checks.set_index("code").loc["GAP009"]
    assert "infinite values in 3 columns" in row["what"] and row["columns"] == "x0, x9, x1"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"groups": 1}, "groups is 1; expected 0 for one program at a time"),
        ({"groups": -2}, "groups is -2; expected 0"),
        ({"repeats": 0}, "repeats is 0; expected at least 1 draw"),
        ({"permutations": 1.5}, "permutations is 1.5; expected 0 or more"),
        ({"max_rows": 5}, "max_rows is 5; expected at least 100 rows"),
        ({"min_runs": True}, "min_runs is True; expected at least 1 run"),
        ({"random_state": "x"}, "random_state is 'x'; expected a seed"),
        ({"n_jobs": 0}, "n_jobs is 0; expected a number of processes"),
        ({"ignore": ["GAP03"]}, "unknown check 'GAP03'; did you mean 'GAP0"),
        ({"min_runs": 500}, "no class has 500 runs in any program; lower min_runs"),
        ({"technique": "forrest"}, "unknown technique 'forrest'; did you mean 'forest'"),
    ],
)
def test_wrong_options_are_named(option, message):
    with pytest.raises(InputError, match=f"^{message}"):
        report_of(world(), **option)


def test_codes_can_be_ignored(report):
    codes = set(report.checks["code"])
    assert "GAP002" in codes
    less = report_of(world(), ignore="GAP002")
    assert set(less.checks["code"]) == codes - {"GAP002"}


def test_it_is_a_name_of_the_package():
    assert analysis_lib.gap_report is gap_report
