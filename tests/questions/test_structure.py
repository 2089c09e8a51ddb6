"""Controls tell simulated worlds apart, and tables say what was put into them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.channels import CHANNELS
from analysis_lib.errors import InputError
from analysis_lib.evaluation import simulate_world, variance_shares
from analysis_lib.questions.initial import state_leak
from analysis_lib.questions.leaks import audit_predictions, audit_set, audit_table, paired_change
from analysis_lib.questions.permutation import (
    class_mixes,
    permutation_summary,
    permutation_table,
    prior_table,
)
from analysis_lib.questions.renaming import renaming_table
from analysis_lib.questions.shares import (
    CHANNEL_GROUPS,
    channel_shares,
    logarithmic,
    set_shares,
    shift_table,
    total_shares,
)
from analysis_lib.questions.structure import erasure_table, gap_parts, identity_table

NEAREST = KNeighborsClassifier(1)
TREE = DecisionTreeClassifier(random_state=0)
STRATEGIES = ("E1", "E2", "E2bal", "E4bal", "E4")


def predictions(scores):
    """Predictions whose score in a program under a strategy is right[strategy][program] of 10."""
    rows = [
        {
            "technique": "t",
            "strategy": strategy,
            "run_id": f"{program}{kind}{k}",
            "program": program,
            "label": kind,
            "predicted": kind if k < right else "other",
        }
        for strategy, by_program in scores.items()
        for program, right in by_program.items()
        for kind in "xy"
        for k in range(10)
    ]
    return pd.DataFrame(rows)


STAIRS = {
    "E1": {"p": 10, "q": 10, "r": 10},
    "E2": {"p": 6, "q": 7, "r": 8},
    "E2bal": {"p": 6, "q": 6, "r": 6},
    "E4bal": {"p": 4, "q": 5, "r": 3},
    "E4": {"p": 5, "q": 5, "r": 5},
}


@pytest.mark.parametrize("metric", ["program_macro_recall", "pooled_balanced_accuracy"])
def test_parts_of_the_gap_by_hand(metric):
    table = gap_parts(predictions(STAIRS), metric=metric, n_resamples=300).set_index("part")
    assert table["estimate"].tolist() == pytest.approx([0.3, 0.1, 0.2, -0.1, 0.2, 0.5])
    assert table["start"].tolist() == pytest.approx([1.0, 0.7, 0.6, 0.4, 0.7, 1.0])
    assert table["end"].tolist() == pytest.approx([0.7, 0.6, 0.4, 0.5, 0.5, 0.5])
    assert table["share"].tolist() == pytest.approx([0.6, 0.2, 0.4, -0.2, 0.4, 1.0])
    assert table.loc["prior-shift cost", "verdict"] == "open"
    assert (table["low"] <= table["estimate"]).all() and (table["estimate"] <= table["high"]).all()
    inside = table[["share_low", "share_high"]]
    if metric == "pooled_balanced_accuracy":
        assert inside.isna().all(axis=None)
    else:
        # the share of the first part in program p is .4 / .5, in r .2 / .5
        assert inside.loc["replicate leak"].tolist() == pytest.approx([0.4, 0.8])
        assert inside.loc["total"].tolist() == [1.0, 1.0]


def test_a_share_of_nothing_is_missing():
    flat = STAIRS | {"E1": STAIRS["E4"]}
    assert gap_parts(predictions(flat), n_resamples=50)["share"].isna().all()
    with pytest.raises(InputError, match="lacks E2bal or E4bal"):
        gap_parts(predictions({k: STAIRS[k] for k in ("E1", "E2", "E4")}))
    with pytest.raises(InputError, match="lack technique"):
        gap_parts(predictions(STAIRS).drop(columns="strategy"))


def test_permutations_keep_the_mix_and_seeds_alone():
    features, runs = simulate_world(
        "none", programs=8, skew=0.4, identity=9.0, replicate=3.0, features=5
    )
    table = permutation_table(
        features, {"skewed": runs}, "label", technique=NEAREST, repeats=3, other_repeats=2
    )
    assert table["repeat"].value_counts().to_dict() == {0: 6, 1: 4, 2: 1}
    found = permutation_summary(table).set_index(["permuted", "strategy"])
    assert found["repeats"].to_dict() == {
        ("run", "E1"): 3,
        ("run", "E2"): 2,
        ("configuration", "E1"): 2,
        ("configuration", "E2"): 2,
    }
    # whoever knows the configuration knows its label, whatever that means
    assert found.loc[("configuration", "E1"), "median"] > 0.85
    assert found.loc[("run", "E1"), "actual"] > 0.85
    # the mix alone is worth more than chance, and no more than the oracle
    prior = prior_table({"skewed": runs}, "label").iloc[0]
    assert prior["chance"] == 0.25 < prior["prior_balanced_accuracy"] < 0.95
    assert 0.3 < found.loc[("run", "E1"), "median"] < prior["prior_accuracy"] + 0.1
    assert (found["low"] <= found["median"]).all() and (found["median"] <= found["high"]).all()


def test_permuted_even_mixes_are_at_chance():
    features, runs = simulate_world("transferable", programs=8, identity=9.0, features=5)
    table = permutation_table(
        features, {"even": runs}, "label", technique=NEAREST, kinds=[("run", "E1")], repeats=4
    )
    found = permutation_summary(table).iloc[0]
    assert found["median"] < 0.3 < 0.75 < found["actual"]
    with pytest.raises(InputError, match="at least 1"):
        permutation_table(features, {"even": runs}, "label", repeats=0)


def test_mixes_are_what_they_are_called():
    _, runs = simulate_world("none", programs=10, random_state=3)
    mixes = class_mixes(runs, "label")
    assert mixes["as planned"] is runs
    prior = prior_table(mixes, "label").set_index("mix")["prior_balanced_accuracy"]
    assert prior["as planned"] == 0.25 < prior["natural, evened out"] < prior["natural"]
    evened = mixes["natural, evened out"]
    sizes = evened.groupby(["program", "label"]).size().groupby("program")
    assert (sizes.max() == sizes.min()).all()
    assert set(evened["run_id"]) <= set(mixes["natural"]["run_id"]) < set(runs["run_id"])


def test_renaming_shows_what_programs_share():
    options = {"technique": NEAREST, "repeats": 2, "n_groups": 3}
    world = {"programs": 9, "identity": 1.0, "replicate": 0.3, "signal": 3.0}
    shared = renaming_table(*simulate_world("transferable", **world), "label", **options)
    own = renaming_table(
        *simulate_world("specific", **world | {"identity": 20.0}), "label", **options
    )
    assert shared.loc["E4", "low"] > 0.4 and shared.loc["E4", "renamed"] < 0.35
    assert own.loc["E2", "renamed"] > 0.9 and abs(own.loc["E2", "shared"]) < 0.1
    assert own.loc["E4", "named"] < 0.45
    assert (shared["chance"] == 0.25).all() and (shared["programs"] == 9).all()


def test_names_that_mislead_leave_what_is_above_chance_to_what_programs_share():
    world = {"programs": 9, "identity": 1.0, "replicate": 0.3, "signal": 3.0}
    options = {"technique": NEAREST, "strategies": ["E4"], "repeats": 1, "n_groups": 3}
    features, runs = simulate_world("transferable", **world)
    below = 0
    for state in range(8):
        row = renaming_table(features, runs, "label", random_state=state, **options).loc["E4"]
        floor = max(row["renamed"], row["chance"])
        assert row["shared"] == pytest.approx(row["named"] - floor)
        below += row["renamed"] < row["chance"]
    assert 0 < below < 8


def test_identity_is_recognised_where_it_is_and_erased():
    known, runs = simulate_world("none", programs=6, identity=9.0, replicate=0.0, features=8)
    noise = np.random.default_rng(0).normal(size=known.shape)
    unknown = pd.DataFrame(noise, columns=known.columns, index=known.index)
    table = identity_table(
        {"known": known, "unknown": unknown}, runs, "label", technique=TREE, erasures=(False, True)
    ).set_index(["features", "erased"])
    assert table.loc[("known", False), "accuracy"] > 0.9
    assert table.loc[("known", True), "accuracy"] < 0.8
    assert table.loc[("unknown", False), "accuracy"] == pytest.approx(1 / 6, abs=0.1)
    assert table["chance"].tolist() == [1 / 6] * 4 and (table["runs"] == len(runs)).all()


def test_erasing_costs_where_the_program_was_used():
    features, runs = simulate_world(
        "specific", programs=9, identity=9.0, replicate=0.0, signal=3.0, features=8
    )
    table = erasure_table({"x": features}, runs, "label", technique=NEAREST, n_groups=3)
    table = table.set_index("strategy")
    assert table.index.tolist() == ["E1", "E2", "E4", "E1 minus E4", "E2 minus E4"]
    assert table.loc["E2", "before"] > 0.9 and table.loc["E2", "high"] < 0
    pair = table["change"]
    assert pair["E2 minus E4"] == pytest.approx(pair["E2"] - pair["E4"])
    assert pair["E2"] == pytest.approx(table.loc["E2", "after"] - table.loc["E2", "before"])
    assert table.loc["E2 minus E4", "change"] < -0.05


def test_distances_say_which_is_further():
    sets = {
        "programs": simulate_world("transferable", identity=6.0, signal=0.5)[0],
        "faults": simulate_world("transferable", identity=0.3, signal=3.0)[0],
    }
    _, runs = simulate_world("transferable")
    table = shift_table(sets, runs, "label").set_index("features")
    assert table.loc["programs", "low"] > 1 > table.loc["faults", "high"]
    ratio = table["between_programs"] / table["between_classes"]
    assert table["ratio"].tolist() == pytest.approx(ratio.tolist())


def test_losses_become_logarithmic_and_nothing_else():
    table = pd.DataFrame({"valid_loss_std": [1e30, 0.0], "x_loss_max": [1e30, 0.0]})
    assert logarithmic(table).round(6).to_numpy().tolist() == [[42.0, 1e30], [0.0, 0.0]]


def test_shares_of_the_whole_variance_by_hand():
    runs = pd.DataFrame(
        [(g, c, f"{g}{c}{k}", k) for g in "pq" for c in "xy" for k in range(3)],
        columns=["program", "label", "configuration", "k"],
    ).assign(run_id=range(12))
    g, c = (runs["program"] == "q") * 2.0, (runs["label"] == "y") * 1.0
    noise = runs["k"] - 1.0
    features = pd.DataFrame(
        {"sum": g + c, "product": g * c, "noisy": g + c + noise, "one": 1.0},
        index=runs["run_id"],
    )
    # sums of squares 12, 3 and 0; for the product of 2 x 2 values 3 each; noise 8 with 8 degrees
    found = total_shares(features, runs, "label")
    expected = [[0.8, 0.2, 0], [1 / 3] * 3, [11 / 24, 2 / 24, -1 / 24]]
    assert found.iloc[:3].to_numpy() == pytest.approx(np.array(expected), abs=1e-9)
    assert found.loc["one"].isna().all()
    again = pd.concat([runs, runs.assign(run_id=runs["run_id"] + 12)])
    twice = pd.concat([features, features.set_axis(features.index + 12, axis=0)])
    assert total_shares(twice, again, "label").iloc[2].tolist() == pytest.approx(expected[2])


def test_set_shares_are_means_with_a_jackknife():
    features, runs = simulate_world("transferable", programs=5, identity=4.0, features=3)
    table = set_shares({"x": features}, runs, "label", healthy=None).set_index("share")
    whole = variance_shares(features, runs, "label").join(total_shares(features, runs, "label"))
    expected = whole.mean().drop("interaction_total")
    assert table["estimate"].to_dict() == pytest.approx(expected.to_dict())
    left_out = [
        variance_shares(features, runs[runs["program"] != p], "label")["fault"].mean()
        for p in sorted(runs["program"].unique())
    ]
    se = np.sqrt(4 / 5 * ((np.array(left_out) - np.mean(left_out)) ** 2).sum())
    half = 2.7764451 * se  # Student's t for 4 degrees of freedom
    assert table.loc["fault", "high"] - table.loc["fault", "estimate"] == pytest.approx(half)
    assert table.loc["fault", "estimate"] - table.loc["fault", "low"] == pytest.approx(half)


@pytest.fixture(scope="module")
def corpus():
    """Runs whose train loss is the program's, whose rho is the fault's, whose rate is the class."""
    _, runs = simulate_world("none", programs=6, classes=3, configurations=2, seeds=5)
    rng = np.random.default_rng(0)
    names = list(dict.fromkeys(c for group in CHANNEL_GROUPS.values() for c in group))
    epochs = pd.DataFrame({"run_id": np.repeat(runs["run_id"].to_numpy(), 3)})
    epochs["epoch"] = np.tile([-1, 0, 1], len(runs))
    program = np.repeat(pd.factorize(runs["program"])[0], 3)
    kind = np.repeat(pd.factorize(runs["label"])[0], 3)
    noise = np.exp(0.01 * rng.standard_normal((len(epochs), len(CHANNELS))))
    table = pd.DataFrame(noise, columns=list(CHANNELS))
    table["train_loss"] *= 10.0**program
    table["rho"] *= 10.0**kind
    table["chi"] = 1.0
    epochs = pd.concat([epochs, table], axis=1)
    meta = dict.fromkeys(["steps", "batch_size", "cpu_s", "wall_s"], 1.0)
    runs = runs.assign(**{f"meta_{k}": v for k, v in meta.items()})
    runs["meta_learning_rate"] = 10.0 ** pd.factorize(runs["label"])[0]
    assert set(names) <= set(CHANNELS)
    return SimpleNamespace(runs=runs, epochs=epochs)


def test_channels_are_placed_by_what_moves_them(corpus):
    table = channel_shares(corpus, corpus.runs, "label", window=2, healthy=None)
    found = table.set_index("channel")
    assert found.loc["train_loss", "program"] > 0.95 > 0.1 > found.loc["train_loss", "fault"]
    assert found.loc["rho", "fault"] > 0.95 > 0.2 > found.loc["rho", "program"]
    assert "chi" not in found.index  # constant
    assert found.loc["rho", "group"] == "dimensionless"
    assert found.loc["rho", "fault_total"] > 0.9 < found.loc["train_loss", "program_total"]
    difference = found["fault_total"] - found["program_total"]
    assert found["score"].to_dict() == pytest.approx(difference.to_dict())
    assert found.index.is_unique


def test_the_audit_finds_what_leaks(corpus):
    names = ["audit-rate", "audit-epochs", "audit-program", "features+program"]
    found = audit_predictions(
        corpus, corpus.runs, "label", window=2, names=names, n_groups=3, trees=5
    )
    assert list(dict.fromkeys(found["technique"])) == names
    table = audit_table(found).set_index(["technique", "strategy"])["score"]
    # the rate is the class; the others know nothing of it
    assert table["audit-rate"].tolist() == [1.0, 1.0, 1.0]
    assert table["audit-epochs"].max() == pytest.approx(1 / 3, abs=0.01)
    assert table["audit-program"].max() < 0.5
    change = paired_change(found, of="audit-rate", against="audit-program").set_index("strategy")
    expected = table["audit-rate"] - table["audit-program"]
    assert change["change"].to_dict() == pytest.approx(expected.to_dict())
    assert (change["programs"] == 6).all()
    with pytest.raises(InputError, match="no predictions"):
        paired_change(found, of="audit-rate", against="DeepFD")
    with pytest.raises(InputError, match="knows no"):
        audit_predictions(corpus, corpus.runs, "label", names=["rates"])


def test_the_audited_forests_are_small_and_see_the_program(corpus):
    known = audit_set(corpus, trees=7)
    for name in ("DEFault-hierarchy", "DEFault-as-released"):
        assert known[name].make_estimator(3).get_params()["trees"] == 7
    assert known["DEFault-as-released"].make_estimator(3).as_released
    assert known["audit-rate"].make_estimator(3).n_estimators == 7
    forest = known["features"].make_estimator(3)[-1]
    assert (forest.n_estimators, forest.random_state) == (7, 3)


def test_rows_taken_from_runs_that_begin_alike_score_below_what_the_state_is_worth():
    """Eight classes in a state, two of which are twice as frequent: nothing but a mix to learn."""
    rows = [
        {"program": p, "state": f"{p}{k}", "label": label}
        for p in "pqrs"
        for k in range(5)
        for label in "wwxxyyzz"
    ]
    runs = pd.DataFrame(rows)
    runs["run_id"] = [f"r{k:03d}" for k in range(len(runs))]
    runs["configuration"] = runs["program"] + runs["label"] + (runs.index % 8).astype(str)
    rng = np.random.default_rng(0)
    values = {state: rng.normal(size=3) for state in runs["state"].unique()}
    x = pd.DataFrame([values[s] for s in runs["state"]], index=runs["run_id"])
    found = state_leak(x, runs, "label", technique=TREE)
    assert found["shared"] == 1
    assert found["dealt"].estimate > found["leak"].estimate
    alone = pd.DataFrame(rng.normal(size=(len(runs), 3)), index=runs["run_id"])
    assert state_leak(alone, runs, "label", technique=TREE)["shared"] == 0
