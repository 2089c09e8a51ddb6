"""Traces of all kinds through the shipped model: what comes out, and that something does."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html import escape

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from analysis_lib import ROOT, InputError, diagnose, load_corpus
from analysis_lib.channels import CHANNELS
from analysis_lib.cli import main
from analysis_lib.diagnosis import Diagnosis, load_model
from analysis_lib.diagnosis.curves import CURVES, GROUPS
from analysis_lib.diagnosis.diagnose import FEWEST
from analysis_lib.diagnosis.report import UNCLEAR
from analysis_lib.faults import list_operators
from analysis_lib.labels import select_runs
from analysis_lib.plots.diagnosis import (
    plot_causes,
    plot_evidence,
    plot_reliability,
    plot_risk_coverage,
)

PROGRAM = "snn_wine"


@pytest.fixture(scope="module")
def corpus():
    return load_corpus(programs=[PROGRAM])


@pytest.fixture(scope="module")
def traces(corpus):
    """One trace per class, and its layers."""
    runs = select_runs(corpus.runs, None, healthy=True)
    runs = runs[runs["seed"] == 0]
    found = {}
    for row in runs.groupby("label").head(1).itertuples():
        epochs = corpus.epochs[corpus.epochs["run_id"] == row.run_id]
        layers = corpus.layers[corpus.layers["run_id"] == row.run_id]
        found[row.label] = epochs.drop(columns="run_id"), layers.drop(columns="run_id")
    return found


@pytest.fixture(scope="module")
def healthy(traces):
    return traces["Healthy"][0]


@pytest.mark.parametrize("epochs", [1, 2, 5, 12])
def test_every_window_gives_probabilities_evidence_and_neighbours(healthy, epochs):
    found = diagnose(healthy[healthy["epoch"] < epochs])
    assert isinstance(found, Diagnosis) and found.window == epochs
    assert found.causes["confidence"].sum() == pytest.approx(1)
    assert found.causes["confidence"].is_monotonic_decreasing
    assert set(found.causes["cause"]) == set(load_model().classes)
    assert found.healthy == found.causes.set_index("cause")["confidence"]["Healthy"]
    assert found.faulty == 1 - found.healthy
    assert found.evidence["epoch"].between(-1, epochs - 1).all()
    assert (found.nearest["program"].iloc[0], found.nearest["category"].iloc[0]) == (
        PROGRAM,
        "Healthy",
    )
    assert len(found.curves) == epochs + 1 == found.bands["epoch"].nunique()


def test_known_runs_get_their_class(traces):
    """The model has seen these runs; one that errs here is broken."""
    for label, (epochs, layers) in traces.items():
        found = diagnose(epochs, layers)
        assert found.causes["cause"].iloc[0] == label
        assert found.unlike > 0.02


def test_the_same_trace_gives_the_same_page(healthy):
    assert diagnose(healthy).to_json() == diagnose(healthy.sample(frac=1)).to_json()


def test_init_alone_has_a_risk_and_no_causes(traces):
    epochs, layers = traces["Hyperparameter"]
    found = diagnose(epochs[epochs["epoch"] < 0], layers)
    assert found.abstained and "no epoch yet" in found.verdict
    assert found.causes.empty and found.cause is None and np.isnan(found.healthy)
    assert found.instability.level != "unknown"
    assert str(found) and json.loads(found.to_json())["healthy"] is None


def test_missing_groups_are_named_with_their_cost(healthy):
    gone = [c for c in CHANNELS if c in CURVES["rho"].channels or c.startswith(("hvp", "lambda"))]
    found = diagnose(healthy.drop(columns=gone))
    missing = found.missing.set_index("group")
    assert set(missing.index) == {"curvature", "stability"}
    assert missing.loc["curvature", "lost"] == missing.loc["curvature", "of"]
    assert "hvp_norm" in missing.loc["curvature", "channels"]
    assert (missing["cost"] > 0).all() and (missing["cost"] < 0.2).all()
    assert diagnose(healthy).missing.empty


def test_channels_that_a_program_cannot_have_are_not_missed(healthy):
    optional = ["train_accuracy", "valid_accuracy", "act_dead_share", "act_dead_share_max"]
    found = diagnose(healthy.drop(columns=optional))
    assert found.missing.empty
    assert found.causes["cause"].iloc[0] == "Healthy"


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_alone_gives_an_answer(healthy, group):
    wanted = {c for curve in CURVES.values() if curve.group == group for c in curve.channels}
    found = diagnose(healthy[["epoch", *sorted(wanted)]])
    assert found.causes["confidence"].between(0, 1).all()
    assert len(found.missing) >= len(GROUPS) - 2


def test_a_few_channels_of_another_tool_are_too_few(healthy):
    found = diagnose(healthy[["epoch", "train_loss", "valid_loss"]])
    assert found.abstained and f"needs {FEWEST}" in found.verdict
    assert len(found.causes) and len(found.evidence) == 3
    with pytest.raises(InputError, match="no curve"):
        diagnose(healthy[["epoch", "deepfd_nan_loss"]])


def test_a_run_that_broke_is_unstable_and_said_to_be(healthy):
    broken = healthy.copy()
    numbers = [c for c in broken if c != "epoch"]
    broken.loc[broken["epoch"] >= 2, numbers] = np.nan
    found = diagnose(broken)
    assert (found.instability.level, found.instability.epoch) == ("unstable", 2)
    assert found.healthy == 0 and found.causes["confidence"].sum() == pytest.approx(1)
    assert any("not finite at epoch 2" in note for note in found.notes)
    infinite = healthy.copy()
    infinite[numbers] = np.inf
    assert diagnose(infinite).instability.level == "unstable"


def test_longer_traces_and_gaps(healthy):
    more = healthy.assign(epoch=healthy["epoch"] + 20)
    long = pd.concat([healthy, more], ignore_index=True)
    found = diagnose(long)
    assert found.window == 12 and any("first 12" in note for note in found.notes)
    pd.testing.assert_frame_equal(found.causes, diagnose(healthy).causes)
    gaps = diagnose(healthy[healthy["epoch"].isin([-1, 3, 8])])
    assert gaps.window == 9 and gaps.curves["chi"].notna().sum() == 3
    late = diagnose(healthy[healthy["epoch"] >= 0])
    assert any("no snapshot before training" in note for note in late.notes)


def test_noise_is_unlike_anything_seen():
    rng = np.random.default_rng(0)
    noise = pd.DataFrame(
        10.0 ** rng.uniform(-9, 9, (6, len(CHANNELS))), columns=list(CHANNELS)
    ).assign(epoch=range(-1, 5))
    found = diagnose(noise)
    assert found.abstained and found.reasons[0].startswith("unlike anything seen")
    assert found.unlike == pytest.approx(1 / 53)
    assert diagnose(noise, alpha=0.01).unlike == found.unlike
    assert not any("unlike" in r for r in diagnose(noise, alpha=0.01).reasons)


def test_the_prior_moves_the_verdict_one_way(traces):
    epochs, _ = traces["Loss"]
    levels = [diagnose(epochs, prior=p).healthy for p in (0.1, 0.5, 0.9)]
    assert levels == sorted(levels) and levels[0] < levels[2]


@pytest.mark.parametrize("option", [{"alpha": 0}, {"alpha": 1.5}, {"alpha": "x"}, {"prior": 1}])
def test_options_out_of_range_are_refused(healthy, option):
    for trace in (healthy, healthy[healthy["epoch"] < 0]):
        with pytest.raises(InputError):
            diagnose(trace, **option)


def test_pages_hold_what_the_tables_say_and_nothing_from_outside(traces, tmp_path):
    epochs, layers = traces["Weights"]
    found = diagnose(epochs, layers)
    page = found.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == page
    assert "Weights" in page and found.evidence["curve"].iloc[0] in page
    assert not re.search(r"(src|href)=\"(?!data:)", page) and "<script" not in page
    content = json.loads(found.to_json(tmp_path / "file.json"))
    assert json.loads((tmp_path / "file.json").read_text()) == content
    assert content["causes"][0]["cause"] == "Weights"
    assert content["instability"]["level"] == found.instability.level
    assert found._repr_html_().count("<table") >= 3


def test_a_page_explains_itself_and_fits_any_screen(traces, tmp_path):
    epochs, layers = traces["Weights"]
    epochs.to_csv(tmp_path / "run 7.csv", index=False)
    found = diagnose(tmp_path / "run 7.csv", layers, prior=0.3)
    page = found.to_html()
    assert 'lang="en"' in page and 'name="viewport"' in page and "color-scheme" in page
    assert "background:#fff" not in page
    assert page.count("<table") == page.count('role="region" tabindex="0" aria-label=')
    for said in ("run 7.csv", "12 epochs seen", "before looking 0.30", ">decades<"):
        assert said in page
    assert all(escape(m) in page for m in found.evidence["meaning"].head(6))
    titles = {o.id: o.title for o in list_operators()}
    assert any(escape(titles[o]) in page for o in found.nearest["operator"] if o in titles)
    content = json.loads(found.to_json())
    assert content["prior"] == 0.3 and content["source"].endswith("run 7.csv")


def test_an_unclear_cause_does_not_hide_a_sure_fault(healthy):
    found = diagnose(healthy)
    causes = pd.DataFrame({"cause": ["Data", "Loss", "Healthy"], "confidence": [0.48, 0.47, 0.05]})
    unclear = replace(found, healthy=0.05, causes=causes, reasons=(UNCLEAR,))
    assert unclear.abstained and unclear.cause is None
    said = "Faulty with probability 0.95; cause unclear: Data (0.48) or Loss (0.47)."
    assert unclear.verdict == said
    assert replace(unclear, healthy=0.2).verdict == f"No verdict: {UNCLEAR}."
    assert replace(unclear, reasons=("unlike", UNCLEAR)).verdict.startswith("No verdict: unlike")


def test_the_risk_is_said_in_english(healthy):
    broken = healthy.copy()
    broken.loc[broken["epoch"] >= 2, [c for c in broken if c != "epoch"]] = np.nan
    assert "\nThe run is unstable: its loss exploded at epoch 2" in str(diagnose(broken))
    assert f"\nRisk {diagnose(healthy).instability}." in str(diagnose(healthy))


@pytest.mark.parametrize("every", [2, 3])
def test_validation_now_and_then_is_no_explosion(healthy, every):
    seldom = healthy.copy()
    seldom.loc[seldom["epoch"] % every != 0, "valid_loss"] = np.nan
    found = diagnose(seldom)
    assert found.instability.level == diagnose(healthy).instability.level != "unstable"
    assert found.healthy > 0.5 and not any("not finite" in note for note in found.notes)


def test_html_escapes_what_a_trace_brings(healthy):
    layers = pd.DataFrame({"epoch": [-1], "layer": ["<script>x</script>"], "rho": [5.0]})
    hot = healthy.assign(rho=5.0, chi=5.0)
    page = diagnose(hot, layers)._repr_html_()
    assert "&lt;script&gt;" in page and "<script>" not in page


def test_the_figures(healthy):
    found = diagnose(healthy)
    figure = plot_evidence(found, count=3)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == found.evidence["curve"].head(3).tolist()
    ax = plot_causes(found)
    assert [p.get_width() for p in ax.patches][-1] == found.causes["confidence"].iloc[0]
    model = load_model()
    plot_reliability(model.table("reliability"))
    plot_risk_coverage({"confidence": model.table("abstention")})
    plt.close("all")
    with pytest.raises(InputError):
        plot_risk_coverage({})
    with pytest.raises(InputError):
        plot_reliability(pd.DataFrame({"confidence": [1.0]}))


def test_the_command_says_and_writes_the_same(traces, tmp_path, capsys):
    epochs, layers = traces["Activation"]
    epochs.to_csv(tmp_path / "trace.csv", index=False)
    layers.to_csv(tmp_path / "layers.csv", index=False)
    options = ["--layers", tmp_path / "layers.csv", "--json", tmp_path / "a.json"]
    arguments = ["diagnose", tmp_path / "trace.csv", *options, "--html", tmp_path / "a.html"]
    assert main([str(a) for a in arguments]) == 0
    shown = capsys.readouterr().out
    expected = diagnose(tmp_path / "trace.csv", tmp_path / "layers.csv")
    assert shown == f"{expected}\n"
    assert (tmp_path / "a.json").read_text() == expected.to_json()
    assert "<img" in (tmp_path / "a.html").read_text()


def test_the_command_works_in_another_folder(healthy, tmp_path):
    healthy.to_csv(tmp_path / "trace.csv", index=False)
    command = [sys.executable, "-m", "analysis_lib", "diagnose", "trace.csv", "--json", "a.json"]
    place = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": place},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{diagnose(tmp_path / 'trace.csv')}\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "trace.csv"]


@pytest.mark.parametrize(
    "arguments", [["nowhere.csv"], ["nowhere.csv", "--html", "/no/such/folder/a.html"]]
)
def test_the_command_names_what_is_wrong(arguments, capsys):
    assert main(["diagnose", *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: ")
