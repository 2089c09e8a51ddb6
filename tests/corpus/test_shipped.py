"""The corpus in data/: whole, planned, balanced, and what the code would plan today."""

import json

from analysis_lib import load_corpus, make_plan
from analysis_lib.corpus import verify_store
from analysis_lib.corpus.load import DEFAULT
from analysis_lib.labels import label_runs


def test_every_check_passes():
    checks = verify_store(DEFAULT, label=label_runs)
    assert checks["ok"].all(), checks[~checks["ok"]].to_string()


def test_it_holds_the_runs_of_the_present_plan():
    runs = load_corpus().runs
    plan = make_plan(sorted(runs["program"].unique()))
    shipped = json.loads((DEFAULT / "plan.json").read_text())
    out_of_date = "operators or programs have changed since; make the corpus again: make corpus"
    assert {json.dumps(run.spec, sort_keys=True) for run in plan} == {
        json.dumps(s, sort_keys=True) for s in shipped
    }, out_of_date
    assert set(runs["run_id"]) == {run.run_id for run in plan}, out_of_date


def test_it_is_large_and_balanced():
    runs = load_corpus().runs
    counts = runs.groupby(["program", "category"]).size().unstack()
    assert len(runs) >= 800 and runs["program"].nunique() >= 14
    assert counts.nunique().eq(1).all()


def test_a_shipped_run_trains_to_the_same_result():
    """The shipped traces come from the present code (losses; bits differ between processors)."""
    import numpy as np

    from analysis_lib import Configuration, Run, train

    corpus = load_corpus(programs=["snn_wine"])
    run = Run(Configuration("snn_wine", "HDB", {}), 1)
    shipped = corpus.epochs[corpus.epochs["run_id"] == run.run_id]
    again = train(run).epochs
    for channel in ("train_loss", "valid_loss", "grad_norm", "hvp_norm", "act_std"):
        np.testing.assert_allclose(again[channel], shipped[channel], rtol=1e-3, err_msg=channel)
