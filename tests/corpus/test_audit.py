"""Each question of the audit finds what it asks for, and nothing in a sound corpus."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis_lib import load_corpus
from analysis_lib.corpus.audit import (
    EXPLAINED,
    audit_corpus,
    channel_ranges,
    copied_channels,
    missing_values,
    repeated_traces,
)


@pytest.fixture(scope="module")
def sound():
    return load_corpus(programs=["snn_wine", "cnn1d_meats"])


@pytest.fixture
def corpus(sound):
    return replace(sound, runs=sound.runs.copy(), epochs=sound.epochs.copy())


def finding(corpus, question, **options):
    table = audit_corpus(corpus, **options).set_index("question")
    return table.loc[question, "detail"]


def test_the_shipped_corpus_has_no_open_question():
    audit = audit_corpus(load_corpus())
    assert audit["ok"].all(), audit[~audit["ok"]].to_string()
    assert len(audit) == 8


def test_every_explanation_is_needed():
    """An explanation whose finding is gone is one that nobody checks any more."""
    found = audit_corpus(load_corpus(), explained={})["detail"].str.cat(sep="; ")
    assert all(name in found for name in EXPLAINED)


def test_a_constant_channel_is_found(corpus):
    corpus.epochs["grad_snr"] = np.float32(3)
    assert "grad_snr" in finding(corpus, "channels that never change").split("; ")


def test_a_copy_and_a_rescaled_copy_are_found(corpus):
    corpus.epochs["grad_snr"] = corpus.epochs["hvp_norm"]
    corpus.epochs["act_std"] = 3 * corpus.epochs["weight_norm"] + 1
    pairs = copied_channels(corpus.epochs).values.tolist()
    assert ["hvp_norm", "grad_snr", "value"] in pairs
    assert ["weight_norm", "act_std", "order"] in pairs


@given(st.lists(st.integers(-999, 999), min_size=4, max_size=30, unique=True), st.floats(0.1, 10))
def test_what_is_increasing_has_the_same_order_and_noise_has_not(values, scale):
    a = np.array(values, dtype=float)
    found = copied_channels(pd.DataFrame({"a": a, "b": a * scale, "c": np.roll(a, 1)}))
    assert ["a", "b"] in found[["first", "second"]].values.tolist()
    assert ["a", "c"] not in found[["first", "second"]].values.tolist()


def test_a_hole_without_a_reason_is_found(corpus):
    stable = corpus.runs.loc[~corpus.runs["unstable"] & (corpus.runs["status"] == "ok"), "run_id"]
    hole = (corpus.epochs["run_id"] == stable.iloc[0]) & (corpus.epochs["epoch"] == 5)
    corpus.epochs.loc[hole, "hvp_norm"] = np.nan
    reasons = missing_values(corpus)
    assert reasons.loc["hvp_norm", "unknown"] == pytest.approx(1 / len(corpus.epochs))
    assert (reasons.drop("hvp_norm")["unknown"] == 0).all()


def test_kappa_may_be_missing_before_the_first_step_and_without_curvature(corpus):
    stable = corpus.runs.loc[~corpus.runs["unstable"] & (corpus.runs["status"] == "ok"), "run_id"]
    known = corpus.epochs.loc[corpus.epochs["kappa"].notna(), "run_id"]
    run = corpus.epochs["run_id"] == next(r for r in stable if r in set(known))
    early, late = corpus.epochs["epoch"] < 2, corpus.epochs["epoch"] > 9
    corpus.epochs.loc[run & early, "kappa"] = np.nan
    corpus.epochs.loc[run & late, ["kappa", "hvp_norm"]] = np.nan
    assert missing_values(corpus).loc["kappa", "unknown"] == 0
    corpus.epochs.loc[run & (corpus.epochs["epoch"] == 5), "kappa"] = np.nan
    assert missing_values(corpus).loc["kappa", "unknown"] == pytest.approx(1 / len(corpus.epochs))


def test_the_shares_of_missing_values_add_up(corpus):
    reasons = missing_values(corpus)
    expected = corpus.epochs[corpus.channels].isna().mean()
    np.testing.assert_allclose(reasons.sum(axis=1), expected, atol=1e-12)
    # snn_wine classifies, cnn1d_meats does not
    assert 0.3 < reasons.loc["train_accuracy", "not exist"] < 0.7


def test_a_value_out_of_range_is_found(corpus):
    run = corpus.runs.loc[corpus.runs["status"].eq("ok") & ~corpus.runs["unstable"], "run_id"]
    at = corpus.epochs["run_id"] == run.iloc[0]
    corpus.epochs.loc[at, "clip_share"] = 1.5
    corpus.epochs.loc[at, "weight_norm"] = -1
    ranges = channel_ranges(corpus)
    assert set(ranges.index[~ranges["sane"]]) == {"clip_share", "weight_norm"}


def test_a_trace_that_occurs_twice_is_found(corpus):
    by_run = dict(list(corpus.epochs.groupby("run_id")))
    healthy = corpus.runs[corpus.runs["parameters"] == "{}"]
    one = healthy[healthy["operator"] == "healthy"].iloc[0]
    other = corpus.runs[
        (corpus.runs["operator"] == "HLR") & (corpus.runs["program"] == one["program"])
    ].iloc[0]
    repeated = by_run[one["run_id"]].assign(run_id=other["run_id"])
    rest = corpus.epochs[corpus.epochs["run_id"] != other["run_id"]]
    found = repeated_traces(replace(corpus, epochs=pd.concat([rest, repeated], ignore_index=True)))
    assert {one["configuration"], other["configuration"]} <= set(
        found[["configuration", "like"]].to_numpy().ravel()
    )


def test_a_seed_that_is_missing_is_found(corpus):
    healthy = corpus.runs.index[
        (corpus.runs["operator"] == "healthy") & (corpus.runs["parameters"] == "{}")
    ]
    cut = replace(corpus, runs=corpus.runs.drop(healthy[0]))
    detail = finding(cut, "configurations with incomplete pairs")
    assert f"{corpus.runs.loc[healthy[0], 'program']}, seed" in detail


def test_a_healthy_run_that_learned_little_is_found(corpus):
    run = corpus.runs[corpus.runs["configuration"] == "snn_wine/healthy(lr_factor=0.7)"].iloc[2]
    last = (corpus.epochs["run_id"] == run["run_id"]) & (corpus.epochs["epoch"] == 11)
    corpus.epochs.loc[last, "valid_metric"] = 0.5  # of 1.0, from some 0.3
    assert finding(corpus, "healthy runs that are not well") == (
        f"snn_wine/healthy(lr_factor=0.7), seed {run['seed']}"
    )


def test_a_column_about_the_machine_is_no_channel(corpus):
    corpus.epochs["meta_cpu_s"] = np.arange(len(corpus.epochs), dtype="float32")
    question = "columns about the machine that look like channels"
    assert finding(corpus, question) == "meta_cpu_s"
