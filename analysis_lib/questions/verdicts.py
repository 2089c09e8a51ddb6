"""A claim, our estimate of what it is about, and the word that the two together deserve.

A claim is a quantity with a direction. Our estimate of the quantity comes with an interval over
programs, and :func:`verdict` turns the two into one of four words:

============ ==============================================================================
word         meaning
============ ==============================================================================
confirmed    the whole interval is where the claim says
contradicted the whole interval is where the claim says it is not
unresolved   the interval reaches both
not testable the study's number is not known, or describes its corpus alone
============ ==============================================================================

Where what was measured is not stated, a claim has several readings, each judged by itself;
:func:`combined` makes them one verdict on the claim, with the further word "depends".

The interval of a published number is not public. It is taken as wide as ours, so a number is
contradicted only if it differs from our estimate by more than the interval of a difference allows.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from analysis_lib.errors import InputError, unknown

__all__ = [
    "DEPENDS",
    "DIRECTIONS",
    "UNITS",
    "VERDICTS",
    "Claim",
    "Estimate",
    "combined",
    "estimate_text",
    "rule",
    "value_text",
    "verdict",
]

DIRECTIONS = ("equal", "greater", "less", "not greater", "negligible")
VERDICTS = ("confirmed", "contradicted", "unresolved", "not testable")
CONFIRMED, CONTRADICTED, UNRESOLVED, NOT_TESTABLE = VERDICTS
DEPENDS = "depends"
"""Word for a claim whose readings do not have the same verdict."""

UNITS = ("score", "share", "ratio", "decades")
"""What quantities are measured in: a score or area, a share of runs, a ratio, powers of ten."""

LEVEL = 0.05
"""A test that goes with an interval counts below this p-value."""


@dataclass(frozen=True)
class Estimate:
    """Our estimate of what a claim is about.

    Attributes
    ----------
    estimate : float
        Missing if our corpus does not have it.
    low : float
        Lower end of the 95 % interval over programs; missing for a plain count.
    high : float
        Upper end.
    programs : int
        Programs that the interval rests on; 0 without one.
    p_value : float
        Of a sign-flip test over programs, where the chapter asks for both; else missing.

    Examples
    --------
    >>> Estimate(0.2, 0.1, 0.3, programs=52).programs
    52
    """

    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    programs: int = 0
    p_value: float = math.nan


@dataclass(frozen=True)
class Claim:
    """One statement of the study, in one reading, or a test that is ours.

    Parameters
    ----------
    id : str
    question : {"corpus", "gap", "structure", "instability", "mismatch"}
    text : str
        What is claimed, in our words.
    where : str
        Place in the study.
    quantity : str
        What we estimate; empty if we have nothing to put beside the claim.
    direction : {"equal", "greater", "less", "not greater", "negligible"}
        Where the quantity is claimed to be: at ``published``, above or below ``null``, at most
        ``margin`` above it, or within ``margin`` of it.
    published : float, optional
        The study's value of the quantity, if it is known.
    null : float, default=0
        Value without an effect.
    margin : float, default=0
        The smallest effect that would be worth having.
    shown : str
        Label of the figure or table that shows our estimate.
    form : str, default=".3f"
        Format of the quantity's values; "points" for a difference of shares.
    why_not : str
        Why it is not testable; empty if it is. Our value may stand beside it all the same.
    reads : str
        The claim that this is one of several readings of; by default the claim is its own.
    reading : str
        What is taken for granted, as in "if ...".
    further : bool, default=False
        Whether the study does not say this, and we ask. Such tests are not counted.
    unit : {"score", "share", "ratio", "decades"}
        What the quantity is measured in.

    Raises
    ------
    InputError
        If the direction or unit is unknown, or a testable claim lacks what its direction needs.

    Examples
    --------
    >>> Claim("gap", "gap", "there is a gap", "abstract", "E1 - E4").direction
    'greater'
    """

    id: str
    question: str
    text: str
    where: str
    quantity: str = ""
    direction: str = "greater"
    published: float | None = None
    null: float = 0.0
    margin: float = 0.0
    shown: str = ""
    form: str = ".3f"
    why_not: str = ""
    reads: str = ""
    reading: str = ""
    further: bool = False
    unit: str = "score"

    def __post_init__(self):
        object.__setattr__(self, "reads", self.reads or self.id)
        if self.direction not in DIRECTIONS:
            raise unknown("direction", self.direction, DIRECTIONS)
        if self.unit not in UNITS:
            raise unknown("unit", self.unit, UNITS)
        if not (self.quantity or self.why_not):
            raise InputError(f"claim '{self.id}' needs a quantity, or a reason why it has none")
        if self.why_not:
            return
        if self.direction == "equal" and self.published is None:
            raise InputError(f"claim '{self.id}' is about a number; state the published one")
        if self.direction in ("negligible", "not greater") and self.margin <= 0:
            raise InputError(f"claim '{self.id}' needs a margin above 0")


def verdict(
    estimate: float,
    low: float,
    high: float,
    published: float | None = None,
    direction: str = "equal",
    *,
    null: float = 0.0,
    margin: float = 0.0,
    p_value: float = math.nan,
) -> str:
    """Judge a claim by an estimate and its interval.

    - "greater": confirmed if low > null; contradicted if high < null + margin, so that nothing
      worth having is left. "less" is the mirror image, "not greater" has the words exchanged.
    - "equal": confirmed if the interval holds the published number and leaves out ``null``;
      contradicted if the number is further from the estimate than sqrt(2) times the half of the
      interval that lies on its side. That is the interval of a difference from a number whose own
      interval, which is not public, is as wide as ours. Else it is too close or too wide to say.
    - "negligible": confirmed if the interval lies within ``margin`` of ``null``, contradicted if
      it lies wholly above or wholly below ``null`` and reaches beyond the margin.

    Parameters
    ----------
    estimate : float
        If missing, the claim is not testable.
    low : float
        Lower end of its interval; without one the claim is not testable.
    high : float
        Upper end of its interval.
    published : float, optional
    direction : {"equal", "greater", "less", "not greater", "negligible"}
    null, margin : float
    p_value : float, optional
        Of a test that the quantity is ``null``; from 0.05 on, ``null`` counts as held by the
        interval: with few programs and bounded values neither is safe alone.

    Returns
    -------
    str
        "confirmed", "contradicted", "unresolved" or "not testable".

    Raises
    ------
    InputError
        If the direction is unknown, the estimate is not in its interval, or "equal" comes without
        a published number.

    Examples
    --------
    >>> verdict(0.21, 0.15, 0.27, 0.19, "equal"), verdict(0.21, -0.1, 0.5, 0.19, "equal")
    ('confirmed', 'unresolved')
    >>> verdict(0.02, 0.01, 0.03, 0.19, "equal"), verdict(0.02, 0.01, 0.03, direction="greater")
    ('contradicted', 'confirmed')
    >>> verdict(0.15, 0.12, 0.18, 0.19, "equal")  # outside, but not as far as 0.03 * sqrt(2)
    'unresolved'
    """
    if direction not in DIRECTIONS:
        raise unknown("direction", direction, DIRECTIONS)
    if math.isnan(estimate) or math.isnan(low) or math.isnan(high):
        return NOT_TESTABLE
    slack = 1e-9 * max(1.0, abs(estimate))
    if not low - slack <= estimate <= high + slack:
        raise InputError(f"the estimate {estimate} is not between {low} and {high}")
    told = not p_value >= LEVEL
    above, below = told and low > null, told and high < null
    if direction == "greater":
        return _word(above, high < null + margin if margin else below)
    if direction == "less":
        return _word(below, low > null - margin if margin else above)
    if direction == "not greater":
        return _word(high < null + margin and not above, above)
    if direction == "negligible":
        inside = null - margin < low and high < null + margin
        return _word(inside, above or below)
    if published is None:
        raise InputError("a claim about a number needs the published one")
    holds = low <= published <= high
    half = high - estimate if published > estimate else estimate - low
    far = abs(published - estimate) > math.sqrt(2) * half
    return _word(holds and not low <= null <= high, far and not holds)


def combined(words: Iterable[str]) -> str:
    """Return the verdict on a claim from those on its readings.

    Readings that are not testable say nothing, unless all are. If the others have one verdict, it
    is the claim's, else the claim "depends" on how the study is read.

    Parameters
    ----------
    words : iterable of str

    Returns
    -------
    str
        One of :data:`VERDICTS` or :data:`DEPENDS`.

    Raises
    ------
    InputError
        If there is no reading.

    Examples
    --------
    >>> combined(["confirmed", "confirmed", "not testable"]), combined(["confirmed", "unresolved"])
    ('confirmed', 'depends')
    """
    found = set(words)
    if not found:
        raise InputError("a claim without a reading has no verdict")
    told = found - {NOT_TESTABLE} or found
    return told.pop() if len(told) == 1 else DEPENDS


def rule(claim: Claim) -> str:
    """Return the test of a claim in words.

    Examples
    --------
    >>> rule(Claim("x", "gap", "there is a gap", "abstract", "E1 - E4"))
    'confirmed if the whole interval is above 0, contradicted if it is below 0'
    """
    null, margin = claim.null, claim.margin
    if claim.why_not:
        return claim.why_not
    if claim.direction == "equal":
        return (
            f"confirmed if the interval holds {claim.published:.3g} and not {null:.3g}, "
            f"contradicted if {claim.published:.3g} is off by more than 1.41 times its half width"
        )
    if claim.direction == "negligible":
        return (
            f"confirmed if the whole interval is within {margin:g} of {null:.3g}, "
            f"contradicted if it leaves out {null:.3g} and reaches further"
        )
    if claim.direction == "not greater":
        return (
            f"confirmed if the whole interval is below {null + margin:.3g}, "
            f"contradicted if it is above {null:.3g}"
        )
    up = claim.direction == "greater"
    first, second = ("above", "below") if up else ("below", "above")
    other = null + margin if up else null - margin
    return (
        f"confirmed if the whole interval is {first} {null:.3g}, "
        f"contradicted if it is {second} {other:.3g}"
    )


def value_text(value: float | None, form: str) -> str:
    """Return a value as text, a dash if it is missing, and never a negative zero.

    Examples
    --------
    >>> value_text(-0.0004, ".2f"), value_text(-0.044, "points"), value_text(None, ".1%")
    ('0.00', '-4.4 points', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    if form == "points":
        return f"{100 * value:z.1f} points"
    return format(value, f"z{form}" if form[-1] in "ef%" else form)


def estimate_text(estimate: float, low: float, high: float, form: str) -> str:
    """Return an estimate with its interval as text, the estimate alone if it has none.

    Examples
    --------
    >>> estimate_text(0.5, 0.25, 0.75, ".2f"), estimate_text(0.5, 0.25, 0.75, "points")
    ('0.50 [0.25, 0.75]', '50.0 [25.0, 75.0] points')
    """
    if math.isnan(low):
        return value_text(estimate, form)
    unit = " points" if form == "points" else ""
    value, *ends = (value_text(x, form).removesuffix(unit) for x in (estimate, low, high))
    return f"{value} [{', '.join(ends)}]{unit}"


def _word(confirmed: bool, contradicted: bool) -> str:
    return CONFIRMED if confirmed else CONTRADICTED if contradicted else UNRESOLVED
