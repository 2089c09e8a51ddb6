"""What the study says, claim by claim, beside our estimates, with a verdict on each."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.questions.study_claims import CLAIMS
from analysis_lib.questions.verdicts import (
    CONFIRMED,
    DEPENDS,
    NOT_TESTABLE,
    VERDICTS,
    Claim,
    Estimate,
    combined,
    estimate_text,
    rule,
    value_text,
    verdict,
)

__all__ = ["claim_verdicts", "claims_table", "judge", "verdict_counts"]


def claims_table(claims: Sequence[Claim] | None = None) -> pd.DataFrame:
    """Return claims as a table, one row each, with the rule that decides them.

    Parameters
    ----------
    claims : sequence of Claim, optional
        By default :data:`~analysis_lib.questions.study_claims.CLAIMS`.

    Returns
    -------
    DataFrame indexed by id
        The fields of :class:`~analysis_lib.questions.verdicts.Claim`, rule.

    Examples
    --------
    >>> claims_table().loc["gap", "where"]
    'abstract'
    """
    chosen = CLAIMS if claims is None else claims
    return pd.DataFrame([asdict(c) | {"rule": rule(c)} for c in chosen]).set_index("id")


def judge(
    estimates: Mapping[str, Estimate | Sequence[Any]], claims: Sequence[Claim] | None = None
) -> pd.DataFrame:
    """Put our estimates beside the claims.

    Parameters
    ----------
    estimates : mapping of str to Estimate
        By claim, or (estimate, low, high, ...) in that order. Each claim with a quantity needs
        one; a missing estimate (NaN) is "not testable".
    claims : sequence of Claim, optional
        By default :data:`~analysis_lib.questions.study_claims.CLAIMS`.

    Returns
    -------
    DataFrame indexed by id
        The columns of :func:`claims_table`, then estimate, low, high, programs, p_value, verdict,
        reason (why not testable, or that what is confirmed is less than the margin; else empty),
        ours (estimate and interval as text), theirs (the published value as text).

    Raises
    ------
    InputError
        If an estimate is missing, or is given for a claim that is unknown or has no quantity.

    Examples
    --------
    >>> claim = Claim("gap", "gap", "there is a gap", "abstract", "E1 - E4")
    >>> judge({"gap": (0.2, 0.1, 0.3)}, [claim])["verdict"].to_dict()
    {'gap': 'confirmed'}
    """
    chosen = CLAIMS if claims is None else claims
    measured = {c.id for c in chosen if c.quantity}
    if set(estimates) != measured:
        lacking, strange = sorted(measured - set(estimates)), sorted(set(estimates) - measured)
        raise InputError(
            f"claims without an estimate: {', '.join(lacking) or 'none'}; estimates of no "
            f"measured claim: {', '.join(strange) or 'none'}"
        )
    rows = {}
    for claim in chosen:
        ours = estimates.get(claim.id, Estimate())
        ours = ours if isinstance(ours, Estimate) else Estimate(*ours)
        word, reason = NOT_TESTABLE, claim.why_not
        if not reason:
            word = verdict(
                ours.estimate,
                ours.low,
                ours.high,
                claim.published,
                claim.direction,
                null=claim.null,
                margin=claim.margin,
                p_value=ours.p_value,
            )
            if word == NOT_TESTABLE:
                reason = "no run of our corpus tells"
            elif word == CONFIRMED and _small(claim, ours):
                reason = f"but small, less than the {claim.margin:g} that would be of use"
        values = (ours.estimate, ours.low, ours.high)
        rows[claim.id] = asdict(ours) | {
            "verdict": word,
            "reason": reason,
            "ours": estimate_text(*values, claim.form),
            "theirs": value_text(claim.published, claim.form),
        }
    return claims_table(chosen).join(pd.DataFrame.from_dict(rows, orient="index"))


def claim_verdicts(judged: pd.DataFrame) -> pd.DataFrame:
    """Return one verdict per claim, from those on its readings.

    Parameters
    ----------
    judged : DataFrame
        As :func:`judge` returns it.

    Returns
    -------
    DataFrame indexed by claim
        question, further, text, where (of its first reading), verdict, readings (how many of them
        can be tested).

    Examples
    --------
    >>> judged = pd.DataFrame({"reads": "gap", "question": "gap", "further": False, "text": "t",
    ...     "where": "w", "verdict": ["confirmed", "unresolved"]})
    >>> claim_verdicts(judged)[["verdict", "readings"]].values.tolist()
    [['depends', 2]]
    """
    grouped = judged.groupby("reads", sort=False)
    table = grouped[["question", "further", "text", "where"]].first()
    table["verdict"] = grouped["verdict"].agg(combined)
    table["readings"] = (judged["verdict"] != NOT_TESTABLE).groupby(judged["reads"]).sum()
    return table.rename_axis("claim")


def verdict_counts(judged: pd.DataFrame) -> pd.DataFrame:
    """Count the study's claims by question and verdict, each claim once.

    Parameters
    ----------
    judged : DataFrame
        As :func:`judge` returns it. Further tests, which the study does not claim, are left out.

    Returns
    -------
    DataFrame indexed by question
        A column per verdict and "depends", and ``claims``; questions in their order, then "all".

    Examples
    --------
    >>> judged = pd.DataFrame({"reads": list("aab"), "question": "gap", "further": False,
    ...     "text": "t", "where": "w", "verdict": ["confirmed", "unresolved", "confirmed"]})
    >>> verdict_counts(judged).loc["all", ["confirmed", "depends", "claims"]].tolist()
    [1, 1, 2]
    """
    table = claim_verdicts(judged[~judged["further"].astype(bool)])
    order = list(dict.fromkeys(table["question"]))
    words = [*VERDICTS[:2], DEPENDS, *VERDICTS[2:]]
    counts = pd.crosstab(table["question"], table["verdict"])
    counts = counts.reindex(index=order, columns=words, fill_value=0)
    counts.loc["all"] = counts.sum()
    return counts.assign(claims=counts.sum(axis=1)).rename_axis(columns=None)


def _small(claim: Claim, ours: Estimate) -> bool:
    return claim.direction == "greater" and ours.estimate - claim.null < claim.margin
