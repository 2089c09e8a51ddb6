"""Evaluation: strategies, predictions, scores, the gap, controls, inference.

Everything works on tables with the columns program, configuration, seed, label, family and
operator (as far as a function needs them), whatever programs and faults these are.
"""

from analysis_lib.evaluation.balance import balance_weights, balanced_rows
from analysis_lib.evaluation.checks import check_splits
from analysis_lib.evaluation.controls import (
    balanced_runs,
    permutation_scores,
    permute_within_program,
    prior_oracle,
    program_indicator,
    rename_within_program,
)
from analysis_lib.evaluation.erasure import IdentityErasure, erasure_scores
from analysis_lib.evaluation.folds import check_folds, load_splits, make_folds, save_splits
from analysis_lib.evaluation.gap import Gap, evaluation_gap
from analysis_lib.evaluation.identity import identity_predictions, identity_scores
from analysis_lib.evaluation.inference import (
    Interval,
    bca_interval,
    bootstrap_programs,
    cluster_bootstrap,
    t_interval,
)
from analysis_lib.evaluation.natural import natural_sample
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.evaluation.predictions import (
    check_predictions,
    load_predictions,
    save_predictions,
    score_predictions,
)
from analysis_lib.evaluation.scores import (
    by_program,
    chance_level,
    pooled_balanced_accuracy,
    program_macro_recall,
    recall_cells,
    score_table,
    worst_quartile,
)
from analysis_lib.evaluation.shares import variance_shares
from analysis_lib.evaluation.shift import mmd_ratio, mmd_squared
from analysis_lib.evaluation.significance import max_t_test, sign_flip_test, smallest_resolvable_gap
from analysis_lib.evaluation.splits import STRATEGIES, Strategy, make_splits
from analysis_lib.evaluation.study import run_study
from analysis_lib.evaluation.wild import wild_cluster_bootstrap
from analysis_lib.evaluation.worlds import WORLDS, simulate_world

__all__ = [
    # strategies and their folds
    "STRATEGIES",
    "Strategy",
    "check_folds",
    "check_splits",
    "load_splits",
    "make_folds",
    "make_splits",
    "save_splits",
    # predictions
    "balance_weights",
    "balanced_rows",
    "check_predictions",
    "cross_predict",
    "load_predictions",
    "run_study",
    "save_predictions",
    # scores
    "by_program",
    "chance_level",
    "pooled_balanced_accuracy",
    "program_macro_recall",
    "recall_cells",
    "score_predictions",
    "score_table",
    "worst_quartile",
    # the gap
    "Gap",
    "evaluation_gap",
    # inference over programs
    "Interval",
    "bca_interval",
    "bootstrap_programs",
    "cluster_bootstrap",
    "max_t_test",
    "sign_flip_test",
    "smallest_resolvable_gap",
    "t_interval",
    "wild_cluster_bootstrap",
    # controls: other labels, other mixes
    "balanced_runs",
    "natural_sample",
    "permutation_scores",
    "permute_within_program",
    "prior_oracle",
    "program_indicator",
    "rename_within_program",
    # controls: what features know
    "IdentityErasure",
    "erasure_scores",
    "identity_predictions",
    "identity_scores",
    "mmd_ratio",
    "mmd_squared",
    "variance_shares",
    # simulated worlds
    "WORLDS",
    "simulate_world",
]
