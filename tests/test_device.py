"""Training on another device than the CPU: every program, as far as a machine without GPU can tell.

torch's device ``meta`` computes shapes and nothing else, and refuses tensors of two devices like
a GPU does; so it finds what a program leaves behind on the CPU.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis_lib.configuration import Configuration, Run
from analysis_lib.errors import InputError
from analysis_lib.faults.operator import faulty_setup
from analysis_lib.programs import get_program, list_programs
from analysis_lib.training import Objective, find_device, train

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


def forward_and_backward(program, device, setup=None):
    setup = setup or faulty_setup(Configuration(program.name))
    rows = tuple(torch.tensor(a[:8]) for a in program.arrays().train)
    inputs, target = program.prepare(rows, torch.Generator().manual_seed(0))
    model = program.model(setup, seed=0).to(device)
    raw = model(*(tensor.to(device) for tensor in inputs))
    loss = Objective(program, model, setup)(raw, target.to(device))
    loss.backward()
    return model, loss


@pytest.mark.parametrize("name", [p.name for p in list_programs()])
def test_everything_of_a_program_is_on_its_device(name):
    try:
        model, loss = forward_and_backward(get_program(name), "meta")
    except NotImplementedError as error:  # a mask decides on shapes, which only values can tell
        assert "nonzero" in str(error)
        pytest.skip("the model picks rows by a mask, which needs values")
    devices = {tensor.device.type for tensor in (loss, *model.state_dict().values())}
    assert devices == {"meta"}


@pytest.mark.parametrize("name", ["snn_wine", "highway_tissue"])
def test_weights_of_classes_are_on_the_device(name):
    program = get_program(name)
    setup = replace(faulty_setup(Configuration(program.name)), class_ratio=4.0)
    assert forward_and_backward(program, "meta", setup)[1].device.type == "meta"


def test_a_tensor_left_on_the_cpu_is_found():
    program = get_program("snn_wine")
    setup = faulty_setup(Configuration("snn_wine"))
    model = program.model(setup, seed=0).to("meta")
    rows = tuple(torch.tensor(a[:8]) for a in program.arrays().train)
    inputs, target = program.prepare(rows, torch.Generator().manual_seed(0))
    with pytest.raises((RuntimeError, NotImplementedError)):
        Objective(program, model, setup)(model(*inputs), target.to("meta")).backward()


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "", "mps"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(InputError, match=r"expected cpu, cuda or cuda:0"):
        find_device(name)


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_trained():
    there = torch.cuda.device_count()
    with pytest.raises(InputError, match=rf"sees {there} GPUs"):
        train(Run(Configuration("snn_wine"), seed=0, epochs=1), device=f"cuda:{there}")


@on_a_gpu
@pytest.mark.parametrize("name", ["snn_wine", "lenet5_mnist", "gru_storms", "gin_digits"])
def test_a_run_on_a_gpu_begins_like_one_on_the_cpu(name):
    run = Run(Configuration(name), seed=0, epochs=2)
    ours, theirs = train(run), train(run, device="cuda")
    assert theirs.status == ours.status == "ok"
    names = ["train_loss", "grad_norm", "hvp_norm"]
    np.testing.assert_allclose(theirs.epochs[names].iloc[0], ours.epochs[names].iloc[0], rtol=1e-3)
    assert np.isfinite(theirs.record["final_metric"])
