"""Operators on penalties, weight decay and early stopping."""

import pytest

from analysis_lib.configuration import Configuration, Run
from analysis_lib.errors import InputError
from analysis_lib.faults import faulty_setup, get_operator
from analysis_lib.programs import get_program
from analysis_lib.programs.optimizers import make_optimizer
from analysis_lib.training import Stopping, train


def setup_of(program, id, **parameters):
    return faulty_setup(Configuration(program, id, parameters))


def test_weight_decay_counts_as_the_regularization_of_a_program():
    assert get_program("ddpm_digits").setup.options == {"weight_decay": 1e-4}
    without = setup_of("ddpm_digits", "RRW")
    # AdamW decays by 0.01 unless told otherwise
    model = get_program("ddpm_digits").model()
    assert make_optimizer(model, without).param_groups[0]["weight_decay"] == 0
    changed = setup_of("ddpm_digits", "RCW", penalty="l2")
    assert changed.options == without.options and set(changed.penalties.values()) == {"l2"}
    with pytest.raises(InputError, match="does not apply to 'snn_wine': it has no weight decay"):
        setup_of("snn_wine", "RRW")


def test_weight_decay_reaches_the_optimizer_with_its_other_options():
    setup = setup_of("mlp_breast_cancer", "RWD", decay=2.5)
    group = make_optimizer(get_program("mlp_breast_cancer").model(), setup).param_groups[0]
    assert group["weight_decay"] == 2.5 and group["momentum"] == 0.9


def test_penalties_go_to_the_layers_named():
    assert setup_of("snn_wine", "RAW", layer="head", penalty="l1").penalties == {"head": "l1"}
    assert len(setup_of("snn_wine", "RAW", layer="all", penalty="l1_l2").penalties) == 4


def test_a_run_that_stops_takes_no_further_step_but_is_watched_on():
    run = Run(Configuration("snn_wine", "HNE", {"epochs": 2}), 0, epochs=5)
    stopped = train(run)
    healthy = train(Run(run.configuration.twin, 0, epochs=5))
    assert stopped.epochs.epoch.tolist() == [-1, 0, 1, 2, 3, 4]
    still = stopped.epochs.iloc[2:]
    for channel in ("train_loss", "valid_loss", "grad_norm"):
        assert still[channel].nunique() == 1 and still[channel].notna().all()
    assert (still.update_norm.iloc[1:] == 0).all()
    assert stopped.record["steps"] * 5 == healthy.record["steps"] * 2


def test_patience_counts_epochs_without_a_smaller_loss():
    setup = setup_of("snn_wine", "RCP", patience=2)
    stopping, due = Stopping(setup), []
    for epoch, loss in enumerate([9.0, 5.0, 6.0, 4.0, 4.0, float("nan"), 1.0], start=-1):
        stopping.see(epoch, loss)
        due.append(stopping.due)
    assert due == [False, False, False, False, False, True, True]


def test_what_the_length_of_a_run_gives_away_is_never_planned():
    assert get_operator("HNE").weight == get_operator("RCP").weight == 0
