"""What the study says, claim by claim, beside our estimates, with a verdict on each."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pandas as pd

from analysis_lib.errors import InputError
from analysis_lib.questions.study_claims import CLAIMS
from analysis_lib.questions.verdicts import (
    NOT_TESTABLE,
    VERDICTS,
    Claim,
    Estimate,
    rule,
    verdict,
)

__all__ = ["claims_table", "judge", "verdict_counts"]


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
    """
    chosen = CLAIMS if claims is None else claims
    return pd.DataFrame([asdict(c) | {"rule": rule(c)} for c in chosen]).set_index("id")


def judge(
    estimates: Mapping[str, Estimate | Sequence[float]], claims: Sequence[Claim] | None = None
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
        reason (why not testable, else empty).

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
            reason = "no run of our corpus tells" if word == NOT_TESTABLE else ""
        rows[claim.id] = asdict(ours) | {"verdict": word, "reason": reason}
    return claims_table(chosen).join(pd.DataFrame.from_dict(rows, orient="index"))


def verdict_counts(judged: pd.DataFrame) -> pd.DataFrame:
    """Count verdicts by question.

    Parameters
    ----------
    judged : DataFrame
        As :func:`judge` returns it.

    Returns
    -------
    DataFrame indexed by question
        A column per verdict, and ``claims``; questions in their order, then "all".

    Examples
    --------
    >>> judged = pd.DataFrame({"question": ["gap", "gap"], "verdict": ["confirmed"] * 2})
    >>> verdict_counts(judged).loc["all", ["confirmed", "unresolved", "claims"]].tolist()
    [2, 0, 2]
    """
    order = list(dict.fromkeys(judged["question"]))
    counts = pd.crosstab(judged["question"], judged["verdict"])
    counts = counts.reindex(index=order, columns=list(VERDICTS), fill_value=0)
    counts.loc["all"] = counts.sum()
    return counts.assign(claims=counts.sum(axis=1)).rename_axis(columns=None)
