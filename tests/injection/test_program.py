"""What a user gives becomes a program, or a message that says what does not fit."""

import numpy as np
import pytest
import torch
from own_nets import Mlp, Residual, Series, Tied, blobs, images, plain_loop, series
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from analysis_lib import get_program, list_programs
from analysis_lib.errors import InputError
from analysis_lib.faults import list_operators
from analysis_lib.injection import fault_table, own_program
from analysis_lib.injection.batches import read_part

X, Y = blobs()
DATA = (X[:36], Y[:36]), (X[36:], Y[36:])


def mlp(**options):
    return own_program(*(Mlp, *DATA), **{"loss": nn.CrossEntropyLoss(), "name": "mine"} | options)


def test_a_program_is_known_but_not_listed():
    count = len(list_programs())
    program = mlp()
    assert get_program("mine") is program and len(list_programs()) == count
    assert (program.task, program.metric, program.setup.loss) == (
        "classification", "accuracy", "cce",
    )  # fmt: skip
    assert mlp(lr=0.5) is get_program("mine") and get_program("mine").setup.lr == 0.5


def test_a_program_is_shown_in_one_line():
    shown = repr(mlp())
    assert shown.startswith("OwnProgram('mine', classification, 36 + ") and len(shown) < 80
    assert "\n" not in shown and "array" not in shown


def test_double_arrays_get_the_type_of_the_module():
    assert mlp().arrays().train[0].dtype == np.float32
    double = own_program(lambda: Mlp().double(), *DATA, loss=nn.CrossEntropyLoss(), name="wide")
    assert double.arrays().train[0].dtype == np.float64


def test_the_users_own_optimizer_is_kept_and_changed_by_factors():
    def make(parameters):
        first, *others = parameters
        groups = [{"params": [first], "lr": 0.1}, {"params": others}]
        return torch.optim.SGD(groups, lr=0.2, momentum=0.5, weight_decay=0.01)

    program = mlp(optimizer=make)
    setup = program.setup
    assert (setup.optimizer, setup.lr) == ("sgd", 0.1)
    assert setup.options == {"weight_decay": 0.01, "momentum": 0.5}
    from dataclasses import replace

    changed = replace(setup, lr=1.0, options={**setup.options, "weight_decay": 0.0})
    groups = program.make_optimizer(program.model(), changed).param_groups
    assert [round(g["lr"], 9) for g in groups] == [1.0, 2.0]
    assert {g["weight_decay"] for g in groups} == {0.0} and groups[0]["momentum"] == 0.5
    table = fault_table(program)
    assert table.loc[["RRW", "RCW", "LSM"], "applies"].all()


def test_what_does_not_apply_has_a_reason():
    plain = own_program(lambda: nn.Linear(6, 3), *DATA, loss=nn.CrossEntropyLoss(), name="plain")
    table = fault_table(plain)
    assert table.loc["ACH", "reason"] == "it has no hidden activation"
    assert table.loc["RCD", "reason"] == "it has no dropout layer"
    assert (table["reason"] == "").eq(table["applies"]).all()
    assert list(table.index) == [o.id for o in list_operators()]
    everything = fault_table(mlp())
    assert everything.loc[["ACH", "RCD", "LCN", "LRM", "LAD", "WCI"], "applies"].all()


def test_tasks_losses_and_metrics_are_told():
    x, y = images()
    conv = own_program(Residual, (x, y), (x, y), loss=nn.CrossEntropyLoss(), name="conv")
    assert fault_table(conv).loc[["LKS", "LCF", "LCP", "WAB", "PEM"], "applies"].all()
    two = own_program(Series, series(), series(), loss=nn.MSELoss(), name="two")
    assert (two.task, two.metric, two.names) == ("regression", "r2", ("steps", "kind", "y"))
    assert fault_table(two).loc[["PBC", "TDN", "TAN", "LCO"], "applies"].all()

    def focal(output, target):
        chances = output.softmax(1)[torch.arange(len(target)), target]
        return -((1 - chances) ** 2 * chances.log()).mean()

    own = mlp(loss=focal, output="softmax")
    assert own.setup.loss == "own" and own.higher_is_better
    table = fault_table(own)
    assert table.loc[["LCH", "FLO", "PSX", "FAC"], "applies"].all()
    assert table.loc["LWC", "reason"] == "its loss knows no weights of classes"

    def error(output, target):
        return float(np.mean(output.argmax(1) != target))

    judged = mlp(metric=error, higher_is_better=False)
    assert judged.metric == "error" and not judged.higher_is_better


def test_a_loss_by_name_meets_targets_of_another_shape():
    y = (Y > 0).astype("float32")

    def flat(output, target):
        return nn.functional.binary_cross_entropy_with_logits(output.squeeze(1), target)

    program = own_program(
        lambda: nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1)),
        (X, y), (X, y), loss=flat, output="sigmoid", metric="auc", name="flat",
    )  # fmt: skip
    raw, target = torch.arange(5.0)[:, None], torch.tensor([0.0, 1, 2, 3, 9])
    value = program.loss_value("mse", raw, target, output="linear")
    assert float(value) == pytest.approx(5.0)
    assert np.isnan(float(program.loss_value("mse", torch.zeros(5, 2), target, output="linear")))


def test_loaders_data_sets_and_dicts_are_read():
    class Rows(Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, i):
            return {"x": torch.full((2,), float(i)), "y": i % 2, "extra": i}

    part = read_part(DataLoader(Rows(), batch_size=4, shuffle=True), "train", target="y")
    assert part.names == ("x", "extra", "y") and part.batch_size == 4 and part.shuffle
    assert part.arrays[0][7].tolist() == [7, 7] and part.arrays[2].tolist() == [0, 1] * 5
    ordered = DataLoader(TensorDataset(torch.tensor(X), torch.tensor(Y)), batch_size=9)
    assert mlp().shuffles
    program = own_program(Mlp, ordered, DATA[1], loss=nn.CrossEntropyLoss(), name="loaded")
    assert program.setup.batch_size == 9 and not program.shuffles


def test_the_fingerprint_follows_every_part():
    other = (X[:36], np.append(Y[:35], 2 - Y[35]))  # a row that is not looked at

    def stepwise(model, loader, loss, optimizer):
        for x, y in loader:
            loss(model(x), y).backward()
            optimizer.step()

    prints = [
        mlp().fingerprint, mlp(lr=0.5).fingerprint, mlp(batch_size=5).fingerprint,
        mlp(loss=nn.CrossEntropyLoss(label_smoothing=0.1)).fingerprint,
        mlp(loop=plain_loop).fingerprint, mlp(loop=stepwise).fingerprint,
        own_program(Mlp, other, DATA[1], loss=nn.CrossEntropyLoss(), name="mine").fingerprint,
        own_program(lambda: nn.Sequential(Mlp(), nn.ReLU()), *DATA, loss=nn.CrossEntropyLoss(),
                    name="mine").fingerprint,
    ]  # fmt: skip
    assert len(set(prints)) == len(prints) and mlp().fingerprint == prints[0]


def broken(**options):
    arguments = {"make_model": Mlp, "train": DATA[0], "valid": DATA[1]}
    arguments |= {"loss": nn.CrossEntropyLoss(), "name": "mine"} | options
    return own_program(**arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"make_model": Mlp()}, "expected a class or function that returns a new module"),
        ({"make_model": lambda: 3}, "make_model returned a int"),
        ({"make_model": lambda: nn.Linear(5, 3)}, "the model on a batch fails: RuntimeError"),
        ({"loss": nn.CrossEntropyLoss}, "expected a function or an instance"),
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, r"loss returned \(4,\)"),
        ({"loss": lambda o, t: o.detach().sum()}, "the loss has no gradient"),
        ({"loss": lambda o, t: o.sum() / 0}, "the loss of the untrained model is"),
        ({"loss": nn.MSELoss()}, r"the model returns shape \(4, 3\) for a target of shape \(4,\)"),
        ({"optimizer": "adm"}, "did you mean 'adam'"),
        ({"optimizer": lambda p: 3}, "optimizer returned a int"),
        ({"optimizer": torch.optim.SGD, "lr": 0.1}, "yours sets its own"),
        ({"lr": -1.0}, "lr is -1.0"),
        ({"metric": "acuracy"}, "did you mean 'accuracy'"),
        ({"metric": lambda o, t: np.nan}, "the metric of the untrained model is nan"),
        ({"output": "sofmax"}, "did you mean 'softmax'"),
        ({"name": "a b"}, "expected letters, digits"),
        ({"name": "snn_wine"}, "give yours another name"),
        ({"batch_size": 1}, "batch_size is 1"),
        ({"train": X}, "train is a ndarray"),
        ({"train": (X, Y[:5])}, "have 48, 5 rows"),
        ({"train": (X * np.nan, Y)}, "not finite"),
        ({"train": {"x": X, "y": Y}}, "train and valid have different parts"),
        ({"train": {"x": X, "y": Y}, "target": "z"}, "no target 'z'; its keys are x, y"),
        ({"train": (np.array(["a"] * 48), Y)}, "expected arrays of numbers"),
        ({"loop": lambda model, loader: 0}, "loop does not take 'loss'"),
        ({"loop": lambda model, loader, loss, optimizer, rate: 0}, "loop needs 'rate'"),
    ],
)
def test_what_does_not_fit_is_said(options, message):
    with pytest.raises(InputError, match=message):
        broken(**options)


def test_a_module_with_draws_of_its_own_is_refused():
    rng = np.random.default_rng()

    def make():
        model = Mlp()
        model.out.weight.data += float(rng.normal())
        return model

    with pytest.raises(InputError, match="other weights under the same seed"):
        broken(make_model=make)


def test_tied_weights_refuse_what_would_part_them():
    x = np.arange(28) % 7
    tied = own_program(Tied, (x, x), (x, x), loss=nn.CrossEntropyLoss(), name="tied")
    table = fault_table(tied)
    assert table.loc[["WCI", "WSC", "TDN", "ACH"], "applies"].all()
    assert "out" not in [s.name for s in tied.slots("dense") if not s.fixed]
