"""Reading traces: what is accepted, and what every hostile one is told."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch

from analysis_lib.diagnosis.trace import read_layers, read_trace
from analysis_lib.errors import InputError

GOOD = pd.DataFrame({"epoch": [-1, 0], "train_loss": [2.0, 1.0], "note": ["x", "y"]})
PARTS = pd.DataFrame({"epoch": [0, 0], "layer": ["a", "b"], "rho": [0.1, 0.2]})


class Recorder:
    trace, layers = GOOD, PARTS


class Finished:
    epochs, layers = GOOD, PARTS


@pytest.mark.parametrize("source", [Recorder(), Finished()])
def test_objects_bring_their_layers(source):
    epochs, layers = read_trace(source)
    assert list(epochs) == ["epoch", "train_loss"]
    assert layers["layer"].tolist() == ["a", "b"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_files_there_and_back(tmp_path, suffix):
    path, parts = tmp_path / f"trace{suffix}", tmp_path / f"layers{suffix}"
    for table, file in ((GOOD, path), (PARTS, parts)):
        table.to_csv(file, index=False) if suffix == ".csv" else table.to_parquet(file)
    epochs, layers = read_trace(path, parts)
    pd.testing.assert_frame_equal(epochs, read_trace(GOOD)[0])
    pd.testing.assert_frame_equal(layers, read_layers(PARTS))
    assert read_trace(str(path))[1] is None


def test_snapshots_are_put_in_order_and_gaps_are_kept():
    table = GOOD.assign(epoch=[7, -1])
    assert read_trace(table)[0]["epoch"].tolist() == [-1, 7]


def test_infinities_and_missing_values_stay():
    table = pd.DataFrame({"epoch": [0, 1, 2], "train_loss": ["inf", "nan", ""]})
    found = read_trace(table)[0]["train_loss"]
    assert np.isinf(found[0]) and found[1:].isna().all()


@pytest.mark.parametrize(
    "values",
    [
        ["2", "1.0"],
        [Decimal("2"), Decimal("1")],
        [torch.tensor(2.0), torch.tensor(1.0, requires_grad=True)],
        [np.array(2.0), np.float32(1)],
        pd.Categorical([2, 1]),
        pd.arrays.SparseArray([2.0, 1.0]),
        pd.array([2, 1], dtype="Int64"),
    ],
    ids=lambda values: type(values[0]).__name__,
)
def test_numbers_of_any_kind_are_read(values):
    found = read_trace(
        GOOD.assign(train_loss=pd.Series(values, dtype=getattr(values, "dtype", object)))
    )
    pd.testing.assert_frame_equal(found[0], read_trace(GOOD)[0])


@pytest.mark.parametrize("none", [None, pd.NA, np.nan, "", " NaN", "null"])
def test_a_missing_value_may_be_written_in_many_ways(none):
    found = read_trace(GOOD.assign(train_loss=pd.Series([none, 1.0], dtype=object)))[0]
    assert np.isnan(found["train_loss"][0]) and found["train_loss"][1] == 1


@pytest.mark.parametrize(
    ("trace", "what"),
    [
        (None, "NoneType"),
        ([1, 2, 3], "list"),
        ("nowhere.csv", "no file"),
        (GOOD.drop(columns="epoch"), "no column 'epoch'"),
        (GOOD.head(0), "no rows"),
        (pd.DataFrame(), "no column 'epoch'"),
        (GOOD[["epoch", "note"]], "none of the known channels"),
        (pd.DataFrame({"epoch": [0], "val_loss": [1.0]}), "'val_loss' -> 'valid_loss'"),
        (GOOD.assign(epoch=[0, 0]), "epoch 0 twice"),
        (GOOD.assign(epoch=[0, 0.5]), "-1, 0, 1"),
        (GOOD.assign(epoch=[-2, 0]), "-1, 0, 1"),
        (GOOD.assign(epoch=[0, np.nan]), "-1, 0, 1"),
        (GOOD.assign(epoch=[0, np.inf]), "-1, 0, 1"),
        (GOOD.assign(epoch=[0, 1e15]), "expected epochs"),
        (GOOD.assign(train_loss=["low", "lower"]), "'low'"),
        (GOOD.assign(train_loss=[1j, 2j]), "'1j'; expected numbers"),
        (GOOD.assign(train_loss=pd.Series([1j, 2.0], dtype=object)), "'1j'; expected numbers"),
        (GOOD.assign(train_loss=pd.Series([[1.0], [2.0]])), "expected numbers"),
        (GOOD.assign(train_loss=pd.Series([10**400, 1], dtype=object)), "expected numbers"),
        (GOOD.assign(train_loss=pd.to_datetime(["2020-01-01"] * 2)), "expected numbers"),
        (GOOD.assign(epoch=pd.to_datetime(["2020-01-01", "2020-01-02"])), "expected numbers"),
        (GOOD.assign(run_id=["a", "b"]), "holds 2 runs"),
        (GOOD.assign(run_id=pd.Series([["a"], ["b"]])), "holds 2 runs"),
        (pd.concat([GOOD, GOOD["train_loss"]], axis=1), "same name"),
        (pd.concat([GOOD.assign(run_id="a")] * 2, axis=1), "same name"),
        (pd.concat({"a": GOOD}, axis=1), "several levels"),
        ("x" * 5000, "no file"),
    ],
    ids=lambda given: given[:20] if isinstance(given, str) else "",
)
def test_every_wrong_trace_is_told_what_is_wrong(trace, what):
    with pytest.raises(InputError, match=what):
        read_trace(trace)


def test_files_that_are_no_tables(tmp_path):
    for name in ("broken.parquet", "broken.csv"):
        path = tmp_path / name
        path.write_bytes(b"\x00\xff\xfe" * 50)
        with pytest.raises(InputError, match=f"trace cannot be read: .*{name}"):
            read_trace(path)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InputError, match="trace cannot be read"):
        read_trace(tmp_path / "empty.csv")
    with pytest.raises(InputError, match="no file"):
        read_trace(tmp_path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_files_are_read_as_those_of_the_gap(tmp_path, separator):
    path = tmp_path / "trace.csv"
    GOOD.assign(note="é").to_csv(path, sep=separator, index=False, encoding="latin-1")
    pd.testing.assert_frame_equal(read_trace(path, encoding="latin-1")[0], read_trace(GOOD)[0])
    with pytest.raises(InputError, match="not utf-8 text; .*give its encoding"):
        read_trace(path)


@pytest.mark.parametrize(
    ("columns", "hints"),
    [
        (
            "loss val_loss accuracy val_accuracy",
            "'loss' -> 'train_loss', 'val_loss' -> 'valid_loss', 'accuracy' -> 'train_accuracy', "
            "'val_accuracy' -> 'valid_accuracy'",
        ),
        (
            "train/loss eval_loss train_acc",
            "'train/loss' -> 'train_loss', 'eval_loss' -> 'valid_loss', "
            "'train_acc' -> 'train_accuracy'",
        ),
        ("Train_Loss acc", "'Train_Loss' -> 'train_loss', 'acc' -> 'train_accuracy'"),
        ("acc accuracy", "'acc' -> 'train_accuracy'"),
        ("gradnorm", "'gradnorm' -> 'grad_norm'"),
    ],
)
def test_names_of_other_tools_are_known(columns, hints):
    with pytest.raises(InputError) as error:
        read_trace(pd.DataFrame({"epoch": [0], **dict.fromkeys(columns.split(), 1.0)}))
    assert str(error.value).endswith(f"rename columns, such as {hints}")


@pytest.mark.parametrize("name", ["lr", "last_loss", "kld_loss", "steps"])
def test_a_name_that_is_merely_near_is_not_suggested(name):
    with pytest.raises(InputError, match="they are train_loss") as error:
        read_trace(pd.DataFrame({"epoch": [0], name: 1.0}))
    assert "rename" not in str(error.value)


def test_an_epoch_in_other_letters_is_found():
    with pytest.raises(InputError, match="did you mean 'Epoch'"):
        read_trace(GOOD.rename(columns={"epoch": "Epoch"}))


@pytest.mark.parametrize(
    ("layers", "what"),
    [
        (PARTS.drop(columns="layer"), "no column 'layer'"),
        (PARTS.assign(layer="a"), "twice"),
        (PARTS.drop(columns="epoch"), "no column 'epoch'"),
        (PARTS[["epoch", "layer"]], "none of the known"),
        (PARTS.assign(rho="x"), "'x'; expected numbers"),
        (PARTS.assign(run_id=["a", "b"]), "holds 2 runs"),
        (PARTS.assign(epoch=-3), "-1, 0, 1"),
        (5, "table of layers is a int"),
        ("nowhere.csv", "expected a table of layers"),
    ],
)
def test_wrong_layers_are_named(layers, what):
    with pytest.raises(InputError, match=what):
        read_trace(GOOD, layers)


def test_no_layers_at_all():
    assert read_layers(None) is None
    assert read_layers(PARTS.head(0)) is None
