"""The study's claims on the gap (RQ1)."""

from analysis_lib.published import PUBLISHED
from analysis_lib.questions.study_claims.readings import (
    ALONE,
    GROUPS,
    HIDDEN,
    SPLIT,
    TOGETHER,
    claims_on,
    readings,
)

__all__ = ["GAP"]

GAP = claims_on(
    "gap",
    *readings(
        {
            "id": "gap",
            "text": f"balanced accuracy on four classes falls by {PUBLISHED['gap']:.3f} when "
            "programs are held out",
            "where": "abstract",
            "reading": SPLIT + ", mean of DEFault (one flat forest) and DeepFD",
            "quantity": "pooled balanced accuracy, E1 − E4",
            "direction": "equal",
            "published": PUBLISHED["gap"],
            "shown": "fig-gap",
        },
        {"id": "gap, DEFault", "reading": SPLIT + ", and the number is DEFault's"},
        {
            "id": "gap, hierarchy",
            "reading": SPLIT + ", and it is that of DEFault's published hierarchy",
            "quantity": "the same" + GROUPS,
            "shown": "tab-techniques",
        },
        {"id": "gap, DeepFD", "reading": SPLIT + ", and it is DeepFD's"},
        {
            "id": "gap, hierarchy and DeepFD",
            "reading": SPLIT + ", mean of the published hierarchy and DeepFD",
            "quantity": "the same" + GROUPS,
            "shown": "tab-techniques",
        },
        {
            "id": "gap, replicates together",
            "reading": TOGETHER + ", mean of DEFault and DeepFD",
            "quantity": "pooled balanced accuracy, E2 − E4",
            "shown": "tab-gap-pooled",
        },
        {
            "id": "gap, hierarchy and DeepFD, replicates together",
            "reading": TOGETHER + ", mean of the published hierarchy and DeepFD",
            "quantity": "the same" + GROUPS,
            "shown": "tab-techniques",
        },
        {
            "id": "gap, a model per program",
            "reading": ALONE + ", DEFault",
            "quantity": "pooled balanced accuracy, E3 − E4",
            "shown": "tab-strategies",
        },
    ),
    *readings(
        {
            "id": "gap of DEFault",
            "text": "DEFault scores higher within programs than across them",
            "where": "Fig. 13",
            "reading": SPLIT,
            "quantity": "pooled balanced accuracy, E1 − E4",
            "shown": "fig-gap",
        },
        {
            "id": "gap of the hierarchy",
            "reading": SPLIT + ", published hierarchy",
            "quantity": "the same" + GROUPS,
            "shown": "tab-techniques",
        },
        {
            "id": "gap of DEFault, replicates together",
            "reading": TOGETHER,
            "quantity": "pooled balanced accuracy, E2 − E4",
            "shown": "tab-gap-pooled",
        },
        {
            "id": "gap of the hierarchy, replicates together",
            "reading": TOGETHER + ", published hierarchy",
            "quantity": "the same" + GROUPS,
            "shown": "tab-techniques",
        },
        {
            "id": "gap of DEFault, a model per program",
            "reading": ALONE,
            "quantity": "pooled balanced accuracy, E3 − E4",
            "shown": "tab-strategies",
        },
    ),
    *readings(
        {
            "id": "gap of DeepFD",
            "text": "DeepFD scores higher within programs than across them",
            "where": "Fig. 13",
            "reading": SPLIT,
            "quantity": "pooled balanced accuracy, E1 − E4",
            "shown": "fig-gap",
        },
        {
            "id": "gap of DeepFD, replicates together",
            "reading": TOGETHER,
            "quantity": "pooled balanced accuracy, E2 − E4",
            "shown": "tab-gap-pooled",
        },
        {
            "id": "gap of DeepFD, a model per program",
            "reading": ALONE,
            "quantity": "pooled balanced accuracy, E3 − E4",
            "shown": "tab-strategies",
        },
    ),
    {
        "id": "levels",
        "text": "the accuracies of DEFault and DeepFD within and across programs",
        "where": "Fig. 13",
        "why_not": HIDDEN,
    },
    *readings(
        {
            "id": "gap at every window",
            "text": "the gap is there at every observation window",
            "where": "Fig. 2",
            "reading": "for DEFault",
            "quantity": "smallest gap over windows from the first epoch on, program-macro recall, "
            "E1 − E4 in groups",
            "shown": "fig-windows",
        },
        {"id": "gap at every window, DeepFD", "reading": "for DeepFD"},
    ),
    {
        "id": "gap by window",
        "text": "the gap's size at each window",
        "where": "Fig. 2",
        "why_not": HIDDEN,
    },
)
