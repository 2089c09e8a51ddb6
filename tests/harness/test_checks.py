"""Every check finds what it is for, and is silent otherwise."""

import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import InputError
from analysis_lib.evaluation import simulate_world
from analysis_lib.harness.bound import NO_ANSWER
from analysis_lib.harness.checks import check_predictions, check_table, mix_distance
from analysis_lib.harness.findings import CODES, SEVERITIES, Finding, findings_table, list_checks
from analysis_lib.harness.singles import check_columns, column_scores
from analysis_lib.harness.tables import make_table


def frame(programs=12, **options):
    """Return a clean table: many programs, even mixes, two configurations of every class."""
    options = {"classes": 3, "configurations": 2, "seeds": 3, "features": 2, **options}
    features, runs = simulate_world("transferable", programs=programs, **options)
    names = ["program", "label", "configuration", "seed"]
    return runs.set_index("run_id")[names].join(features).reset_index(drop=True)


CLEAN = frame()
ROWS = np.arange(len(CLEAN))


def found(table, features=None, **options):
    """Return the findings in a table by code."""
    keys = {"program": "program", "label": "label", "seed": "seed"} | options
    keys.setdefault("configuration", "configuration")
    result = check_table(make_table(table, features=features, **keys))
    assert len({f.code for f in result} - {"GAP012", "GAP014", "GAP015"}) <= len(result)
    return {finding.code: finding for finding in result}


def test_a_clean_table_has_replicates_and_nothing_else():
    assert set(found(CLEAN)) == {"GAP002"}
    assert set(found(CLEAN.drop_duplicates("configuration"))) == {"GAP019"}


def doubled(row, **values):
    return pd.concat([CLEAN, CLEAN.iloc[[row]].assign(**values)], ignore_index=True)


def grown(programs):
    return CLEAN[CLEAN["program"].isin(CLEAN["program"].unique()[:programs])]


@pytest.mark.parametrize(
    ("code", "table", "options", "severity", "part"),
    [
        ("GAP001", doubled(0, seed=9), {}, "note", "2 of 217 rows have the features of another"),
        ("GAP001", doubled(0, program="p05"), {}, "warning", "2 that of one in another program"),
        ("GAP001", CLEAN.assign(x0=1, x1=2), {}, "problem", "216 of 216 rows"),
        ("GAP003", CLEAN.assign(c=3.0, d=np.nan), {}, None, "2 columns with one value"),
        ("GAP005", CLEAN.assign(cpu_percent=ROWS), {}, None, "1 feature named like machine"),
        ("GAP005", CLEAN.assign(wallTime=ROWS), {}, None, "1 feature"),
        ("GAP006", CLEAN[ROWS >= 6], {}, "note", "1 class missing in programs, most of all 'cla"),
        ("GAP007", CLEAN[ROWS >= 12], {}, None, "1 of 12 programs with one class (p00)"),
        ("GAP009", CLEAN.assign(x0=np.where(ROWS < 2, np.inf, 1)), {}, None, "0 missing and 2 inf"),
        ("GAP010", grown(4), {}, "problem", "4 programs"),
        ("GAP010", grown(9), {}, "warning", "9 programs"),
        ("GAP011", CLEAN[(ROWS % 18 < 12) | (ROWS < 100)], {}, None, "the class mix of a program"),
        ("GAP012", CLEAN.assign(configuration=ROWS // 3 % 6), {}, None, "in several programs"),
        ("GAP013", CLEAN.assign(row=ROWS), {}, None, "1 feature named like a seed or id"),
        ("GAP013", CLEAN.assign(z=ROWS + 7), {}, None, "1 feature named like"),
        ("GAP013", CLEAN, {"seed": None}, None, "1 feature named like"),
        ("GAP014", CLEAN.assign(t="word"), {}, None, "not numbers, and left out: 't': text"),
        (
            "GAP015",
            CLEAN.assign(label=CLEAN["label"].mask(ROWS == 0)),
            {},
            None,
            "1 row without la",
        ),
        ("GAP017", CLEAN, {"configuration": None}, None, "cannot be told"),
        ("GAP018", doubled(0, x0=9.0), {}, None, "1 row with the configuration and the seed of"),
        ("GAP019", CLEAN[ROWS >= 3], {}, None, "1 of 36 combinations of program and class"),
        ("GAP022", CLEAN.assign(s="pc " + CLEAN["label"]), {"session": "s"}, None, "of 1.00, the"),
        (
            "GAP023",
            CLEAN.assign(label=CLEAN["label"].mask(ROWS % 2 == 0, CLEAN["label"].str.upper())),
            {},
            None,
            "label: 'CLASS 0', 'CLASS 1', 'CLASS 2', 'class 0'",
        ),
        (
            "GAP025",
            CLEAN.assign(configuration=CLEAN["program"] + CLEAN["label"]),
            {},
            None,
            "36 of 36 combinations of program and class have one configuration",
        ),
    ],
)
def test_every_check_finds_what_it_is_for(code, table, options, severity, part):
    finding = found(table, **options)[code]
    assert part in finding.what
    assert severity in (None, finding.severity or CODES[code].severity)


def test_a_session_in_which_all_classes_occur_is_no_leak():
    table = CLEAN.assign(session=ROWS % 3)
    assert "GAP022" not in found(table, session="session")
    assert "GAP005" not in found(table, session="session")


def test_columns_that_tell_program_or_class_are_found():
    code = pd.factorize(CLEAN["program"])[0]
    rng = np.random.default_rng(0)
    noise = rng.normal(size=len(CLEAN))
    table = CLEAN[["program", "label", "configuration", "seed"]].assign(
        noise=noise,
        fingerprint=code + 0.01 * noise,
        copied=CLEAN["label"].map({"class 0": 2.0, "class 1": 7.0, "class 2": -1.0}) + code * 1e-3,
        gap=np.where(CLEAN["label"] == "class 1", np.nan, noise),
        fixed=1.0,
    )
    keys = {"program": "program", "label": "label", "configuration": "configuration"}
    scores = column_scores(make_table(table, **keys, seed="seed"))
    assert list(scores.index) == ["noise", "fingerprint", "copied", "gap"]
    assert scores.loc["fingerprint", "program"] > 0.95 > 0.2 > scores.loc["noise", "program"]
    assert scores.loc["copied", "label"] == 1 and scores.loc["noise", "label"] < 0.5
    assert scores.loc["gap", "label"] > 0.6 and (scores["chance"] == 1 / 12).all()
    program, label = check_columns(scores)
    assert (program.code, list(program.columns)) == ("GAP004", ["fingerprint"])
    assert (label.code, list(label.columns)) == ("GAP008", ["copied"])
    assert label.severity == "problem"
    assert check_columns(scores.loc[["noise"]]) == []


def test_columns_are_not_judged_where_they_cannot_be():
    lone = CLEAN.assign(label=CLEAN["program"].where(CLEAN["program"] < "p06", "p00"))
    scores = column_scores(make_table(lone, program="program", label="label", seed="seed"))
    assert scores["program"].isna().all() and check_columns(scores) == []


def test_predictions_are_judged_on_unseen_programs_alone():
    e4 = pd.DataFrame({"strategy": "E4", "program": "p", "label": list("aabb")})
    rest = e4.assign(strategy="E1", predicted="a")
    right = pd.concat([e4.assign(predicted=e4["label"]), rest])
    assert [f.code for f in check_predictions(right)] == ["GAP021"]
    one = pd.concat([e4.assign(predicted=["a", "a", "a", NO_ANSWER]), rest])
    never, silent = check_predictions(one)
    assert (never.code, silent.code) == ("GAP020", "GAP024")
    assert never.what == "never predicted of 2 classes: b"
    assert silent.what == "1 of 4 rows of unseen programs get no answer"


def test_the_distance_of_mixes_is_half_the_sum_of_differences():
    runs = pd.DataFrame({"program": list("ppppqqqq"), "label": list("xxxyxyyy")})
    assert mix_distance(runs) == pytest.approx(0.25)
    assert mix_distance(runs.assign(label=list("xyxyxyxy"))) == 0


def test_every_code_has_a_severity_and_advice_and_the_worst_come_first():
    checks = list_checks()
    assert list(checks.index) == [f"GAP{k:03d}" for k in range(1, len(checks) + 1)]
    assert set(checks["severity"]) == set(SEVERITIES) and checks["advice"].str.len().min() > 5
    findings = [Finding("GAP002", "b"), Finding("GAP010", "c"), Finding("GAP003", "a", range(10))]
    table = findings_table([*findings, Finding("GAP002", "d", severity="problem")])
    assert table["code"].tolist() == ["GAP002", "GAP010", "GAP002", "GAP003"]
    assert table["columns"].iloc[-1] == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert findings_table(findings, ignore=["GAP002", "GAP003"])["code"].tolist() == ["GAP010"]
    with pytest.raises(InputError, match="^unknown check 'X'"):
        findings_table([], ignore="X")
