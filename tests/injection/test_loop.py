"""The loop of the user stays the user's; the fault is in the objects it is given."""

import numpy as np
import pandas as pd
import pytest
import torch
from own_nets import Mlp, Residual, Series, blobs, images, plain_loop, series, whole_loop
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from analysis_lib.configuration import Configuration, Run
from analysis_lib.errors import InputError
from analysis_lib.faults import get_operator, list_operators
from analysis_lib.injection import own_program, train_own
from analysis_lib.training import weights_digest

X, Y = blobs()
X = X.astype("float32")
DATA = (X[:36], Y[:36]), (X[36:], Y[36:])


def mlp(**options):
    options = {"loss": nn.CrossEntropyLoss(), "batch_size": 8, "lr": 0.01} | options
    return own_program(Mlp, *DATA, name="mine", **options)


def run_of(operator="healthy", parameters=None, program="mine", seed=0, epochs=2):
    return Run(Configuration(program, operator, parameters or {}), seed, epochs)


def test_a_healthy_run_is_the_users_own_loop_bit_by_bit():
    run = run_of(seed=3)
    trace = train_own(mlp(), run)
    torch.manual_seed(run.seed_of("weights"))
    model = Mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    torch.manual_seed(run.seed_of("order"))  # dropout
    order = torch.Generator().manual_seed(run.seed_of("order"))
    x, y = (torch.tensor(a) for a in DATA[0])
    for _ in range(2):
        rows = torch.randperm(36, generator=order)
        for start in range(0, 36, 8):
            batch = rows[start : start + 8]
            optimizer.zero_grad()
            nn.CrossEntropyLoss()(model(x[batch]), y[batch]).backward()
            optimizer.step()
    assert weights_digest(model) == trace.record["weights_digest"]
    right = (model.eval()(torch.tensor(DATA[1][0])).argmax(1).numpy() == DATA[1][1]).mean()
    assert trace.record["final_metric"] == pytest.approx(right)
    valid = (torch.tensor(a) for a in DATA[1])
    loss = nn.CrossEntropyLoss()(model(next(valid)), next(valid)).item()
    assert trace.epochs.valid_loss.iloc[-1] == pytest.approx(loss, rel=1e-6)
    assert trace.record["steps"] == 10 and trace.epochs.epoch.tolist() == [-1, 0, 1]


def test_a_loader_that_does_not_shuffle_gives_its_own_order():
    loader = DataLoader(TensorDataset(*map(torch.tensor, DATA[0])), batch_size=7)
    program = own_program(
        lambda: nn.Linear(6, 3), loader, DATA[1], loss=nn.CrossEntropyLoss(),
        optimizer=lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), name="ordered",
    )  # fmt: skip
    run = run_of(program="ordered")
    trace = train_own(program, run, monitor=False)
    torch.manual_seed(run.seed_of("weights"))
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            nn.CrossEntropyLoss()(model(x), y).backward()
            optimizer.step()
    assert weights_digest(nn.Sequential(model)) == trace.record["weights_digest"]


def test_loops_of_users_give_the_same_run():
    usual = train_own(mlp(), run_of())
    own = train_own(mlp(loop=plain_loop), run_of())

    def whole(model, loader, loss, optimizer, epochs, patience=3):
        for _ in range(epochs + patience):  # too many: it is stopped
            for x, y in loader:
                optimizer.zero_grad()
                loss(model(x), y).backward()
                optimizer.step()

    # the first loop looks at the training data between epochs, which draws another order
    assert own.epochs.train_loss[1] == usual.epochs.train_loss[1]
    assert own.record["steps"] == 10 and own.epochs.valid_metric[1] == usual.epochs.valid_metric[1]
    everything = train_own(mlp(loop=whole), run_of())
    assert everything.record == usual.record
    pd.testing.assert_frame_equal(everything.epochs, usual.epochs)
    scheduled = train_own(mlp(loop=whole_loop), run_of())
    assert scheduled.record["steps"] == 10
    assert scheduled.record["weights_digest"] != usual.record["weights_digest"]


def test_a_pass_that_is_left_early_is_an_epoch_and_a_loop_that_stops_early_keeps_its_state():
    def early(model, loader, loss, optimizer, epochs):
        for _ in range(2):
            for number, (x, y) in enumerate(loader):
                optimizer.zero_grad()
                loss(model(x), y).backward()
                optimizer.step()
                if number == 1:
                    break

    trace = train_own(mlp(loop=early), run_of(epochs=4))
    assert trace.record["steps"] == 4
    weights = trace.epochs.weight_norm
    assert weights[1] != weights[2] and (weights[3:] == weights[2]).all()


@pytest.mark.parametrize("operator", [None, "PEM", "PZG", "RCD"])
def test_observing_changes_nothing(operator):
    parameters = {"RCD": {"layer": "all", "rate": 0.5}}.get(operator, {})
    run = run_of(operator or "healthy", parameters)
    program = mlp(loop=plain_loop)
    seen, unseen = train_own(program, run), train_own(program, run, monitor=False)
    assert seen.record == unseen.record
    shared = ["train_loss", "valid_loss", "train_metric", "valid_metric"]
    pd.testing.assert_frame_equal(seen.epochs[shared], unseen.epochs[shared])


def test_observing_leaves_frozen_statistics_frozen():
    x, y = images()

    def frozen(model, loader, loss, optimizer):
        model.norm.eval()
        for inputs, target in loader:
            assert not model.norm.training and model.training
            optimizer.zero_grad()
            loss(model(inputs), target).backward()
            optimizer.step()

    program = own_program(Residual, (x, y), (x, y), loss=nn.CrossEntropyLoss(), loop=frozen,
                          name="frozen")  # fmt: skip
    run = run_of(program="frozen")
    seen, unseen = train_own(program, run), train_own(program, run, monitor=False)
    assert seen.record["weights_digest"] == unseen.record["weights_digest"]


def test_the_process_does_not_matter_and_is_not_disturbed():
    program, run = mlp(), run_of("RCD", {"layer": "all", "rate": 0.5})
    torch.manual_seed(1)
    first = train_own(program, run)
    a = torch.rand(1)
    torch.manual_seed(1)
    assert a == torch.rand(1)
    np.random.rand()
    pd.testing.assert_frame_equal(first.epochs, train_own(program, run).epochs)


def three_programs():
    x, y = images()
    sgd = {"optimizer": lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.01)}
    return [
        mlp(loop=plain_loop),
        own_program(Residual, (x, y), (x, y), loss=nn.CrossEntropyLoss(), batch_size=5,
                    name="conv", **sgd),
        own_program(Series, series(), series(), loss=nn.MSELoss(), batch_size=6, name="two"),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(3))
def test_every_fault_changes_the_run(number):
    program = three_programs()[number]
    healthy = train_own(program, run_of(program=program.name), monitor=False)
    rng, tried = np.random.default_rng(0), 0
    for operator in list_operators():
        if operator.applies(program) is not None or operator.id == "RCP":
            continue
        parameters = {"epochs": 1} if operator.id == "HNE" else operator.sample(program, rng)
        run = run_of(operator.id, parameters, program.name)
        trace = train_own(program, run, monitor=False)
        tried += 1
        same = trace.record["weights_digest"] == healthy.record["weights_digest"]
        assert not same, run.key
        assert trace.epochs.epoch.tolist() == [-1, 0, 1]
    assert tried > 30


def test_a_loop_that_clears_gradients_through_the_module_still_keeps_them():
    def through_module(model, loader, loss, optimizer):
        for x, y in loader:
            model.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()

    program = mlp(loop=through_module)
    traces = [train_own(program, run_of(o), monitor=False) for o in ("healthy", "PZG")]
    assert traces[0].record["weights_digest"] != traces[1].record["weights_digest"]
    usual = mlp()
    for trace, operator in zip(traces, ("healthy", "PZG"), strict=True):
        again = train_own(usual, run_of(operator), monitor=False)
        assert again.record["weights_digest"] == trace.record["weights_digest"]


def test_objects_are_whole_again_after_a_run_and_named_inputs_reach_the_loop():
    kept = {}

    def loop(model, loader, loss, optimizer):
        kept.update(model=model, optimizer=optimizer)
        assert isinstance(model, Series) and loader.batch_size == 6 and len(loader) == 6
        for batch in loader:
            optimizer.zero_grad()
            loss(model(batch["steps"], batch["kind"]), batch["y"]).backward()
            optimizer.step()

    program = own_program(Series, series(), series(), loss=nn.MSELoss(), batch_size=6, loop=loop,
                          name="two")  # fmt: skip
    trace = train_own(program, run_of("PZG", program="two"))
    assert sorted(trace.layers.layer.unique()) == ["cell", "names", "out"]
    assert not {"step", "zero_grad"} & set(vars(kept["optimizer"]))
    assert not {"train", "zero_grad"} & set(vars(kept["model"]))


def test_a_run_that_explodes_is_a_result():
    trace = train_own(mlp(optimizer="sgd"), run_of("HLR", {"factor": 1e8}, epochs=4))
    assert trace.status == "nonfinite" and "became non-finite in epoch" in trace.reason
    assert trace.epochs.epoch.tolist() == [-1, 0, 1, 2, 3]
    assert trace.epochs.weight_norm[4:].isna().all()


def test_one_row_left_over_is_no_batch_where_batch_statistics_are_taken():
    x, y = images(25)
    program = own_program(Residual, (x, y), (x, y), loss=nn.CrossEntropyLoss(), batch_size=8,
                          name="conv")  # fmt: skip
    assert train_own(program, run_of(program="conv")).record["steps"] == 6
    assert train_own(mlp(batch_size=35), run_of()).record["steps"] == 4


def test_what_the_loop_does_not_do_is_said():
    with pytest.raises(InputError, match=r"never called optimizer.step\(\)"):
        train_own(mlp(loop=lambda model, loader, loss, optimizer: None), run_of())
    with pytest.raises(InputError, match="not one of program 'mine'"):
        train_own(mlp(), run_of(program="snn_wine"))
    with pytest.raises(InputError, match="'LKS' does not apply to 'mine': it has no convolution"):
        train_own(mlp(), run_of("LKS", {"layer": "first", "kernel": 3}))
    assert get_operator("LKS").applies(mlp()) == "it has no convolution"
