"""The claims of the study, with what decides each on our corpus.

Of the study we have the abstract, captions and parts of three sections, not the text. Where a claim
is not stated there in the words of a measurement, "our reading" says so. Where several readings are
possible, the claim has a row for each; ``reading`` says what is then taken for granted.
"""

from analysis_lib.published import PUBLISHED, TABLE_VII
from analysis_lib.questions.verdicts import Claim

__all__ = ["CHAPTERS", "CLAIMS", "OTHER_DEFINITIONS", "QUESTIONS"]

QUESTIONS = {
    "corpus": "Corpus",
    "gap": "RQ1: the gap",
    "structure": "RQ2: where it comes from",
    "instability": "RQ3: instability and curvature",
    "mismatch": "RQ4: mismatch and optimizer features",
}
"""What claims are about."""

CHAPTERS = {
    "corpus": "02_corpus",
    "gap": "03_evaluation_gap",
    "structure": "04_program_structure",
    "instability": "05_instability_and_curvature",
    "mismatch": "06_mismatch_and_optimizer",
}
"""Where our estimates come from."""

OTHER_DEFINITIONS = ("loss above 1,000", "not finite only")
"""Definitions of an unstable run, of :data:`analysis_lib.questions.instability.LABEL_VARIANTS`,
whose shares lie furthest apart: the bound of the study is not known."""

_CALM, _WILD, _THIRD = TABLE_VII
_UNSTABLE = PUBLISHED["unstable"] / PUBLISHED["curvature traces"]
_ABOVE_CHANCE = PUBLISHED["unpermuted"] - PUBLISHED["permutation chance"]
_KEPT = (PUBLISHED["permuted"] - PUBLISHED["permutation chance"]) / _ABOVE_CHANCE
_HIDDEN = "the values are in a figure of which we have the caption alone"
_THEIRS = "describes the study's corpus; ours is another one, by design"
_BY_DESIGN = (
    "at chance by design: under even class mixes, labels permuted run by run leave nothing to go by"
)
_LEVEL = (
    "a level depends on how hard the classes of a corpus are, on its class mixes, and here on the "
    "unit permuted, which we do not know"
)
_USE = 0.1
"""Gain in AUC from which on a detector would be of use, as in the chapter on instability."""

_WORTH = 0.05
"""Gain in AUC that would be worth having, as in the chapter on mismatch."""


_SPLIT = "if the folds split replicates"
_TOGETHER = "if the folds kept replicates together"
_ALONE = "if each program had a model of its own, configurations held out (rows were not run)"
_HALF = _SPLIT + ", and 'comes from' is more than half"
_GROUPS = ", programs held out in groups, one draw"


def _claims(question: str, *rows: dict) -> tuple[Claim, ...]:
    return tuple(Claim(question=question, **row) for row in rows)


def _readings(first: dict, *others: dict) -> tuple[dict, ...]:
    """Return rows for a claim and its other readings, which differ in what they name."""
    return first, *({**first, "reads": first["id"], **other} for other in others)


def _permuted(first: dict) -> tuple[dict, ...]:
    """Return the readings of a claim on permuted labels: by unit, under even and uneven mixes."""
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
                row["why_not"] = _BY_DESIGN
            rows.append({**first, "reads": first["id"], **row})
    return tuple(rows)


CORPUS = _claims(
    "corpus",
    {
        "id": "traces",
        "text": f"the corpus has {PUBLISHED['traces']:,} traces",
        "where": "abstract",
        "quantity": "runs of our corpus that take part here",
        "published": PUBLISHED["traces"],
        "form": ",.0f",
        "why_not": _THEIRS,
    },
    {
        "id": "programs",
        "text": f"they come from {PUBLISHED['programs']} programs",
        "where": "abstract",
        "quantity": "programs that take part here",
        "published": PUBLISHED["programs"],
        "form": ",.0f",
        "why_not": _THEIRS,
    },
    {
        "id": "real faults",
        "text": "injected faults stand for natural ones",
        "where": "limitations",
        "why_not": "neither corpus holds natural faults",
    },
)

GAP = _claims(
    "gap",
    *_readings(
        {
            "id": "gap",
            "text": f"balanced accuracy on four classes falls by {PUBLISHED['gap']:.3f} when "
            "programs are held out",
            "where": "abstract",
            "reading": _SPLIT + ", mean of DEFault (one flat forest) and DeepFD",
            "quantity": "pooled balanced accuracy, E1 − E4",
            "direction": "equal",
            "published": PUBLISHED["gap"],
            "shown": "fig-gap",
        },
        {"id": "gap, DEFault", "reading": _SPLIT + ", and the number is DEFault's"},
        {
            "id": "gap, hierarchy",
            "reading": _SPLIT + ", and it is that of DEFault's published hierarchy",
            "quantity": "the same" + _GROUPS,
            "shown": "tab-techniques",
        },
        {"id": "gap, DeepFD", "reading": _SPLIT + ", and it is DeepFD's"},
        {
            "id": "gap, hierarchy and DeepFD",
            "reading": _SPLIT + ", mean of the published hierarchy and DeepFD",
            "quantity": "the same" + _GROUPS,
            "shown": "tab-techniques",
        },
        {
            "id": "gap, replicates together",
            "reading": _TOGETHER + ", mean of DEFault and DeepFD",
            "quantity": "pooled balanced accuracy, E2 − E4",
            "shown": "tab-gap-pooled",
        },
        {
            "id": "gap, hierarchy and DeepFD, replicates together",
            "reading": _TOGETHER + ", mean of the published hierarchy and DeepFD",
            "quantity": "the same" + _GROUPS,
            "shown": "tab-techniques",
        },
        {
            "id": "gap, a model per program",
            "reading": _ALONE + ", DEFault",
            "quantity": "pooled balanced accuracy, E3 − E4",
            "shown": "tab-strategies",
        },
    ),
    *_readings(
        {
            "id": "gap of DEFault",
            "text": "DEFault scores higher within programs than across them",
            "where": "Fig. 13",
            "reading": _SPLIT,
            "quantity": "pooled balanced accuracy, E1 − E4",
            "shown": "fig-gap",
        },
        {
            "id": "gap of the hierarchy",
            "reading": _SPLIT + ", published hierarchy",
            "quantity": "the same" + _GROUPS,
            "shown": "tab-techniques",
        },
        {
            "id": "gap of DEFault, replicates together",
            "reading": _TOGETHER,
            "quantity": "pooled balanced accuracy, E2 − E4",
            "shown": "tab-gap-pooled",
        },
        {
            "id": "gap of the hierarchy, replicates together",
            "reading": _TOGETHER + ", published hierarchy",
            "quantity": "the same" + _GROUPS,
            "shown": "tab-techniques",
        },
        {
            "id": "gap of DEFault, a model per program",
            "reading": _ALONE,
            "quantity": "pooled balanced accuracy, E3 − E4",
            "shown": "tab-strategies",
        },
    ),
    *_readings(
        {
            "id": "gap of DeepFD",
            "text": "DeepFD scores higher within programs than across them",
            "where": "Fig. 13",
            "reading": _SPLIT,
            "quantity": "pooled balanced accuracy, E1 − E4",
            "shown": "fig-gap",
        },
        {
            "id": "gap of DeepFD, replicates together",
            "reading": _TOGETHER,
            "quantity": "pooled balanced accuracy, E2 − E4",
            "shown": "tab-gap-pooled",
        },
        {
            "id": "gap of DeepFD, a model per program",
            "reading": _ALONE,
            "quantity": "pooled balanced accuracy, E3 − E4",
            "shown": "tab-strategies",
        },
    ),
    {
        "id": "levels",
        "text": "the accuracies of DEFault and DeepFD within and across programs",
        "where": "Fig. 13",
        "why_not": _HIDDEN,
    },
    *_readings(
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
        "why_not": _HIDDEN,
    },
)

STRUCTURE = _claims(
    "structure",
    {
        "id": "unpermuted",
        "text": f"six classes, five epochs: accuracy of {PUBLISHED['unpermuted']} within programs",
        "where": "Fig. 3b",
        "quantity": "pooled balanced accuracy of DEFault's features on six classes, E1",
        "published": PUBLISHED["unpermuted"],
        "null": 1 / 6,
        "shown": "tab-permuted",
        "why_not": _LEVEL,
    },
    {
        "id": "permuted",
        "text": f"with labels permuted within programs, {PUBLISHED['permuted']} is left",
        "where": "Fig. 3b",
        "quantity": "the same, labels permuted run by run",
        "published": PUBLISHED["permuted"],
        "null": 1 / 6,
        "shown": "fig-permuted",
        "why_not": _LEVEL,
    },
    *_permuted(
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
    *_permuted(
        {
            "id": "most is left",
            "text": "most of what lies above chance is left with permuted labels",
            "where": "Fig. 3b",
            "quantity": "share left of what lies above chance",
            "published": _KEPT,
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
    *_readings(
        {
            "id": "structure",
            "text": "the gap comes from program-level structure in the features",
            "where": "abstract",
            "reading": _HALF + ", mean of DEFault and DeepFD",
            "quantity": "program part minus replicate leak, program-macro recall",
            "shown": "fig-waterfall",
        },
        {"id": "structure, DEFault", "reading": _HALF + ", DEFault"},
        {
            "id": "structure, hierarchy",
            "reading": _HALF + ", published hierarchy",
            "quantity": "the same" + _GROUPS,
            "shown": "tab-hierarchy",
        },
        {"id": "structure, DeepFD", "reading": _HALF + ", DeepFD"},
        {
            "id": "structure, replicates together",
            "reading": _TOGETHER + ": the whole gap is then the program part; mean of DEFault "
            "and DeepFD",
            "quantity": "program part, E2 − E4, program-macro recall",
            "shown": "tab-parts",
        },
        {
            "id": "structure, replicates together, DEFault",
            "reading": _TOGETHER + ", DEFault",
            "quantity": "program part, E2 − E4, program-macro recall",
            "shown": "tab-parts",
        },
        {
            "id": "structure, replicates together, hierarchy",
            "reading": _TOGETHER + ", published hierarchy",
            "quantity": "the same" + _GROUPS,
            "shown": "tab-hierarchy",
        },
        {
            "id": "structure, replicates together, DeepFD",
            "reading": _TOGETHER + ", DeepFD",
            "quantity": "program part, E2 − E4, program-macro recall",
            "shown": "tab-parts",
        },
    ),
    {
        "id": "structure is used",
        "text": "fault typing within programs makes use of that structure",
        "where": "our question",
        "further": True,
        "quantity": "what erasing program identity does to E2 minus what it does to E4, "
        "DEFault's features, program-macro recall",
        "direction": "less",
        "shown": "tab-erasure",
    },
)

INSTABILITY = _claims(
    "instability",
    {
        "id": "unstable share",
        "text": f"{PUBLISHED['unstable']} of {PUBLISHED['curvature traces']:,} runs are unstable",
        "where": "Fig. 7",
        "quantity": "unstable share of all runs",
        "published": _UNSTABLE,
        "form": ".1%",
        "unit": "share",
        "shown": "fig-instability-when",
        "why_not": "the share is set by which faults are injected how often",
    },
    *_readings(
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
            "form": ".1%",
            "unit": "share",
            "shown": "tab-instability-definitions",
        },
        *(
            {"id": f"explode at once, {name}", "reading": f"if unstable is '{name}'"}
            for name in OTHER_DEFINITIONS
        ),
    ),
    *_readings(
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
        "margin": _USE,
        "shown": "fig-instability-auc",
    },
    {
        "id": "precision and recall",
        "text": "the curves under program hold-out",
        "where": "Fig. 9",
        "why_not": _HIDDEN,
    },
    *_readings(
        {
            "id": "an unstable cluster",
            "text": "one curvature cluster is unstable: all of it there, more than half asked here",
            "where": "Table VII, cluster 1",
            "reading": "the cluster of finite curvature with the largest median",
            "quantity": "unstable share of its runs",
            "published": _WILD["unstable"],
            "null": 0.5,
            "form": ".1%",
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
        "published": _CALM["unstable"] - _UNSTABLE,
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
        "published": _CALM["mismatch"] - _WILD["mismatch"],
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
        "published": _WILD["median_hvp"],
        "form": ".1e",
        "why_not": "their norm depends on steps per epoch and layer size, ours does not",
    },
    {
        "id": "third cluster",
        "text": "a third cluster is stable, too",
        "where": "Table VII, cluster 2",
        "published": _THIRD["unstable"],
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
        "form": ".1%",
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
        "margin": _USE,
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

MISMATCH = _claims(
    "mismatch",
    *_readings(
        {
            "id": "optimizer on seen programs",
            "text": "optimizer and activation features help with mismatch on seen programs",
            "where": "abstract, Fig. 10",
            "reading": "logistic regression",
            "quantity": "AUC within programs, E2, minus one half",
            "margin": _WORTH,
            "shown": "fig-mismatch-added",
        },
        {"id": "optimizer on seen programs, forest", "reading": "random forest"},
    ),
    *_readings(
        {
            "id": "optimizer on unseen programs",
            "text": "they do not help on unseen programs",
            "where": "abstract, Fig. 10",
            "reading": "logistic regression",
            "quantity": "AUC within programs, E4, minus one half",
            "direction": "not greater",
            "margin": _WORTH,
            "shown": "fig-mismatch-added",
        },
        {"id": "optimizer on unseen programs, forest", "reading": "random forest"},
        {
            "id": "optimizer on unseen programs, pooled",
            "reading": "logistic regression, area over all runs",
            "quantity": "pooled AUC, E4, minus one half",
            "shown": "tab-mismatch-auc",
        },
    ),
    *_readings(
        {
            "id": "optimizer, seen over unseen",
            "text": "they help more on seen than on unseen programs",
            "where": "abstract, Fig. 10",
            "reading": "configurations held out, logistic regression",
            "quantity": "AUC within programs, E2 − E4, paired",
            "shown": "tab-mismatch-seen",
        },
        {
            "id": "optimizer, seen over unseen, forest",
            "reading": "configurations held out, random forest",
        },
        {
            "id": "optimizer, rows",
            "reading": "rows held out, logistic regression",
            "quantity": "AUC within programs, E1 − E4, paired",
        },
        {
            "id": "optimizer, rows, forest",
            "reading": "rows held out, random forest",
            "quantity": "AUC within programs, E1 − E4, paired",
        },
        {
            "id": "optimizer, pooled",
            "reading": "rows held out, logistic regression, area over all runs",
            "quantity": "pooled AUC, E1 − E4",
            "shown": "tab-mismatch-auc",
        },
    ),
    {
        "id": "areas by window",
        "text": "the areas at each window",
        "where": "Fig. 10",
        "why_not": _HIDDEN,
    },
    {
        "id": "coefficients",
        "text": "what optimizer channels say hardly carries over from program to program",
        "where": "Fig. 11, our reading",
        "quantity": "share of pairs of programs in which a channel points the same way",
        "direction": "negligible",
        "null": 0.5,
        "margin": 0.1,
        "form": ".1%",
        "unit": "share",
        "shown": "tab-mismatch-coefficients",
    },
    {
        "id": "threshold",
        "text": "a fixed threshold makes the mismatch label depend on the program",
        "where": "limitations",
        "quantity": "standard deviation over programs of the mismatched share beyond chance",
        "form": "points",
        "unit": "share",
        "shown": "fig-mismatch-rates",
    },
    {
        "id": "optimizer over accuracies",
        "text": "optimizer features add to accuracies and losses on seen programs",
        "where": "our question",
        "further": True,
        "quantity": "gain in AUC within programs, E2",
        "margin": _WORTH,
        "shown": "fig-mismatch-added",
    },
)

CLAIMS = (*CORPUS, *GAP, *STRUCTURE, *INSTABILITY, *MISMATCH)
"""The claims, in the order of the research questions; readings of a claim follow each other."""
