"""Mistakes in the loop do to training what they say."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis_lib.configuration import Configuration, Run
from analysis_lib.faults import faulty_setup, get_operator, list_operators
from analysis_lib.programs import get_program
from analysis_lib.programs.optimizers import OPTIMIZERS, make_optimizer
from analysis_lib.training import train


def trained(program, id="healthy", *, epochs=2, monitor=False, **parameters):
    return train(Run(Configuration(program, id, parameters), 0, epochs=epochs), monitor=monitor)


def test_without_a_graph_nothing_is_trained():
    trace = trained("snn_wine", "PGB", monitor=True)
    assert trace.status == "ok" and trace.epochs.valid_loss.nunique() == 1
    assert (trace.epochs.update_norm == 0).all() and (trace.epochs.grad_norm > 0).all()
    assert (trace.epochs.step_grad_norm_mean == 0).all()


def test_ascending_makes_the_loss_larger():
    losses = trained("mlp_breast_cancer", "PMX").epochs.train_loss
    assert losses.iloc[-1] > 2 * losses.iloc[0]


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_can_ascend(name):
    setup = faulty_setup(Configuration("snn_wine", "PMX"))
    model = get_program("snn_wine").model()
    optimizer = make_optimizer(model, replace(setup, optimizer=name))
    assert optimizer.param_groups[0]["maximize"] is True


def test_accumulated_batches_make_fewer_steps():
    healthy = trained("snn_wine")
    summed = trained("snn_wine", "PGA", batches=5)
    assert summed.record["steps"] == healthy.record["steps"] // 5
    assert summed.epochs.train_loss.iloc[0] == healthy.epochs.train_loss.iloc[0]


def test_accumulated_gradients_are_summed():
    """With one step over the whole epoch, the weights move by the sum of the gradients."""
    program = get_program("lenet5_mnist")
    steps = -(-len(program.arrays().train[-1]) // program.setup.batch_size)
    trace = trained("lenet5_mnist", "PGA", epochs=1, monitor=True, batches=steps)
    assert trace.record["steps"] == 1
    first = trained("lenet5_mnist", epochs=1, monitor=True).epochs
    ratio = trace.epochs.step_grad_norm_mean.iloc[1] / first.grad_norm.iloc[0]
    assert ratio > steps / 2


def test_one_batch_is_seen_again_and_again(monkeypatch):
    program = get_program("snn_wine")
    first = torch.tensor(program.arrays().train[0][: program.setup.batch_size])
    seen = []
    forward = torch.nn.Sequential.forward

    def spy(self, x):
        if self.training and x.shape == first.shape:
            seen.append(x.clone())
        return forward(self, x)

    monkeypatch.setattr(torch.nn.Sequential, "forward", spy)
    faulty = trained("snn_wine", "PFB", epochs=1)
    assert len(seen) > 10 and all(torch.equal(x, first) for x in seen)
    assert faulty.record["steps"] == trained("snn_wine", epochs=1).record["steps"]


def test_the_factor_of_a_scheduler_stepped_every_batch_loses_decades_in_an_epoch():
    rng = np.random.default_rng(0)
    for name in ("snn_wine", "lenet5_mnist", "neumf_movielens"):
        program = get_program(name)
        factor = get_operator("PSB").sample(program, rng)["factor"]
        batches = -(-len(program.arrays().train[-1]) // program.setup.batch_size)
        assert 1e-7 < factor ** (batches * program.passes) < 0.02


def test_loop_mistakes_have_a_source():
    assert all(o.source.startswith("PyTorch") for o in list_operators("Loop"))
