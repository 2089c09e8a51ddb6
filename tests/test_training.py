"""The training loop on real programs: deterministic, matched, undisturbed, never lost."""

import numpy as np
import pandas as pd
import pytest
import torch

from analysis_lib.channels import GROUPS
from analysis_lib.configuration import Configuration, Run
from analysis_lib.errors import InputError
from analysis_lib.faults import get_operator, list_operators
from analysis_lib.programs import get_program, list_programs
from analysis_lib.training import train

NAMES = [p.name for p in list_programs()]


@pytest.mark.parametrize("name", NAMES)
def test_monitored_weights_are_bit_identical(name):
    run = Run(Configuration(name), 0, epochs=1)
    with_monitor, without = train(run), train(run, monitor=False)
    assert with_monitor.record["weights_digest"] == without.record["weights_digest"]
    shared = ["train_loss", "valid_loss", "train_metric", "valid_metric"]
    pd.testing.assert_frame_equal(with_monitor.epochs[shared], without.epochs[shared])


def test_a_run_is_the_same_whatever_the_process_did_before():
    run = Run(Configuration("snn_wine", "RCD", {"layer": "all", "rate": 0.5}), 2, epochs=2)
    first = train(run)
    torch.manual_seed(99)
    torch.rand(1000)
    train(Run(Configuration("mlp_breast_cancer"), 1, epochs=1))
    again = train(run)
    pd.testing.assert_frame_equal(first.epochs, again.epochs)
    pd.testing.assert_frame_equal(first.layers, again.layers)
    assert first.record == again.record


def test_twins_start_from_the_same_point():
    healthy = train(Run(Configuration("snn_wine"), 1, epochs=1))
    faulty = train(Run(Configuration("snn_wine", "HLR", {"factor": 100.0}), 1, epochs=1))
    of_the_step = list(GROUPS["stability"])
    pd.testing.assert_frame_equal(
        healthy.epochs.iloc[:1].drop(columns=of_the_step),
        faulty.epochs.iloc[:1].drop(columns=of_the_step),
    )
    assert faulty.epochs.rho[0] == pytest.approx(100 * healthy.epochs.rho[0], rel=1e-4)
    assert healthy.epochs.train_loss[1] != faulty.epochs.train_loss[1]


def test_seeds_differ():
    a, b = (train(Run(Configuration("snn_wine"), s, epochs=1)) for s in (0, 1))
    assert a.record["weights_digest"] != b.record["weights_digest"]
    assert a.epochs.train_loss[0] != b.epochs.train_loss[0]


def test_a_run_that_explodes_is_a_result():
    run = Run(Configuration("dcn_diamonds", "HLR", {"factor": 1e8}), 0, epochs=4)
    trace = train(run)
    assert trace.status == "nonfinite" and "non-finite in epoch" in trace.reason
    assert trace.epochs.epoch.tolist() == [-1, 0, 1, 2, 3]
    assert np.isfinite(trace.epochs.train_loss[0])
    assert trace.epochs.grad_norm.iloc[-1:].isna().all()
    assert np.isnan(trace.record["final_metric"])


@pytest.mark.parametrize("name", NAMES)
def test_no_operator_is_without_effect(name):
    """Every operator that applies changes what training does; the others say why they do not."""
    program = get_program(name)
    rng = np.random.default_rng(1)
    healthy = train(Run(Configuration(name), 0, epochs=1), monitor=False).record["weights_digest"]
    for operator in list_operators():
        if reason := operator.applies(program):
            with pytest.raises(InputError, match="does not apply"):
                train(Run(Configuration(name, operator.id)))
            assert len(reason) > 10
            continue
        if not operator.weight:  # it ends training early, so not within one epoch
            continue
        faulty = Configuration(name, operator.id, operator.sample(program, rng))
        record = train(Run(faulty, 0, epochs=1), monitor=False).record
        assert record["weights_digest"] != healthy, faulty.key


def test_sampled_parameters_pass_their_own_checks():
    rng = np.random.default_rng(0)
    for program in list_programs():
        for operator in list_operators():
            if operator.applies(program) is None:
                for _ in range(5):
                    drawn = operator.sample(program, rng)
                    assert get_operator(operator.id).check(program, drawn) == drawn
