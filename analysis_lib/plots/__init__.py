"""Figures: one look, the same colour for the same thing throughout."""

from analysis_lib.plots.claims import VERDICT_COLORS, VERDICT_MARKERS, plot_claims
from analysis_lib.plots.closing import METHOD_COLORS, plot_growth, plot_methods, plot_pools
from analysis_lib.plots.corpus import (
    plot_applicability,
    plot_class_balance,
    plot_first_bad_epoch,
    plot_killed,
    plot_traces,
)
from analysis_lib.plots.cost import (
    METHODS,
    plot_eigenvalues,
    plot_overhead,
    plot_ratios,
    plot_runs,
)
from analysis_lib.plots.curvature import plot_before, plot_layers, plot_lines, plot_shares
from analysis_lib.plots.diagnosis import (
    plot_causes,
    plot_evidence,
    plot_reliability,
    plot_risk_coverage,
)
from analysis_lib.plots.gallery import operator_examples, plot_channels, plot_operators
from analysis_lib.plots.gap import (
    plot_flags,
    plot_gap_bars,
    plot_gap_parts,
    plot_gap_windows,
    plot_recall_matrix,
    plot_strategies,
)
from analysis_lib.plots.instability import (
    DETECTION_COLORS,
    DETECTION_LINES,
    plot_depth_profiles,
    plot_detection,
    plot_explosions,
    plot_precision_recall,
    plot_rate_bins,
    plot_rate_quintiles,
)
from analysis_lib.plots.leaderboard import plot_board, plot_board_costs
from analysis_lib.plots.mismatch import (
    plot_auc_gains,
    plot_auc_grid,
    plot_coefficient_kinds,
    plot_mismatch_rates,
    plot_seen_unseen,
)
from analysis_lib.plots.structure import (
    GROUP_COLORS,
    plot_audit,
    plot_feature_plane,
    plot_permutations,
    plot_waterfall,
)
from analysis_lib.plots.style import (
    CATEGORY_COLORS,
    FEATURE_COLORS,
    LINE_COLORS,
    PART_COLORS,
    PART_MARKERS,
    STRATEGY_COLORS,
    STRATEGY_HATCHES,
    STRATEGY_MARKERS,
    STRATEGY_NAMES,
    TECHNIQUE_COLORS,
    VIEW_COLORS,
    use_style,
)

__all__ = [
    # look
    "CATEGORY_COLORS",
    "FEATURE_COLORS",
    "LINE_COLORS",
    "METHOD_COLORS",
    "PART_COLORS",
    "PART_MARKERS",
    "STRATEGY_COLORS",
    "STRATEGY_HATCHES",
    "STRATEGY_MARKERS",
    "STRATEGY_NAMES",
    "TECHNIQUE_COLORS",
    "VIEW_COLORS",
    "use_style",
    # programs, faults and runs
    "operator_examples",
    "plot_applicability",
    "plot_channels",
    "plot_class_balance",
    "plot_first_bad_epoch",
    "plot_killed",
    "plot_operators",
    "plot_traces",
    # curvature
    "plot_before",
    "plot_layers",
    "plot_lines",
    "plot_shares",
    # cost
    "METHODS",
    "plot_eigenvalues",
    "plot_overhead",
    "plot_ratios",
    "plot_runs",
    # the gap
    "plot_flags",
    "plot_gap_bars",
    "plot_gap_parts",
    "plot_gap_windows",
    "plot_recall_matrix",
    "plot_strategies",
    # where the gap comes from
    "GROUP_COLORS",
    "plot_audit",
    "plot_feature_plane",
    "plot_permutations",
    "plot_waterfall",
    # train/validation mismatch
    "plot_auc_gains",
    "plot_auc_grid",
    "plot_coefficient_kinds",
    "plot_mismatch_rates",
    "plot_seen_unseen",
    # instability
    "DETECTION_COLORS",
    "DETECTION_LINES",
    "plot_depth_profiles",
    "plot_detection",
    "plot_explosions",
    "plot_precision_recall",
    "plot_rate_bins",
    "plot_rate_quintiles",
    # the leaderboard
    "plot_board",
    "plot_board_costs",
    # diagnosis
    "plot_causes",
    "plot_evidence",
    "plot_reliability",
    "plot_risk_coverage",
    # closing the gap
    "plot_growth",
    "plot_methods",
    "plot_pools",
    # the claims of the study
    "VERDICT_COLORS",
    "VERDICT_MARKERS",
    "plot_claims",
]
