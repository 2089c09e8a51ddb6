"""The tables of the monitor, its place in any loop, and what it says to misuse."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from loops import LOSS, X, Y, loop, network, one_look, watched
from torch import nn, optim

from analysis_lib.channels import CHANNELS, GROUPS, LAYER_CHANNELS
from analysis_lib.errors import InputError
from analysis_lib.monitor import Monitor


def test_tables_have_every_channel_in_order():
    _, _, monitor = watched()
    assert list(monitor.trace) == ["epoch", *CHANNELS]
    assert list(monitor.layers) == ["epoch", "layer", "depth", *LAYER_CHANNELS]
    assert monitor.trace.epoch.tolist() == [-1, 0, 1, 2]
    assert monitor.layers.layer.unique().tolist() == ["0", "1", "4"]
    assert monitor.layers.depth.unique().tolist() == [0.0, 0.5, 1.0]
    assert (monitor.trace.drop(columns="epoch").dtypes == np.float32).all()


def test_every_channel_of_a_classifier_with_rectifiers_exists():
    _, _, monitor = watched()
    row = monitor.trace.iloc[-1].drop(["epoch", "train_loss"])
    of_the_loop = {*GROUPS["metrics"], "clip_share"} - {"probe_loss"}
    never = {"act_saturated_share", "act_saturated_share_max"}  # it has no squashing function
    own = [
        c
        for c in row.index
        if c not in of_the_loop | never and not c.startswith(("deepfd_", "default_"))
    ]
    assert row[own].notna().all(), row[own][row[own].isna()]
    assert row[list(never)].isna().all()


def test_the_same_run_has_the_same_trace_and_another_seed_other_probes():
    _, _, one = watched(seed=0)
    _, _, again = watched(seed=0)
    _, _, other = watched(seed=1)
    pd.testing.assert_frame_equal(one.trace, again.trace)
    pd.testing.assert_frame_equal(one.layers, again.layers)
    assert (one.trace.hvp_norm != other.trace.hvp_norm).all()
    same = ["weight_norm", "update_norm", "step_grad_norm_mean", "epoch_change"]
    pd.testing.assert_frame_equal(one.trace[same], other.trace[same])


def test_a_broken_run_is_recorded_not_raised():
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with Monitor(model, optimizer, probe=(X, Y), loss=LOSS) as monitor:
        monitor.snapshot(-1)
        with torch.no_grad():
            model[0].weight.fill_(float("nan"))
        monitor.snapshot(0, train_loss=float("nan"), valid_loss=1e39)
        monitor.missing(1)
    trace = monitor.trace
    assert trace.weight_nonfinite[1] == 48 and np.isnan(trace.hvp_norm[1])
    assert np.isinf(trace.valid_loss[1]) and trace.deepfd_nan_weight[1] == 1
    assert np.isnan(trace.grad_norm[2]) and len(monitor.layers) == 9


class TestNumbersOfTheLoop:
    @pytest.fixture
    def monitor(self):
        model = network()
        monitor = Monitor(model, optim.SGD(model.parameters(), lr=0.1), probe=(X, Y), loss=LOSS)
        with monitor:
            monitor.snapshot(-1)
            yield monitor

    @pytest.mark.parametrize(
        "value",
        [torch.tensor(2.0, requires_grad=True), np.array(2.0), np.float32(2), 2, torch.tensor(2)],
        ids=lambda value: type(value).__name__,
    )
    def test_are_kept_as_numbers(self, monitor, value):
        monitor.snapshot(0, train_loss=value)
        monitor.missing(1, train_loss=value)
        assert monitor.trace.train_loss.tolist()[1:] == [2.0, 2.0]
        assert type(monitor._rows[-1]["train_loss"]) is float

    @pytest.mark.parametrize("value", ["2.0", None, [2.0], torch.ones(3), np.ones(1), 1j])
    def test_or_refused_and_nothing_is_lost(self, monitor, value):
        for record in (monitor.snapshot, monitor.missing):
            with pytest.raises(InputError, match="valid_loss is a .*; expected one number"):
                record(0, train_loss=1.0, valid_loss=value)
        monitor.snapshot(0, train_loss=1.0)
        assert monitor.trace.epoch.tolist() == [-1, 0] and monitor.trace.train_loss[1] == 1

    @pytest.mark.parametrize("epoch", ["0", None, 0.5, -2, 10**6, float("nan")])
    def test_an_epoch_is_a_count(self, monitor, epoch):
        with pytest.raises(InputError, match="epoch is"):
            monitor.snapshot(epoch)
        assert monitor.trace.epoch.tolist() == [-1]


@pytest.mark.parametrize("skipped", [[], ["curvature"], ["stability"], ["curvature", "stability"]])
@pytest.mark.parametrize("rate", [0.1, np.inf])
def test_groups_may_be_skipped_whatever_the_step(skipped, rate):
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=rate)
    with Monitor(model, optimizer, probe=(X, Y), loss=LOSS, skip=skipped) as monitor:
        monitor.snapshot(-1)
    row = monitor.trace.iloc[0]
    finite = np.isfinite(rate)
    assert (row[list(GROUPS["curvature"])].notna().all()) == ("curvature" not in skipped)
    for name in ("rho", "chi", "progress", "kappa"):
        known = "stability" not in skipped and finite
        assert pd.notna(row[name]) == known, name
    assert row.grad_norm > 0


def test_an_optimizer_whose_step_cannot_be_foreseen_costs_the_stability_channels_only():
    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))
    optimizer = optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = LOSS(model(X), Y)
        loss.backward()
        return loss

    with Monitor(model, optimizer, probe=(X, Y), loss=LOSS, every=1) as monitor:
        with pytest.warns(UserWarning, match="LBFGS cannot make its step on a copy"):
            monitor.snapshot(-1)
        optimizer.step(closure)
        monitor.snapshot(0)
    assert monitor.trace[["rho", "kappa", "chi", "progress"]].isna().all(axis=None)
    assert monitor.trace.lambda_max.notna().all() and monitor.trace.update_norm[1] > 0


def test_gradients_that_a_closure_computes_within_the_step_are_seen():
    traces = []
    for with_closure in (True, False):
        model = nn.Linear(6, 3)
        torch.manual_seed(0)
        with torch.no_grad():
            model.weight.normal_(), model.bias.zero_()
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def closure(model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = LOSS(model(X), Y)
            loss.backward()
            return loss

        with Monitor(model, optimizer, probe=(X, Y), loss=LOSS, every=1) as monitor:
            for epoch in range(2):
                if with_closure:
                    optimizer.step(closure)
                else:
                    closure()
                    optimizer.step()
                monitor.snapshot(epoch)
        traces.append(monitor.trace)
    pd.testing.assert_frame_equal(*traces)
    assert (traces[0].step_grad_norm_mean > 0).all()


def test_parameters_that_the_optimizer_does_not_know_stay_in_the_picture():
    model = network()
    optimizer = optim.Adam(model[4].parameters(), lr=0.01)
    with Monitor(model, optimizer, probe=(X, Y), loss=LOSS, every=1) as monitor:
        loop(model, optimizer, monitor.snapshot, epochs=1)
    last = monitor.layers[monitor.layers.epoch == 0].set_index("layer")
    assert last.update_ratio["0"] == 0 and last.update_ratio["4"] > 0
    assert last.rho["0"] == 0 and last.rho["4"] != 0 and last.hvp_norm["0"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probe": (X,)}, "at least two tensors"),
        ({"probe": X}, "at least two tensors"),
        ({"every": 0}, "every is 0; expected at least 1"),
        ({"skip": ["curvatur"]}, "did you mean 'curvature'"),
    ],
)
def test_misuse_is_named(options, message):
    model = network()
    with pytest.raises(InputError, match=message):
        Monitor(
            model,
            optim.SGD(model.parameters(), lr=0.1),
            **{"probe": (X, Y), "loss": LOSS, **options},
        )


def test_a_model_without_parameters_and_an_unknown_metric_are_named():
    other = network()
    with pytest.raises(InputError, match="no trainable parameter"):
        Monitor(nn.ReLU(), optim.SGD(other.parameters()), probe=(X, Y), loss=LOSS)
    monitor = one_look(network())
    with pytest.raises(InputError, match="did you mean 'train_loss'"):
        monitor.snapshot(0, trian_loss=1.0)
    with pytest.raises(InputError, match="unknown channel 'deepfd_"):
        monitor.snapshot(0, deepfd_nan_loss=1.0)
    assert len(monitor.trace) == 1


def test_no_warning_escapes():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = nn.Sequential(nn.Linear(6, 3))
        with torch.no_grad():
            model[0].weight.fill_(1e30)
        monitor = one_look(model)
        assert len(monitor.trace) == len(monitor.layers) == 1
