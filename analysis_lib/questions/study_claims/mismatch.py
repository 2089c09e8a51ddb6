"""The study's claims on mismatch and optimizer features (RQ4)."""

from analysis_lib.questions.study_claims.readings import HIDDEN, claims_on, readings

__all__ = ["MISMATCH"]

WORTH = 0.05
"""Gain in AUC that would be worth having, as in the chapter on mismatch."""

MISMATCH = claims_on(
    "mismatch",
    *readings(
        {
            "id": "optimizer on seen programs",
            "text": "optimizer and activation features help with mismatch on seen programs",
            "where": "abstract, Fig. 10",
            "reading": "logistic regression",
            "quantity": "AUC within programs, E2, minus one half",
            "margin": WORTH,
            "shown": "fig-mismatch-added",
        },
        {"id": "optimizer on seen programs, forest", "reading": "random forest"},
    ),
    *readings(
        {
            "id": "optimizer on unseen programs",
            "text": "they do not help on unseen programs",
            "where": "abstract, Fig. 10",
            "reading": "logistic regression",
            "quantity": "AUC within programs, E4, minus one half",
            "direction": "not greater",
            "margin": WORTH,
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
    *readings(
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
        "why_not": HIDDEN,
    },
    {
        "id": "coefficients",
        "text": "what optimizer channels say hardly carries over from program to program",
        "where": "Fig. 11, our reading",
        "quantity": "share of pairs of programs in which a channel points the same way",
        "direction": "negligible",
        "null": 0.5,
        "margin": 0.1,
        "form": ".0%",
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
        "margin": WORTH,
        "shown": "fig-mismatch-added",
    },
)
