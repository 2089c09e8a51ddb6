"""Pools, the protocol, the choice inside and growth, on worlds with known answers."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from analysis_lib.errors import InputError
from analysis_lib.evaluation import by_program, simulate_world
from analysis_lib.transfer import (
    Direct,
    Method,
    Pool,
    Referenced,
    choose_inside,
    draw_pool,
    fit_growth,
    growth_scores,
    predict_growth,
    scored_runs,
    take_chosen,
    transfer_predictions,
)
from analysis_lib.transfer import choice as choice_module


def linear():
    return LogisticRegression(max_iter=500)


ALONE = Method("alone", "Z", "x", lambda s: Direct(linear()), "")
CENTRED = Method("centred", "U", "x", lambda s: Referenced(linear(), "U", "d", "mean", pools=0), "")
SHOTS = Method("shots", "K", "x", lambda s: Referenced(linear(), "K", "d", "mean", pools=0), "")
GOOD = Method("good", "H", "x", lambda s: Referenced(linear(), "H", "d", "mean"), "")


@pytest.fixture(scope="module")
def world():
    features, runs = simulate_world(
        "transferable", programs=6, classes=3, configurations=3, seeds=5, identity=6.0, signal=2.0
    )
    runs["operator"] = runs["label"] + runs["configuration"].str.extract(r"\((\d+)\)")[0].map(
        lambda n: " odd" if int(n) % 2 else " even"
    )
    names = runs["program"].unique()
    centre = features.groupby(runs["program"].to_numpy()).mean()
    healthy = pd.DataFrame(
        {"run_id": [f"h{p}{k}" for p in names for k in range(3)], "program": np.repeat(names, 3)}
    )
    more = pd.DataFrame(
        centre.loc[healthy["program"]].to_numpy(), columns=features.columns, index=healthy["run_id"]
    )
    return {"x": pd.concat([features, more])}, runs, healthy


def one(runs) -> pd.DataFrame:
    return runs[runs["program"] == "p00"]


@pytest.mark.parametrize(
    ("mix", "size", "classes"),
    [
        ("even", 15, [5, 5, 5]),
        ("single", 15, [15]),
        ("skewed", 20, [5, 15]),
        ("single", 20, [5, 15]),
    ],
)
def test_pool_has_its_mix(world, mix, size, classes):
    runs = one(world[1])
    ids, touched = draw_pool(runs, None, Pool("U", size, mix))
    drawn = runs[runs["run_id"].isin(ids)]
    assert len(ids) == len(set(ids)) == size
    assert sorted(drawn["label"].value_counts()) == classes
    assert touched == set(drawn["configuration"])


def test_labelled_pool_takes_one_configuration_per_class_for_up_to_five(world):
    runs = one(world[1])
    one_shot, touched = draw_pool(runs, None, Pool("K", 1))
    five, same = draw_pool(runs, None, Pool("K", 5))
    assert len(one_shot) == 3 and len(five) == 15 and touched == same
    assert set(one_shot) < set(five)
    assert set(runs.loc[runs["run_id"].isin(one_shot), "label"]) == set(runs["label"])


def test_pools_are_drawn_by_number_and_seed(world):
    runs = one(world[1])
    drawn = [tuple(draw_pool(runs, None, Pool("U", 10, "random", d))[0]) for d in range(6)]
    assert len(set(drawn)) > 1
    again = draw_pool(runs.sample(frac=1, random_state=0), None, Pool("U", 10, "random", 2))
    assert tuple(again[0]) == drawn[2]


def test_no_run_of_a_left_out_operator(world):
    runs = one(world[1])
    without = runs["operator"].iloc[0]
    for pool in (Pool("U", 100, "random"), Pool("U", 0), Pool("K", 5)):
        ids, _ = draw_pool(runs, None, pool, without=[without])
        assert ids and not (runs.loc[runs["run_id"].isin(ids), "operator"] == without).any()


def test_no_configuration_of_a_pool_is_scored(world):
    features, runs, healthy = world
    pools = [Pool("U", 10, "random", d) for d in range(2)] + [Pool("K", 2)]
    found = transfer_predictions(features, runs, [CENTRED, SHOTS], pools=pools, n_groups=3)
    for pool in pools:
        rows = found[(found["track"] == pool.track) & (found["draw"] == pool.draw)]
        kept = runs[scored_runs(runs, pool)]
        assert set(rows["run_id"]) == set(kept["run_id"]) and len(rows) == len(kept)
        for program, part in runs.groupby("program"):
            _, touched = draw_pool(part, None, pool)
            tested = rows.loc[rows["program"] == program, "configuration"]
            assert touched and not touched & set(tested)


def test_each_track_sees_its_pool_and_gains_by_it(world):
    features, runs, healthy = world
    pools = [Pool("U", 0), Pool("H", 2), Pool("K", 5)]
    found = transfer_predictions(
        features, runs, [ALONE, CENTRED, GOOD, SHOTS], healthy=healthy, pools=pools
    )
    score = found.groupby("technique").apply(lambda p: by_program(p, min_runs=1)["score"].mean())
    assert score["centred"] > 0.85 and score["good"] > 0.85 and score["shots"] > 0.85
    assert score["alone"] < 0.8
    shares = found[[c for c in found if c.startswith("p_")]]
    assert shares.to_numpy().sum(axis=1) == pytest.approx(1)


def test_training_never_sees_the_tested_program_nor_under_e6_its_operator(world, monkeypatch):
    features, runs, _ = world
    seen = []

    class Spy(Direct):
        def _fit(self, X, y, groups, reference, reference_groups):
            seen.append((set(map(tuple, X)), set(groups)))
            super()._fit(X, y, groups, reference, reference_groups)

    method = Method("spy", "Z", "x", lambda s: Spy(linear()), "")
    found = transfer_predictions(features, runs, [method], strategy="E6", n_groups=2)
    x = features["x"].loc[runs["run_id"]].to_numpy()
    for k, (rows, programs) in enumerate(seen):
        tested = found.loc[found["fold"] == k, "run_id"]
        here = runs[runs["run_id"].isin(tested)]
        assert not programs & set(here["program"])
        same = runs["operator"].isin(here["operator"]).to_numpy()
        assert not rows & set(map(tuple, x[same]))


def test_under_e6_no_pool_holds_the_tested_operator(world):
    features, runs, _ = world
    x = features["x"].loc[runs["run_id"]].to_numpy()
    row_of = {tuple(row): k for k, row in enumerate(x)}
    seen = []

    class Spy(Referenced):
        def adapt(self, X, y=None):
            seen.append([row_of[tuple(row)] for row in X])
            assert list(y) == runs["label"].iloc[seen[-1]].tolist()
            return super().adapt(X, y)

    method = Method("spy", "K", "x", lambda s: Spy(linear(), "K", "d", "mean", pools=0), "")
    found = transfer_predictions(
        features, runs, [method], pools=[Pool("K", 5)], strategy="E6", n_groups=2
    )
    folds = found.drop_duplicates(["fold", "program"])
    assert len(seen) == len(folds)
    for rows, (fold, program) in zip(seen, folds[["fold", "program"]].to_numpy(), strict=True):
        tested = found[(found["fold"] == fold) & (found["program"] == program)]["run_id"]
        operators = runs.loc[runs["run_id"].isin(tested), "operator"]
        pool = runs.iloc[rows]
        assert set(pool["program"]) == {program}
        assert not set(pool["operator"]) & set(operators)


def test_the_order_of_the_runs_does_not_matter(world):
    features, runs, healthy = world
    methods, pools = [ALONE, CENTRED, GOOD], [Pool("U", 10), Pool("H", 2)]
    mixed = runs.sample(frac=1, random_state=0).reset_index(drop=True)
    assert (mixed["program"] != mixed["program"].shift()).sum() > len(runs) / 2
    first, second = (
        transfer_predictions(features, r, methods, healthy=healthy, pools=pools, n_groups=3)
        .set_index(["technique", "run_id"])
        .sort_index()
        for r in (runs, mixed)
    )
    assert (first["label"] == second["label"]).all()
    assert (first["predicted"] == second["predicted"]).all()
    assert (first["predicted"] == first["label"]).mean() > 0.6


def test_known_programs_are_adapted_by_training_runs(world):
    features, runs, _ = world
    found = transfer_predictions(features, runs, [CENTRED], pools=[Pool("U", 5)], strategy="E2")
    assert len(found) == len(runs) and (found["size"] == 0).all()
    with pytest.raises(InputError, match="leave methods of track K out"):
        transfer_predictions(features, runs, [SHOTS], pools=[Pool("K", 1)], strategy="E2")


def test_what_is_missing_is_named(world):
    features, runs, healthy = world
    with pytest.raises(InputError, match="pass a pool of that track"):
        transfer_predictions(features, runs, [CENTRED], pools=[Pool("H", 1)])
    with pytest.raises(InputError, match="pass healthy runs"):
        transfer_predictions(features, runs, [GOOD], pools=[Pool("H", 1)])
    with pytest.raises(InputError, match="needs the features 'x'"):
        transfer_predictions({}, runs, [ALONE])
    with pytest.raises(InputError, match="size 0 for H and K"):
        Pool("K", 0)
    with pytest.raises(InputError, match="mix"):
        Pool("U", 5, "odd")
    with pytest.raises(InputError, match="one program"):
        draw_pool(runs, None, Pool("U", 5))


def test_choice_is_made_without_the_held_out_programs(world, monkeypatch):
    features, runs, _ = world
    known = {m.name: m for m in (ALONE, CENTRED)}
    monkeypatch.setattr(choice_module, "get_method", known.__getitem__)
    calls = []

    def spy(features, runs, names, **options):
        calls.append(set(runs["program"]))
        return transfer_predictions(features, runs, [known[n] for n in names], **options)

    monkeypatch.setattr(choice_module, "transfer_predictions", spy)
    options = {"n_groups": 3, "n_inner": 2}
    made = choose_inside(
        features, runs, {"Z": ["alone"], "U": ["alone", "centred"]}, {"U": Pool("U", 15)}, **options
    )
    assert made.loc[made["track"] == "U", "technique"].tolist() == ["centred"] * 3
    outer = transfer_predictions(
        features, runs, list(known.values()), pools=[Pool("U", 15)], n_groups=3
    )
    for k, programs in enumerate(calls):
        assert programs == set(runs["program"]) - set(outer.loc[outer["fold"] == k, "program"])
    taken = take_chosen(outer, made[made["track"] == "U"], name="selected")
    assert len(taken) == (outer["technique"] == "centred").sum()
    with pytest.raises(InputError, match="track Z: give"):
        choose_inside(features, runs, {"Z": ["centred"]}, {}, **options)


def test_growth_is_fitted_and_extrapolated():
    n = np.array([3.0, 6, 12, 24, 48])
    a, b, c = fit_growth(n, 0.8 - 0.5 * n**-0.7)
    assert (a, b, c) == pytest.approx((0.8, 0.5, 0.7), abs=2e-3)
    table = pd.DataFrame(
        [
            {"technique": "t", "programs": int(k), "draw": 0, "program": p, "score": 0.8 - s / k}
            for k in n
            for p, s in (("p", 0.5), ("q", 0.7))
        ]
    )
    found = predict_growth(table, [96], n_resamples=20).iloc[0]
    assert found["score"] == pytest.approx(0.8 - 0.6 / 96, abs=1e-3)
    assert found["low"] <= found["score"] <= found["high"]
    with pytest.raises(InputError, match="three different sizes"):
        fit_growth([1, 2], [0.1, 0.2])


def test_more_programs_help_where_the_signal_is_shared():
    features, runs = simulate_world(
        "transferable", programs=9, classes=3, configurations=2, identity=2.0, signal=1.5
    )
    features = {"x": features}
    found = growth_scores(features, runs, [ALONE], sizes=[2, 6, 99], draws=3, n_groups=3)
    mean = found.groupby("programs")["score"].mean()
    assert mean.index.tolist() == [2, 6] and mean[6] > mean[2] + 0.03
    assert found.groupby("programs")["draw"].nunique().to_dict() == {2: 3, 6: 1}  # 6 are all
    with joblib.parallel_config(backend="threading"):  # other processes cannot import this test
        again = growth_scores(features, runs, [ALONE], sizes=[2, 6], draws=3, n_groups=3, n_jobs=2)
    pd.testing.assert_frame_equal(again, found)
    with pytest.raises(InputError, match="track Z"):
        growth_scores(features, runs, [CENTRED])
