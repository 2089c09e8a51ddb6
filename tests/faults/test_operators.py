"""The contract of operators: registry, parameters, applicability, edits."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis_lib.configuration import Configuration
from analysis_lib.errors import InputError
from analysis_lib.faults import CATEGORIES, faulty_setup, get_operator, list_operators
from analysis_lib.faults.operator import operator
from analysis_lib.programs import get_program, list_programs
from analysis_lib.programs.losses import LOSSES, loss_value


def setup_of(program, id, **parameters):
    return faulty_setup(Configuration(program, id, parameters))


def test_every_category_has_operators_and_ids_are_unique():
    found = list_operators()
    assert {o.category for o in found} == set(CATEGORIES)
    assert len({o.id for o in found}) == len(found) >= 16
    assert all(o.change.__doc__ and o.source and o.title for o in found)


def test_every_category_applies_to_every_program():
    for program in list_programs():
        for category in CATEGORIES:
            assert any(o.applies(program) is None for o in list_operators(category)), (
                program.name,
                category,
            )


@pytest.mark.parametrize(
    ("program", "id", "parameters", "message"),
    [
        ("snn_wnie", "HLR", {"factor": 2.0}, "unknown program 'snn_wnie'; did you mean 'snn_wine'"),
        ("snn_wine", "HRL", {}, "unknown operator 'HRL'; did you mean 'HLR'"),
        ("snn_wine", "HLR", {}, "operator 'HLR' needs parameter 'factor'"),
        ("snn_wine", "HLR", {"facter": 2.0}, "did you mean 'factor'"),
        ("snn_wine", "HLR", {"factor": "big"}, r"'big' \(str\); expected float"),
        ("snn_wine", "HLR", {"factor": -1.0}, "is -1.0; expected 1e-08 to"),
        ("snn_wine", "HBS", {"size": 2.5}, r"2.5 \(float\); expected int"),
        ("snn_wine", "HBS", {"size": True}, r"True \(bool\); expected int"),
        ("snn_wine", "LCF", {"layer": "conv1", "filters": 1}, "does not apply to 'snn_wine'"),
        ("snn_wine", "ACH", {"layer": "act9", "activation": "relu"}, "did you mean 'act3'"),
        ("snn_wine", "ACH", {"layer": "act1", "activation": "rleu"}, "did you mean 'relu'"),
        ("snn_wine", "LCH", {"loss": "cce"}, "unknown value of 'loss' for snn_wine: 'cce'"),
    ],
)
def test_wrong_input_is_one_line_that_says_what_is_allowed(program, id, parameters, message):
    with pytest.raises(InputError, match=message) as error:
        setup_of(program, id, **parameters)
    assert "\n" not in str(error.value)


def test_an_integer_serves_as_a_float():
    assert setup_of("snn_wine", "HLR", factor=10) == setup_of("snn_wine", "HLR", factor=10.0)


@pytest.mark.parametrize(
    ("program", "id", "parameters"),
    [
        ("snn_wine", "HLR", {"factor": 1.0}),
        ("snn_wine", "HBS", {"size": 16}),
        ("snn_wine", "ACH", {"layer": "all", "activation": "selu"}),
        ("snn_wine", "LCN", {"layer": "hidden1", "units": 32}),
        ("snn_wine", "RCD", {"layer": "all", "rate": 0.05}),
        ("widedeep_churn", "WCI", {"layer": "wide", "init": "zeros"}),
    ],
)
def test_a_fault_that_changes_nothing_is_refused(program, id, parameters):
    with pytest.raises(InputError, match="would change nothing"):
        setup_of(program, id, **parameters)


def test_an_id_cannot_be_taken_twice():
    with pytest.raises(InputError, match="'HLR' is registered already"):
        operator("HLR", category="Loss", title="", source="")(lambda program, setup: setup)
    with pytest.raises(InputError, match="unknown category"):
        operator("NEW", category="Lose", title="", source="")(lambda program, setup: setup)
    with pytest.raises(InputError, match="unknown operator"):
        get_operator("NEW")


def test_settings_change_what_they_say_and_nothing_else():
    healthy = get_program("lenet5_mnist").setup
    cases = {
        ("HLR", ("factor", 100.0)): {"lr": healthy.lr * 100},
        ("HBS", ("size", 7)): {"batch_size": 7},
        ("HDB",): {"batch_size": len(get_program("lenet5_mnist").arrays().train[-1])},
        ("LCH", ("loss", "mae")): {"loss": "mae"},
        ("OCH", ("optimizer", "adam")): {"optimizer": "adam", "lr": 0.001, "options": {}},
        ("OCG", ("norm", 0.5)): {"clip_norm": 0.5},
        ("PZG",): {"zero_grad": False},
        ("PNS",): {"shuffle": False},
        ("PSX",): {"output_twice": True},
    }
    for (id, *parameters), expected in cases.items():
        assert setup_of("lenet5_mnist", id, **dict(parameters)) == replace(healthy, **expected)


def test_edits_reach_the_model():
    program = get_program("lenet5_mnist")

    def modules(id, **parameters):
        return dict(program.model(setup_of(program.name, id, **parameters)).named_modules())

    def slots(found):
        return {m.slot: m for m in found.values() if hasattr(m, "slot")}

    assert slots(modules("LCF", layer="conv1", filters=2))["conv1"].out_channels == 2
    assert slots(modules("LKS", layer="conv1", kernel=7))["conv1"].kernel_size == (7, 7)
    assert slots(modules("LCN", layer="hidden1", units=3))["hidden1"].out_features == 3
    assert slots(modules("LCN", layer="hidden1", units=3))["hidden2"].in_features == 3
    assert "hidden2" not in slots(modules("LRM", layer="hidden2"))
    assert slots(modules("LAD", layer="hidden1", what="dense:2"))["hidden2"].in_features == 2
    assert slots(modules("WRB", layer="all"))["head"].bias is None
    assert (slots(modules("WCI", layer="head", init="ones"))["head"].weight == 1).all()
    kinds = [
        m.kind
        for m in modules("ACH", layer="all", activation="elu").values()
        if type(m).__name__ == "Activation"
    ]
    assert kinds and set(kinds) == {"elu"}


def test_a_cut_gradient_reaches_only_what_lies_behind():
    program = get_program("lenet5_mnist")
    model = program.model(setup_of(program.name, "PDT", layer="hidden1"))
    x = torch.tensor(program.arrays().train[0][:8])
    model(x).sum().backward()
    reached = {m.slot: m.weight.grad is not None for m in model.modules() if hasattr(m, "slot")}
    assert reached == {
        "conv1": False,
        "conv2": False,
        "hidden1": False,
        "hidden2": True,
        "head": True,
    }


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses_agree_with_hand_written_keras(name):
    rng = np.random.default_rng(0)
    raw, t = rng.normal(size=(6, 3)), np.eye(3)[[0, 1, 2, 0, 1, 2]]
    y = np.exp(raw) / np.exp(raw).sum(1, keepdims=True)
    c = np.clip(y, 1e-7, 1 - 1e-7)
    d = y - t
    expected = {
        "mse": np.mean(d**2),
        "mae": np.mean(np.abs(d)),
        "mape": 100 * np.mean(np.abs(d) / np.maximum(t, 1e-7)),
        "msle": np.mean((np.log1p(np.maximum(y, 1e-7)) - np.log1p(np.maximum(t, 1e-7))) ** 2),
        "squared_hinge": np.mean(np.maximum(1 - (2 * t - 1) * y, 0) ** 2),
        "hinge": np.mean(np.maximum(1 - (2 * t - 1) * y, 0)),
        "categorical_hinge": np.mean(np.maximum(((1 - t) * y).max(1) - (t * y).sum(1) + 1, 0)),
        "logcosh": np.mean(np.log(np.cosh(d))),
        "huber": np.mean(np.where(np.abs(d) < 1, 0.5 * d**2, np.abs(d) - 0.5)),
        "cce": np.mean(-np.log(c[np.arange(6), t.argmax(1)])),
        "bce": np.mean(-(t * np.log(c) + (1 - t) * np.log(1 - c))),
        "kld": np.mean(
            (np.clip(t, 1e-7, 1 - 1e-7) * np.log(np.clip(t, 1e-7, 1 - 1e-7) / c)).sum(1)
        ),
        "poisson": np.mean(y - t * np.log(y + 1e-7)),
        "pinball": np.mean(np.where(d < 0, -d, 0) * [1 / 6, 3 / 6, 5 / 6])
        + np.mean(np.where(d > 0, d, 0) * [5 / 6, 3 / 6, 1 / 6]),
    }[name]
    target = torch.tensor(t.argmax(1))
    found = loss_value(name, torch.tensor(raw), target, output="softmax")
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_stable_formulas_agree_with_the_clipped_ones():
    raw = torch.randn(20, 1, dtype=torch.float64)
    t = (raw > 0.3).double()
    stable = loss_value("bce", raw, t, output="sigmoid")
    assert float(stable) == pytest.approx(float(LOSSES["bce"](torch.sigmoid(raw), t)), rel=1e-6)
