"""Share closed, scores on the runs that a pool leaves, and the checks, by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.errors import InputError
from analysis_lib.evaluation import simulate_world
from analysis_lib.questions import closing, closing_checks, closing_own, closing_selected
from analysis_lib.transfer import Direct, Method, Pool, scored_runs


def series(*values):
    return pd.Series(values, index=[f"p{k}" for k in range(len(values))])


def test_share_closed_by_hand():
    found = closing.share_closed(series(0.6, 0.8), series(0.5, 0.5), series(0.9, 0.7))
    assert found.estimate == pytest.approx((0.1 + 0.3) / (0.4 + 0.2))
    same = closing.share_closed(series(0.5, 0.5), series(0.5, 0.5), series(0.9, 0.7))
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    none = closing.share_closed(series(0.6, 0.8), series(0.5, 0.5), series(0.5, 0.5))
    assert np.isnan(none.estimate)
    with pytest.raises(InputError, match="same programs"):
        closing.share_closed(series(0.6), series(0.5, 0.5), series(0.9, 0.7))


def test_share_of_programs_that_agree_has_no_width_and_others_do():
    agree = closing.share_closed(series(*[0.7] * 9), series(*[0.6] * 9), series(*[0.8] * 9))
    assert agree.high - agree.low == pytest.approx(0)
    rng = np.random.default_rng(0)
    spread = closing.share_closed(
        series(*(0.7 + 0.1 * rng.standard_normal(9))), series(*[0.6] * 9), series(*[0.8] * 9)
    )
    assert spread.high - spread.low > 0.3


@pytest.fixture(scope="module")
def world():
    features, runs = simulate_world("transferable", programs=4, classes=2, seeds=5)
    runs["parameters"] = [f"{{{k % 3}}}" for k in range(len(runs))]
    return features, runs


def predictions(runs, technique, track, right, **tags) -> pd.DataFrame:
    other = {"class 0": "class 1", "class 1": "class 0"}
    guess = np.where(right, runs["label"], runs["label"].map(other))
    tags = {"size": 0, "mix": "even", "draw": 0} | tags
    names = ["run_id", "program", "configuration", "label"]
    return runs[names].assign(predicted=guess, technique=technique, track=track, **tags)


def test_all_methods_are_scored_on_the_runs_that_a_pool_leaves(world):
    _, runs = world
    pool = Pool("U", 10, "even")
    kept = scored_runs(runs, pool)
    assert 0 < kept.sum() < len(runs)
    table = pd.concat(
        [
            predictions(runs, "base", "Z", kept),  # right exactly where it is scored
            predictions(runs[kept], "pooled", "U", False, size=10),
            predictions(runs[kept], "pooled", "U", True, size=5),
        ]
    )
    found = closing.pool_scores(table, runs, [pool]).set_index(["technique", "program"])["score"]
    assert (found["base"] == 1).all() and (found["pooled"] == 0).all()
    alone = closing.pool_scores(table, runs, [Pool("Z")])
    assert set(alone["technique"]) == {"base"} and (alone["score"] < 1).all()
    six = closing.pool_scores(table, runs, [pool], strategy="E6")
    assert (six.loc[six["technique"] == "base", "score"] < 1).all()


def test_draws_are_averaged(world):
    _, runs = world
    pools = [Pool("H", 1, draw=d) for d in range(2)]
    table = pd.concat(
        [predictions(runs, "m", "H", d == 0, size=1, draw=d) for d in range(2)]
        + [predictions(runs, "base", "Z", True)]
    )
    found = closing.pool_scores(table, runs, pools)
    assert found.loc[found["technique"] == "m", "score"].tolist() == [0.5] * 4


def test_closing_table_by_hand(world):
    _, runs = world
    first = (runs["label"] == "class 0").to_numpy()
    new = pd.concat([predictions(runs, "base", "Z", first), predictions(runs, "best", "Z", True)])
    new = new.assign(fold=0, seconds=np.where(new["technique"] == "best", 2.0, 1.0))
    half = runs.groupby(["program", "label"]).cumcount() % 2 == 0
    seen = {
        "E1": predictions(runs, "base", "Z", True),
        "E2": pd.concat(
            [predictions(runs, "base", "Z", first | half), predictions(runs, "best", "Z", half)]
        ),
    }
    table = closing.compare_methods(
        new, seen, runs, [Pool("Z")], baseline="base", n_resamples=50
    ).set_index("technique")
    share = half[~first].groupby(runs["program"]).mean().mean()
    assert set(table.index) == {"base", "best"}
    assert table.loc["best", ["score", "base", "gap", "share"]].tolist() == [1, 0.5, 0.5, 1]
    assert table.loc["best", "base_known"] == pytest.approx((1 + share) / 2)
    assert table.loc["base", "share"] == 0 and np.isnan(table.loc["base", "p_adjusted"])
    assert table["seconds"].to_dict() == {"base": 1.0, "best": 2.0}
    assert table.loc["base", "E1"] == 1 and np.isnan(table.loc["best", "E1"])
    assert table.loc["best", "E2"] == pytest.approx(half.mean(), abs=0.05)


def test_own_scores_are_of_the_runs_that_the_pool_leaves(world):
    _, runs = world
    pool = Pool("U", 10, "even")
    kept = scored_runs(runs, pool)
    new = pd.concat(
        [
            predictions(runs, "base", "Z", False),
            predictions(runs[kept], "pooled", "U", False, size=10),
        ]
    ).assign(fold=0, seconds=1.0)
    # right exactly where it is scored, whatever the pool was where the program is known
    known = [predictions(runs, "base", "Z", True), predictions(runs, "pooled", "U", kept)]
    seen = {s: pd.concat(known) for s in ("E1", "E2")}
    table = closing.compare_methods(new, seen, runs, [pool], baseline="base", n_resamples=20)
    assert table.set_index("technique").loc["pooled", ["E1", "E2"]].tolist() == [1, 1]


def test_own_gap_is_the_sum_of_replicates_and_program(world):
    _, runs = world
    pool = Pool("U", 10, "even")
    kept = scored_runs(runs, pool)
    first = (runs["label"] == "class 0").to_numpy()
    unseen = pd.concat(
        [
            predictions(runs, "alone", "Z", first),
            predictions(runs, "pooled", "U", False, size=5),
            predictions(runs, "pooled", "U", True, size=10),
            predictions(runs, "shots", "K", True, size=5),
        ]
    )
    seen = {
        s: pd.concat([predictions(runs, "alone", "Z", True), predictions(runs, "pooled", "U", u)])
        for s, u in (("E1", True), ("E2", kept))  # right exactly where it is scored
    }
    found = closing_own.own_gaps(unseen, seen, runs, {"U": pool}, baseline="alone")
    found = found.set_index("technique")
    assert found.index.tolist() == ["alone", "pooled"]  # no seen score of the third
    assert found.loc["alone", ["E1", "E2", "E4"]].tolist() == [1, 1, 0.5]
    assert found.loc["alone", ["gap", "replicates", "program"]].tolist() == [0.5, 0, 0.5]
    assert found.loc["pooled", ["E1", "E2", "E4", "gap"]].tolist() == [1, 1, 1, 0]
    assert found.loc["alone", ["better", "cheaper"]].tolist() == [0, 0]
    left = closing.pool_scores(unseen, runs, [pool]).groupby("technique")["score"].mean()
    gained = left["pooled"] - left["alone"]
    assert gained > 0 and found.loc["pooled", "better"] == 0
    assert found.loc["pooled", "cheaper"] == pytest.approx(gained)


def test_selected_methods_are_those_chosen_in_their_fold(world):
    _, runs = world
    fold = runs["program"].map({"p00": 0, "p01": 0, "p02": 1, "p03": 1})
    parts = [("base", "Z", False), ("good", "Z", True), ("bad", "Z", False)]
    unseen = pd.concat([predictions(runs, *p).assign(fold=fold.to_numpy()) for p in parts])
    seen = {s: predictions(runs, "base", "Z", True) for s in ("E1", "E2")}
    choice = pd.DataFrame({"fold": [0, 1], "track": "Z", "technique": ["good", "bad"]})
    found = closing_selected.selected_table(
        unseen,
        seen,
        runs,
        choice,
        {"Z": [Pool("Z")]},
        parts={"all": ["p00", "p01", "p02", "p03"], "first": ["p00", "p01"], "one": ["p00"]},
        baseline="base",
        n_resamples=20,
    )
    assert found.set_index("of")["share"].to_dict() == {"all": 0.5, "first": 1.0}
    assert found["chosen"].unique().tolist() == ["good (1), bad (1)"]
    assert (found["base_known"] == 1).all()


def test_twins_share_the_seed_of_the_reference(world):
    _, runs = world
    programs = runs["program"].unique()
    healthy = pd.DataFrame({"run_id": [f"h{p}" for p in programs], "program": programs})
    healthy["seed"] = range(len(programs))
    own = runs["program"].map(healthy.set_index("program")["seed"])
    table = predictions(runs, "m", "H", runs["seed"] == own, size=1)
    found = closing_selected.seed_twins(table, runs, healthy).set_index("same_seed")
    assert found["recall"].to_dict() == {False: 0.0, True: 1.0}
    assert found.loc[True, "runs"] == len(runs) / 5
    with pytest.raises(InputError, match="one healthy run"):
        closing_selected.seed_twins(table.assign(size=2), runs, healthy)


def test_healthy_runs_are_the_bare_ones():
    runs = pd.DataFrame(
        {
            "operator": ["healthy", "healthy", "HLR", "healthy"],
            "parameters": ["{}", '{"lr_factor":1.3}', "{}", "{}"],
            "status": ["ok", "ok", "ok", "nonfinite"],
        }
    )
    assert len(closing.healthy_runs(runs)) == 1


def tree(seed):
    return Direct(DecisionTreeClassifier(random_state=seed))


def test_ablation_and_permutation(world):
    features, runs = world
    signal = (runs["label"] == "class 0").to_numpy(dtype=float)
    table = features.assign(**{"one:signal:mean": signal})
    method = Method("tree", "Z", "x", tree, "")
    options = {"n_groups": 2}
    found = closing_checks.ablated_scores(
        {"x": table},
        runs,
        method,
        {"noise": list(features), "signal": ["one:signal:mean"]},
        **options,
    ).set_index("without")
    assert found.loc["noise", "score"] == 1 and found.loc["signal", "score"] < 1
    assert found.loc["noise", "features"] == 1
    permuted = closing_checks.permuted_scores(
        {"x": table[["one:signal:mean"]]}, runs, method, permutations=4, **options
    )
    assert abs(permuted["score"].mean() - 0.5) < 0.2
    with pytest.raises(InputError, match="no feature is left"):
        closing_checks.ablated_scores({"x": features}, runs, method, {"all": list(features)})


def test_repeated_settings_by_hand():
    runs = pd.DataFrame(
        {
            "run_id": list("abcd"),
            "program": ["p", "q", "p", "q"],
            "operator": ["HLR", "HLR", "HLR", "FAC"],
            "parameters": ["1", "1", "2", "1"],
            "configuration": list("1234"),
        }
    )
    table = runs[["run_id"]].assign(label="x", predicted=["x", "y", "x", "y"])
    found = closing_checks.repeated_settings(table, runs).set_index("repeats")
    assert found.loc[True, ["configurations", "runs", "recall"]].tolist() == [2, 2, 0.5]
    assert found.loc[False, "recall"] == 0.5
