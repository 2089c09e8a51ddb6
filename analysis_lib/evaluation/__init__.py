"""Evaluation: strategies, predictions, scores, the gap, controls, inference."""

from analysis_lib.evaluation.controls import (
    balanced_runs,
    permutation_scores,
    permute_within_program,
    prior_oracle,
    program_indicator,
    rename_within_program,
)
from analysis_lib.evaluation.gap import Gap, evaluation_gap
from analysis_lib.evaluation.inference import (
    Interval,
    bca_interval,
    cluster_bootstrap,
    max_t_test,
    sign_flip_test,
    smallest_resolvable_gap,
    t_interval,
)
from analysis_lib.evaluation.natural import natural_sample
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.evaluation.scores import (
    by_program,
    chance_level,
    pooled_balanced_accuracy,
    program_macro_recall,
    recall_cells,
    score_table,
    within_program_auc,
    worst_quartile,
)
from analysis_lib.evaluation.splits import STRATEGIES, Strategy, check_splits, make_splits
from analysis_lib.evaluation.study import run_study
from analysis_lib.evaluation.worlds import WORLDS, simulate_world

__all__ = [
    # strategies and predictions
    "STRATEGIES",
    "Strategy",
    "check_splits",
    "cross_predict",
    "make_splits",
    "run_study",
    # scores
    "by_program",
    "chance_level",
    "pooled_balanced_accuracy",
    "program_macro_recall",
    "recall_cells",
    "score_table",
    "within_program_auc",
    "worst_quartile",
    # the gap
    "Gap",
    "evaluation_gap",
    # inference over programs
    "Interval",
    "bca_interval",
    "cluster_bootstrap",
    "max_t_test",
    "sign_flip_test",
    "smallest_resolvable_gap",
    "t_interval",
    # controls
    "balanced_runs",
    "natural_sample",
    "permutation_scores",
    "permute_within_program",
    "prior_oracle",
    "program_indicator",
    "rename_within_program",
    "WORLDS",
    "simulate_world",
]
