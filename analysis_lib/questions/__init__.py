"""The research questions: what each figure and table computes, as functions of tables."""

from analysis_lib.questions.auc import auc_within_folds, pooled_auc
from analysis_lib.questions.cache import cached
from analysis_lib.questions.claims import claim_verdicts, claims_table, judge, verdict_counts
from analysis_lib.questions.closing import (
    closing_features,
    closing_table,
    compare_methods,
    healthy_runs,
    pool_scores,
    scores_beside,
    share_closed,
)
from analysis_lib.questions.closing_checks import (
    ablated_scores,
    feature_groups,
    permuted_scores,
    repeated_settings,
)
from analysis_lib.questions.closing_own import own_gaps
from analysis_lib.questions.closing_selected import seed_twins, selected_table
from analysis_lib.questions.contrasts import (
    as_estimate,
    change_of_gap,
    mean_gap,
    share_left,
    smallest_mean,
)
from analysis_lib.questions.detectors import (
    DETECTORS,
    detector_predictions,
    detector_table,
    false_alarms,
    flag_table,
)
from analysis_lib.questions.estimates import claim_estimates, of_programs
from analysis_lib.questions.estimates_gap import (
    gap_estimates,
    hierarchy_predictions,
    origin_contrast,
    structure_estimates,
)
from analysis_lib.questions.estimates_training import (
    cluster_contrasts,
    fifths_contrast,
    instability_estimates,
    mismatch_estimates,
    not_finite_largest,
)
from analysis_lib.questions.gap import (
    alone_predictions,
    gap_table,
    headline_predictions,
    interval_table,
    paired_difference,
    program_table,
    recall_table,
    split_predictions,
    split_table,
)
from analysis_lib.questions.gap_controls import mix_table, mixes, size_matched
from analysis_lib.questions.initial import state_leak
from analysis_lib.questions.instability import (
    LABEL_VARIANTS,
    explosion_counts,
    informative_programs,
    label_sensitivity,
    quintile_contrast,
    rate_by_bin,
    rate_by_quintile,
    relabel,
)
from analysis_lib.questions.instability_detection import (
    ESTIMATORS,
    detect_instability,
    hold_out_triage,
)
from analysis_lib.questions.instability_features import (
    DETECTION_SETS,
    SETTINGS,
    cut_traces,
    dimensionless_channels,
    feature_table,
    last_snapshots,
)
from analysis_lib.questions.instability_layers import layer_offsets, layer_profiles
from analysis_lib.questions.instability_scores import (
    channel_predictions,
    detection_differences,
    detection_scores,
    holm_adjusted,
    threshold_scores,
    useful,
)
from analysis_lib.questions.instability_triage import cluster_sensitivity, triage_sensitivity
from analysis_lib.questions.leaks import (
    AUDITED,
    audit_predictions,
    audit_set,
    audit_table,
    paired_change,
)
from analysis_lib.questions.mismatch import (
    ARMS,
    CHANNELS_READ,
    mismatch_arms,
    mismatch_predictions,
    mismatch_rates,
    mismatch_runs,
)
from analysis_lib.questions.mismatch_claim import (
    GUESSING,
    added_value,
    auc_table,
    only_on_seen,
    program_aucs,
    seen_minus_unseen,
    threshold_table,
)
from analysis_lib.questions.mismatch_coefficients import (
    channel_levels,
    sign_agreement,
    sign_summary,
    single_feature_auc,
    within_between,
)
from analysis_lib.questions.permutation import (
    PERMUTATIONS,
    class_mixes,
    control_forest,
    permutation_summary,
    permutation_table,
    prior_table,
)
from analysis_lib.questions.permuted import permuted_predictions
from analysis_lib.questions.ranking import (
    auc_by_program,
    bootstrap_ranking,
    flag_scores,
    pooled_ranking,
    precision_recall,
)
from analysis_lib.questions.rates import difference_of_shares, rate_spread, stable_difference
from analysis_lib.questions.renaming import renaming_table
from analysis_lib.questions.shares import (
    CHANNEL_GROUPS,
    channel_shares,
    logarithmic,
    set_shares,
    shift_table,
    total_shares,
)
from analysis_lib.questions.structure import erasure_table, gap_parts, identity_table, verdict
from analysis_lib.questions.study_claims import CHAPTERS, CLAIMS, QUESTIONS
from analysis_lib.questions.verdicts import Claim, Estimate, rule

__all__ = [
    # the gap
    "alone_predictions",
    "gap_table",
    "headline_predictions",
    "interval_table",
    "mix_table",
    "mixes",
    "paired_difference",
    "program_table",
    "recall_table",
    "size_matched",
    "split_predictions",
    "split_table",
    "state_leak",
    # rule-based detectors
    "DETECTORS",
    "detector_predictions",
    "detector_table",
    "false_alarms",
    "flag_table",
    # results kept on disk
    "cached",
    # where the gap comes from
    "AUDITED",
    "CHANNEL_GROUPS",
    "PERMUTATIONS",
    "audit_predictions",
    "audit_set",
    "audit_table",
    "channel_shares",
    "class_mixes",
    "control_forest",
    "erasure_table",
    "gap_parts",
    "identity_table",
    "logarithmic",
    "paired_change",
    "permutation_summary",
    "permutation_table",
    "prior_table",
    "renaming_table",
    "set_shares",
    "shift_table",
    "total_shares",
    "verdict",
    # train/validation mismatch
    "ARMS",
    "CHANNELS_READ",
    "GUESSING",
    "added_value",
    "auc_table",
    "auc_within_folds",
    "channel_levels",
    "mismatch_arms",
    "mismatch_predictions",
    "mismatch_rates",
    "mismatch_runs",
    "only_on_seen",
    "pooled_auc",
    "program_aucs",
    "seen_minus_unseen",
    "sign_agreement",
    "sign_summary",
    "single_feature_auc",
    "threshold_table",
    "within_between",
    # instability described
    "LABEL_VARIANTS",
    "cluster_sensitivity",
    "explosion_counts",
    "informative_programs",
    "label_sensitivity",
    "layer_offsets",
    "layer_profiles",
    "quintile_contrast",
    "rate_by_bin",
    "rate_by_quintile",
    "relabel",
    # instability detected
    "DETECTION_SETS",
    "ESTIMATORS",
    "SETTINGS",
    "channel_predictions",
    "cut_traces",
    "detect_instability",
    "detection_differences",
    "detection_scores",
    "dimensionless_channels",
    "feature_table",
    "hold_out_triage",
    "holm_adjusted",
    "last_snapshots",
    "threshold_scores",
    "triage_sensitivity",
    "useful",
    # rankings with the program as the unit
    "auc_by_program",
    "bootstrap_ranking",
    "flag_scores",
    "pooled_ranking",
    "precision_recall",
    # closing the gap
    "ablated_scores",
    "closing_features",
    "closing_table",
    "compare_methods",
    "feature_groups",
    "healthy_runs",
    "own_gaps",
    "permuted_scores",
    "pool_scores",
    "repeated_settings",
    "scores_beside",
    "seed_twins",
    "selected_table",
    "share_closed",
    # the study's claims
    "CHAPTERS",
    "CLAIMS",
    "Claim",
    "Estimate",
    "QUESTIONS",
    "claim_verdicts",
    "claims_table",
    "judge",
    "rule",
    "verdict_counts",
    # our estimates for them
    "as_estimate",
    "change_of_gap",
    "claim_estimates",
    "cluster_contrasts",
    "difference_of_shares",
    "fifths_contrast",
    "gap_estimates",
    "hierarchy_predictions",
    "instability_estimates",
    "mean_gap",
    "mismatch_estimates",
    "not_finite_largest",
    "of_programs",
    "origin_contrast",
    "permuted_predictions",
    "rate_spread",
    "share_left",
    "smallest_mean",
    "stable_difference",
    "structure_estimates",
]
