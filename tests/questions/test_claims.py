"""Verdicts follow the interval, and every claim of the study is either tested or explained."""

import math

import pytest

from analysis_lib.errors import InputError
from analysis_lib.published import PUBLISHED, TABLE_VII
from analysis_lib.questions.claims import CLAIMS, Claim, claims_table, judge, rule, verdict


@pytest.mark.parametrize(
    ("low", "high", "direction", "word"),
    [
        (0.1, 0.3, "greater", "confirmed"),
        (-0.1, 0.3, "greater", "unresolved"),
        (-0.3, -0.1, "greater", "contradicted"),
        (0.0, 0.3, "greater", "unresolved"),
        (-0.3, -0.1, "less", "confirmed"),
        (0.1, 0.3, "less", "contradicted"),
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


def test_what_is_missing_is_not_testable_and_what_is_wrong_is_refused():
    assert verdict(math.nan, math.nan, math.nan, 0.19, "equal") == "not testable"
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
        {"quantity": "q", "why_not": "both"},
        {"quantity": "q", "direction": "equal"},
        {"quantity": "q", "direction": "negligible"},
        {"quantity": "q", "direction": "up"},
    ],
)
def test_claims_that_cannot_be_decided_are_refused(wrong):
    with pytest.raises(InputError):
        Claim("x", "text", "where", **wrong)


def test_every_published_number_is_in_a_claim():
    numbers = {c.published for c in CLAIMS} | {c.null for c in CLAIMS}
    assert {
        PUBLISHED[k] for k in ("traces", "programs", "gap", "permuted", "unpermuted")
    } <= numbers
    assert PUBLISHED["exploding at once"] in numbers
    assert {row["unstable"] for row in TABLE_VII} <= numbers
    figures = " ".join(c.where for c in CLAIMS)
    for name in ("2", "3b", "5a", "6", "7", "9", "10", "11", "13"):
        assert f"Fig. {name}" in figures
    assert "Table VII" in figures


def test_claims_have_names_of_their_own_and_say_how_they_are_decided():
    table = claims_table()
    assert table.index.is_unique and len(table) == len(CLAIMS)
    assert table["rule"].str.len().min() > 20
    tested = table[table["why_not"] == ""]
    assert (tested["notebook"] != "").all() and (tested["quantity"] != "").all()
    assert rule(next(c for c in CLAIMS if c.id == "gap")).startswith(
        "confirmed if the interval holds 0.19 and not 0"
    )


def test_judging_needs_exactly_the_testable_claims():
    claims = (
        Claim("a", "there is a gap", "Fig. 1", "E1 - E4"),
        Claim("b", "it is 0.2", "Fig. 1", "E1 - E4", "equal", 0.2),
        Claim("c", "a figure", "Fig. 2", why_not="unknown values"),
    )
    table = judge({"a": (0.1, 0.05, 0.15), "b": (0.1, 0.05, 0.15)}, claims)
    assert table["verdict"].to_dict() == {
        "a": "confirmed",
        "b": "contradicted",
        "c": "not testable",
    }
    assert math.isnan(table.loc["c", "estimate"]) and table.loc["b", "published"] == 0.2
    with pytest.raises(InputError, match="without an estimate: b"):
        judge({"a": (0.1, 0.05, 0.15)}, claims)
    with pytest.raises(InputError, match="no testable claim: c"):
        judge({k: (0.1, 0.05, 0.15) for k in "abc"}, claims)
