"""Which runs take part, and what of their traces may be seen."""

from types import SimpleNamespace

import pandas as pd
import pytest

from analysis_lib.errors import InputError
from analysis_lib.leaderboard import TASKS, get_task, task_digest, task_runs, task_traces


@pytest.fixture
def corpus():
    rows = []
    for program, modality in (("p", "image"), ("q", "text")):
        for k, (operator, label) in enumerate(
            [("HLR", "Hyperparameter"), ("ACH", "Activation"), ("WCI", "Weights"),
             ("DLE", "Data"), ("healthy", "Healthy"), ("HNE", "Hyperparameter")]
        ):  # fmt: skip
            rows.append([f"{program}{k}", program, modality, operator, label])
    names = ["run_id", "program", "modality", "operator", "label"]
    runs = pd.DataFrame(rows, columns=names)
    runs = runs.assign(configuration=runs["run_id"], seed=0, status="ok", unstable=False)
    runs.loc[0, "unstable"] = True
    runs["first_bad_epoch"] = pd.array([2, *[None] * (len(runs) - 1)], dtype="Int64")
    runs["mismatch"] = pd.array([True, False] * (len(runs) // 2), dtype="boolean")
    epochs = runs[["run_id"]].merge(pd.DataFrame({"epoch": range(-1, 4)}), how="cross")
    epochs = epochs.assign(train_accuracy=0.9, valid_accuracy=0.9)
    epochs.loc[epochs["run_id"] == "p1", "valid_accuracy"] = 0.5
    return SimpleNamespace(runs=runs, epochs=epochs, manifest=None)


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        ("typing-6", {"Hyperparameter", "Activation", "Weights"}),
        ("typing-all", {"Hyperparameter", "Activation", "Weights", "Data"}),
        ("faulty", {"Faulty", "Healthy"}),
        ("instability", {"stable", "unstable"}),
        ("mismatch", {"mismatch", "agreement"}),
    ],
)
def test_a_task_has_its_classes(corpus, task, labels, monkeypatch):
    from analysis_lib.leaderboard import tasks

    have = tuple(corpus.runs["label"].unique())
    monkeypatch.setitem(
        vars(tasks), "select_runs",
        lambda runs, classes, **o: _select(runs, classes and [c for c in classes if c in have], **o)
    )  # fmt: skip
    found = task_runs(corpus, task)
    assert set(found["label"]) == labels and found["program"].nunique() == 2
    if task == "faulty":
        assert found.set_index("run_id")["label"][["p0", "p4"]].tolist() == ["Faulty", "Healthy"]
    assert not found["operator"].eq("HNE").any() or task == "instability"


def _select(runs, classes, **options):
    from analysis_lib.labels import select_runs

    return select_runs(runs, classes, **options)


def test_traces_of_the_instability_task_end_before_the_first_bad_epoch(corpus):
    runs = task_runs(corpus, "instability")
    seen = task_traces(corpus, runs).groupby("run_id")["epoch"].max()
    assert seen["p0"] == 1
    assert (seen == 1).all(), "within a program all traces end where the unstable one's does"
    whole = task_traces(corpus, corpus.runs.head(3))
    assert whole["run_id"].nunique() == 3 and whole["epoch"].max() == 3


def test_programs_can_be_sampled_and_change_the_digest(corpus):
    few = task_runs(corpus, "typing-all", n_programs=1)
    assert few["program"].nunique() == 1
    assert task_digest(few) != task_digest(task_runs(corpus, "typing-all"))


def test_an_unknown_task_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'typing-6'"):
        get_task("typing-5")
    assert all(name == task.name for name, task in TASKS.items())
