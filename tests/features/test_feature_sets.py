import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis_lib.features import FEATURE_SETS, extract, signed_log10
from analysis_lib.features.deepfd import STATISTICS, statistics
from analysis_lib.features.values import BOUNDED


def rows_of(epochs, run, low, high):
    inside = epochs["epoch"].between(low, high) & (epochs["run_id"] == run)
    return epochs[inside]


def test_default_is_the_channel_mean_of_the_trained_epochs(epochs):
    table = extract(epochs, "default", window=4)
    shown = rows_of(epochs, "run3", 0, 3).astype({"train_loss": float})
    expected = signed_log10(np.array([shown["train_loss"].mean()]))[0]
    assert table.loc["run3", "default_train_loss"] == pytest.approx(expected)
    assert len(table.columns) == 27
    epochs["default_dying_relu"] = (epochs["epoch"] % 2).astype("float32")
    assert extract(epochs, "default", window=4)["default_dying_relu"].tolist() == [0.5] * 6


def test_deepfd_agrees_with_pandas(epochs):
    table = extract(epochs, "deepfd", window=5)
    assert len(table.columns) == 22 * 8
    shown = rows_of(epochs, "run1", 0, 4)
    for channel in FEATURE_SETS["deepfd"].channels:
        for statistic in STATISTICS:
            expected = np.nan_to_num(getattr(shown[channel].astype(float), statistic)())
            assert table.loc["run1", f"{channel}_{statistic}"] == pytest.approx(expected)


@given(
    st.lists(
        st.sampled_from([np.nan, 0.0, 1.0, 1e6]) | st.floats(-1e3, 1e3).map(lambda v: round(v, 3)),
        min_size=1,
        max_size=9,
    )
)
@settings(max_examples=150, deadline=None)
def test_statistics_agree_with_pandas_on_any_series(values):
    series = pd.Series(values, dtype=float)
    got = statistics(series.to_numpy()[None, :, None])
    for name in STATISTICS:
        expected = getattr(series, name)()
        assert got[name][0, 0] == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True), name


def test_deepfd_statistics_that_are_undefined_are_zero(epochs):
    table = extract(epochs, "deepfd", window=1)
    for name in ("std", "var", "sem", "skew"):
        assert (table.filter(regex=f"_{name}$") == 0).all(axis=None)
    epochs["train_loss"] = np.nan
    table = extract(epochs, "deepfd", window=5)
    assert (table.filter(regex="^train_loss_") == 0).all(axis=None)


def test_deepfd_leaves_out_what_is_not_finite(epochs):
    epochs.loc[epochs["epoch"] == 2, "train_loss"] = np.inf
    got = extract(epochs, "deepfd", window=4).loc["run0", "train_loss_mean"]
    shown = rows_of(epochs, "run0", 0, 3)
    assert got == pytest.approx(shown["train_loss"].astype(float)[shown["epoch"] != 2].mean())


@pytest.mark.parametrize("name", ["curvature", "optimizer"])
def test_levels_and_trend_by_hand(epochs, name):
    table = extract(epochs, name, window=4)
    for channel in FEATURE_SETS[name].channels:
        step = f"{channel}_init" not in table
        shown = rows_of(epochs, "run2", 0 if step else -1, 3)
        values = shown[channel].to_numpy(float)
        level = np.clip(values, 0, 1) if channel in BOUNDED else np.log10(values) + 12
        row = table.loc["run2"]
        assert row[f"{channel}_last"] == pytest.approx(level[-1], rel=1e-6)
        assert row[f"{channel}_mean"] == pytest.approx(level.mean(), rel=1e-6)
        slope = np.polyfit(shown["epoch"], level, 1)[0]
        assert row[f"{channel}_slope"] == pytest.approx(slope, rel=1e-5, abs=1e-7)
        if not step:
            assert row[f"{channel}_init"] == pytest.approx(level[0], rel=1e-6)


def test_window_0_holds_init_levels_only(epochs):
    for name in ("curvature", "optimizer"):
        columns = extract(epochs, name, window=0).columns
        assert columns.str.endswith("_init").all()
    assert "update_ratio_init" not in extract(epochs, "optimizer", window=3)


def test_step_channels_missing_at_init_are_not_reported(epochs):
    epochs.loc[epochs["epoch"] == -1, "update_ratio"] = np.nan
    table = extract(epochs, "optimizer", window=3)
    assert (table["nonfinite_init"] == 0).all() and (table["nonfinite_share"] == 0).all()


def test_values_that_are_not_finite_are_marked_and_count_as_large(epochs):
    exploded = (epochs["run_id"] == "run1") & (epochs["epoch"] >= 2)
    epochs.loc[exploded, "hvp_norm"] = np.nan
    table = extract(epochs, "curvature", window=5)
    assert table["nonfinite_share"].tolist() == [0, 0.5, 0, 0, 0, 0]
    assert (table["nonfinite_init"] == 0).all()
    assert table.loc["run1", "hvp_norm_last"] == pytest.approx(42)
    means = extract(epochs.rename(columns={}), "default", window=5)
    assert (means["nonfinite"] == 0).all()
    epochs.loc[exploded, "train_loss"] = np.inf
    means = extract(epochs, "default", window=5)
    assert means["nonfinite"].tolist() == [0, 0.6, 0, 0, 0, 0]
    assert means["default_train_loss"].idxmax() == "run1"


def test_what_a_program_does_not_have_is_no_sign_of_trouble(epochs):
    epochs[["train_accuracy", "valid_accuracy", "act_dead_share"]] = np.nan
    assert (extract(epochs, "default", window=5)["nonfinite"] == 0).all()
    table = extract(epochs, "optimizer", window=5)
    assert (table["nonfinite_share"] == 0).all() and (table["act_dead_share_last"] == 0).all()


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30))
@settings(max_examples=100, deadline=None)
def test_signed_log_is_odd_and_keeps_the_order(a, b):
    low, high = signed_log10(np.array([min(a, b), max(a, b)]))
    assert low <= high
    assert signed_log10(np.array([-a]))[0] == -signed_log10(np.array([a]))[0]


def test_channels_of_every_set_are_recorded():
    channels = pytest.importorskip("analysis_lib.channels").CHANNELS
    for chosen in FEATURE_SETS.values():
        assert set(chosen.channels) <= set(channels)
