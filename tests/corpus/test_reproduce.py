"""Runs trained again are compared channel by channel."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis_lib import Configuration, Run
from analysis_lib.corpus.generate import generate
from analysis_lib.corpus.load import load_corpus
from analysis_lib.corpus.publish import publish
from analysis_lib.corpus.reproduce import difference, reproduce
from analysis_lib.corpus.thinning import Thinning
from analysis_lib.errors import InputError
from analysis_lib.faults import get_operator
from analysis_lib.labels import label_runs
from analysis_lib.programs import get_program


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Four short runs of one program, published thin."""
    folder = tmp_path_factory.mktemp("reproduce")
    faults = [("healthy", {}), ("HLR", {"factor": 1e6}), ("PMX", {})]
    plan = [Run(Configuration("snn_wine", o, p), 0, 2) for o, p in faults]
    generate(plan, folder / "j.db", workers=2, progress=False)
    program = get_program("snn_wine")
    about = {name: [getattr(program, name)] for name in ("modality", "family", "source")}
    about |= {"program": ["snn_wine"], "metric_name": ["accuracy"], "higher_is_better": [True]}
    publish(
        folder / "j.db",
        folder / "store",
        programs=pd.DataFrame(about),
        categories={o: get_operator(o).category for o, _ in faults[1:]},
        label=label_runs,
        thinning=Thinning(),
    )
    return folder / "store"


def test_the_same_code_gives_the_same_bits(store):
    table = reproduce(load_corpus(store), count=10, workers=2)
    assert len(table) == 3
    assert table["equal"].all(), table.to_string()
    assert (table["worst"] == 0).all() and (table["status"] == table["again"]).all()


def test_an_altered_trace_is_found(store):
    corpus = load_corpus(store)
    run = corpus.runs.loc[corpus.runs["operator"] == "PMX", "run_id"].item()
    at = (corpus.epochs["run_id"] == run) & (corpus.epochs["epoch"] == 1)
    corpus.epochs.loc[at, "grad_norm"] *= 1.5
    table = reproduce(corpus, workers=2).set_index("run_id")
    assert table.index[~table["equal"]].tolist() == [run]
    assert table.loc[run, "channel"] == "grad_norm"
    assert table.loc[run, "worst"] == pytest.approx(1 / 3, rel=1e-4)
    assert table.loc[run, "start"] == 0


def test_no_run_left_is_named(store):
    with pytest.raises(InputError, match="no run with a trace"):
        reproduce(load_corpus(store), programs=["vae_digits"])


@given(
    st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=8),
    st.floats(-0.5, 0.5),
)
def test_difference_is_symmetric_and_relative(values, by):
    one = pd.DataFrame({"loss": values})
    two = one * (1 + by)
    expected = abs(by) / max(1, 1 + by) if any(values) else 0
    assert difference(one, two)["loss"] == pytest.approx(expected, abs=1e-9)
    assert difference(two, one)["loss"] == pytest.approx(expected, abs=1e-9)


def test_what_is_not_finite_must_be_the_same():
    one = pd.DataFrame({"a": [np.nan, 1.0], "b": [np.inf, 1.0], "c": [np.inf, 0.0]})
    two = pd.DataFrame({"a": [np.nan, 1.0], "b": [np.inf, 1.0], "c": [1.0, 0.0]})
    assert difference(one, two).to_dict() == {"a": 0.0, "b": 0.0, "c": 2.0}
    assert difference(one, two.iloc[:1]).to_dict() == {"a": 2.0, "b": 2.0, "c": 2.0}
