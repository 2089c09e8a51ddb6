"""A small corpus of a user's program: complete, resumable, and honest about what fails."""

import os
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from own_nets import Mlp, blobs
from torch import nn

from analysis_lib import load_corpus
from analysis_lib.configuration import Configuration, Run
from analysis_lib.corpus import verify_store
from analysis_lib.corpus.child import resume_all, run_child
from analysis_lib.errors import InputError
from analysis_lib.injection import own_corpus, own_program, predict_unseen, train_own
from analysis_lib.injection.corpus import _by_value, configuration_table
from analysis_lib.labels import label_runs

X, Y = blobs(60)


@pytest.fixture(autouse=True)
def processes_allowed():
    resume_all()  # a generation that was refused stops all


SMALL = {"seeds": 3, "configurations_per_category": 2, "healthy": 1, "epochs": 2}


def program_of(loop=None, lr=0.01):
    class Local(Mlp):
        """Known in this function alone, so no other process could import it."""

    return own_program(
        Local, (X[:40], Y[:40]), (X[40:], Y[40:]), loss=nn.CrossEntropyLoss(), lr=lr,
        batch_size=10, loop=loop, name="local",
    )  # fmt: skip


def fragile(model, loader, loss, optimizer):
    rate = optimizer.param_groups[0]["lr"]
    if loader.batch_size != 10 or rate != 0.01:
        raise RuntimeError(f"what are batches of {loader.batch_size} at a rate of {rate}?")
    for x, y in loader:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "corpus"
    program = program_of(fragile)
    corpus = own_corpus(program, path, categories=["Hyperparameter"], **SMALL)
    return program, path, corpus


def test_every_run_is_a_row_also_where_the_loop_raises(made):
    _, path, corpus = made
    runs = corpus.runs
    assert len(runs) == 9 and set(runs["operator"]) == {"healthy", "HLR", "HBS"}
    assert (runs.loc[runs["operator"] == "healthy", "status"] == "ok").all()
    # more failures than a generation is patient with, and none is missing
    raised = runs[runs["operator"] != "healthy"]
    assert len(raised) == 6
    assert (raised["status"] == "raised").all()
    assert raised["reason"].str.contains("RuntimeError: what are batches of").all()
    pd.testing.assert_frame_equal(load_corpus(path).runs, runs)
    assert verify_store(path, label=label_runs)["ok"].fillna(True).all()
    assert not runs["killed"].any()  # three seeds kill nothing
    assert set(configuration_table(corpus)["title"]) > {"no fault", "change the learning rate"}


def test_a_run_of_another_process_is_that_of_this_one(made):
    program, _, corpus = made
    healthy = corpus.runs[corpus.runs["operator"] == "healthy"].iloc[0]
    torch.set_num_threads(1)
    trace = train_own(program, Run(Configuration("local"), int(healthy["seed"]), 2))
    assert trace.record["weights_digest"] == healthy["weights_digest"]
    stored = corpus.epochs[corpus.epochs["run_id"] == healthy["run_id"]]
    np.testing.assert_array_equal(stored["train_loss"], trace.epochs["train_loss"])
    assert healthy["modality"] == "own"


def test_it_goes_on_where_it_stopped_and_refuses_another_program(made):
    program, path, corpus = made
    again = own_corpus(program, path, categories=["Hyperparameter"], **SMALL)
    pd.testing.assert_frame_equal(again.runs, corpus.runs)  # measured times included
    with pytest.raises(InputError, match="another version of 'local'"):
        own_corpus(program_of(fragile, lr=0.02), path, categories=["Hyperparameter"], **SMALL)


def endless(model, loader, loss, optimizer):
    while True:
        pass


@pytest.mark.parametrize(
    ("loop", "status"),
    [(endless, "cpu_limit"), (lambda model, loader, loss, optimizer: os.abort(), "crashed")],
)
def test_a_run_that_hangs_or_dies_is_a_result(loop, status):
    run = Run(Configuration("local"), 0, 1)
    row = run_child(run.spec, trainer=_by_value(program_of(loop)), cpu_s=2, wall_s=60)
    assert row.status == status


def test_what_cannot_be_read_in_the_process_is_no_result():
    run = Run(Configuration("local"), 0, 1)
    with pytest.raises(InputError, match="the trainer cannot be read from its pickle"):
        run_child(run.spec, trainer=b"no pickle", cpu_s=10)


def failing(model, loader, loss, optimizer):
    raise KeyError("x")


def test_a_program_that_never_trains_is_said_with_its_reason(tmp_path):
    with pytest.raises(InputError, match="no healthy run of 'local' trains to the end; raised: Ke"):
        own_corpus(program_of(failing), tmp_path / "c", **SMALL | {"seeds": 1})


def test_wrong_arguments_are_said(tmp_path):
    with pytest.raises(InputError, match="did you mean 'Loss'"):
        own_corpus(program_of(), tmp_path / "c", categories=["Los"])
    with pytest.raises(InputError, match="expected what own_program"):
        own_corpus("snn_wine", tmp_path / "c")
    lock = threading.Lock()
    with pytest.raises(InputError, match="cannot be sent to another process"):
        own_corpus(program_of(lambda model, loader, loss, optimizer: lock), tmp_path / "c")


def test_prediction_learns_from_other_programs_only():
    new, old = (
        load_corpus(programs=p) for p in ("snn_wine", ["lenet5_mnist", "mlp_breast_cancer"])
    )
    found = predict_unseen(new, classes=("Loss", "Weights"), learned_on=old, window=2)
    assert set(found["predicted"]) <= {"Loss", "Weights"} and set(found["program"]) == {"snn_wine"}
    assert found["run_id"].is_unique and set(found["label"]) == {"Loss", "Weights"}
    again = predict_unseen(new, classes=("Loss", "Weights"), learned_on=old, window=2)
    pd.testing.assert_frame_equal(found, again)
    with pytest.raises(InputError, match="'snn_wine' is in both corpora"):
        predict_unseen(new, learned_on=new)
    healthy = load_corpus(programs="snn_wine")
    healthy.runs = healthy.runs[healthy.runs["operator"] == "healthy"]
    with pytest.raises(InputError, match="nothing to diagnose"):
        predict_unseen(healthy, learned_on=old)
