"""Curves and features: known values, no scale, brute force."""

import numpy as np
import pandas as pd
import pytest

from analysis_lib.channels import CHANNELS as RECORDED
from analysis_lib.channels import GROUPS as BY_GROUP
from analysis_lib.diagnosis.curves import CHANNELS, CURVES, GROUPS
from analysis_lib.diagnosis.features import (
    SUMMARIES,
    curve_table,
    curves_of,
    feature_names,
    summarise_curves,
)
from analysis_lib.features.ratios import RATIOS

LOSS = ("loss", "loss/weight", "loss/weight^2")


@pytest.fixture
def epochs():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({c: rng.uniform(0.1, 2.0, 5) for c in CHANNELS})
    return table.assign(epoch=range(-1, 4), run_id="a")


def test_every_channel_is_recorded_and_every_group_is_known():
    assert set(CHANNELS) <= set(RECORDED)
    assert set(GROUPS) == {c.group for c in CURVES.values()}
    assert not any(c.startswith("meta_") for c in CHANNELS)


def test_no_curve_defines_again_what_the_features_have():
    shared = [curve for curve in CURVES.values() if curve.ratio in RATIOS.values()]
    assert len(shared) > 30
    for curve in shared:
        assert any(curve.ratio is ratio for ratio in RATIOS.values()), curve.name
    assert len({curve.ratio for curve in CURVES.values()}) == len(CURVES)


def test_curves_of_training_steps_and_the_train_loss_do_not_exist_before_training():
    late = {name for name, curve in CURVES.items() if not curve.at_init}
    assert late == {"train loss"} | {n for n, c in CURVES.items() if c.group == "optimizer"}


def test_the_group_is_that_of_the_first_channel_but_for_the_probe_loss():
    """Who does not measure the gradient of the probe batch has no probe loss."""
    other = [n for n, c in CURVES.items() if c.ratio.above[0] not in BY_GROUP[c.group]]
    assert other == ["probe loss"] and CURVES["probe loss"].group == "gradient"


def test_a_run_that_hardly_has_a_gradient_has_no_ratio_of_gradients():
    first, last = [1e-3, 1e-40, 0.0], [1e-3, 1e-36, 1e-3]
    trace = pd.DataFrame({"epoch": [-1, 0, 1], "grad_norm_first": first, "grad_norm_last": last})
    assert curve_table(trace)["first / last gradient"].tolist() == [0, 0, -9]


def test_growth_and_ratio_in_decades():
    trace = pd.DataFrame({"epoch": [-1, 0, 1], "valid_loss": [2.0, 20.0, 0.2], "train_loss": 2.0})
    table = curve_table(trace)
    assert table["valid loss"].tolist() == pytest.approx([0, 1, -1])
    assert table["valid / train loss"].tolist() == pytest.approx([0, 1, -1])


def test_train_loss_starts_at_the_probe_loss_where_the_loop_had_none():
    trace = pd.DataFrame({"epoch": [-1, 0], "train_loss": [np.nan, 1.0], "probe_loss": [10.0, 1.0]})
    assert curve_table(trace)["train loss"].tolist()[1] == pytest.approx(-1)
    alone = pd.DataFrame({"epoch": [0, 1], "train_loss": [10.0, 1.0]})
    assert curve_table(alone)["train loss"].tolist() == pytest.approx([0, -1])


def test_a_loss_in_other_units_changes_no_curve(epochs):
    """With the loss times c, gradients and curvature are times c, a second moment times c^2."""
    scaled = epochs.copy()
    for c in CHANNELS:
        unit = RECORDED[c][0]
        scaled[c] *= 1000.0 if unit in LOSS else 1e6 if unit == "(loss/weight)^2" else 1.0
    pd.testing.assert_frame_equal(curve_table(scaled), curve_table(epochs))


def test_weights_in_other_units_change_their_size_alone(epochs):
    """With weights times c, gradients are over c, curvature and second moments over c^2."""
    scaled = epochs.copy()
    power = {"weight": 1, "loss/weight": -1, "loss/weight^2": -2, "(loss/weight)^2": -2}
    for c in CHANNELS:
        scaled[c] *= 10.0 ** power.get(RECORDED[c][0], 0)
    first, second = curve_table(epochs), curve_table(scaled)
    changed = [c for c in CURVES if not np.allclose(first[c], second[c], equal_nan=True)]
    assert changed == ["weight size"]


def test_growth_counts_from_the_first_value_there_is():
    trace = pd.DataFrame({"epoch": [-1, 0, 1], "valid_loss": [np.nan, 5.0, 0.5]})
    assert curve_table(trace)["valid loss"].tolist()[1:] == pytest.approx([0, -1])


def test_signed_ratios_are_decades_far_from_zero_and_keep_their_sign():
    trace = pd.DataFrame({"epoch": [-1, 0], "rho": [500.0, -500.0], "chi": [100.0, 0.01]})
    table = curve_table(trace)
    assert table["rho"].tolist() == pytest.approx([3, -3], abs=1e-5)
    assert table["chi"].tolist() == pytest.approx([2, -2])


def test_zero_over_zero_is_no_change_and_infinity_is_missing():
    trace = pd.DataFrame({"epoch": [-1, 0, 1], "grad_norm": [0.0, 0.0, np.inf]})
    assert curve_table(trace)["gradient"].tolist()[:2] == [0.0, 0.0]
    assert np.isnan(curve_table(trace)["gradient"].iloc[2])


def test_a_missing_channel_takes_only_its_curves(epochs):
    have = curve_table(epochs.drop(columns="weight_norm"))
    lost = [c for c in CURVES if have[c].isna().all()]
    assert lost == [n for n, c in CURVES.items() if "weight_norm" in c.channels]


def test_summaries_against_a_loop(epochs):
    _, epoch, values, broken = curves_of(epochs)
    window = 3
    found = dict(
        zip(feature_names(), summarise_curves(epoch, values, broken, window=window)[0], strict=True)
    )
    table = curve_table(epochs)
    table = table[table["epoch"] < window]
    for name, curve in CURVES.items():
        x, t = table[name].to_numpy(), table["epoch"].to_numpy()
        later = t >= 0
        assert found[f"{name}: last"] == pytest.approx(x[-1])
        assert found[f"{name}: slope"] == pytest.approx(np.polyfit(t[later], x[later], 1)[0])
        start = x if curve.at_init else x[later]
        assert found[f"{name}: swing"] == pytest.approx(np.abs(np.diff(start, 2)).mean())
        if curve.at_init:
            assert found[f"{name}: init"] == pytest.approx(x[0])


def test_a_window_does_not_see_later_epochs(epochs):
    changed = epochs.copy()
    changed.loc[changed["epoch"] >= 2, list(CHANNELS)] = 7.0
    tables = []
    for table in (epochs, changed):
        _, epoch, values, broken = curves_of(table)
        tables.append(summarise_curves(epoch, values, broken, window=2))
    np.testing.assert_array_equal(*tables)


def test_only_the_last_feature_says_how_much_is_not_finite(epochs):
    epochs.loc[epochs["epoch"] >= 2, "train_loss"] = np.nan
    _, epoch, values, broken = curves_of(epochs)
    found = summarise_curves(epoch, values, broken, window=4)
    assert found[0, -1] == 0.5
    assert len(feature_names()) == found.shape[1]
    never = curves_of(epochs.assign(train_loss=np.nan))[3]
    assert not never.any()  # not recorded is not broken


def test_init_alone_has_no_summary_of_training(epochs):
    _, epoch, values, broken = curves_of(epochs)
    found = dict(
        zip(feature_names(), summarise_curves(epoch, values, broken, window=0)[0], strict=True)
    )
    assert np.isfinite(found["rho: init"]) and np.isnan(found["rho: slope"])
    assert np.isnan(found["update / weight: last"])
    assert set(SUMMARIES) == {name.rpartition(": ")[2] for name in found} - {"not finite"}
