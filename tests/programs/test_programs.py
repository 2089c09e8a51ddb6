"""Every program: its data, its model under edits, its healthy training."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis_lib.configuration import Configuration, Run
from analysis_lib.errors import InputError
from analysis_lib.programs import get_program, list_programs, register
from analysis_lib.programs.losses import loss_value
from analysis_lib.training import train

NAMES = [p.name for p in list_programs()]
every_program = pytest.mark.parametrize("name", NAMES)


def batch_of(program, rows=6):
    part = tuple(torch.tensor(a[:rows]) for a in program.arrays().train)
    return program.prepare(part, torch.Generator().manual_seed(0))


def loss_of(program, model, setup=None):
    setup = setup or program.setup
    inputs, target = batch_of(program)
    raw = model(*inputs)
    loss = loss_value(setup.loss, raw, target, output=setup.output)
    return loss + model.extra_loss() if hasattr(model, "extra_loss") else loss


def edits_of(program):
    """Every single-slot edit that an operator may make."""
    for slot in program.slots():
        if slot.kind == "activation":
            yield from ((slot.name, {"kind": kind}) for kind in ("softmax", "exponential"))
        elif slot.kind == "dropout":
            yield slot.name, {"p": 0.9}
        elif slot.kind == "norm":
            yield slot.name, {"remove": True}
        elif slot.kind.startswith("conv"):
            yield from ((slot.name, {"kernel": kernel}) for kernel in (1, 7))
            yield slot.name, {"bias": False}
            yield slot.name, {"insert": "tanh"}
        elif slot.kind == "dense":
            yield slot.name, {"init": "constant"}
            yield slot.name, {"insert": "softmax"}
        elif slot.kind == "recurrent":
            yield slot.name, {"init": "zeros"}
        if slot.fixed:
            continue
        if slot.kind.startswith(("dense", "conv", "recurrent")):
            yield from ((slot.name, {"units": units}) for units in (1, 7))
        if slot.kind == "dense":
            yield slot.name, {"remove": True}
            yield from ((slot.name, {"insert": what}) for what in ("dense:2", "dropout:0.5"))


def test_unknown_program_names_the_nearest():
    with pytest.raises(InputError, match="unknown program 'snn_wines'; did you mean 'snn_wine'"):
        get_program("snn_wines")
    with pytest.raises(InputError, match="unknown modality 'grpah'; did you mean 'graph'"):
        list_programs("grpah")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "'snn_wine' is registered already"),
        ({"name": "new", "modality": "sound"}, "unknown modality 'sound'"),
        ({"name": "new", "metric": "acuracy"}, "did you mean 'accuracy'"),
        ({"name": "new", "task": "classify"}, "did you mean 'classification'"),
    ],
)
def test_register_refuses(changes, message):
    with pytest.raises(InputError, match=message):
        register(replace(get_program("snn_wine"), **changes))
    assert [p.name for p in list_programs()] == NAMES


def test_list_by_modality():
    for modality in ("tabular", "image", "generative", "sequence", "text", "recommender", "graph"):
        found = list_programs(modality)
        assert found
        assert {p.modality for p in found} == {modality}


def test_unknown_slot_names_the_nearest():
    program = get_program("snn_wine")
    with pytest.raises(InputError, match="slot of program 'snn_wine' 'hiden1'.*'hidden1'"):
        program.model(program.setup.edited("hiden1", units=3))


@every_program
def test_data_are_plain_equal_and_disjoint(name):
    program = get_program(name)
    data, again = program.data(), program.data()
    for part, other in ((data.train, again.train), (data.valid, again.valid)):
        assert len({len(a) for a in part}) == 1
        for a, b in zip(part, other, strict=True):
            assert a.dtype in (np.float32, np.int64)
            assert np.isfinite(a).all()
            np.testing.assert_array_equal(a, b)
    for a, b in zip(data.train, data.valid, strict=True):
        assert (a.dtype, a.shape[1:]) == (b.dtype, b.shape[1:])
        if a.dtype == np.float32 and a is not data.train[-1]:
            assert abs(a.mean()) < 0.1
            assert 0.7 < a.std() < 1.3
    assert 30 <= len(data.train[0]) <= 20_000
    keys = [
        [b"".join(a[i].tobytes() for a in part[:-1]) for i in range(len(part[0]))]
        for part in (data.train, data.valid)
    ]
    # some customers are alike, and so are titles of unknown words; all else occurs once
    if name not in ("widedeep_churn", "fasttext_tate"):
        assert not set(keys[0]) & set(keys[1])


@every_program
def test_outputs_and_targets_agree(name):
    program = get_program(name)
    inputs, target = batch_of(program)
    model = program.model()
    raw = model(*inputs)
    assert raw.dtype == torch.float32
    if program.task == "classification":
        assert target.dtype == torch.int64
        assert target.shape == (len(raw),)
        for part in (program.arrays().train, program.arrays().valid):
            assert np.unique(part[-1]).tolist() == list(range(raw.shape[1]))
    else:
        assert target.dtype == torch.float32
        assert raw.shape == target.shape
        assert raw.ndim == 2
    if program.task == "binary":
        assert np.unique(program.arrays().train[-1]).tolist() == [0.0, 1.0]
    assert torch.isfinite(loss_of(program, model))
    model.eval()
    one, target = batch_of(program, rows=1)
    assert len(model(*one)) == len(target)


@every_program
def test_slots_offer_operators_something(name):
    program = get_program(name)
    matrices = [s for s in program.slots() if s.kind.startswith(("dense", "conv"))]
    assert len([s for s in matrices if not s.fixed]) >= 2
    assert len(program.slots("activation")) >= 2
    assert program.slots("dropout")
    assert matrices[-1].name == "head"
    assert matrices[-1].fixed
    for module in program.model().modules():
        own = list(module.parameters(recurse=False))
        is_norm = "Norm" in type(module).__name__
        assert not own or is_norm or hasattr(module, "slot"), f"{module} is outside all slots"


@every_program
def test_every_edit_still_trains(name):
    program = get_program(name)
    for slot, edit in edits_of(program):
        setup = program.setup.edited(slot, **edit)
        model = program.model(setup)
        loss = loss_of(program, model, setup)
        loss.backward()
        # exponential activations may overflow, shapes must fit
        assert loss.ndim == 0, (slot, edit)
        assert any(p.grad is not None for p in model.parameters()), (slot, edit)


@every_program
def test_second_derivative(name):
    program = get_program(name)
    model = program.model()
    parameters = list(model.parameters())
    generator = torch.Generator().manual_seed(0)
    v = [torch.randn(p.shape, generator=generator) for p in parameters]
    first = torch.autograd.grad(loss_of(program, model), parameters, create_graph=True)
    slope = sum((g * w).sum() for g, w in zip(first, v, strict=True))
    second = torch.autograd.grad(slope, parameters, allow_unused=True, materialize_grads=True)
    assert all(torch.isfinite(h).all() for h in second)
    assert any(h.abs().max() > 0 for h in second)


@every_program
def test_editing_one_slot_leaves_other_weights(name):
    program = get_program(name)
    healthy = dict(program.model(seed=3).named_parameters())
    again = dict(program.model(seed=3).named_parameters())
    assert all(torch.equal(p, healthy[n]) for n, p in again.items())
    drawn = program.model(program.setup.edited("head", init="wide_normal"), seed=3)
    changed = [n for n, p in drawn.named_parameters() if not torch.equal(p, healthy[n])]
    modules = drawn.named_modules()
    head = [f"{n}.weight" for n, m in modules if getattr(m, "slot", None) == "head"]
    assert changed == head
    other_seed = dict(program.model(seed=4).named_parameters())
    assert not torch.equal(other_seed[head[0]], healthy[head[0]])
    slot = next(s for k in ("dense", "conv") for s in program.slots(k) if not s.fixed)
    setup = program.setup.edited(slot.name, units=slot.options["units"] - 1)
    narrow = dict(program.model(setup, seed=3).named_parameters())
    same = [n for n, p in narrow.items() if p.shape == healthy[n].shape]
    assert 0 < len(same) < len(healthy)
    for n in same:
        assert torch.equal(narrow[n], healthy[n]), n


@every_program
def test_healthy_run_reaches_its_metric(name):
    program = get_program(name)
    epochs = train(Run(Configuration(name), 0), monitor=False).epochs
    untrained, trained = epochs.valid_metric.iloc[[0, -1]]
    assert trained >= program.reaches
    assert untrained < program.reaches
    assert epochs.valid_loss.iloc[-1] < epochs.valid_loss.iloc[0]
    if program.metric == "accuracy":
        shares = np.unique(program.arrays().valid[-1], return_counts=True)[1]
        assert program.reaches > shares.max() / shares.sum() + 0.1
