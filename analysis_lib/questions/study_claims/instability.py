"""The study's claims on instability and curvature (RQ3)."""

from analysis_lib.published import PUBLISHED, TABLE_VII
from analysis_lib.questions.study_claims.readings import (
    HIDDEN,
    OTHER_DEFINITIONS,
    claims_on,
    readings,
)

__all__ = ["INSTABILITY"]

CALM, WILD, THIRD = TABLE_VII
UNSTABLE = PUBLISHED["unstable"] / PUBLISHED["curvature traces"]
USE = 0.1
"""Gain in AUC from which on a detector would be of use, as in the chapter on instability."""

INSTABILITY = claims_on(
    "instability",
    {
        "id": "unstable share",
        "text": f"{PUBLISHED['unstable']} of {PUBLISHED['curvature traces']:,} runs are unstable",
        "where": "Fig. 7",
        "quantity": "unstable share of all runs",
        "published": UNSTABLE,
        "form": ".1%",
        "unit": "share",
        "shown": "fig-instability-when",
        "why_not": "the share is set by which faults are injected how often",
    },
    *readings(
        {
            "id": "explode at once",
            "text": f"{PUBLISHED['exploding at once']:.0%} of unstable runs explode in the first "
            "epoch",
            "where": "Fig. 5a",
            "reading": "by our definition of unstable",
            "quantity": "share of unstable runs that are bad by the end of the first epoch",
            "direction": "equal",
            "published": PUBLISHED["exploding at once"],
            "null": 0.5,
            "form": ".0%",
            "unit": "share",
            "shown": "tab-instability-definitions",
        },
        *(
            {"id": f"explode at once, {name}", "reading": f"if unstable is '{name}'"}
            for name in OTHER_DEFINITIONS
        ),
    ),
    *readings(
        {
            "id": "fifths",
            "text": "instability is more frequent the larger curvature is after the first epoch",
            "where": "Fig. 6",
            "reading": "among all runs, finite values alone",
            "quantity": "unstable share in the upper minus that in the lower fifth by HVP norm",
            "form": "points",
            "unit": "share",
            "shown": "fig-instability-fifths",
        },
        {
            "id": "fifths, not finite",
            "reading": "among all runs, what is not finite counts as the largest",
        },
        {
            "id": "fifths within programs",
            "reading": "among runs of one program, finite values alone",
            "quantity": "the same in fifths of every program's runs, mean over programs",
            "shown": "tab-instability-contrast",
        },
        {
            "id": "fifths within programs, not finite",
            "reading": "among runs of one program, what is not finite counts as the largest",
            "quantity": "the same in fifths of every program's runs, mean over programs",
            "shown": "tab-instability-contrast",
        },
    ),
    {
        "id": "layers",
        "text": "layer-wise HVP norms of unstable runs are larger than those of stable ones",
        "where": "Fig. 7",
        "quantity": "log10 HVP norm after the first epoch, unstable minus stable runs of a "
        "program, mean over layers",
        "form": ".2f",
        "unit": "decades",
        "shown": "fig-instability-depth",
    },
    {
        "id": "curvature on unseen programs",
        "text": "curvature features detect instability on unseen programs",
        "where": "abstract, Fig. 9",
        "quantity": "AUC within programs, E4, contemporaneous, minus one half",
        "margin": USE,
        "shown": "fig-instability-auc",
    },
    {
        "id": "precision and recall",
        "text": "the curves under program hold-out",
        "where": "Fig. 9",
        "why_not": HIDDEN,
    },
    *readings(
        {
            "id": "an unstable cluster",
            "text": "one curvature cluster is unstable: all of it there, more than half asked here",
            "where": "Table VII, cluster 1",
            "reading": "the cluster of finite curvature with the largest median",
            "quantity": "unstable share of its runs",
            "published": WILD["unstable"],
            "null": 0.5,
            "form": ".0%",
            "unit": "share",
            "shown": "tab-instability-clusters",
        },
        {
            "id": "an unstable cluster, not finite",
            "reading": "the runs whose curvature is not finite after the first epoch (whose loss "
            "then hardly ever is)",
        },
    ),
    {
        "id": "a stable cluster",
        "text": "the largest curvature cluster holds fewer unstable runs than the corpus",
        "where": "Table VII, cluster 0",
        "quantity": "unstable share in the largest cluster minus that of all runs of finite "
        "curvature (the study's: of all runs)",
        "direction": "less",
        "published": CALM["unstable"] - UNSTABLE,
        "form": "points",
        "unit": "share",
        "shown": "tab-instability-clusters",
    },
    {
        "id": "mismatch by cluster",
        "text": "mismatch is rare in the unstable cluster and common in the largest one",
        "where": "Table VII",
        "quantity": "mismatched share of stable runs, largest cluster minus the one with the "
        "largest median",
        "published": CALM["mismatch"] - WILD["mismatch"],
        "form": "points",
        "unit": "share",
        "shown": "tab-instability-clusters",
        "why_not": "the study's unstable cluster has no stable run, and our mismatch is of stable "
        "runs alone",
    },
    {
        "id": "size of curvature",
        "text": "the clusters' medians of the HVP norm",
        "where": "Table VII",
        "published": WILD["median_hvp"],
        "form": ".1e",
        "why_not": "their norm depends on steps per epoch and layer size, ours does not",
    },
    {
        "id": "third cluster",
        "text": "a third cluster is stable, too",
        "where": "Table VII, cluster 2",
        "published": THIRD["unstable"],
        "form": ".1%",
        "why_not": "clusters beyond the two extremes have no counterpart",
    },
    {
        "id": "most explode at once",
        "text": "most unstable runs explode in the first epoch",
        "where": "our question",
        "further": True,
        "quantity": "share of unstable runs that are bad by the end of the first epoch",
        "null": 0.5,
        "form": ".0%",
        "unit": "share",
        "shown": "fig-instability-when",
    },
    {
        "id": "curvature as a warning",
        "text": "curvature features detect instability before a run has gone bad",
        "where": "our question",
        "further": True,
        "quantity": "AUC within programs, E4, traces cut before the first bad snapshot, minus one "
        "half; its p-value is adjusted over two kinds of curvature in three settings",
        "margin": USE,
        "shown": "fig-instability-auc",
    },
    *(
        {
            "id": f"curvature over the {name}, {when}",
            "text": f"curvature features tell more than the {what} does, {words}",
            "where": "our question",
            "further": True,
            "quantity": f"AUC within programs, E4, {setting}: curvature minus {what}",
            "shown": "tab-instability-differences",
        }
        for when, words, setting in (
            ("now", "of what has already happened", "contemporaneous"),
            ("before", "before it happens", "before the first bad snapshot"),
        )
        for name, what in (("loss", "training loss"), ("rate", "learning rate"))
    ),
)
