"""Instability: cuts that do not leak, rates and profiles with known answers, a simulated corpus."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from analysis_lib.errors import InputError
from analysis_lib.features import get_feature_set
from analysis_lib.questions.instability import (
    LABEL_VARIANTS,
    explosion_counts,
    informative_programs,
    label_sensitivity,
    quintile_contrast,
    rate_by_bin,
    rate_by_quintile,
    relabel,
)
from analysis_lib.questions.instability_detection import detect_instability, hold_out_triage
from analysis_lib.questions.instability_features import (
    DETECTION_SETS,
    SETTINGS,
    cut_traces,
    dimensionless_channels,
    feature_table,
    last_snapshots,
)
from analysis_lib.questions.instability_layers import layer_offsets, layer_profiles
from analysis_lib.questions.instability_scores import (
    channel_predictions,
    detection_differences,
    detection_scores,
    holm_adjusted,
    threshold_scores,
    useful,
)
from analysis_lib.questions.instability_triage import cluster_sensitivity, triage_sensitivity
from analysis_lib.questions.ranking import auc_by_program
from analysis_lib.triage import TRIAGE_CHANNELS

PROGRAMS, RUNS, EPOCHS = 6, 40, 4


@pytest.fixture(scope="module")
def corpus():
    """A world in which chi > 1 before training makes a run bad, whatever the program's scale.

    Every program has a sharpness of its own over six orders of magnitude, and rates to match, so
    that sharpness says which program it is, and only the product of both what will happen.
    """
    rng = np.random.default_rng(0)
    program = np.repeat([f"p{i}" for i in range(PROGRAMS)], RUNS)
    sharpness = np.repeat(10.0 ** np.arange(-3, 3), RUNS) * 10 ** rng.normal(0, 0.05, len(program))
    even = 10 ** (0.8 * norm.ppf((np.arange(RUNS) + 0.5) / RUNS) - 1)
    chi = np.concatenate([rng.permutation(even) for _ in range(PROGRAMS)])
    unstable = chi > 1  # four runs of every program
    bad = np.where(unstable, rng.integers(0, EPOCHS, len(program)), -9)
    ids = np.array([f"r{i:03d}" for i in range(len(program))])
    runs = pd.DataFrame(
        {
            "run_id": ids,
            "program": program,
            "configuration": [f"{p}/{i // 2}" for i, p in enumerate(program)],
            "category": "Hyperparameter",
            "unstable": unstable,
            "first_bad_epoch": pd.array(np.where(unstable, bad, 0), dtype="Int64"),
            "meta_learning_rate": chi / sharpness,
            "mismatch": pd.array([None] * len(ids), dtype="boolean"),
        }
    )
    runs.loc[~runs["unstable"], "first_bad_epoch"] = pd.NA
    names = {*get_feature_set("curvature").channels, *get_feature_set("optimizer").channels}
    parts = []
    for epoch in range(-1, EPOCHS):
        part = pd.DataFrame(
            {c: sharpness * 10 ** rng.normal(0, 0.1, len(ids)) for c in sorted(names)}
        )
        part["train_loss"] = part["valid_loss"] = 1 + rng.random(len(ids))
        part["train_accuracy"] = part["valid_accuracy"] = 0.5
        part["chi"], part["rho"] = chi, chi * 10 ** rng.normal(0, 0.1, len(ids))
        part["kappa"] = np.where(np.arange(len(ids)) % 2 == 0, chi, np.nan)
        gone = unstable & (epoch >= bad)
        part.loc[gone, [c for c in part if c not in ("train_accuracy", "valid_accuracy")]] = np.nan
        parts.append(part.assign(run_id=ids, epoch=epoch))
    epochs = pd.concat(parts, ignore_index=True)
    layers = pd.concat(
        [
            epochs[["run_id", "epoch"]].assign(
                depth=d,
                layer=f"l{d}",
                rho=epochs["rho"] * share,
                hvp_norm=epochs["lambda_max"] * 10**d,
            )
            for d, share in ((0.0, 0.7), (0.5, -0.1), (1.0, 0.4))
        ],
        ignore_index=True,
    )
    return SimpleNamespace(runs=runs, epochs=epochs, layers=layers)


def test_within_programs_the_length_of_a_trace_says_nothing(corpus):
    for setting in SETTINGS:
        last = last_snapshots(corpus.runs, setting)
        table = corpus.runs.set_index("run_id").join(last, how="inner")
        auc = auc_by_program(
            table.assign(positive=table["unstable"], score=table["last"].astype(float))
        )["auc"].dropna()
        assert len(auc) == PROGRAMS
        assert (auc - 0.5).abs().max() < 0.06, setting


def test_unstable_runs_are_cut_at_their_own_bad_epoch(corpus):
    bad = corpus.runs.dropna(subset="first_bad_epoch").set_index("run_id")["first_bad_epoch"]
    contemporaneous = last_snapshots(corpus.runs, "contemporaneous")
    assert (contemporaneous[bad.index] == bad).all()
    assert (last_snapshots(corpus.runs, "before")[bad.index] == bad - 1).all()
    assert (last_snapshots(corpus.runs, "init") == -1).all()


def test_runs_that_are_bad_at_init_take_part_in_the_first_setting_alone():
    runs = pd.DataFrame(
        {
            "run_id": list("abcd"),
            "program": "p",
            "unstable": [True, True, False, False],
            "first_bad_epoch": pd.array([-1, 2, None, None], dtype="Int64"),
        }
    )
    assert sorted(last_snapshots(runs, "contemporaneous")) == [-1, -1, 2, 2]
    assert last_snapshots(runs, "before").to_dict() == {"b": 1, "c": 1, "d": 1}
    assert last_snapshots(runs, "init").to_dict() == {"b": -1, "c": -1, "d": -1}
    with pytest.raises(InputError, match="no unstable run"):
        last_snapshots(runs[runs["run_id"] != "b"], "before")
    with pytest.raises(InputError, match="setting"):
        last_snapshots(runs, "after")


def test_programs_without_unstable_runs_are_cut_where_others_are():
    runs = pd.DataFrame({"run_id": [str(i) for i in range(30)], "program": ["p"] * 10 + ["q"] * 20})
    runs["unstable"] = [True] * 4 + [False] * 26
    runs["first_bad_epoch"] = pd.array([1, 1, 1, 5] + [None] * 26, dtype="Int64")
    last = last_snapshots(runs, "before").loc[[str(i) for i in range(10, 30)]]
    assert last.value_counts().to_dict() == {0: 15, 4: 5}


@pytest.mark.parametrize("name", DETECTION_SETS)
def test_what_comes_after_the_cut_does_not_matter(corpus, name):
    if name in ("rate", "program", "length"):
        return
    for setting in ("before", "init"):
        last = last_snapshots(corpus.runs, setting)
        after = corpus.epochs["epoch"] > corpus.epochs["run_id"].map(last)
        changed = corpus.epochs.copy()
        names = [c for c in changed if c not in ("run_id", "epoch")]
        changed.loc[after, names] = 1e9
        layers = corpus.layers.copy()
        layers.loc[layers["epoch"] > layers["run_id"].map(last), "rho"] = -1e9
        other = SimpleNamespace(runs=corpus.runs, epochs=changed, layers=layers)
        expected = feature_table(corpus, corpus.runs, name, setting)
        found = feature_table(other, corpus.runs, name, setting)
        pd.testing.assert_frame_equal(found, expected)
        assert found.shape[0] == len(corpus.runs) and found.shape[1] > 0


def test_cut_traces_leaves_out_runs_that_do_not_take_part(corpus):
    found = cut_traces(corpus.epochs, pd.Series({"r000": 0, "r001": -1}))
    assert found.groupby("run_id")["epoch"].max().to_dict() == {"r000": 0, "r001": -1}


def test_dimensionless_channels_by_hand():
    epochs = pd.DataFrame(
        {
            "run_id": ["a"] * 3 + ["b"],
            "epoch": [-1, 0, 1, -1],
            "train_loss": 1.0,
            "rho": [-4.0, 1e-9, np.nan, 2.0],
            "chi": [1e9, 0.5, np.nan, 1e-12],
        }
    )
    layers = pd.DataFrame(
        {
            "run_id": ["a"] * 6 + ["b"] * 2,
            "epoch": [-1] * 3 + [1] * 3 + [-1] * 2,
            "depth": [0, 0.5, 1, 0, 0.5, 1, 0, 1],
            "rho": [-3.0, -1.5, 0.5, 1, np.nan, 1, 0, 0],
        }
    )
    found = dimensionless_channels(epochs, layers)
    assert found["rho_negative"].tolist() == [1, 0, 0, 0]
    assert found["rho_size"].tolist()[:2] == [4, 1e-6] and np.isnan(found["rho_size"][2])
    assert found["chi"].tolist()[:2] == [2.0**24, 0.5] and found["chi"][3] == 2.0**-24
    first = found.iloc[0]
    assert first["rho_share_max"] == first["rho_share_first"] == pytest.approx(0.6)
    assert first["rho_share_last"] == pytest.approx(0.1)
    assert found.loc[1, "rho_share_max"] == pytest.approx(0.6)  # layers not recorded: as before
    assert np.isnan(found.loc[3, "rho_share_max"])  # no part at all


@pytest.fixture(scope="module")
def predictions(corpus):
    return detect_instability(
        corpus,
        corpus.runs,
        settings=("contemporaneous", "init"),
        features=("curvature", "dimensionless", "rate", "loss"),
        n_groups=3,
    )


def test_the_simulated_world_is_seen_through(predictions):
    scores = detection_scores(predictions, n_resamples=50)
    e4 = scores[scores["strategy"] == "E4"].set_index(["setting", "features"])
    assert (e4["programs"] == PROGRAMS).all()
    assert e4.loc[("init", "dimensionless"), "within"] > 0.97
    assert abs(e4.loc[("init", "curvature"), "within"] - 0.5) < 0.2
    assert abs(e4.loc[("init", "loss"), "within"] - 0.5) < 0.2
    assert e4.loc[("contemporaneous", "loss"), "within"] > 0.97
    # the rate orders the runs of a program, and not those of different ones
    assert e4.loc[("init", "rate"), "within"] > 0.9
    assert e4.loc[("init", "rate"), "auc"] < e4.loc[("init", "dimensionless"), "auc"] - 0.1


def test_no_program_is_predicted_by_a_model_that_saw_it(corpus, predictions):
    e4 = predictions[predictions["strategy"] == "E4"]
    assert (e4.groupby(["setting", "features", "program"])["fold"].nunique() == 1).all()
    assert e4["fold"].nunique() == 3
    assert len(predictions) == 2 * 4 * 2 * len(corpus.runs)


def test_differences_are_paired_over_programs(predictions):
    first = {"setting": "init", "features": "dimensionless", "estimator": "logistic"}
    first["strategy"] = "E4"
    pairs = [(first, {}), (first, {"features": "loss"}), (first, {"strategy": "E1"})]
    found = detection_differences(predictions, pairs).set_index("against")
    assert found.index.tolist() == ["chance", "loss", "E1"]
    scores = detection_scores(predictions, n_resamples=50)
    within = scores.set_index(["setting", "features", "strategy"])["within"]
    own, loss = within["init", "dimensionless", "E4"], within["init", "loss", "E4"]
    assert found.loc["chance", "difference"] == pytest.approx(own - 0.5)
    assert found.loc["loss", "difference"] == pytest.approx(own - loss)
    assert found.loc["loss", "low"] > 0 > found.loc["E1", "low"] - 1e-12
    assert found["verdict"].tolist() == ["above", "above", "unresolved"]
    assert useful(found.loc["chance"]) == "confirmed"
    reversed_pair = [({**first, "features": "loss"}, {"features": "dimensionless"})]
    assert detection_differences(predictions, reversed_pair)["verdict"].tolist() == ["below"]
    with pytest.raises(InputError, match="no predictions"):
        detection_differences(predictions, [(first, {"features": "optimizer"})])


def test_single_channels_need_no_fit(corpus):
    found = channel_predictions(corpus, corpus.runs, ["chi", "meta_learning_rate"])
    scores = detection_scores(found, n_resamples=20).set_index(["setting", "features"])
    assert scores.loc[("init", "chi"), ["within", "auc"]].tolist() == [1, 1]
    # a value that is gone ranks above all others
    gone = found[(found["setting"] == "contemporaneous") & (found["features"] == "chi")]
    assert ((gone["score"] == np.inf) == gone["positive"]).all()
    with pytest.raises(InputError, match="nonsense"):
        channel_predictions(corpus, corpus.runs, ["nonsense"])


def test_thresholds_by_group(corpus):
    first = corpus.epochs[corpus.epochs["epoch"] == -1].set_index("run_id")
    kind = pd.Series(np.where(first["kappa"].notna(), "gradient", "adaptive"), first.index)
    found = threshold_scores(corpus, corpus.runs, channels={"chi": 1, "kappa": 1}, by=kind)
    found = found.set_index(["rule", "group"])
    assert found.loc[("chi > 1", "all"), ["precision", "recall", "specificity"]].tolist() == [1] * 3
    assert found.loc[("chi > 1", "gradient"), "runs"] == len(corpus.runs) / 2
    assert found.loc[("kappa > 1", "gradient"), "recall"] == 1
    assert found.loc[("kappa > 1", "adaptive"), "not_finite"] == len(corpus.runs) / 2
    assert found.loc[("kappa > 1", "adaptive"), "specificity"] == 0


def test_triage_on_unseen_programs(corpus):
    found = hold_out_triage(corpus.epochs, corpus.runs, epoch=EPOCHS - 1, n_groups=3)
    assert (found["finite"] != found["positive"]).all()  # bad runs have no values left
    assert (found["flagged"] == found["positive"]).all()
    assert set(found["strategy"]) == {"E1", "E4"} and found["score"].notna().all()
    early = hold_out_triage(corpus.epochs, corpus.runs, epoch=-1, strategies=["E4"])
    assert early["finite"].all() and early["flagged"].mean() < 0.2
    assert len(TRIAGE_CHANNELS) == 4


def test_clusters_stay_and_their_unstable_share_follows_the_definition():
    size = np.repeat([1e-3, 1.0, 1e6], 4) * np.tile([1.0, 1.1, 1.2, 1.3], 3)
    size = np.append(size, np.nan)
    epochs = pd.DataFrame(dict.fromkeys(TRIAGE_CHANNELS, size)).assign(run_id=range(13), epoch=0)
    runs = pd.DataFrame({"run_id": range(13), "program": [*("pq" * 6), "p"]})
    labelled = {
        "one": runs.assign(unstable=[*[False] * 8, True, *[False] * 3, True]),
        "all large": runs.assign(unstable=~(size < 1e3)),
        "none": runs.assign(unstable=False),
    }
    found = cluster_sensitivity(epochs, labelled).set_index(["definition", "cluster"])
    assert found.loc["one"].index.tolist() == ["0", "1", "2", "not finite"]
    assert found["runs"].tolist() == [4, 4, 4, 1] * 3
    large = found.xs("0", level="cluster")
    assert large["unstable"].tolist() == [0.25, 1, 0] and (large["programs"] == 2).all()
    assert found.loc[("one", "not finite"), "unstable"] == 1
    assert found.loc[("all large", "1"), "unstable"] == 0
    with pytest.raises(InputError, match="'other' is not of the same runs"):
        cluster_sensitivity(epochs, labelled | {"other": runs[::-1].assign(unstable=True)})


def test_the_triage_rule_by_definition(corpus, tmp_path):
    labelled = {"own": corpus.runs, "none": corpus.runs.assign(unstable=False)}
    options = {"epoch": EPOCHS - 1, "n_groups": 3, "results": tmp_path, "n_resamples": 20}
    found = triage_sensitivity(corpus.epochs, labelled, **options)
    # a rule cannot learn from stable runs alone; of finite curvature, none is unstable here
    assert found[["definition", "strategy"]].values.tolist() == [["own", "E1"], ["own", "E4"]]
    assert (found["positives"] == 0).all() and (found["specificity"] == 1).all()
    early = triage_sensitivity(corpus.epochs, labelled, **options | {"epoch": -1})
    assert (early["positives"] == corpus.runs["unstable"].sum()).all()


def test_holm_is_that_of_the_definition():
    p = [0.04, 0.01, 0.03, 0.5]
    assert holm_adjusted(p) == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert holm_adjusted([0.6, 0.7]).tolist() == [1, 1]
    assert holm_adjusted([]).tolist() == []


def test_a_verdict_needs_the_adjusted_p_value_and_says_if_a_gain_is_small():
    row = {"difference": 0.3, "high": 0.4, "verdict": "above"}
    assert useful(row | {"p_adjusted": 0.01}) == "confirmed"
    assert useful(row | {"p_adjusted": 0.06}) == "unresolved"
    small = row | {"difference": 0.05, "high": 0.09}
    assert useful(small | {"p_adjusted": 0.01}) == "confirmed, but small"
    assert useful(small | {"p_adjusted": 0.06}) == "contradicted"
    assert useful(small, smallest=0.04) == "confirmed"


def test_counts_of_explosions(corpus):
    counts = explosion_counts(corpus.runs)
    assert counts.columns.tolist() == list(range(-1, EPOCHS))
    assert counts.to_numpy().sum() == corpus.runs["unstable"].sum()
    table = informative_programs(corpus.runs, min_runs=2)
    assert table["unstable"].sum() == corpus.runs["unstable"].sum()
    assert (table["bad_at_init"] == 0).all() and table["informative"].all()
    late = corpus.runs["first_bad_epoch"].fillna(0) > 0
    assert table["late"].sum() == late.sum()


@pytest.fixture
def confounded():
    """In program q everything is large and half is unstable; inside programs x means nothing."""
    n = 100
    runs = pd.DataFrame(
        {"run_id": [str(i) for i in range(2 * n)], "program": ["p"] * n + ["q"] * n}
    )
    runs["unstable"] = [False] * n + [True, False] * (n // 2)
    x = np.concatenate([np.arange(n), 1000 + np.arange(n)]).astype(float)
    x[-10:] = np.nan
    epochs = pd.DataFrame({"run_id": runs["run_id"], "epoch": 0, "x": x})
    return epochs, runs


def test_fifths_overall_and_within_programs(confounded):
    epochs, runs = confounded
    found = rate_by_quintile(epochs, runs, ["x"]).set_index(["view", "fifth"])
    overall = found.loc["overall", "rate"]
    assert overall[["1", "2"]].tolist() == [0, 0] and overall["5"] == pytest.approx(0.5)
    within = found.loc["within programs", "rate"]
    assert within[[*"12345"]].between(0.2, 0.3).all()
    assert found.loc[("overall", "not finite"), "runs"] == 10
    assert found.loc[("overall", "5"), "programs"] == 1
    assert found.groupby("view")["runs"].sum().tolist() == [200, 200]


def test_the_contrast_within_programs(confounded):
    epochs, runs = confounded
    flat = quintile_contrast(epochs, runs, ["x"])
    assert flat.loc[0, "programs"] == 1 and abs(flat.loc[0, "difference"]) < 0.1
    epochs["x"] = epochs["x"].fillna(0) + 1e4 * runs["unstable"].to_numpy()
    assert quintile_contrast(epochs, runs, ["x"]).loc[0, "difference"] == 1
    with pytest.raises(InputError, match="lacks the columns y"):
        quintile_contrast(epochs, runs, ["y"])


def test_bins_between_fixed_values(confounded):
    epochs, runs = confounded
    found = rate_by_bin(epochs, runs, "x", [50, 1000, 1050], epoch=0)
    assert found["bin"].tolist() == [
        "below 50",
        "50 to 1000",
        "1000 to 1050",
        "1050 or more",
        "not finite",
    ]
    assert found["runs"].tolist() == [50, 50, 50, 40, 10]
    assert found["rate"].tolist() == [0, 0, 0.5, 0.5, 0.5]
    with pytest.raises(InputError, match="rising"):
        rate_by_bin(epochs, runs, "x", [2, 1], epoch=0)


def test_profiles_over_depth(corpus):
    found = layer_profiles(corpus.layers, corpus.runs, epoch=-1, points=5)
    found = found.set_index(["view", "kind", "depth"]).sort_index()
    measured = found.loc[("as measured", "stable"), "value"]
    assert np.diff(measured) == pytest.approx(0.25, abs=1e-6)  # hvp = lambda x 10^depth
    assert measured[0.0] == pytest.approx(-0.5, abs=0.3)
    removed = found.loc["program removed", "value"]
    assert removed.to_numpy() == pytest.approx(0, abs=0.1)
    as_measured = found.loc["as measured"]
    assert (as_measured["low"] <= as_measured["value"]).all()
    assert (as_measured["value"] <= as_measured["high"]).all()
    gone = layer_profiles(corpus.layers, corpus.runs, epoch=1)
    assert gone["runs"].max() < len(corpus.runs)  # not finite any more
    with pytest.raises(InputError, match="no run of one kind"):
        layer_profiles(corpus.layers, corpus.runs, epoch=EPOCHS - 1)


def _one_far_run():
    """Eight programs, two stable runs and one unstable each; one unstable run is far away."""
    runs = pd.DataFrame({"run_id": range(24), "program": np.repeat(list("abcdefgh"), 3)})
    runs["unstable"] = np.tile([False, False, True], 8)
    level = np.repeat(10.0 ** np.arange(8), 3)
    level[23] *= 1e20
    layers = pd.DataFrame({"run_id": np.repeat(range(24), 2), "epoch": 0})
    return layers.assign(depth=[0.0, 1.0] * 24, hvp_norm=np.repeat(level, 2)), runs


def test_one_run_far_away_does_not_make_a_profile():
    layers, runs = _one_far_run()
    found = layer_profiles(layers, runs, points=2).set_index(["view", "kind"])
    unstable = found.loc[("program removed", "unstable")]
    assert unstable["value"].to_numpy() == pytest.approx(0)
    # of eight values, the least and the largest enclose the median with 99 %, the next with 93 %
    assert unstable["low"].to_numpy() == pytest.approx(0)
    assert unstable["high"].to_numpy() == pytest.approx(20)
    few = runs["program"] < "f"
    found = layer_profiles(layers, runs[few], points=2)
    assert np.isinf(found["low"]).all() and np.isinf(found["high"]).all()


def test_offsets_are_from_the_stable_runs_of_a_program():
    layers, runs = _one_far_run()
    offsets = layer_offsets(layers, runs)
    assert list(offsets.index) == list(range(2, 24, 3))
    assert offsets.to_numpy() == pytest.approx([0] * 7 + [20])
    layers.loc[layers["run_id"] == 2, "hvp_norm"] = [1.0, np.inf]
    assert 2 not in layer_offsets(layers, runs).index


def test_definitions_of_instability():
    epochs = pd.DataFrame({"run_id": np.repeat(list("abcde"), 2), "epoch": [-1, 0] * 5})
    epochs["train_loss"] = [1, 2, 1, 5e3, 1, 2e5, 1, np.inf, 1e3, 2e5]
    epochs["valid_loss"] = 1.0
    epochs["train_accuracy"] = epochs["valid_accuracy"] = 0.5
    runs = pd.DataFrame({"run_id": list("abcde"), "program": list("ppqqq")})
    corpus = SimpleNamespace(epochs=epochs)
    labelled = {name: relabel(corpus, runs, name) for name in LABEL_VARIANTS}
    bad = {n: "".join(t.loc[t["unstable"], "run_id"]) for n, t in labelled.items()}
    assert bad == {
        "as defined": "cd",
        "factor 100": "cde",
        "factor 10,000": "cd",
        "factor 100, no floor": "bcde",
        "loss above 1,000": "bcde",
        "not finite only": "d",
    }
    found = label_sensitivity(labelled).set_index("definition")
    assert found.loc["not finite only", ["unstable", "gained", "lost"]].tolist() == [1, 0, 1]
    assert found.loc["factor 100", ["unstable", "gained", "lost"]].tolist() == [3, 1, 0]
    assert (found["at_once"] == 1).all()
    with pytest.raises(InputError, match="variant"):
        relabel(corpus, runs, "other")
