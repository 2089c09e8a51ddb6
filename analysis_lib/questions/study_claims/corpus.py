"""The study's claims on its corpus."""

from analysis_lib.published import PUBLISHED
from analysis_lib.questions.study_claims.readings import THEIRS, claims_on

__all__ = ["CORPUS"]

CORPUS = claims_on(
    "corpus",
    {
        "id": "traces",
        "text": f"the corpus has {PUBLISHED['traces']:,} traces",
        "where": "abstract",
        "quantity": "runs of our corpus that take part here",
        "published": PUBLISHED["traces"],
        "form": ",.0f",
        "why_not": THEIRS,
    },
    {
        "id": "programs",
        "text": f"they come from {PUBLISHED['programs']} programs",
        "where": "abstract",
        "quantity": "programs that take part here",
        "published": PUBLISHED["programs"],
        "form": ",.0f",
        "why_not": THEIRS,
    },
    {
        "id": "real faults",
        "text": "injected faults stand for natural ones",
        "where": "limitations",
        "why_not": "neither corpus holds natural faults",
    },
)
