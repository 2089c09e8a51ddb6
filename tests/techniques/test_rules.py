"""Rules fire on hand-made traces at and around each threshold, and only then."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from analysis_lib.channels import CHANNELS
from analysis_lib.errors import InputError
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.features import extract
from analysis_lib.features.rules import ABSENT, NONFINITE
from analysis_lib.techniques import (
    TECHNIQUES,
    AutoTrainer,
    DeepDiagnosis,
    DeepLocalize,
    Umlaut,
    get_technique,
)

TOOLS = {
    "AutoTrainer": AutoTrainer,
    "DeepLocalize": DeepLocalize,
    "UMLAUT": Umlaut,
    "DeepDiagnosis": DeepDiagnosis,
}
SEVEN = ["Activation", "Hyperparameter", "Layer", "Loss", "Optimization", "Regularization"]
SEVEN += ["Weights", "Healthy"]
NAN, INF = np.nan, np.inf

EPOCHS = 12
ramp = np.linspace(0, 1, EPOCHS + 1)
HEALTHY = {
    "train_loss": 2 - 1.5 * ramp,
    "valid_loss": 2.1 - 1.5 * ramp,
    "train_accuracy": 0.62 + 0.3 * ramp,
    "valid_accuracy": 0.6 + 0.3 * ramp,
    "grad_norm_first": 0.5,
    "grad_norm_last": 0.4,
    "grad_zero_share": 0.1,
    "grad_mean": 1e-4 * (1 + ramp),
    "grad_abs_mean": 1e-2,
    "grad_nonfinite": 0.0,
    "weight_mean": 0.01 + 0.01 * ramp,
    "weight_std": 0.2,
    "weight_nonfinite": 0.0,
    "act_mean": 0.4 + 0.1 * ramp,
    "act_nonfinite": 0.0,
    "act_dead_share_max": 0.5,
    "act_saturated_share_max": 0.1,
    "update_ratio": 1e-3,
}
LOW = {"train_accuracy": 0.3 + 0.2 * ramp, "valid_accuracy": 0.3 + 0.2 * ramp}


def at(epochs, value, base):
    """The channel ``base`` with another value at some epochs (-1 is init)."""
    values = np.array(np.broadcast_to(HEALTHY.get(base, 0) if isinstance(base, str) else base, 13))
    values = values.astype(float)
    values[np.asarray(epochs) + 1] = value
    return values


def trace(run="a", **changes):
    frame = pd.DataFrame(HEALTHY | changes, index=range(EPOCHS + 1)).astype("float32")
    frame.insert(0, "run_id", run)
    frame.insert(1, "epoch", np.arange(-1, EPOCHS))
    return frame


def symptom(tool, window=12, **changes):
    x = extract(trace(**changes), tool.lower(), window=window)
    return TOOLS[tool]().symptoms(x)[0]


def diagnosis(tool, window=12, classes=SEVEN, **changes):
    x = extract(trace(**changes), tool.lower(), window=window)
    row = np.repeat(x.to_numpy(), len(classes), axis=0)
    return TOOLS[tool]().fit(row, classes).predict(x)[0]


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("window", [0, 1, 5, 12, None])
def test_nothing_fires_on_a_healthy_run(tool, window):
    assert symptom(tool, window=window) == ""
    assert diagnosis(tool, window=window) == "Healthy"


BLOCK = list(range(5))
CASES = [
    # AutoTrainer: not a number, or the loss explodes
    ("AutoTrainer", {"train_loss": at(5, NAN, "train_loss")}, "explode"),
    ("AutoTrainer", {"valid_loss": at(5, INF, "valid_loss")}, "explode"),
    ("AutoTrainer", {"valid_loss": at(5, 1e5, "valid_loss")}, "explode"),
    ("AutoTrainer", {"valid_loss": at(5, 0.999e5, "valid_loss")}, ""),
    ("AutoTrainer", {"weight_nonfinite": at(5, 1, 0)}, "explode"),
    ("AutoTrainer", {"grad_nonfinite": at(5, 1, 0)}, "explode"),
    # gradients count only if accuracy is unsatisfactory
    ("AutoTrainer", {"grad_zero_share": 0.7}, ""),
    ("AutoTrainer", LOW, ""),
    ("AutoTrainer", LOW | {"grad_zero_share": 0.7}, "dying_relu"),
    ("AutoTrainer", LOW | {"grad_zero_share": at(0, 0.7, 0.1)}, "dying_relu"),
    ("AutoTrainer", LOW | {"grad_zero_share": 0.699}, ""),
    ("AutoTrainer", LOW | {"grad_norm_first": 28.1}, "explode"),
    ("AutoTrainer", LOW | {"grad_norm_first": 27.9}, ""),
    ("AutoTrainer", LOW | {"grad_norm_first": 0.99e-4}, "vanish"),
    ("AutoTrainer", LOW | {"grad_norm_first": 1.01e-4}, ""),
    ("AutoTrainer", LOW | {"grad_norm_first": 0.99e-4, "grad_norm_last": 0.09}, ""),
    # theta: one of the two accuracies is enough
    ("AutoTrainer", LOW | {"grad_zero_share": 0.7, "valid_accuracy": 0.59}, "dying_relu"),
    ("AutoTrainer", LOW | {"grad_zero_share": 0.7, "valid_accuracy": 0.6}, ""),
    # slow convergence: no gain of 0.01 anywhere
    (
        "AutoTrainer",
        {"train_accuracy": 0.7 + 0.099 * ramp, "valid_accuracy": 0.7},
        "slow_convergence",
    ),
    ("AutoTrainer", {"train_accuracy": 0.7 + 0.13 * ramp, "valid_accuracy": 0.7}, ""),
    (
        "AutoTrainer",
        {"train_accuracy": 0.7, "valid_accuracy": at(9, 0.72, 0.7)},
        "slow_convergence",
    ),
    ("AutoTrainer", {"train_accuracy": at(2, 0.711, 0.7), "valid_accuracy": 0.7}, ""),
    # oscillation
    (
        "AutoTrainer",
        {"train_accuracy": 0.8 + 0.03 * (np.arange(13) % 2), "valid_accuracy": 0.8},
        "oscillating_loss",
    ),
    (
        "AutoTrainer",
        {"train_accuracy": 0.8 + 0.029 * (np.arange(13) % 2), "valid_accuracy": 0.8},
        "",
    ),
    # a program without an accuracy
    ("AutoTrainer", {"train_accuracy": NAN, "valid_accuracy": NAN, "grad_zero_share": 0.9}, ""),
    # DeepLocalize
    ("DeepLocalize", {"act_nonfinite": at(3, 1, 0)}, "forward"),
    ("DeepLocalize", {"act_mean": at([0], 0, "act_mean")}, "forward"),
    ("DeepLocalize", {"act_mean": at([2], 0, "act_mean")}, ""),
    ("DeepLocalize", {"act_mean": at([2, 3], 0, "act_mean")}, "forward"),
    ("DeepLocalize", {"act_mean": at([2, 4], 0, "act_mean")}, ""),
    ("DeepLocalize", {"act_mean": at(BLOCK, 0.5, "act_mean")}, "forward"),
    ("DeepLocalize", {"act_mean": at(BLOCK[:4], 0.5, "act_mean")}, ""),
    ("DeepLocalize", {"act_mean": at([1, 2, 3, 4, 5], 0.5, "act_mean")}, ""),
    ("DeepLocalize", {"act_mean": at([5, 6, 7, 8, 9], 0.5, "act_mean")}, "forward"),
    ("DeepLocalize", {"act_mean": NAN}, ""),
    ("DeepLocalize", {"weight_nonfinite": at(3, 2, 0)}, "weights"),
    ("DeepLocalize", {"weight_mean": at(BLOCK, 0.5, "weight_mean")}, "weights"),
    ("DeepLocalize", {"train_loss": at(3, NAN, "train_loss")}, "invalid_loss"),
    ("DeepLocalize", {"train_loss": at(BLOCK, 0.5, "train_loss")}, "model_does_not_learn"),
    ("DeepLocalize", {"train_accuracy": at(BLOCK, 0.5, 0.1)}, "model_does_not_learn"),
    ("DeepLocalize", {"train_accuracy": NAN, "valid_accuracy": NAN}, ""),
    ("DeepLocalize", {"grad_nonfinite": at(3, 2, 0)}, "delta_weights"),
    ("DeepLocalize", {"grad_mean": at([0, 1], 0, "grad_mean")}, "delta_weights"),
    # UMLAUT
    ("UMLAUT", {"train_loss": at(3, NAN, "train_loss")}, "nan_loss"),
    ("UMLAUT", {"valid_loss": at(3, 2.5, "valid_loss")}, "overfitting"),
    ("UMLAUT", {"valid_loss": at(3, 2.5, "valid_loss"), "train_loss": at(3, 9, "train_loss")}, ""),
    ("UMLAUT", {"valid_loss": at(0, 0.1, "valid_loss")}, "overfitting"),
    ("UMLAUT", {"valid_loss": at(-1, 0.1, "valid_loss")}, ""),
    ("UMLAUT", {"train_accuracy": 0.95, "valid_accuracy": at(3, 0.951, 0.9)}, "high_accuracy"),
    ("UMLAUT", {"train_accuracy": 0.95, "valid_accuracy": at(3, 0.95, 0.9)}, ""),
    ("UMLAUT", {"train_accuracy": 0.95, "valid_accuracy": at(2, 0.999, 0.9)}, ""),
    ("UMLAUT", {"train_accuracy": 0.8, "valid_accuracy": at(3, 0.851, 0.8)}, "high_accuracy"),
    ("UMLAUT", {"train_accuracy": 0.8, "valid_accuracy": at(3, 0.85, 0.8)}, ""),
    # DeepDiagnosis
    ("DeepDiagnosis", {"act_nonfinite": at(3, 1, 0)}, "numerical_forward"),
    ("DeepDiagnosis", {"act_mean": at(3, 0, "act_mean")}, "numerical_forward"),
    ("DeepDiagnosis", {"act_dead_share_max": at(11, 0.7, 0.5)}, "dead_node"),
    ("DeepDiagnosis", {"act_dead_share_max": at(11, 0.699, 0.5)}, ""),
    ("DeepDiagnosis", {"act_dead_share_max": at(10, 0.9, 0.5)}, ""),
    ("DeepDiagnosis", {"act_saturated_share_max": at(4, 0.501, 0)}, "saturated"),
    ("DeepDiagnosis", {"act_saturated_share_max": at(4, 0.5, 0)}, ""),
    ("DeepDiagnosis", {"act_saturated_share_max": at([3, 5], 0.9, 0)}, ""),
    ("DeepDiagnosis", {"act_mean": at(BLOCK, 0.5, "act_mean")}, "unchanged_forward"),
    ("DeepDiagnosis", {"train_loss": at(3, INF, "train_loss")}, "invalid_loss"),
    ("DeepDiagnosis", {"train_loss": at(BLOCK, 0.5, "train_loss")}, "loss_not_decreasing"),
    ("DeepDiagnosis", {"train_accuracy": at(3, 0, 0.5)}, "invalid_accuracy"),
    ("DeepDiagnosis", {"train_accuracy": 0.5}, ""),
    ("DeepDiagnosis", {"grad_nonfinite": at(3, 1, 0)}, "numerical_gradient"),
    ("DeepDiagnosis", {"grad_mean": at(3, 0, "grad_mean")}, "numerical_gradient"),
    ("DeepDiagnosis", {"grad_abs_mean": at(3, 0.99e-7, 1)}, "vanishing_gradient"),
    ("DeepDiagnosis", {"grad_abs_mean": at(3, 1.01e-7, 1)}, ""),
    ("DeepDiagnosis", {"weight_nonfinite": at(3, 1, 0)}, "numerical_weights"),
    ("DeepDiagnosis", {"grad_mean": at(BLOCK, 0.1, "grad_mean")}, "unchanged_gradient"),
    ("DeepDiagnosis", {"weight_mean": at(BLOCK, 0.1, "weight_mean")}, "unchanged_weights"),
]


@pytest.mark.parametrize(("tool", "changes", "expected"), CASES)
def test_rules_fire_at_their_thresholds_and_only_then(tool, changes, expected):
    assert symptom(tool, **changes) == expected


def test_accuracy_is_judged_by_autotrainer_after_thirty_percent():
    changes = LOW | {"grad_zero_share": 0.9}
    assert [symptom("AutoTrainer", window=k, **changes) for k in (3, 4)] == ["", "dying_relu"]


def test_twenty_epochs_of_equal_accuracy():
    long = pd.concat([trace(), trace()], ignore_index=True).head(21)
    rising = np.arange(21) / 100
    long = long.assign(epoch=np.arange(-1, 20), train_loss=1 - rising, train_accuracy=0.5)
    long = long.assign(act_mean=0.1 + rising, weight_mean=0.1 + rising, grad_mean=0.1 + rising)
    symptoms = [
        DeepDiagnosis().symptoms(extract(long, "deepdiagnosis", window=k))[0] for k in (19, 20)
    ]
    assert symptoms == ["", "accuracy_not_increasing"]


def test_the_first_symptom_in_time_counts_then_the_order_of_the_checks():
    early, late = at(2, 1, 0), at(4, 1, 0)
    both = {"grad_nonfinite": early, "act_nonfinite": late}
    assert symptom("DeepLocalize", **both) == "delta_weights"
    both = {"grad_nonfinite": late, "act_nonfinite": late}
    assert symptom("DeepLocalize", **both) == "forward"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Activation"),
        ({"weight_std": 0.99e-5**0.5}, "Weights"),
        ({"weight_std": 1.01e-5**0.5}, "Activation"),
        ({"weight_std": 10.1**0.5}, "Weights"),
        ({"update_ratio": 0.101}, "Hyperparameter"),
        ({"update_ratio": 0.099}, "Activation"),
        ({"update_ratio": 0.99e-5}, "Hyperparameter"),
        ({"update_ratio": 0.101, "weight_std": 4}, "Weights"),
    ],
)
def test_the_decision_tree_of_deepdiagnosis(changes, expected):
    assert diagnosis("DeepDiagnosis", act_dead_share_max=0.8, **changes) == expected


def test_the_category_is_the_first_one_that_is_a_class_of_the_task():
    changes = {"train_accuracy": 0.5, "valid_accuracy": 0.5}
    assert diagnosis("AutoTrainer", **changes) == "Optimization"
    assert diagnosis("AutoTrainer", classes=["Activation", "Hyperparameter"], **changes) == (
        "Hyperparameter"
    )
    assert diagnosis("AutoTrainer", classes=["Activation", "Loss"], **changes) == "Optimization"
    assert diagnosis("AutoTrainer", classes=["Faulty", "Healthy"], **changes) == "Faulty"
    assert diagnosis("AutoTrainer", classes=["Faulty", "Healthy"]) == "Healthy"


def test_abstention_outside_the_classes_has_equal_shares():
    x = extract(pd.concat([trace(), trace("b", train_accuracy=0.5, valid_accuracy=0.5)]),
                "autotrainer", window=12)  # fmt: skip
    model = AutoTrainer().fit(x, ["Activation", "Optimization"])
    assert model.predict(x).tolist() == ["Healthy", "Optimization"]
    assert model.predict_proba(x).tolist() == [[0.5, 0.5], [0, 1]]


@pytest.mark.parametrize("tool", TOOLS)
def test_nothing_is_learned_and_nothing_depends_on_other_rows(tool):
    rng = np.random.default_rng(0)
    runs = [
        trace(f"r{i}", **{c: np.where(rng.random(13) < 0.1, rng.choice([0, NAN, 1e6]), v)
                          for c, v in HEALTHY.items()})
        for i in range(20)
    ]  # fmt: skip
    x = extract(pd.concat(runs), tool.lower(), window=12).to_numpy()
    y = np.resize(SEVEN, 20)
    model = TOOLS[tool]().fit(x, y)
    other = clone(model).fit(x[::-1], rng.permutation(y))
    np.testing.assert_array_equal(model.predict(x), other.predict(x))
    order = rng.permutation(20)
    np.testing.assert_array_equal(model.predict(x)[order], model.predict(x[order]))
    alone = [model.predict(row[None])[0] for row in x]
    assert alone == model.predict(x).tolist() and len(set(alone)) > 1
    parameters = model.get_params()
    assert clone(model).get_params() == parameters and parameters
    assert get_technique(tool).make_estimator(0).get_params() == parameters


@pytest.mark.parametrize("tool", TOOLS)
def test_a_narrower_threshold_can_be_asked_for(tool):
    names = {"AutoTrainer": "theta", "DeepLocalize": "block", "UMLAUT": "accuracy"}
    name = names.get(tool, "dead")
    assert TOOLS[tool]().set_params(**{name: 7}).get_params()[name] == 7


def test_the_learning_rate_is_read_only_if_asked_for():
    columns = Umlaut(rate=True).channels
    row = extract(trace(), "umlaut", window=12).to_numpy()
    for rate, expected in ((0.01, ""), (0.0101, "learning_rate"), (0.99e-7, "learning_rate")):
        wide = np.hstack([row, np.full((1, 21), rate)])
        assert Umlaut(rate=True).symptoms(wide)[0] == expected
    assert columns[-1] == "learning_rate" and "learning_rate" not in Umlaut().channels
    for tool in TOOLS:
        assert set(TOOLS[tool]().channels) <= set(CHANNELS)


def test_mistakes_are_named():
    x = extract(trace(), "umlaut", window=12)
    with pytest.raises(InputError, match="their own feature set"):
        AutoTrainer().fit(x, ["Loss"])
    with pytest.raises(InputError, match="fault categories"):
        Umlaut().fit(x, ["True"])


def test_marks_lie_beyond_all_values():
    x = extract(trace(train_loss=at([2, 3], [NAN, 3e38], "train_loss")), "umlaut", window=5)
    assert x["train_loss@2"].item() == NONFINITE and x["train_loss@3"].item() == 1e30
    assert x["train_loss@5"].item() == ABSENT and x["train_loss@4"].item() < 2
    without = trace(valid_loss=NAN, valid_accuracy=NAN)
    x = extract(without, "umlaut", window=5)
    assert (x.filter(like="valid_") == ABSENT).all(axis=None)


def test_at_init_there_is_no_update_to_be_odd():
    changes = {"act_dead_share_max": 0.9, "update_ratio": 0.0}
    assert diagnosis("DeepDiagnosis", window=0, **changes) == "Activation"
    assert diagnosis("DeepDiagnosis", window=1, **changes) == "Hyperparameter"


def test_abstentions_pass_through_the_evaluation():
    table = pd.concat([trace(f"r{i}", train_accuracy=0.5, valid_accuracy=0.5) for i in range(8)])
    runs = pd.DataFrame({"run_id": [f"r{i}" for i in range(8)], "program": list("ppqqsstt")})
    runs["label"] = np.resize(["Optimization", "Activation"], 8)
    for window, expected in ((1, "Healthy"), (12, "Optimization")):
        x = extract(table, "autotrainer", window=window)
        found = cross_predict(x, runs, "AutoTrainer", "E4", "label", probabilities=True)
        assert (found["predicted"] == expected).all()
        np.testing.assert_allclose(found[["p_Activation", "p_Optimization"]].sum(axis=1), 1)


def test_every_tool_has_its_technique():
    for tool, kind in TOOLS.items():
        assert isinstance(TECHNIQUES[tool].make_estimator(0), kind)
