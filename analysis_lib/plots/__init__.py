"""Figures: one look, the same colour for the same thing throughout."""

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
from analysis_lib.plots.gallery import operator_examples, plot_channels, plot_operators
from analysis_lib.plots.gap import plot_gap_bars, plot_gap_windows, plot_recall_matrix
from analysis_lib.plots.style import (
    CATEGORY_COLORS,
    STRATEGY_COLORS,
    STRATEGY_MARKERS,
    STRATEGY_NAMES,
    TECHNIQUE_COLORS,
    use_style,
)

__all__ = [
    # look
    "CATEGORY_COLORS",
    "STRATEGY_COLORS",
    "STRATEGY_MARKERS",
    "STRATEGY_NAMES",
    "TECHNIQUE_COLORS",
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
    "plot_gap_bars",
    "plot_gap_windows",
    "plot_recall_matrix",
]
