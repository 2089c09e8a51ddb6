import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis_lib.channels import CHANNELS
from analysis_lib.configuration import EPOCHS
from analysis_lib.errors import InputError
from analysis_lib.flags import (
    DEEPFD_FLAGS,
    DEFAULT_COLUMNS,
    DEFAULT_FLAGS,
    RAW_CHANNELS,
    deepfd_flags,
    default_flags,
)

HEALTHY = {
    "train_loss": np.linspace(2, 0.2, 13),
    "valid_loss": np.linspace(2.1, 0.3, 13),
    "train_accuracy": np.linspace(0.2, 0.92, 13),
    "valid_accuracy": np.linspace(0.2, 0.9, 13),
    "grad_abs_mean": 1e-2,
    "grad_abs_max": 1.0,
    "grad_zero_share": 0.2,
    "grad_norm_first": 0.5,
    "grad_norm_last": 0.4,
    "weight_mean": np.linspace(0, 0.1, 13),
    "weight_std": np.linspace(0.1, 0.3, 13),
    "weight_abs_max": 1.0,
}


def trace(**changes) -> pd.DataFrame:
    columns = dict.fromkeys(RAW_CHANNELS, 0.0) | HEALTHY | changes
    frame = pd.DataFrame(columns, index=range(13)).astype("float32")
    frame.insert(0, "epoch", np.arange(-1, 12))
    return frame


def fired(frame: pd.DataFrame) -> dict[str, list[int]]:
    """Snapshots (as epochs) at which each check fires, without the silent ones."""
    flags = deepfd_flags(frame)
    rows = {c.removeprefix("deepfd_"): flags.index[flags[c] == 1] - 1 for c in flags}
    return {name: list(at) for name, at in rows.items() if len(at)}


def at(epochs, value, base=0.0):
    values = np.array(np.broadcast_to(base, 13), dtype=float)
    values[np.asarray(epochs) + 1] = value
    return values


def test_the_published_names_and_shapes():
    flags, columns = deepfd_flags(trace()), default_flags(trace())
    assert list(flags) == list(DEEPFD_FLAGS) and len(DEEPFD_FLAGS) == 18
    assert list(columns) == list(DEFAULT_FLAGS) and len(DEFAULT_COLUMNS) == 26
    assert set(DEFAULT_COLUMNS.values()) <= set(CHANNELS)
    assert set(flags.dtypes) == set(columns.dtypes) == {np.dtype("float32")}


def test_a_healthy_run_converges_late_and_raises_nothing_else():
    assert set(fired(trace())) == {"not_converge"}
    accuracy = HEALTHY["valid_accuracy"]
    expected = [e for e in range(3, 12) if accuracy[e + 1] < 0.6]
    assert fired(trace())["not_converge"] == expected


@pytest.mark.parametrize(
    ("changes", "name", "epochs"),
    [
        ({"train_loss": at([5], np.nan, 1)}, "nan_loss", [5]),
        ({"train_loss": at([0], np.inf, 1)}, "nan_loss", [0]),
        ({"valid_loss": at([5], np.nan, 1)}, "nan_loss", [5]),
        ({"valid_loss": at([-1, 7], 1e5, 1)}, "nan_loss", [-1, 7]),
        ({"grad_zero_share": at([2, 3], [0.69, 0.7])}, "died_relu", [3]),
        ({"grad_nonfinite": at([4], 3)}, "nan_gradient", [4]),
        ({"grad_nonfinite": at([4], np.nan)}, "nan_gradient", [4]),
        ({"weight_nonfinite": at([4], 3)}, "nan_weight", [4]),
        ({"weight_abs_max": at([1, 2], [5.0, 5.1])}, "large_weight", [2]),
        ({"grad_norm_first": at([1, 2], [28.1, 27.9])}, "explode_gradient", [1]),
        ({"grad_norm_first": at([1, 2], [9e-5, 2e-4], 1)}, "vanish_gradient", [1]),
        ({"train_accuracy": at([6], np.nan, 0.7)}, "nan_acc", [6]),
        (
            {"train_loss": at([1, 6], 3, np.linspace(2, 1, 13))},
            "increase_loss",
            [6],
        ),
        ({"train_accuracy": at([1, 6], 0.1, 0.7)}, "decrease_acc", [6]),
        ({"train_accuracy": 0.7, "valid_accuracy": 0.59}, "not_converge", list(range(3, 12))),
        ({"train_accuracy": 0.59, "valid_accuracy": 0.7}, "not_converge", list(range(3, 12))),
        ({"train_accuracy": at([2, 4, 6], 0.8, 0.7)}, "unstable_loss", [3, *range(5, 12)]),
        ({"train_accuracy": 0.7, "valid_accuracy": 0.61}, "sc_accuracy", list(range(3, 12))),
        ({"train_accuracy": 0.9, "valid_accuracy": 0.79}, "test_not_well", list(range(3, 12))),
        ({"train_accuracy": 0.95, "valid_accuracy": 0.87}, "test_not_well", list(range(3, 12))),
        (
            {"valid_loss": at([2, 8], 3, 1), "train_loss": np.linspace(2, 0.5, 13)},
            "test_turn_bad",
            [8],
        ),
    ],
)
def test_a_check_fires_exactly_when_its_rule_says(changes, name, epochs):
    assert fired(trace(**changes))[name] == epochs


def test_equal_weight_moments_count_from_the_second_snapshot():
    found = fired(trace(weight_mean=0.0, weight_std=1.0))
    assert found["cons_mean_weight"] == found["cons_std_weight"] == list(range(12))


def test_a_value_on_a_threshold_is_equal_to_it_in_single_precision():
    assert "test_not_well" in fired(trace(train_accuracy=0.9, valid_accuracy=0.8))
    assert "not_converge" not in fired(trace(train_accuracy=0.6, valid_accuracy=0.6))
    gap = default_flags(trace(train_accuracy=0.85, valid_accuracy=0.75))
    assert not gap["default_acc_gap_too_big"].any()


def test_a_gap_just_below_the_threshold_is_silent():
    assert "test_not_well" not in fired(trace(train_accuracy=0.9, valid_accuracy=0.82))
    assert "test_not_well" not in fired(trace(train_accuracy=0.95, valid_accuracy=0.9))


def test_a_dead_run_reports_missing_numbers_and_nothing_else():
    dead = trace()
    dead.loc[6:, list(RAW_CHANNELS)] = np.nan
    late = deepfd_flags(dead).loc[6:]
    names = {c.removeprefix("deepfd_") for c in late if late[c].any()}
    assert names == {"nan_loss", "nan_gradient", "nan_weight", "nan_acc"}


def test_a_program_without_accuracy_is_not_judged_by_it():
    found = fired(trace(train_accuracy=np.nan, valid_accuracy=np.nan))
    assert found == {}


def test_default_flags_follow_their_rules():
    columns = default_flags(
        trace(
            train_loss=at([3], 9.0, 1.0),
            train_accuracy=at([4], 0.95, 0.8),
            valid_accuracy=0.8,
            act_dead_share=at([1], 0.71),
            act_saturated_share=at([2], 0.51),
            grad_abs_mean=at([5], 9e-5, 1e-2),
            grad_abs_max=at([6], 71),
        )
    )
    ones = {c: list(columns.index[columns[c] == 1] - 1) for c in columns}
    assert ones["default_loss_oscillation"] == [3, 4]
    assert ones["default_increase_loss_count"] == [3]
    assert ones["default_acc_gap_too_big"] == [4]
    assert ones["default_decrease_acc_count"] == [5]
    assert ones["default_dying_relu"] == [1]
    assert ones["default_saturated_activation"] == [2]
    assert ones["default_gradient_vanish"] == [5]
    assert ones["default_gradient_explode"] == [6]


def test_missing_channels_and_disorder_are_named():
    with pytest.raises(InputError, match="grad_norm_first"):
        deepfd_flags(trace().drop(columns="grad_norm_first"))
    with pytest.raises(InputError, match="order of time"):
        default_flags(trace().iloc[::-1])


number = st.floats(width=32, allow_subnormal=False)
everyday = st.sampled_from([0.0, 0.5, 0.55, 0.61, 0.7, 0.95, 1.0, 6.0, 1e-5, 80.0, np.nan])


steps = st.sampled_from([0.0, 0.02, 0.05, 0.1, 0.2])
ACCURACIES = (("train_accuracy", 0.5), ("valid_accuracy", 0.5))


@st.composite
def traces(draw):
    rows = draw(st.integers(1, 13))
    shape = (rows, len(RAW_CHANNELS))
    values = draw(hnp.arrays(np.float32, shape, elements=number | everyday, fill=everyday))
    if draw(st.booleans()):  # a run whose losses are sound and whose accuracy moves
        for name, low in (("train_loss", 1), ("valid_loss", 1), *ACCURACIES):
            j = RAW_CHANNELS.index(name)
            values[:, j] = low + np.array(draw(st.lists(steps, min_size=rows, max_size=rows)))
    return pd.DataFrame(values, columns=list(RAW_CHANNELS)).assign(epoch=np.arange(-1, rows - 1))


@given(traces(), st.data())
@settings(max_examples=60, deadline=None)
def test_the_future_never_changes_the_past(frame, data):
    keep = data.draw(st.integers(1, len(frame)))
    for function in (deepfd_flags, default_flags):
        whole, cut = function(frame), function(frame.head(keep))
        pd.testing.assert_frame_equal(whole.head(keep), cut)


@given(traces())
@settings(max_examples=60, deadline=None)
def test_flags_are_zero_or_one_whatever_the_values(frame):
    assert deepfd_flags(frame).isin([0, 1]).all(axis=None)


@given(traces())
@settings(max_examples=60, deadline=None)
def test_the_accuracy_rules_agree_with_a_plain_reading_of_the_published_ones(frame):
    flags = deepfd_flags(frame)
    for t in range(len(frame)):
        rows = [dict(zip(frame.columns, r, strict=True)) for r in frame.to_numpy()[: t + 1]]
        expected = plain_rules(rows)
        got = {name: bool(flags[f"deepfd_{name}"].iloc[t]) for name in expected}
        assert got == expected


def plain_rules(rows: list[dict]) -> dict[str, bool]:
    """The loss rules of the published monitor, written as loops over one history."""
    now = rows[-1]
    acc = [r["train_accuracy"] for r in rows]
    vacc = [r["valid_accuracy"] for r in rows]

    def gone(name):
        value, before = now[name], [r[name] for r in rows]
        return not math.isfinite(value) and any(map(math.isfinite, before))

    bad_valid = math.isinf(now["valid_loss"]) or gone("valid_loss") or now["valid_loss"] >= 1e5
    nan_loss = not math.isfinite(now["train_loss"]) or bad_valid
    judged = not nan_loss and not gone("train_accuracy") and not gone("valid_accuracy")
    judged = judged and now["epoch"] + 1 >= 0.3 * EPOCHS

    def best(values):
        return max((v for v in values if not math.isnan(v)), default=math.nan)

    def gains(values):
        return [b - a for a, b in zip(values, values[1:], strict=False)]

    tops, bottoms = [], []
    for i in range(1, len(acc) - 1):
        if acc[i] - acc[i - 1] >= 0 and acc[i] - acc[i + 1] >= 0:
            tops.append(acc[i])
        if acc[i] - acc[i - 1] <= 0 and acc[i] - acc[i + 1] <= 0:
            bottoms.append(acc[i])
    swings = sum(a - b >= 0.029999 for a, b in zip(tops, bottoms, strict=False))
    gap = now["train_accuracy"] - now["valid_accuracy"]
    limit = 0.07 if now["train_accuracy"] > 0.900001 else 0.1
    return {
        "nan_loss": nan_loss,
        "not_converge": judged and (best(acc) < 0.599999 or best(vacc) < 0.599999),
        "sc_accuracy": judged and best(gains(acc)) < 0.009999 and best(gains(vacc)) < 0.009999,
        "unstable_loss": judged and 0 < swings >= 0.2 * len(acc),
        "test_not_well": judged and gap >= limit - 1e-6,
    }
