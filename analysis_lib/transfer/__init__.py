"""Transfer: methods that are meant for programs nobody trained on, and a fair way to compare them.

A method states what it may use of a new program (its track: nothing, unlabelled, healthy or
labelled runs) and is a :class:`ProgramClassifier`: fit on programs, adapt to one, predict.
"""

from analysis_lib.transfer.base import TRACKS, Direct, ProgramClassifier
from analysis_lib.transfer.choice import choose_inside, take_chosen
from analysis_lib.transfer.coral import Coral, align
from analysis_lib.transfer.growth import fit_growth, growth_scores, predict_growth
from analysis_lib.transfer.methods import BASELINE, CANDIDATES, METHODS, Method, get_method
from analysis_lib.transfer.nearest import NearestPrograms
from analysis_lib.transfer.pools import MIXES, Pool, draw_pool, scored_runs
from analysis_lib.transfer.protocol import transfer_predictions
from analysis_lib.transfer.reference import Referenced, relative_to
from analysis_lib.transfer.robust import GroupRobustLogistic
from analysis_lib.transfer.stable import StableFeatures, class_effects

__all__ = [
    # tracks and what is drawn
    "MIXES",
    "Pool",
    "TRACKS",
    "draw_pool",
    "scored_runs",
    # estimators
    "Coral",
    "Direct",
    "GroupRobustLogistic",
    "NearestPrograms",
    "ProgramClassifier",
    "Referenced",
    "StableFeatures",
    "align",
    "class_effects",
    "relative_to",
    # methods by name
    "BASELINE",
    "CANDIDATES",
    "METHODS",
    "Method",
    "get_method",
    # the protocol
    "choose_inside",
    "take_chosen",
    "transfer_predictions",
    # more programs
    "fit_growth",
    "growth_scores",
    "predict_growth",
]
