"""The study's claims on where the gap comes from (RQ2)."""

from analysis_lib.published import PUBLISHED
from analysis_lib.questions.study_claims.readings import (
    GROUPS,
    HALF,
    LEVEL,
    TOGETHER,
    claims_on,
    permuted_readings,
    readings,
)

__all__ = ["STRUCTURE"]

KEPT = (PUBLISHED["permuted"] - PUBLISHED["permutation chance"]) / (
    PUBLISHED["unpermuted"] - PUBLISHED["permutation chance"]
)
"""Share of what lies above chance that is left with permuted labels."""

STRUCTURE = claims_on(
    "structure",
    {
        "id": "unpermuted",
        "text": f"six classes, five epochs: accuracy of {PUBLISHED['unpermuted']} within programs",
        "where": "Fig. 3b",
        "quantity": "pooled balanced accuracy of DEFault's features on six classes, E1",
        "published": PUBLISHED["unpermuted"],
        "null": 1 / 6,
        "shown": "tab-permuted",
        "why_not": LEVEL,
    },
    {
        "id": "permuted",
        "text": f"with labels permuted within programs, {PUBLISHED['permuted']} is left",
        "where": "Fig. 3b",
        "quantity": "the same, labels permuted run by run",
        "published": PUBLISHED["permuted"],
        "null": 1 / 6,
        "shown": "fig-permuted",
        "why_not": LEVEL,
    },
    *permuted_readings(
        {
            "id": "permuted above chance",
            "text": "with labels permuted within programs, accuracy stays above chance",
            "where": "Fig. 3b",
            "quantity": "pooled balanced accuracy of DEFault's features with permuted labels, E1, "
            "minus chance",
            "published": PUBLISHED["permuted"] - PUBLISHED["permutation chance"],
            "margin": 0.05,
            "shown": "fig-permuted",
        }
    ),
    *permuted_readings(
        {
            "id": "most is left",
            "text": "most of what lies above chance is left with permuted labels",
            "where": "Fig. 3b",
            "quantity": "share left of what lies above chance",
            "published": KEPT,
            "null": 0.5,
            "form": ".0%",
            "unit": "share",
            "shown": "fig-permuted",
        }
    ),
    {
        "id": "features know the program",
        "text": "features hold program-level structure",
        "where": "abstract, our reading",
        "quantity": "accuracy of recognising the program from DEFault's features in runs of an "
        "unseen fault class, minus chance",
        "shown": "tab-identity",
    },
    {
        "id": "programs further apart",
        "text": "programs differ more than faults do",
        "where": "Fig. 3a, our reading",
        "quantity": "squared MMD of DEFault's features between programs over that between classes",
        "null": 1.0,
        "form": ".2f",
        "unit": "ratio",
        "shown": "tab-identity",
    },
    *readings(
        {
            "id": "structure",
            "text": "the gap comes from program-level structure in the features",
            "where": "abstract",
            "reading": HALF + ", mean of DEFault and DeepFD",
            "quantity": "program part minus replicate leak, program-macro recall",
            "shown": "fig-waterfall",
        },
        {"id": "structure, DEFault", "reading": HALF + ", DEFault"},
        {
            "id": "structure, hierarchy",
            "reading": HALF + ", published hierarchy",
            "quantity": "the same" + GROUPS,
            "shown": "tab-hierarchy",
        },
        {"id": "structure, DeepFD", "reading": HALF + ", DeepFD"},
        {
            "id": "structure, replicates together",
            "reading": TOGETHER + ": the whole gap is then the program part; mean of DEFault "
            "and DeepFD",
            "quantity": "program part, E2 − E4, program-macro recall",
            "shown": "tab-parts",
        },
        {
            "id": "structure, replicates together, DEFault",
            "reading": TOGETHER + ", DEFault",
            "quantity": "program part, E2 − E4, program-macro recall",
            "shown": "tab-parts",
        },
        {
            "id": "structure, replicates together, hierarchy",
            "reading": TOGETHER + ", published hierarchy",
            "quantity": "the same" + GROUPS,
            "shown": "tab-hierarchy",
        },
        {
            "id": "structure, replicates together, DeepFD",
            "reading": TOGETHER + ", DeepFD",
            "quantity": "program part, E2 − E4, program-macro recall",
            "shown": "tab-parts",
        },
    ),
    {
        "id": "structure is used",
        "text": "fault typing within programs makes use of program-level structure",
        "where": "our question",
        "further": True,
        "quantity": "what erasing program identity does to E2 minus what it does to E4, "
        "DEFault's features, program-macro recall",
        "direction": "less",
        "shown": "tab-erasure",
    },
)
