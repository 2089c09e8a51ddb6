import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis_lib.errors import InputError
from analysis_lib.labels import (
    FAULT_CLASSES_4,
    equivalent_configurations,
    exact_sign_flip,
    killed_configurations,
    label_runs,
    select_runs,
)

CATEGORY = {"healthy": "Healthy", "HLR": "Hyperparameter", "LCH": "Loss", "HNE": "Hyperparameter"}


def make_runs(metrics: dict[str, list[float]], *, higher=True, status=None) -> pd.DataFrame:
    """Runs of one program; keys are 'operator' or 'operator(parameters)'."""
    rows = []
    for name, values in metrics.items():
        operator, _, parameters = name.partition("(")
        for seed, value in enumerate(values):
            rows.append(
                {
                    "run_id": f"{name}/{seed}",
                    "program": "p",
                    "operator": operator,
                    "category": CATEGORY[operator],
                    "parameters": "{" + parameters.rstrip(")") + "}",
                    "configuration": f"p/{name}",
                    "seed": seed,
                    "status": (status or {}).get(f"{name}/{seed}", "ok"),
                    "higher_is_better": higher,
                    "final_metric": value,
                }
            )
    return pd.DataFrame(rows)


def make_epochs(runs: pd.DataFrame, **changes) -> pd.DataFrame:
    """Thirteen unremarkable snapshots per run; changes[run_id] = {column: {epoch: value}}."""
    parts = []
    for run_id in runs["run_id"]:
        part = pd.DataFrame(
            {
                "run_id": run_id,
                "epoch": np.arange(-1, 12),
                "train_loss": np.linspace(2, 0.1, 13),
                "valid_loss": np.linspace(2, 0.2, 13),
                "train_accuracy": 0.9,
                "valid_accuracy": 0.85,
            }
        )
        for column, values in changes.get(run_id, {}).items():
            for epoch, value in values.items():
                part.loc[part["epoch"] == epoch, column] = value
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


GOOD = [0.90, 0.91, 0.92, 0.93, 0.94]


@pytest.mark.parametrize(
    ("faulty", "killed"),
    [
        ([0.5, 0.6, 0.5, 0.6, 0.5], True),
        ([0.89, 0.90, 0.91, 0.92, 0.93], True),  # always worse, d = 0.63
        ([0.899, 0.909, 0.919, 0.929, 0.939], False),  # always worse, but d is small
        ([0.5, 0.6, 0.5, 0.6, 0.95], False),  # one pair is better
        ([0.5, 0.6, 0.5, 0.6, 0.94], False),  # one pair is equal
        ([0.99] * 5, False),  # better
        ([0.5, 0.5, 0.5, 0.5], False),  # too few pairs
        ([np.nan] * 5, True),  # ended without a metric
    ],
)
def test_killed_on_constructed_metrics(faulty, killed):
    runs = make_runs({"healthy": GOOD, "HLR(x:1)": faulty, "LCH": [0.1] * 5})
    table = killed_configurations(runs)
    assert bool(table.loc["p/HLR(x:1)", "killed"]) is killed
    assert bool(table.loc["p/LCH", "killed"])


def test_smaller_may_be_better():
    loss = {"healthy": [1.0, 1.1, 1.2, 1.1, 1.0], "HLR": [2.0] * 5, "LCH": [0.1] * 5}
    table = killed_configurations(make_runs(loss, higher=False))
    assert table["killed"].tolist() == [True, False]
    assert table["difference"].tolist() == pytest.approx([0.92, -0.98])


def test_runs_that_did_not_end_well_score_the_worst_value():
    status = {"HLR/0": "timeout", "HLR/1": "raised", "HLR/2": "nonfinite"}
    runs = make_runs(
        {"healthy": GOOD, "HLR": [0.99, 0.99, 0.99, 0.5, 0.5], "LCH": [0.1] * 5}, status=status
    )
    row = killed_configurations(runs).loc["p/HLR"]
    assert row["killed"]
    assert row["difference"] == pytest.approx(np.mean(GOOD) - np.mean([0.1, 0.1, 0.1, 0.5, 0.5]))


def test_effect_size_is_cohens_d_and_infinite_without_variance():
    table = killed_configurations(
        make_runs({"healthy": [0.9] * 5, "HLR": [0.5] * 5, "LCH": [0.9] * 5})
    )
    assert table.loc["p/HLR", "effect"] == np.inf and table.loc["p/HLR", "killed"]
    assert np.isnan(table.loc["p/LCH", "effect"]) and not table.loc["p/LCH", "killed"]
    faulty = [0.1, 0.5, 0.2, 0.4, 0.3]
    d = killed_configurations(make_runs({"healthy": GOOD, "HLR": faulty}))["effect"].iloc[0]
    pooled = np.sqrt((np.var(GOOD, ddof=1) + np.var(faulty, ddof=1)) / 2)
    assert d == pytest.approx((np.mean(GOOD) - np.mean(faulty)) / pooled)


def test_pairs_are_matched_by_seed_not_by_order():
    runs = make_runs({"healthy": GOOD, "HLR": [v - 0.05 for v in GOOD]})
    shuffled = runs.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(killed_configurations(runs), killed_configurations(shuffled))


def test_healthy_variants_are_neither_reference_nor_killed():
    runs = make_runs({"healthy": GOOD, "healthy(width:2)": [0.1] * 5, "HLR": [0.5] * 5})
    labels = label_runs(runs, make_epochs(runs))
    assert not labels.loc[runs["operator"] == "healthy", "killed"].any()
    assert set(labels.loc[runs["operator"] == "healthy", "label"]) == {"Healthy"}
    assert killed_configurations(runs).index.tolist() == ["p/HLR"]


def test_huge_metrics_do_not_overflow():
    runs = make_runs({"healthy": [1.0] * 5, "HLR": [1e200, 1e300, 2.0, 3.0, 4.0]}, higher=False)
    row = killed_configurations(runs).iloc[0]
    assert row["p_value"] == 1 / 32 and np.isfinite(row["effect"])


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=7))
@settings(max_examples=80, deadline=None)
def test_sign_flip_agrees_with_enumeration(differences):
    signs = itertools.product([-1, 1], repeat=len(differences))
    sums = [sum(s * d for s, d in zip(pattern, differences, strict=True)) for pattern in signs]
    expected = np.mean([total >= sum(differences) for total in sums])
    assert exact_sign_flip(np.array(differences, float)) == pytest.approx(expected)


@given(st.lists(st.floats(1e-30, 1e30), min_size=5, max_size=5))
@settings(max_examples=50, deadline=None)
def test_five_positive_differences_give_one_in_32_whatever_their_scale(differences):
    assert exact_sign_flip(np.array(differences)) == 1 / 32


def test_sign_flip_refuses_what_it_cannot_enumerate():
    for wrong in ([], [np.nan], [1.0] * 21):
        with pytest.raises(InputError, match="1 to 20 finite"):
            exact_sign_flip(np.array(wrong))


def test_labels_have_the_promised_shape_and_index():
    runs = make_runs({"healthy": GOOD, "HLR": [0.1] * 5, "LCH": GOOD})
    runs.index = runs.index[::-1]
    labels = label_runs(runs, make_epochs(runs))
    assert labels.index.equals(runs.index)
    assert list(labels) == ["killed", "unstable", "first_bad_epoch", "mismatch", "label"]
    assert labels["label"].value_counts(dropna=False).to_dict() == {
        "Healthy": 5,
        "Hyperparameter": 5,
        np.nan: 5,
    }
    assert not labels["unstable"].any() and labels["first_bad_epoch"].isna().all()


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"train_loss": {4: np.nan, 7: np.inf}}, 4),
        ({"valid_loss": {4: np.inf}}, 4),
        ({"valid_loss": {3: np.nan}}, 3),
        ({"train_loss": {-1: np.nan}}, -1),
        ({"train_loss": {6: 1e5}}, None),  # not above the floor
        ({"train_loss": {6: 1.1e5}}, 6),
        ({"train_loss": {-1: 1e4, 6: 9e6}}, None),  # below 1e3 x the value at init
        ({"train_loss": {-1: 1e4, 6: 1.1e7}}, 6),
        ({"valid_loss": {6: 1e9}}, None),  # only the train loss explodes
        ({"valid_loss": dict.fromkeys(range(-1, 12), np.nan)}, None),  # never measured
    ],
)
def test_unstable_and_its_first_epoch(changes, first):
    runs = make_runs({"healthy": GOOD})
    labels = label_runs(runs, make_epochs(runs, **{"healthy/2": changes}))
    row = labels[runs["run_id"] == "healthy/2"].iloc[0]
    assert bool(row["unstable"]) is (first is not None)
    assert pd.isna(row["first_bad_epoch"]) if first is None else row["first_bad_epoch"] == first
    assert labels["unstable"].sum() == int(first is not None)


def test_mismatch_is_judged_at_the_end_of_stable_classification_runs():
    runs = make_runs({"healthy": GOOD})
    everywhere = dict.fromkeys(range(-1, 12), np.nan)
    labels = label_runs(
        runs,
        make_epochs(
            runs,
            **{
                "healthy/0": {"valid_accuracy": {11: 0.79}},
                "healthy/1": {"valid_accuracy": {11: 0.81, 3: 0.1}},
                "healthy/2": {"valid_accuracy": {11: 0.5}, "train_loss": {2: np.nan}},
                "healthy/3": {"train_accuracy": everywhere, "valid_accuracy": everywhere},
                "healthy/4": {"train_accuracy": {11: 0.7}, "valid_accuracy": {11: 0.9}},
            },
        ),
    )
    assert labels["mismatch"].tolist() == [True, False, pd.NA, pd.NA, True]


def test_thresholds_are_arguments():
    runs = make_runs({"healthy": GOOD, "HLR": [0.1] * 5})
    epochs = make_epochs(runs, **{"healthy/0": {"train_loss": {3: 500.0}}})
    strict = label_runs(
        runs,
        epochs,
        alpha=0.01,
        explosion_factor=10,
        explosion_floor=100,
        mismatch_gap=0.01,
    )
    assert not strict["killed"].any()
    assert strict["unstable"].sum() == 1
    assert strict["mismatch"].sum() == 9


def test_a_run_without_snapshots_keeps_its_row():
    runs = make_runs({"healthy": GOOD, "HLR": [np.nan] * 5}, status={"HLR/0": "crashed"})
    epochs = make_epochs(runs[runs["run_id"] != "HLR/0"])
    row = label_runs(runs, epochs)[runs["run_id"] == "HLR/0"].iloc[0]
    assert row["killed"] and not row["unstable"] and pd.isna(row["mismatch"])


def test_select_runs_keeps_killed_faults_with_a_trace():
    runs = make_runs(
        {"healthy": GOOD, "HLR": [0.1] * 5, "LCH": GOOD, "HNE": [0.2] * 5},
        status={"HLR/0": "crashed", "HLR/1": "nonfinite"},
    )
    runs = runs.join(label_runs(runs, make_epochs(runs)))
    kept = select_runs(runs, ["Hyperparameter"])
    assert kept["run_id"].tolist() == [f"HLR/{s}" for s in (1, 2, 3, 4)]
    assert len(select_runs(runs, None, healthy=True)) == 9
    with pytest.raises(InputError, match="Activation"):
        select_runs(runs, FAULT_CLASSES_4)
    with pytest.raises(InputError, match="give a list"):
        select_runs(runs, "Loss")


def test_bad_tables_are_named():
    runs = make_runs({"healthy": GOOD})
    with pytest.raises(InputError, match="final_metric"):
        label_runs(runs.drop(columns="final_metric"), make_epochs(runs))
    with pytest.raises(InputError, match="valid_loss"):
        label_runs(runs, make_epochs(runs).drop(columns="valid_loss"))
    with pytest.raises(InputError, match="twice"):
        label_runs(pd.concat([runs, runs]), make_epochs(runs))


def twins(**changes):
    """Three configurations of one program with two seeds; a and b end with the same weights."""
    runs = pd.DataFrame(
        {
            "program": "p",
            "configuration": list("aabbcc"),
            "operator": "LCH",
            "seed": [0, 1] * 3,
            "status": "ok",
            "weights_digest": ["x", "y", "x", "y", "x", "z"],
            "label": "Loss",
        }
    )
    return runs.assign(**changes)


def test_configurations_that_train_alike_are_found():
    assert equivalent_configurations(twins())["first"].to_dict() == {"a": "a", "b": "a"}
    assert equivalent_configurations(twins(program=list("ppqqpp"))).empty
    assert equivalent_configurations(twins(status=["ok", "nonfinite"] * 3)).empty


def test_of_alike_configurations_one_takes_part_or_none_if_their_causes_differ():
    assert select_runs(twins(), ["Loss"])["configuration"].unique().tolist() == ["a", "c"]
    mixed = twins(label=["Loss"] * 2 + ["Activation"] * 2 + ["Loss"] * 2)
    assert select_runs(mixed, ["Loss"])["configuration"].unique().tolist() == ["c"]
