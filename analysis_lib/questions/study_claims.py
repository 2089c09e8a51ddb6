"""The claims of the study, with what decides each on our corpus.

Of the study we have the abstract, captions and parts of three sections, not the text. Where a claim
is not stated there in the words of a measurement, "our reading" says so.
"""

from analysis_lib.published import PUBLISHED, TABLE_VII
from analysis_lib.questions.verdicts import Claim

__all__ = ["CHAPTERS", "CLAIMS", "QUESTIONS"]

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

_CALM, _WILD, _THIRD = TABLE_VII
_UNSTABLE = PUBLISHED["unstable"] / PUBLISHED["curvature traces"]
_ABOVE_CHANCE = PUBLISHED["unpermuted"] - PUBLISHED["permutation chance"]
_KEPT = (PUBLISHED["permuted"] - PUBLISHED["permutation chance"]) / _ABOVE_CHANCE
_HIDDEN = "the values are in a figure of which we have the caption alone"
_THEIRS = "describes the study's corpus; ours is another one, by design"
_LEVEL = (
    "a level depends on how hard the classes of a corpus are, on its class mixes, and here on the "
    "unit permuted, which we do not know"
)
_USE = 0.1
"""Gain in AUC from which on a detector would be of use, as in the chapter on instability."""

_WORTH = 0.05
"""Gain in AUC that would be worth having, as in the chapter on mismatch."""


def _claims(question: str, *rows: dict) -> tuple[Claim, ...]:
    return tuple(Claim(question=question, **row) for row in rows)


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
    {
        "id": "gap",
        "text": f"balanced accuracy on four classes falls by {PUBLISHED['gap']:.3f} when programs "
        "are held out",
        "where": "abstract",
        "quantity": "pooled balanced accuracy, E1 − E4, mean of DEFault and DeepFD",
        "direction": "equal",
        "published": PUBLISHED["gap"],
        "shown": "fig-gap",
    },
    {
        "id": "gap, DEFault",
        "text": "the same, if the number is DEFault's",
        "where": "abstract, our reading",
        "quantity": "pooled balanced accuracy of DEFault, E1 − E4",
        "direction": "equal",
        "published": PUBLISHED["gap"],
        "shown": "fig-gap",
    },
    {
        "id": "gap, DeepFD",
        "text": "the same, if the number is DeepFD's",
        "where": "abstract, our reading",
        "quantity": "pooled balanced accuracy of DeepFD, E1 − E4",
        "direction": "equal",
        "published": PUBLISHED["gap"],
        "shown": "fig-gap",
    },
    {
        "id": "gap, replicates together",
        "text": "the same mean, if the study's folds kept the replicates of a fault together",
        "where": "abstract, our reading",
        "quantity": "pooled balanced accuracy, E2 − E4, mean of DEFault and DeepFD",
        "direction": "equal",
        "published": PUBLISHED["gap"],
        "shown": "tab-gap-pooled",
    },
    {
        "id": "gap of DEFault",
        "text": "DEFault scores higher within programs than across them",
        "where": "Fig. 13",
        "quantity": "the same gap of DEFault",
        "shown": "fig-gap",
    },
    {
        "id": "gap of DeepFD",
        "text": "DeepFD scores higher within programs than across them",
        "where": "Fig. 13",
        "quantity": "the same gap of DeepFD",
        "shown": "fig-gap",
    },
    {
        "id": "levels",
        "text": "the accuracies of DEFault and DeepFD within and across programs",
        "where": "Fig. 13",
        "why_not": _HIDDEN,
    },
    {
        "id": "gap at every window",
        "text": "the gap is there at every observation window",
        "where": "Fig. 2",
        "quantity": "smallest gap of DEFault over windows from the first epoch on, program-macro "
        "recall, E1 − E4 in groups",
        "shown": "fig-windows",
    },
    {
        "id": "gap by window",
        "text": "the gap's size at each window",
        "where": "Fig. 2",
        "why_not": _HIDDEN,
    },
    {
        "id": "gap without replicates",
        "text": "a gap is left when no configuration is on both sides of a fold",
        "where": "abstract, our reading",
        "quantity": "pooled balanced accuracy of DEFault, E2 − E4",
        "shown": "tab-gap-pooled",
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
    {
        "id": "permuted above chance",
        "text": "with labels permuted within programs, accuracy stays above chance",
        "where": "Fig. 3b",
        "quantity": "the same minus chance",
        "published": PUBLISHED["permuted"] - PUBLISHED["permutation chance"],
        "shown": "fig-permuted",
    },
    {
        "id": "most is left, by run",
        "text": "most of what lies above chance is left with permuted labels",
        "where": "Fig. 3b, if runs were permuted",
        "quantity": "share left of what lies above chance, labels permuted run by run",
        "published": _KEPT,
        "null": 0.5,
        "shown": "fig-permuted",
    },
    {
        "id": "most is left, by configuration",
        "text": "most of what lies above chance is left with permuted labels",
        "where": "Fig. 3b, if replicates kept a common label",
        "quantity": "share left of what lies above chance, labels permuted by configuration",
        "published": _KEPT,
        "null": 0.5,
        "shown": "fig-permuted",
    },
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
        "shown": "tab-identity",
    },
    {
        "id": "structure",
        "text": "the gap comes from program-level structure in the features",
        "where": "abstract",
        "quantity": "program part minus replicate leak of the gap, program-macro recall, mean of "
        "DEFault and DeepFD",
        "shown": "fig-waterfall",
    },
    {
        "id": "structure, DEFault",
        "text": "DEFault's gap does",
        "where": "abstract",
        "quantity": "the same of DEFault alone",
        "shown": "fig-waterfall",
    },
    {
        "id": "structure, DeepFD",
        "text": "DeepFD's gap does",
        "where": "abstract",
        "quantity": "the same of DeepFD alone",
        "shown": "fig-waterfall",
    },
    {
        "id": "structure is used",
        "text": "fault typing within programs makes use of that structure",
        "where": "abstract, our reading",
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
        "shown": "fig-instability-when",
        "why_not": "the share is set by which faults are injected how often",
    },
    {
        "id": "explode at once",
        "text": f"{PUBLISHED['exploding at once']:.0%} of unstable runs explode in the first epoch",
        "where": "Fig. 5a",
        "quantity": "share of unstable runs that are bad by the end of the first epoch",
        "direction": "equal",
        "published": PUBLISHED["exploding at once"],
        "null": 0.5,
        "form": ".1%",
        "shown": "fig-instability-when",
    },
    {
        "id": "most explode at once",
        "text": "most unstable runs explode in the first epoch",
        "where": "Fig. 5a",
        "quantity": "the same share",
        "published": PUBLISHED["exploding at once"],
        "null": 0.5,
        "form": ".1%",
        "shown": "fig-instability-when",
    },
    {
        "id": "fifths",
        "text": "instability is more frequent the larger curvature is after the first epoch",
        "where": "Fig. 6",
        "quantity": "unstable share in the upper minus that in the lower fifth of all runs by HVP "
        "norm, finite values",
        "form": ".1%",
        "shown": "fig-instability-fifths",
    },
    {
        "id": "fifths within programs",
        "text": "the same among runs of one program",
        "where": "Fig. 6, our reading",
        "quantity": "the same in fifths of every program's runs, mean over programs",
        "form": ".1%",
        "shown": "tab-instability-contrast",
    },
    {
        "id": "layers",
        "text": "layer-wise HVP norms of unstable runs are larger than those of stable ones",
        "where": "Fig. 7",
        "quantity": "log10 HVP norm after the first epoch, unstable minus stable runs of a "
        "program, mean over layers",
        "form": ".2f",
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
        "id": "curvature as a warning",
        "text": "they do so before a run has gone bad",
        "where": "abstract, our reading",
        "quantity": "the same, traces cut before the first bad snapshot",
        "margin": _USE,
        "shown": "fig-instability-auc",
    },
    {
        "id": "curvature over the loss",
        "text": "they tell more than the training loss",
        "where": "abstract, our reading",
        "quantity": "AUC within programs, E4, before the first bad snapshot: curvature minus loss",
        "shown": "tab-instability-differences",
    },
    {
        "id": "curvature over the rate",
        "text": "they tell more than the learning rate",
        "where": "abstract, our reading",
        "quantity": "the same: curvature minus learning rate",
        "shown": "tab-instability-differences",
    },
    {
        "id": "precision and recall",
        "text": "the curves under program hold-out",
        "where": "Fig. 9",
        "why_not": _HIDDEN,
    },
    {
        "id": "an unstable cluster",
        "text": "one curvature cluster holds unstable runs alone",
        "where": "Table VII, cluster 1",
        "quantity": "unstable share in the cluster of finite curvature with the largest median",
        "direction": "equal",
        "published": _WILD["unstable"],
        "null": 0.5,
        "form": ".1%",
        "shown": "tab-instability-clusters",
    },
    {
        "id": "an unstable cluster, not finite",
        "text": "the same, if values that are not finite count as the largest",
        "where": "Table VII, our reading",
        "quantity": "unstable share of the runs whose curvature is not finite after the first "
        "epoch",
        "direction": "equal",
        "published": _WILD["unstable"],
        "null": 0.5,
        "form": ".1%",
        "shown": "tab-instability-clusters",
    },
    {
        "id": "a stable cluster",
        "text": "the largest curvature cluster holds fewer unstable runs than the corpus",
        "where": "Table VII, cluster 0",
        "quantity": "unstable share in the largest cluster of finite curvature minus that of all "
        "runs",
        "direction": "less",
        "published": _CALM["unstable"] - _UNSTABLE,
        "form": ".1%",
        "shown": "tab-instability-clusters",
    },
    {
        "id": "mismatch by cluster",
        "text": "mismatch is rare in the unstable cluster and common in the largest one",
        "where": "Table VII",
        "quantity": "mismatched share of stable runs, largest cluster minus the one with the "
        "largest median",
        "published": _CALM["mismatch"] - _WILD["mismatch"],
        "form": ".1%",
        "shown": "tab-instability-clusters",
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
)

MISMATCH = _claims(
    "mismatch",
    {
        "id": "optimizer on seen programs",
        "text": "optimizer and activation features help with mismatch on seen programs",
        "where": "abstract, Fig. 10",
        "quantity": "AUC within programs, E2, minus one half",
        "margin": _WORTH,
        "shown": "fig-mismatch-added",
    },
    {
        "id": "optimizer on unseen programs",
        "text": "they do not help on unseen programs",
        "where": "abstract, Fig. 10",
        "quantity": "AUC within programs, E4, minus one half",
        "direction": "not greater",
        "margin": _WORTH,
        "shown": "fig-mismatch-added",
    },
    {
        "id": "optimizer, seen over unseen",
        "text": "they help more on seen than on unseen programs",
        "where": "abstract, Fig. 10",
        "quantity": "AUC within programs, E2 − E4, paired",
        "shown": "tab-mismatch-seen",
    },
    {
        "id": "optimizer, pooled",
        "text": "the same in the area over all runs, rows held out",
        "where": "Fig. 10, our reading",
        "quantity": "pooled AUC, E1 − E4",
        "shown": "tab-mismatch-auc",
    },
    {
        "id": "optimizer over accuracies",
        "text": "they add to accuracies and losses on seen programs",
        "where": "abstract, our reading",
        "quantity": "gain in AUC within programs, E2",
        "margin": _WORTH,
        "shown": "fig-mismatch-added",
    },
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
        "shown": "tab-mismatch-coefficients",
    },
    {
        "id": "threshold",
        "text": "a fixed threshold makes the mismatch label depend on the program",
        "where": "limitations",
        "quantity": "standard deviation over programs of the mismatched share beyond chance",
        "form": ".1%",
        "shown": "fig-mismatch-rates",
    },
)

CLAIMS = (*CORPUS, *GAP, *STRUCTURE, *INSTABILITY, *MISMATCH)
"""The claims, in the order of the research questions."""
