"""Scale-free features: known values by hand, and no change under other units."""

import numpy as np
import pandas as pd
import pytest

from analysis_lib import load_corpus
from analysis_lib.features import extract
from analysis_lib.features.scalefree import (
    CHANNELS,
    CURVATURE_CHANNELS,
    LIMIT,
    LIMITS,
    MISSING,
    RATIOS,
    STEPS,
    log_ratio,
)


def trace(**channels) -> pd.DataFrame:
    """One run with ``init`` and three epochs; channels not given are 1 throughout."""
    table = pd.DataFrame(1.0, index=range(4), columns=list(CHANNELS))
    for name, values in channels.items():
        table[name] = values
    return table.assign(run_id="a", epoch=[-1, 0, 1, 2])


def features(**channels) -> pd.Series:
    return extract(trace(**channels), "scalefree", window=3).loc["a"]


def test_ratio_to_init_by_hand():
    found = features(train_loss=[10.0, 1.0, 0.1, 0.1])
    assert found["loss:train_to_init:last"] == pytest.approx(-2)
    assert found["loss:train_to_init:mean"] == pytest.approx((-1 - 2 - 2) / 3)
    assert found["loss:train_to_init:slope"] == pytest.approx(-0.5)
    assert "loss:train_to_init:init" not in found


def test_dynamics_by_hand():
    found = features(train_loss=[4.0, 2.0, 3.0, 1.0])
    assert found["dynamics:train_rises"] == pytest.approx(1 / 3)
    assert found["dynamics:train_flips"] == pytest.approx(1.0)
    assert found["dynamics:train_straight"] == pytest.approx(3 / 5)
    assert found["dynamics:train_first_drop"] == pytest.approx(np.log10(0.5))


def test_step_ratios_have_no_init():
    found = features()
    assert STEPS <= set(RATIOS)
    assert not any(f"{name}:init" in found for name in STEPS)
    expected = (
        "to_weight epoch_to_weight epoch_to_step to_gradient clip_share first_moment "
        "second_moment no_first_moment no_second_moment"
    ).split()
    assert {name for name in STEPS if name.startswith("update:")} == {
        f"update:{name}" for name in expected
    }


def test_channels_are_those_that_are_read():
    assert len(set(CHANNELS)) == len(CHANNELS) and set(CURVATURE_CHANNELS) <= set(CHANNELS)
    assert {"next_loss", "valid_metric", "act_mean", "update_cosine"} <= set(CHANNELS)
    assert {"rho", "chi", "kappa", "grad_norm"} <= set(CURVATURE_CHANNELS)


def test_ratios_end_at_their_limits():
    found = features(train_loss=[1.0, 1e20, 1e-20, 1.0], progress=-50.0, act_mean=1e9, act_std=0.0)
    assert found["loss:train_to_init:mean"] == pytest.approx((LIMIT - LIMIT + 0) / 3)
    assert found["update:progress:last"] == -LIMITS["update:progress"]
    assert found["activation:bias:last"] == found["sane:activation_mean:last"] == 10
    assert set(LIMITS) <= set(RATIOS)


@pytest.mark.parametrize(
    ("name", "window", "expected"),
    [
        ("scalefree", 0, (24.05876384928044, 55)),
        ("scalefree", 1, (-24.192412398707383, 301)),
        ("scalefree", 5, (-25.199130322866925, 301)),
        ("dimensionless", 0, (0.8038283822357444, 16)),
        ("dimensionless", 1, (-9.60927851460762, 67)),
        ("dimensionless", 5, (-9.228367471616636, 67)),
    ],
)
def test_features_of_a_shipped_program_are_what_they_were(name, window, expected):
    """Results of the chapters were computed with these; who changes a ratio makes them anew."""
    table = extract(load_corpus(programs=["snn_wine"]), name, window=window)
    weight = np.cos(np.arange(table.shape[1]))
    found = (np.abs(table.to_numpy()).mean(axis=0) * weight).sum(), table.shape[1]
    assert found == pytest.approx(expected, rel=1e-9)


def unit_of(channel: str) -> tuple[int, int]:
    """Powers of the units of the loss and of a weight in a channel."""
    loss = ("train_loss", "valid_loss", "probe_loss", "next_loss")
    if channel in loss:
        return 1, 0
    if channel.startswith(("grad_norm", "grad_tensor", "step_grad", "first_moment")):
        return 1, -1
    if channel in ("grad_mean", "grad_std", "grad_abs_mean", "grad_abs_max"):
        return 1, -1
    if channel == "second_moment_norm":
        return 2, -2
    if channel.startswith(("hvp", "lambda", "hessian")) or channel == "update_curvature":
        return 1, -2
    if channel in ("weight_norm", "weight_std", "weight_mean", "weight_abs_max", "update_norm"):
        return 0, 1
    return 0, 0


def test_units_do_not_matter_but_for_the_sane_ones():
    rng = np.random.default_rng(0)
    values = {c: np.exp(0.3 * rng.standard_normal(4)) for c in CHANNELS}
    scaled = {}
    for c, v in values.items():
        loss, weight = unit_of(c)
        scaled[c] = v * 7.0**loss * 3.0**weight
    before, after = features(**values), features(**scaled)
    changed = {n.rsplit(":", 1)[0] for n in before.index if not np.isclose(before[n], after[n])}
    # how far a step goes for a gradient is the learning rate, which has a unit
    assert {n for n in changed if not n.startswith("sane:")} == {"update:to_gradient"}
    assert "sane:loss" in changed


def test_missing_and_infinite_values():
    nan = np.nan
    found = features(act_dead_share=[nan] * 4, train_loss=[1.0, nan, np.inf, nan])
    assert found["activation:dead_share:mean"] == MISSING
    assert found["activation:has_rectifier:mean"] == 0
    assert found["loss:train_to_init:last"] == MISSING
    assert found["loss:train_to_init:mean"] == 8  # the infinite one, clipped
    assert found["sane:nonfinite"] == pytest.approx(3 / 4)
    assert np.isfinite(found).all()


def test_log_ratio_of_zeros_and_infinities():
    above = np.array([0.0, 0.0, 5.0, np.inf, np.nan])
    below = np.array([0.0, 2.0, 0.0, np.inf, 1.0])
    assert np.array_equal(log_ratio(above, below), [0, -8, 8, 0, np.nan], equal_nan=True)


def test_window_zero_is_init_alone():
    found = extract(trace(), "scalefree", window=0)
    assert all(n.endswith(":init") or n == "sane:nonfinite" for n in found)
    curvature = extract(trace(), "dimensionless", window=3)
    assert all(n.startswith("curvature:") for n in curvature)
