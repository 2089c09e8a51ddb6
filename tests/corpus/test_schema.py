"""Tables of a corpus, their bytes, and what is found wrong with them."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from corpus_kit import plan_of
from corpus_stub import tables
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis_lib.channels import CHANNELS
from analysis_lib.configuration import Configuration, Run
from analysis_lib.corpus.schema import (
    check_columns,
    check_tables,
    epochs_schema,
    from_bytes,
    layers_schema,
    runs_schema,
    spec_id,
    to_bytes,
    trace_tables,
)
from analysis_lib.errors import InputError

RUN = plan_of(epochs=3)[0]
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
SCALARS = st.one_of(
    NAMES,
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
)
RUNS = st.builds(
    Run,
    st.builds(Configuration, NAMES, NAMES, st.dictionaries(NAMES, SCALARS, max_size=4)),
    st.integers(0, 10_000),
    st.integers(1, 10_000),
)


@settings(deadline=None)
@given(RUNS)
def test_spec_survives_json_and_gives_the_run_back(run):
    spec = json.loads(json.dumps(run.spec))
    assert Run.from_spec(spec) == run
    assert spec_id(spec) == run.run_id


@settings(deadline=None)
@given(st.lists(st.floats(width=32), max_size=20), st.lists(NAMES, max_size=20))
def test_tables_survive_their_bytes(numbers, texts):
    size = min(len(numbers), len(texts))
    table = pa.table(
        {
            "number": pa.array(np.array(numbers[:size], np.float32)),
            "text": pa.array(texts[:size], pa.string()),
        }
    )
    back = from_bytes(to_bytes(table))
    assert back.schema == table.schema
    assert back["text"].to_pylist() == texts[:size]
    one, two = (t["number"].to_numpy().view(np.int32) for t in (table, back))
    assert (one == two).all()  # bit for bit, NaN and -0 included


def test_equal_tables_give_equal_bytes_however_they_are_chunked():
    table = trace_tables(*tables(RUN), expected=3)[0]
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert to_bytes(chunked) == to_bytes(table)


@pytest.mark.parametrize("cut", [0, 10, 0.5])
def test_torn_bytes_are_refused(cut):
    blob = to_bytes(trace_tables(*tables(RUN), expected=3)[0])
    with pytest.raises(InputError, match="not an Arrow IPC stream"):
        from_bytes(blob[: int(cut * len(blob)) if cut < 1 else cut])


def test_trace_keeps_every_value_and_nan():
    epochs, layers = tables(RUN, bad=1)
    first, second = trace_tables(epochs, layers, expected=3)
    assert first["train_loss"].null_count == 0
    pd.testing.assert_frame_equal(first.to_pandas()[list(epochs)], epochs)
    assert second["layer"].to_pylist() == layers["layer"].tolist()


def test_column_order_and_integer_width_do_not_matter():
    epochs, layers = tables(RUN)
    other = epochs[list(epochs)[::-1]].astype({"epoch": "int64"})
    assert trace_tables(other, layers, expected=3)[0] == trace_tables(epochs, layers, expected=3)[0]


def test_all_problems_of_a_trace_come_at_once():
    epochs, layers = tables(RUN)
    epochs = epochs.drop(columns="train_loss").assign(extra=1.0)
    epochs["grad_norm"] = epochs["grad_norm"].astype("float64")
    layers["layer"] = "same"
    with pytest.raises(InputError) as caught:
        trace_tables(epochs, layers, expected=3)
    for part in (
        "missing column 'train_loss'",
        "unknown column 'extra'",
        "column 'grad_norm' is double, expected float",
        "a layer appears twice",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("keep", [[-1, 0, 2], [-1, 0, 1], [0, 1, 2], [-1, 1, 0, 2], []])
def test_hole_in_the_epochs_of_a_trace(keep):
    epochs, layers = tables(RUN)
    epochs = epochs.set_index("epoch").loc[np.array(keep, int)].reset_index()
    with pytest.raises(InputError, match="expected -1 to 2 in order"):
        trace_tables(epochs, layers, expected=3)


def test_layer_rows_of_an_unplanned_epoch():
    epochs, layers = tables(RUN)
    layers.loc[0, "epoch"] = 7
    with pytest.raises(InputError, match="epoch 7 was not planned"):
        trace_tables(epochs, layers, expected=3)


def test_repeated_column_is_found():
    have = pa.schema([("a", pa.int8()), ("a", pa.int8())])
    assert check_columns(have, pa.schema([("a", pa.int8())]), "t") == [
        "t: column 'a' appears more than once"
    ]


@pytest.mark.parametrize("schema", [runs_schema(), epochs_schema(), layers_schema()])
def test_every_column_says_what_it_means(schema):
    assert all(field.metadata[b"meaning"] for field in schema)
    assert check_columns(schema, schema, "t") == []


def test_channels_are_float32_with_their_unit():
    schema = epochs_schema()
    for name, (unit, meaning) in CHANNELS.items():
        assert schema.field(name).type == pa.float32()
        assert schema.field(name).metadata == {b"unit": unit.encode(), b"meaning": meaning.encode()}


def consistent():
    runs = pd.DataFrame({"run_id": ["a", "b", "c"], "status": ["ok", "nonfinite", "raised"]})
    epochs = pd.DataFrame({"run_id": ["a"] * 3 + ["b"] * 3, "epoch": [-1, 0, 1] * 2})
    layers = epochs.assign(layer="one")
    return runs, epochs, layers


def test_consistent_tables_have_no_problem():
    assert check_tables(*consistent()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r, e, y: (pd.concat([r, r[:1]]), e, y), "run ids that appear more than once: a"),
        (lambda r, e, y: (r.assign(run_id=["a", "b", " "]), e, y), "1 rows without a run_id"),
        (lambda r, e, y: (r.assign(run_id=["a", "b", None]), e, y), "1 rows without a run_id"),
        (lambda r, e, y: (r.assign(status=["ok", "fine", "ok"]), e, y), "unknown status: fine"),
        (lambda r, e, y: (r.assign(status=["ok", None, "ok"]), e, y), "unknown status"),
        (lambda r, e, y: (r[:1], e, y), "epochs: runs that are not in runs: b"),
        (lambda r, e, y: (r[:1], e, y), "layers: runs that are not in runs: b"),
        (lambda r, e, y: (r, e[:3], y), "no rows of runs with status ok or nonfinite: b"),
        (lambda r, e, y: (r, e.drop(index=1), y), "hole or a repetition in their epochs: a"),
        (lambda r, e, y: (r, e.drop(index=0), y), "hole or a repetition in their epochs: a"),
        (lambda r, e, y: (r, pd.concat([e, e[:1]]), y), "hole or a repetition in their epochs: a"),
        (lambda r, e, y: (r, e, pd.concat([y, y[3:4]])), "a layer appears twice in an epoch of: b"),
    ],
)
def test_each_contradiction_is_named(change, message):
    problems = check_tables(*change(*consistent()))
    assert re.search(re.escape(message), "\n".join(problems))
