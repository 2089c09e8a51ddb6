"""Layer operators reach the model, and draw only what can be built."""

import numpy as np
import pytest
import torch

from analysis_lib.configuration import Configuration
from analysis_lib.errors import InputError
from analysis_lib.faults import faulty_setup, get_operator, list_operators
from analysis_lib.faults.layer import PADDINGS
from analysis_lib.faults.slots import buildable
from analysis_lib.programs import get_program, list_programs


def model_of(program, id, **parameters):
    return get_program(program).model(faulty_setup(Configuration(program, id, parameters)))


def slot(model, name):
    return next(m for m in model.modules() if getattr(m, "slot", None) == name)


def test_stride_padding_and_kernel_of_a_convolution():
    assert slot(model_of("cnn1d_meats", "LCS", layer="conv1", stride=3), "conv1").stride == (3,)
    same = slot(model_of("lenet5_mnist", "LCD", layer="conv2", padding="same"), "conv2")
    valid = slot(model_of("cnn1d_meats", "LCD", layer="conv1", padding="valid"), "conv1")
    assert same.padding == (2, 2) and valid.padding == (0,)
    with pytest.raises(InputError, match="would change nothing"):
        model_of("cnn1d_meats", "LCD", layer="conv1", padding="same")


def test_units_of_a_recurrent_layer():
    model = model_of("gru_storms", "LCO", layer="cell", units=2)
    assert slot(model, "cell").hidden_size == 2


def of_kind(id):
    return [p for p in list_programs() if get_operator(id).applies(p) is None]


def test_cells_are_swapped():
    for program in of_kind("LCT"):
        layer = get_operator("LCT").parameters["layer"].allowed(program)[0]
        for cell, kind in (("lstm", torch.nn.LSTM), ("gru", torch.nn.GRU), ("rnn", torch.nn.RNN)):
            if next(s for s in program.slots() if s.name == layer).options["cell"] == cell:
                with pytest.raises(InputError, match="would change nothing"):
                    model_of(program.name, "LCT", layer=layer, cell=cell)
                continue
            model = model_of(program.name, "LCT", layer=layer, cell=cell)
            assert isinstance(slot(model, layer), kind)


def test_pools_change_size():
    pools = torch.nn.MaxPool1d | torch.nn.MaxPool2d | torch.nn.AvgPool1d | torch.nn.AvgPool2d
    for program in of_kind("LCP"):
        drawn = get_operator("LCP").sample(program, np.random.default_rng(0))
        model = model_of(program.name, "LCP", **drawn)
        found = [m.kernel_size for m in model.modules() if isinstance(m, pools)]
        assert drawn["size"] in [k[0] if isinstance(k, tuple) else k for k in found]


@pytest.mark.parametrize("id", [o.id for o in list_operators("Layer")])
def test_what_is_drawn_can_be_built(id):
    operator, rng = get_operator(id), np.random.default_rng(0)
    for program in of_kind(id):
        for _ in range(6):
            drawn = operator.sample(program, rng)
            model = model_of(program.name, id, **drawn).eval()
            batch = tuple(torch.tensor(a[:3]) for a in program.arrays().train)
            inputs, _ = program.prepare(batch, torch.Generator().manual_seed(0))
            with torch.no_grad():
                assert model(*inputs).shape == program.model().eval()(*inputs).shape


def test_rigid_convolutions_keep_stride_and_padding():
    for program in list_programs():
        rigid = {s.name for s in program.slots("conv") if s.rigid}
        for id in ("LCS", "LCD"):
            if get_operator(id).applies(program) is None:
                assert not rigid & set(get_operator(id).parameters["layer"].allowed(program))


def test_an_edit_that_breaks_the_model_is_not_buildable():
    program = get_program("lenet5_mnist")
    assert buildable(program, "conv1", "kernel", (5, 7, 99)) == (7,)
    assert set(PADDINGS) == {"valid", "same"}
