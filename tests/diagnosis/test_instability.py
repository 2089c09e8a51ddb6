"""chi and rho against 1, and the layer behind rho."""

import numpy as np
import pandas as pd
import pytest

from analysis_lib.diagnosis.features import curves_of
from analysis_lib.diagnosis.instability import LEVELS, first_levels, instability

NAN = float("nan")


def trace(chi, rho, **more):
    return pd.DataFrame({"epoch": range(-1, len(chi) - 1), "chi": chi, "rho": rho, **more})


@pytest.mark.parametrize(
    ("chi", "rho", "level", "epoch"),
    [
        ([0.2, 0.9], [0.1, 1.0], "low", -1),
        ([0.2, 1.1], [0.1, 0.9], "raised", 0),
        ([1.2, 1.1], [0.1, 2.0], "high", 0),
        ([NAN, 1.1], [NAN, NAN], "high", 0),
        ([NAN, NAN], [5.0, 0.2], "high", -1),
        ([NAN, 0.1], [NAN, NAN], "low", 0),
        ([NAN, NAN], [NAN, NAN], "unknown", None),
        ([np.inf, 0.1], [0.1, 0.1], "raised", -1),
        ([0.1, 0.1], [-7.0, 0.1], "low", -1),
    ],
)
def test_levels(chi, rho, level, epoch):
    risk = instability(trace(chi, rho))
    assert (risk.level, risk.epoch) == (level, epoch)
    assert risk.level in LEVELS and str(risk)


def test_large_numbers_are_written_out():
    assert "(chi 39,512, rho 0.163)" in str(instability(trace([0.2, 39512.4], [0.1, 0.1634])))


@pytest.mark.parametrize("loss", [[1.0, 0.9, NAN], [1.0, np.inf, 1.0], [1.0, 0.9, 2e5]])
def test_an_exploded_loss_is_unstable_whatever_chi_says(loss):
    risk = instability(trace([0.1] * 3, [0.1] * 3, train_loss=loss))
    assert risk.level == "unstable"
    assert risk.epoch == (0 if loss[1] == np.inf else 1)


def test_a_train_loss_that_is_not_there_yet_is_no_explosion():
    assert instability(trace([0.1] * 3, [0.1] * 3, train_loss=[NAN, 1.0, 0.5])).level == "low"
    assert instability(trace([0.1] * 3, [0.1] * 3, valid_loss=[1.0, 1.0, NAN])).level == "unstable"


LOSSES = {"train_loss": [NAN, 3.0, 2.0, 1.0, 0.9], "valid_loss": [NAN, NAN, 2.5, NAN, NAN]}


@pytest.mark.parametrize("first", [-1, 0])
@pytest.mark.parametrize("losses", [["train_loss", "valid_loss"], ["valid_loss"]])
def test_a_loss_that_was_not_measured_is_no_explosion(first, losses):
    table = pd.DataFrame({"epoch": range(first, first + 5), "chi": 0.1, "rho": 0.1})
    own = {c: LOSSES[c] for c in losses} | {"probe_loss": [4.0, 3.0, 2.0, 1.0, 0.9]}
    assert instability(table.assign(**own)).level == "low"
    assert not curves_of(table.assign(run_id="x", **own))[3].any()


@pytest.mark.parametrize(
    ("change", "epoch"),
    [
        ({"train_loss": [NAN, 3.0, 2.0, 1.0, NAN]}, 4),
        ({"train_loss": [NAN, 3.0, np.inf, 1.0, 1.0]}, 2),
        ({"valid_loss": [NAN, NAN, 2.5, np.inf, NAN]}, 3),
        ({"train_loss": [3.0, 2.0, 1.0, NAN, NAN], "valid_loss": [3.0, 2.0, NAN, NAN, NAN]}, 2),
    ],
)
def test_a_loss_that_broke_between_gaps_is_one(change, epoch):
    table = pd.DataFrame({"epoch": range(5), "chi": 0.1, "rho": 0.1, **LOSSES, **change})
    risk = instability(table)
    assert (risk.level, risk.epoch) == ("unstable", epoch)
    assert str(risk).startswith(f"unstable: its loss exploded at epoch {epoch}")
    assert curves_of(table.assign(run_id="x"))[3][0].argmax() == epoch


def test_runs_of_other_lengths_change_nothing():
    table = pd.DataFrame({"epoch": range(5), **LOSSES})
    longer = pd.DataFrame({"epoch": range(9), "train_loss": 1.0, "valid_loss": 1.0})
    both = pd.concat([table.assign(run_id="x"), longer.assign(run_id="y")])
    assert not curves_of(both)[3].any()


def test_without_chi_and_rho_only_the_loss_speaks():
    table = pd.DataFrame({"epoch": [-1, 0], "train_loss": [1.0, 0.5]})
    assert instability(table).level == "unknown"
    assert instability(table.assign(train_loss=[1.0, NAN])).level == "unstable"


def test_the_layer_is_that_of_the_deciding_snapshot():
    parts = pd.DataFrame(
        {
            "epoch": np.repeat([-1, 0, 1], 3),
            "layer": ["a", "b", "c"] * 3,
            "rho": [9.0, 0, 0, 0.4, 1.2, -0.1, 0, 0, 7.0],
        }
    )
    risk = instability(trace([0.1, 3.0, 4.0], [0.1, 1.5, 7.0]), parts)
    assert (risk.epoch, risk.layer, risk.share) == (0, "b", pytest.approx(0.75))
    assert risk.layers["layer"].tolist() == ["b", "a", "c"]
    assert "layer b (75%)" in str(risk)


def test_layers_that_are_not_finite_name_no_layer():
    parts = pd.DataFrame({"epoch": [0, 0], "layer": ["a", "b"], "rho": [NAN, NAN]})
    risk = instability(trace([2.0, 2.0], [2.0, 2.0]), parts)
    assert risk.layer is None and risk.layers.empty
    negative = parts.assign(rho=[-1.0, -2.0], epoch=-1)
    assert instability(trace([2.0, 2.0], [2.0, 2.0]), negative).layer is None


def test_first_levels_are_those_before_training():
    epochs = pd.concat(
        [
            trace([2.0, 0.1], [2.0, 0.1]).assign(run_id="x"),
            trace([0.1, 9], [0.1, 9]).assign(run_id="y"),
        ]
    )
    assert first_levels(epochs).to_dict() == {"x": "high", "y": "low"}
