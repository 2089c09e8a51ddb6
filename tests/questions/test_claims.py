"""Verdicts follow the interval, and every claim of the study is either tested or explained."""

import math

import nbformat
import numpy as np
import pandas as pd
import pytest

from analysis_lib import ROOT
from analysis_lib.errors import InputError
from analysis_lib.published import PUBLISHED, TABLE_VII
from analysis_lib.questions import CHAPTERS, CLAIMS, QUESTIONS, useful
from analysis_lib.questions.claims import claim_verdicts, claims_table, judge, verdict_counts
from analysis_lib.questions.instability import LABEL_VARIANTS
from analysis_lib.questions.mismatch_claim import GUESSING, only_on_seen
from analysis_lib.questions.study_claims import OTHER_DEFINITIONS
from analysis_lib.questions.verdicts import (
    Claim,
    Estimate,
    combined,
    estimate_text,
    rule,
    value_text,
    verdict,
)


@pytest.mark.parametrize(
    ("low", "high", "direction", "word"),
    [
        (0.1, 0.3, "greater", "confirmed"),
        (-0.1, 0.3, "greater", "unresolved"),
        (-0.3, -0.1, "greater", "contradicted"),
        (-0.1, 0.04, "greater", "contradicted"),
        (0.01, 0.04, "greater", "confirmed"),
        (0.0, 0.3, "greater", "unresolved"),
        (-0.3, -0.1, "less", "confirmed"),
        (-0.04, 0.1, "less", "contradicted"),
        (-0.1, 0.1, "less", "unresolved"),
        (-0.1, 0.04, "not greater", "confirmed"),
        (-0.1, 0.06, "not greater", "unresolved"),
        (0.01, 0.04, "not greater", "contradicted"),
        (0.1, 0.3, "equal", "confirmed"),
        (0.1, 0.15, "equal", "contradicted"),
        (0.25, 0.3, "equal", "contradicted"),
        (-0.1, 0.3, "equal", "unresolved"),
        (-0.01, 0.04, "negligible", "confirmed"),
        (0.01, 0.04, "negligible", "confirmed"),
        (0.01, 0.06, "negligible", "contradicted"),
        (-0.06, -0.01, "negligible", "contradicted"),
        (-0.06, 0.01, "negligible", "unresolved"),
    ],
)
def test_verdicts(low, high, direction, word):
    middle = (low + high) / 2
    assert verdict(middle, low, high, 0.19, direction, margin=0.05) == word
    shifted = verdict(middle + 2, low + 2, high + 2, 2.19, direction, null=2, margin=0.05)
    assert shifted == word


@pytest.mark.parametrize(
    ("estimate", "low", "high", "word"),
    [
        (0.16, 0.14, 0.18, "contradicted"),  # off by 0.03, and 0.02 * sqrt(2) = 0.028
        (0.162, 0.142, 0.182, "unresolved"),  # off by 0.028
        (0.162, 0.102, 0.182, "unresolved"),  # the far side does not count
        (0.16, 0.10, 0.18, "contradicted"),
        (0.22, 0.20, 0.24, "contradicted"),
        (0.218, 0.198, 0.282, "unresolved"),
        (0.17, 0.15, 0.19, "confirmed"),
        (0.01, -0.10, 0.12, "contradicted"),
        (0.05, -0.06, 0.16, "unresolved"),
    ],
)
def test_a_number_contradicts_only_beyond_the_interval_of_a_difference(estimate, low, high, word):
    assert verdict(estimate, low, high, 0.19, "equal") == word


def test_two_like_studies_of_one_number_rarely_contradict_each_other():
    rng = np.random.default_rng(0)
    words = []
    for _ in range(2000):
        first, second = rng.normal(0.2, 0.02, 2)
        half = 1.96 * 0.02
        words.append(verdict(first, first - half, first + half, second, "equal"))
    assert 0.035 < np.mean([w == "contradicted" for w in words]) < 0.065


def test_readings_make_one_verdict():
    assert combined(["confirmed"] * 3) == "confirmed"
    assert combined(["not testable", "contradicted"]) == "contradicted"
    assert combined(["not testable"] * 2) == "not testable"
    assert combined(["unresolved", "contradicted"]) == "depends"
    with pytest.raises(InputError, match="without a reading"):
        combined([])


def test_values_as_text():
    assert value_text(5542.0, ",.0f") == "5,542" and value_text(math.nan, ".3f") == "–"
    assert value_text(-0.0001, ".1%") == "0.0%" and value_text(5.4e6, ".1e") == "5.4e+06"
    assert estimate_text(-0.0004, -0.011, 0.01, "points") == "0.0 [-1.1, 1.0] points"
    assert estimate_text(8.0, math.nan, math.nan, ",.0f") == "8"


def test_without_a_margin_only_the_wrong_side_contradicts():
    assert verdict(-0.03, -0.1, 0.04, direction="greater") == "unresolved"
    assert verdict(-0.2, -0.3, -0.1, direction="greater") == "contradicted"
    assert verdict(0.2, 0.1, 0.3, direction="less") == "contradicted"


def test_a_test_that_goes_with_the_interval_must_agree():
    options = {"direction": "greater"}
    assert verdict(0.2, 0.1, 0.3, **options, p_value=0.04) == "confirmed"
    assert verdict(0.2, 0.1, 0.3, **options, p_value=0.06) == "unresolved"
    assert verdict(-0.2, -0.3, -0.1, **options, p_value=0.06) == "unresolved"


@pytest.mark.parametrize("p_value", [0.01, 0.2])
@pytest.mark.parametrize("low", [-0.3, -0.05, 0.02])
@pytest.mark.parametrize("width", [0.04, 0.1, 0.4])
def test_the_verdict_on_a_detector_is_that_of_its_chapter(low, width, p_value):
    high = low + width
    resolved = p_value < 0.05 and not low <= 0 <= high
    row = {"high": high, "verdict": ("above" if low > 0 else "below") if resolved else "unresolved"}
    word = verdict((low + high) / 2, low, high, direction="greater", margin=0.1, p_value=p_value)
    assert word == useful(row)


@pytest.mark.parametrize(
    ("seen", "unseen", "word"),
    [
        ([0.8, 0.82, 0.78], [0.5, 0.51, 0.49], "confirmed"),
        ([0.8, 0.82, 0.78], [0.7, 0.72, 0.68], "contradicted"),
        ([0.51, 0.52, 0.5], [0.5, 0.51, 0.49], "contradicted"),
    ],
)
def test_the_three_claims_on_optimizer_features_make_up_that_of_their_chapter(seen, unseen, word):
    scores = pd.DataFrame(
        {"technique": "optimizer", "window": 5, "strategy": s, "program": p, "auc": a}
        for s, values in (("E2", seen), ("E4", unseen))
        for p, a in zip("abc", values, strict=True)
    )
    found = only_on_seen(scores, base=GUESSING, technique="optimizer", window=5)
    table = claims_table()
    words = []
    names = ("optimizer on seen programs", "optimizer on unseen programs")
    for part, name in zip(("seen", "unseen"), names, strict=True):
        claim, i = table.loc[name], found[part]
        options = {"direction": claim["direction"], "margin": claim["margin"]}
        words.append(verdict(i.estimate, i.low, i.high, **options))
    assert found["verdict"] == word
    assert (words == ["confirmed", "confirmed"]) == (word == "confirmed")
    assert ("contradicted" in words) == (word == "contradicted")


def test_what_is_missing_is_not_testable_and_what_is_wrong_is_refused():
    assert verdict(math.nan, math.nan, math.nan, 0.19, "equal") == "not testable"
    assert verdict(3.0, math.nan, math.nan, 3.0, "equal") == "not testable"
    with pytest.raises(InputError, match="not between"):
        verdict(0.5, 0.1, 0.2, direction="greater")
    with pytest.raises(InputError, match="published"):
        verdict(0.15, 0.1, 0.2, None, "equal")
    with pytest.raises(InputError, match="did you mean 'greater'"):
        verdict(0.15, 0.1, 0.2, direction="grater")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"quantity": "q", "direction": "equal"},
        {"quantity": "q", "direction": "negligible"},
        {"quantity": "q", "direction": "not greater"},
        {"quantity": "q", "direction": "up"},
        {"quantity": "q", "unit": "miles"},
    ],
)
def test_claims_that_cannot_be_decided_are_refused(wrong):
    with pytest.raises(InputError):
        Claim("x", "gap", "text", "where", **wrong)


def test_every_published_number_is_in_a_claim():
    numbers = {c.published for c in CLAIMS}
    names = ("traces", "programs", "gap", "permuted", "unpermuted", "exploding at once")
    assert {PUBLISHED[k] for k in names} <= numbers
    share = PUBLISHED["unstable"] / PUBLISHED["curvature traces"]
    calm, wild, third = TABLE_VII
    assert {share, wild["unstable"], third["unstable"], wild["median_hvp"]} <= numbers
    assert {calm["unstable"] - share, calm["mismatch"] - wild["mismatch"]} <= numbers
    figures = " ".join(c.where for c in CLAIMS)
    for name in ("2", "3a", "3b", "5a", "6", "7", "9", "10", "11", "13"):
        assert f"Fig. {name}" in figures
    assert "Table VII" in figures


def test_claims_have_names_of_their_own_and_say_how_they_are_decided():
    table = claims_table()
    assert table.index.is_unique and len(table) == len(CLAIMS)
    assert table["rule"].str.len().min() > 20
    assert list(dict.fromkeys(table["question"])) == list(QUESTIONS) == list(CHAPTERS)
    known = {c.id: c for c in CLAIMS}
    assert rule(known["gap"]) == (
        "confirmed if the interval holds 0.19 and not 0, "
        "contradicted if 0.19 is off by more than 1.41 times its half width"
    )
    assert rule(known["structure is used"]) == (
        "confirmed if the whole interval is below 0, contradicted if it is above 0"
    )
    assert rule(known["curvature as a warning"]).endswith("contradicted if it is below 0.1")


def test_readings_of_a_claim_follow_each_other_and_say_what_they_take_for_granted():
    order = [c.reads for c in CLAIMS]
    assert [r for k, r in enumerate(order) if k == 0 or order[k - 1] != r] == list(
        dict.fromkeys(order)
    )
    for name in set(order):
        readings = [c for c in CLAIMS if c.reads == name]
        first = readings[0]
        assert all(
            (c.question, c.text, c.where, c.further)
            == (first.question, first.text, first.where, first.further)
            for c in readings
        )
        if len(readings) > 1:
            assert all(c.reading for c in readings)
            assert len({c.reading for c in readings}) == len(readings), name
    assert set(OTHER_DEFINITIONS) < set(LABEL_VARIANTS)


def test_our_own_questions_are_no_claims_of_the_study():
    further = [c for c in CLAIMS if c.further]
    assert further and all(c.where == "our question" for c in further)
    assert all(c.where != "our question" for c in CLAIMS if not c.further)


def test_what_a_claim_points_to_is_in_its_chapter():
    for question, chapter in CHAPTERS.items():
        notebook = nbformat.read(ROOT / "notebooks" / f"{chapter}.ipynb", as_version=4)
        labels = {
            c.metadata.get("mystnb", {}).get("figure", {}).get("name") for c in notebook.cells
        }
        sources = "\n".join(cell.source for cell in notebook.cells)
        for claim in CLAIMS:
            if claim.question == question and claim.shown:
                assert claim.shown in labels or f'name="{claim.shown}"' in sources, claim.shown


def test_judging_needs_exactly_the_claims_with_a_quantity():
    claims = (
        Claim("a", "gap", "there is a gap", "Fig. 1", "E1 - E4"),
        Claim("b", "gap", "it is 0.2", "Fig. 1", "E1 - E4", "equal", 0.2),
        Claim("c", "corpus", "a figure", "Fig. 2", why_not="unknown values"),
        Claim("d", "corpus", "a count", "abstract", "runs", published=7, why_not="theirs"),
        Claim("e", "gap", "never seen", "abstract", "share"),
    )
    ours = {"a": Estimate(0.1, 0.05, 0.15, 9, 0.2), "b": (0.1, 0.05, 0.15), "d": (8.0,)}
    table = judge({**ours, "e": Estimate()}, claims)
    assert table["verdict"].to_dict() == {
        "a": "unresolved",
        "b": "contradicted",
        "c": "not testable",
        "d": "not testable",
        "e": "not testable",
    }
    assert math.isnan(table.loc["c", "estimate"]) and table.loc["d", "estimate"] == 8
    assert table["reason"].to_dict() == {
        "a": "",
        "b": "",
        "c": "unknown values",
        "d": "theirs",
        "e": "no run of our corpus tells",
    }
    assert table["ours"].tolist()[:2] == ["0.100 [0.050, 0.150]"] * 2
    assert table["theirs"].tolist()[:2] == ["–", "0.200"]
    counts = verdict_counts(table)
    assert list(counts.index) == ["gap", "corpus", "all"]
    assert counts.loc["all"].to_dict() == {
        "confirmed": 0,
        "contradicted": 1,
        "depends": 0,
        "unresolved": 1,
        "not testable": 3,
        "claims": 5,
    }
    with pytest.raises(InputError, match="without an estimate: b, e"):
        judge({"a": (0.1, 0.05, 0.15), "d": (8.0,)}, claims)
    with pytest.raises(InputError, match="no measured claim: c"):
        judge({k: (0.1, 0.05, 0.15) for k in "abcde"}, claims)


def test_claims_are_counted_once_and_own_questions_not_at_all():
    claims = (
        Claim("a", "gap", "there is a gap", "Fig. 1", "E1 - E4", reading="if"),
        Claim("a2", "gap", "there is a gap", "Fig. 1", "E2 - E4", reads="a", reading="else"),
        Claim("b", "gap", "another", "Fig. 1", "E1 - E4"),
        Claim("c", "gap", "ours", "our question", "E1", margin=0.5, further=True),
    )
    ours = {"a": (0.1, 0.05, 0.15), "a2": (-0.1, -0.15, -0.05), "b": (0.1, 0.05, 0.15)}
    table = judge({**ours, "c": (0.1, 0.05, 0.15)}, claims)
    assert table.loc["c", "verdict"] == "confirmed" and "small" in table.loc["c", "reason"]
    assert table.loc["b", "reason"] == ""
    found = claim_verdicts(table)
    assert found["verdict"].to_dict() == {"a": "depends", "b": "confirmed", "c": "confirmed"}
    assert found["readings"].to_dict() == {"a": 2, "b": 1, "c": 1}
    counts = verdict_counts(table).loc["gap"]
    assert (counts["depends"], counts["confirmed"], counts["claims"]) == (1, 1, 2)
