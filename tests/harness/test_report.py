"""The report as text, HTML and JSON, and the table of foreign runs that the notebook uses."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from analysis_lib.errors import InputError
from analysis_lib.evaluation import simulate_world
from analysis_lib.harness import GapReport, foreign_traces, gap_report
from analysis_lib.harness.foreign import FAULTS, TASKS
from analysis_lib.harness.html import COLORS, NAMES, titled
from analysis_lib.harness.report import WIDTH
from analysis_lib.plots import STRATEGY_COLORS, STRATEGY_NAMES

EVIL = '<script>alert("&")</script>'


@pytest.fixture(scope="module")
def report() -> GapReport:
    features, runs = simulate_world(
        "mixed", programs=5, classes=3, configurations=2, features=3, skew=1.0, least=1
    )
    frame = runs.set_index("run_id")[["program", "label", "configuration"]].join(features)
    frame["program"] = frame["program"].replace("p00", EVIL)
    frame["label"] = frame["label"].replace("class 1", EVIL)
    frame = frame.rename(columns={"x0": EVIL}).reset_index(drop=True)
    return gap_report(
        frame.assign(**{EVIL + "2": 1.0}),
        program="program",
        label="label",
        configuration="configuration",
        technique="tree",
        n_resamples=100,
    )


def test_text_shows_every_table_and_check(report):
    text = str(report)
    assert text.startswith("Gap report: tree, ")
    for name in ("Scores", "Parts of the gap", "Controls", "Checks"):
        assert f"\n{name}\n" in text
    flowing = " ".join(text.split())
    assert all(
        f"- {row.code} {row.severity}: {row.what}" in flowing for row in report.checks.itertuples()
    )
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    assert f"{report.scores.loc['E4', 'program_macro_recall']:.3f}" in text
    assert "nan" not in text.lower()


def test_the_page_is_one_file_and_escapes_names(report, tmp_path):
    text = report.to_html(tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == text
    soup = BeautifulSoup(text, "html.parser")
    assert soup.find("script") is None and EVIL in soup.get_text()
    assert not soup.find_all(["img", "link", "iframe"]) and "url(" not in text
    assert not re.search(r"(?:src|href)=", text) and "http" not in text.replace("http-equiv", "")
    assert soup.title.string == report.title and soup.html["lang"] == "en"
    titles = [caption.get_text() for caption in soup.find_all("caption")]
    assert titles == [
        "Scores",
        "Parts of the gap",
        "Controls",
        "Checks",
        "By program",
        "Parameters",
        "How to read it",
    ]
    # no ground or ink of its own, so that it is legible on any page
    assert "color-scheme: light dark" in text and "background: Canvas" in text
    fragment = report._repr_html_()
    assert "background" not in fragment and not re.search(r"<(html|h\d)", fragment)
    assert fragment in text


def test_the_figure_places_marks_by_score(report):
    svg = BeautifulSoup(report.to_html(), "html.parser").find("svg")
    marks = [float(c["cx"]) for c in svg.find_all("circle")]
    scores = report.scores["program_macro_recall"].to_numpy()
    assert np.allclose(np.array(marks), 170 + 420 * scores, atol=0.06)
    assert [c["fill"] for c in svg.find_all("circle")] == [COLORS[s] for s in report.scores.index]
    assert svg["aria-label"].startswith("Program-macro recall with intervals")
    assert (
        f"{NAMES['E4']} {report.scores.loc['E4', 'program_macro_recall']:.3f}" in svg["aria-label"]
    )


def test_tables_of_the_page_have_three_decimals_and_true_minus_signs():
    frame = pd.DataFrame(
        {"score": [0.0, -0.25, None], "runs": [12.0, None, 1200.0], "models": [5, 6, 7]}
    )
    rows = BeautifulSoup(titled("Scores", frame), "html.parser").find("tbody").find_all("tr")
    cells = [[cell.get_text() for cell in row.find_all("td")] for row in rows]
    assert cells == [["0.000", "12", "5"], ["−0.250", "–", "6"], ["–", "1,200", "7"]]


def test_splits_have_one_order_on_the_page(report):
    soup = BeautifulSoup(report.to_html(), "html.parser")
    heads = {
        table.caption.get_text(): [cell.get_text() for cell in table.find_all("th")]
        for table in soup.find_all("table")
    }
    names = [name for name in heads["By program"] if name in report.scores.index]
    assert names == list(report.scores.index)


def test_names_and_colours_are_those_of_the_other_figures():
    assert NAMES == {name: STRATEGY_NAMES[name] for name in NAMES}
    same = {name for name in COLORS if COLORS[name] == STRATEGY_COLORS[name]}
    # lighter, where the colour would vanish on a dark ground
    assert set(COLORS) - same == {"E4", "E6"}


def test_json_holds_every_table_with_parameters_and_versions(report, tmp_path):
    text = report.to_json(tmp_path / "r.json")
    assert (tmp_path / "r.json").read_text(encoding="utf-8") == text
    content = json.loads(text)
    for name in ("scores", "decomposition", "controls", "by_program", "checks"):
        assert len(content[name]) == len(getattr(report, name))
    back = pd.DataFrame(content["scores"]).set_index("strategy")
    pd.testing.assert_frame_equal(back, report.scores, check_dtype=False)
    assert content["parameters"]["columns"]["program"] == "program"
    assert set(content["versions"]) >= {"python", "analysis_lib", "scikit-learn"}
    assert content["summary"] == report.summary
    assert content["controls"][-1]["pooled"] is None  # identity has none


def test_an_interval_that_one_program_cannot_give_is_left_open():
    frame = pd.DataFrame({"net": ["p"] * 60 + ["q"] * 8, "bug": ["x", "y"] * 34})
    frame["x"] = np.arange(68) % 2 + np.arange(68) % 3
    lone = gap_report(
        frame, program="net", label="bug", technique="tree", permutations=0, n_resamples=100
    )
    assert np.isinf(lone.scores["low"]).all()
    assert json.loads(lone.to_json())["scores"][0]["low"] is None
    assert not any("inf" in line.split() or "nan" in line for line in lone.summary)
    assert "inf" not in BeautifulSoup(lone.to_html(), "html.parser").find("svg").get_text()


def test_a_folder_that_is_not_there_is_named(report, tmp_path):
    for write in (report.to_html, report.to_json):
        with pytest.raises(InputError, match="the folder .*no does not exist"):
            write(tmp_path / "no" / "r")


def test_the_worst_of_many_programs_are_shown():
    features, runs = simulate_world(
        "none", programs=70, classes=2, configurations=3, seeds=2, features=2
    )
    frame = runs.set_index("run_id")[["program", "label"]].join(features)
    many = gap_report(
        frame, program="program", label="label", technique="dummy", permutations=0, n_resamples=100
    )
    soup = BeautifulSoup(many.to_html(), "html.parser")
    caption = next(c for c in soup.find_all("caption") if c.get_text().startswith("By program"))
    assert caption.get_text() == "By program (the 60 with the lowest unseen score of 70)"
    assert len(caption.parent.find("tbody").find_all("tr")) == 60


def test_foreign_runs_are_seeded_and_break_down_where_faults_are_large():
    table = foreign_traces(programs=2, configurations=2, seeds=2, epochs=3)
    pd.testing.assert_frame_equal(
        table, foreign_traces(programs=2, configurations=2, seeds=2, epochs=3)
    )
    assert len(table) == 2 * len(FAULTS) * 2 * 2
    assert table.groupby("setting")["seed"].nunique().eq(2).all()
    by_fault = table.groupby("fault").median(numeric_only=True)
    assert by_fault.loc["healthy", "accuracy_last"] > by_fault.loc["labels", "accuracy_last"]
    assert by_fault.loc["weights", "norm_first"] > 3 * by_fault.loc["healthy", "norm_first"]
    assert by_fault["norm_last"].idxmin() == "penalty"
    assert by_fault.loc["inputs", "loss_first"] > 5 * by_fault.loc["healthy", "loss_first"]
    jumps = table.groupby("fault")["loss_jump"].max()
    assert jumps["learning rate"] > jumps["healthy"]
    with pytest.raises(InputError, match=f"expected 1 to {len(TASKS)} programs"):
        foreign_traces(programs=13)


def test_programs_may_be_numbers():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(240, 3)), columns=list("abc"))
    frame["program"], frame["label"] = np.arange(240) % 12, np.where(frame["a"] > 0, "x", "y")
    options = {"label": "label", "technique": "tree"}
    found = gap_report(frame, program="program", **options)
    named = frame.assign(program=[f"{p:02d}" for p in frame["program"]])
    expected = gap_report(named, program="program", **options)
    assert found.controls.loc["program identity", "score"] >= 0
    assert found.scores.loc["E1", "chance"] == expected.scores.loc["E1", "chance"]


def test_exact_copies_without_configurations_are_a_problem_the_summary_names():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 4)), columns=list("abcd"))
    frame["program"] = np.repeat(list("pqrs"), 15)
    frame["label"] = np.tile(list("xyz"), 20)
    copied = pd.concat([frame] * 4, ignore_index=True)
    report = gap_report(copied, program="program", label="label", technique="tree", permutations=0)
    assert report.checks.set_index("code").loc["GAP001", "severity"] == "problem"
    assert "240 of 240 rows have the features of another row" in report.summary[1]


def test_a_technique_that_answers_nothing_is_called_worse_than_guessing():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(240, 3)), columns=list("abc"))
    frame["program"] = np.repeat([f"p{k}" for k in range(12)], 20)
    frame["label"] = np.tile(list("xy"), 120)
    report = gap_report(
        frame, program="program", label="label", technique=lambda x: [None] * len(x)
    )
    text = str(report)
    assert "worse than guessing" in text and "learns each program" not in text


def test_a_technique_gets_a_series_beside_its_frame():
    seen = []

    class Counting:
        def fit(self, x, y):
            seen.append(y.value_counts().size)
            self.first = y[x["a"] == x["a"].max()].iloc[0]

        def predict(self, x):
            return [self.first] * len(x)

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 2)), columns=list("ab"))
    frame["program"], frame["label"] = np.repeat(list("pqrs"), 30), np.tile(list("xy"), 60)
    gap_report(frame, program="program", label="label", technique=Counting(), permutations=0)
    assert set(seen) == {2}
