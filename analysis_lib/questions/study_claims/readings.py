"""What a claim is taken to say: rows for each reading, and the words that recur in them."""

from analysis_lib.questions.verdicts import Claim

__all__ = ["OTHER_DEFINITIONS", "claims_on", "permuted_readings", "readings"]

OTHER_DEFINITIONS = ("loss above 1,000", "not finite only")
"""Definitions of an unstable run, of :data:`analysis_lib.questions.instability.LABEL_VARIANTS`,
whose shares lie furthest apart: the bound of the study is not known."""

HIDDEN = "the values are in a figure of which we have the caption alone"
THEIRS = "describes the study's corpus; ours is another one, by design"
BY_DESIGN = (
    "at chance by design: under even class mixes, labels permuted run by run leave nothing to go by"
)
LEVEL = (
    "a level depends on how hard the classes of a corpus are, on its class mixes, and here on the "
    "unit permuted, which we do not know"
)

SPLIT = "if the folds split replicates"
TOGETHER = "if the folds kept replicates together"
ALONE = "if each program had a model of its own, configurations held out (rows were not run)"
HALF = SPLIT + ", and 'comes from' is more than half"
GROUPS = ", programs held out in groups, one draw"


def claims_on(question: str, *rows: dict) -> tuple[Claim, ...]:
    """Return the claims of a research question, one per row.

    Examples
    --------
    >>> row = {"id": "a", "text": "b", "where": "abstract", "why_not": "not measured here"}
    >>> claims_on("gap", row)[0].question
    'gap'
    """
    return tuple(Claim(question=question, **row) for row in rows)


def readings(first: dict, *others: dict) -> tuple[dict, ...]:
    """Return rows for a claim and its other readings, which differ in what they name.

    Examples
    --------
    >>> [row["id"] for row in readings({"id": "gap", "text": "x"}, {"id": "gap, DeepFD"})]
    ['gap', 'gap, DeepFD']
    """
    return first, *({**first, "reads": first["id"], **other} for other in others)


def permuted_readings(first: dict) -> tuple[dict, ...]:
    """Return the readings of a claim on permuted labels: by unit, under even and uneven mixes.

    Examples
    --------
    >>> [row["id"] for row in permuted_readings({"id": "left"})][:2]
    ['left, by run, planned', 'left, by run, natural']
    """
    rows = []
    units = {
        "run": "if labels of single runs were permuted",
        "configuration": "if replicates kept a common label",
    }
    for unit, condition in units.items():
        for mix, words in (("planned", "nearly even"), ("natural", "uneven")):
            row = {"id": f"{first['id']}, by {unit}, {mix}"}
            row["reading"] = f"{condition}, {words} class mixes"
            if (unit, mix) == ("run", "planned"):
                row["why_not"] = BY_DESIGN
            rows.append({**first, "reads": first["id"], **row})
    return tuple(rows)
