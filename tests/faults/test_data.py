"""Faults of the data: what they do to the training arrays, and to nothing else."""

import numpy as np
import pytest

from analysis_lib.configuration import Configuration, Run
from analysis_lib.errors import InputError
from analysis_lib.faults import faulty_setup, get_operator, list_operators
from analysis_lib.faults.data import edit_data, has_classes
from analysis_lib.programs import get_program, list_programs
from analysis_lib.training import train

RNG = np.random.default_rng(0)
Y = np.repeat([0, 1, 2, 3], [10, 20, 30, 40])
X = RNG.normal(size=(100, 3)).astype(np.float32) * [1, 10, 0]
CODES = RNG.integers(0, 50, size=(100, 4))


def edited(name, arrays=(X, Y), *, classes=True, seed=0, **parameters):
    before = [a.copy() for a in arrays]
    found = edit_data(arrays, {name: parameters}, classes=classes, seed=seed)
    assert all((a == b).all() for a, b in zip(arrays, before, strict=True)), "changed in place"
    assert all(a.dtype == b.dtype for a, b in zip(arrays, found, strict=True))
    return found


@pytest.mark.parametrize("y", [Y, Y.astype(np.float32)[:, None]])
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_labels_of_a_share_of_the_rows_become_others(y, share):
    x, new = edited("labels", (X, y), share=share)
    assert x is X and new.shape == y.shape
    assert np.sum(new != y) == 100 * share and set(np.unique(new)) <= set(np.unique(y))


def test_values_are_exchanged_between_rows():
    y = np.arange(100.0)[:, None]
    _, new = edited("labels", (X, y), classes=False, share=0.5)
    assert sorted(new.ravel()) == sorted(y.ravel())
    assert 40 <= np.sum(new != y) <= 50


def test_a_share_of_every_class_is_deleted_and_rows_stay_whole():
    x, y = edited("delete", share=0.9)
    assert np.bincount(y).tolist() == [1, 2, 3, 4]
    assert all(any((row == X[Y == label]).all(1)) for row, label in zip(x, y, strict=True))
    assert len(edited("delete", (CODES, CODES), classes=False, share=0.9)[0]) == 10


def test_a_class_never_vanishes_by_deletion():
    assert np.bincount(edited("delete", share=0.995)[1]).tolist() == [1, 1, 1, 1]


def test_the_smaller_half_of_the_classes_loses_rows():
    counts = np.bincount(edited("unbalance", share=0.9)[1])
    assert counts.tolist()[2:] == [30, 40] and counts[:2].sum() == 3
    even = np.tile([0, 1], 50)
    assert np.bincount(edited("unbalance", (X, even), share=0.9)[1]).tolist() == [5, 50]


def test_noise_has_the_size_of_the_column():
    x = np.random.default_rng(1).normal(size=(4000, 2)) * [1, 10]
    new, _, same = edited("noise", (x, CODES.repeat(40, 0), x), share=1.0, size=3.0)
    assert np.std(new - x, axis=0) / np.std(x, axis=0) == pytest.approx([3, 3], rel=0.1)
    assert same is x
    new = edited("noise", share=0.25, size=3.0)[0]
    assert (new != X).any(1).sum() == 25 and (new[:, 2] == X[:, 2]).all()


def test_codes_come_from_the_same_column():
    codes, x, _ = edited("mix", (CODES, X, Y), share=0.5)
    assert x is X
    assert 45 <= (codes != CODES).any(1).sum() <= 50
    assert all(set(codes[:, j]) <= set(CODES[:, j]) for j in range(4))
    assert (edited("mix", (CODES,), classes=False, share=1.0)[0] != CODES).any()


def test_rows_of_the_largest_class_are_repeated_as_the_second_largest():
    x, y = edited("overlap", share=0.5)
    assert len(x) == len(y) == 120 and (y[100:] == 2).all() and (y[:100] == Y).all()
    assert all(any((row == X[Y == 3]).all(1)) for row in x[100:])


@pytest.mark.parametrize("name", ["labels", "delete", "unbalance", "noise", "overlap"])
def test_draws_depend_on_the_seed_alone(name):
    parameters = {"share": 0.5} | ({"size": 1.0} if name == "noise" else {})
    first, again, other = (edited(name, seed=s, **parameters) for s in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_an_unknown_edit_is_named():
    with pytest.raises(InputError, match="unknown edit of the data 'lables'"):
        edited("lables", share=0.5)


def test_at_least_two_apply_to_every_program():
    for program in list_programs():
        applying = [o.id for o in list_operators("Data") if o.applies(program) is None]
        assert len(applying) >= 2, program.name


@pytest.mark.parametrize(
    ("program", "id", "reason"),
    [
        ("vae_digits", "TCL", "its target is its input"),
        ("ddpm_digits", "TCL", "drawn or derived while it trains"),
        ("gru_storms", "TUD", "its target is not a class"),
        ("fasttext_tate", "TAN", "none of its inputs are real numbers"),
        ("snn_wine", "TDN", "none of its inputs are codes"),
    ],
)
def test_what_does_not_apply_says_why(program, id, reason):
    assert reason in get_operator(id).applies(get_program(program))


@pytest.mark.parametrize("program", ["snn_wine", "widedeep_churn", "gru_storms", "ddpm_digits"])
def test_only_training_data_change(program):
    """The twin sees the same validation data, weights and, with as many rows, batches."""
    declared = get_program(program)
    data = declared.arrays()
    before = [a.copy() for a in (*data.train, *data.valid)]
    healthy = train(Run(Configuration(program), 0, epochs=1), monitor=False)
    rng = np.random.default_rng(0)
    for operator in list_operators("Data"):
        if operator.applies(declared) is not None:
            continue
        fault = Configuration(program, operator.id, operator.sample(declared, rng))
        assert faulty_setup(fault).data_edits
        faulty = train(Run(fault, 0, epochs=1), monitor=False)
        start, twin = faulty.epochs.iloc[0], healthy.epochs.iloc[0]
        assert start.valid_loss == twin.valid_loss and start.valid_metric == twin.valid_metric
        assert faulty.record["weights_digest"] != healthy.record["weights_digest"]
    after = (*data.train, *data.valid)
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


def test_classes_are_those_of_rows():
    assert has_classes(get_program("snn_wine")) and has_classes(get_program("widedeep_churn"))
    assert not has_classes(get_program("gru_storms")) and not has_classes(get_program("vae_digits"))
