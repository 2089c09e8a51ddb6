"""The methods that are compared, by name: a feature set, a track, and how the model is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from analysis_lib.errors import unknown
from analysis_lib.techniques.default import make_default
from analysis_lib.transfer.base import Direct, ProgramClassifier, check_track
from analysis_lib.transfer.coral import Coral
from analysis_lib.transfer.nearest import NearestPrograms
from analysis_lib.transfer.reference import Referenced
from analysis_lib.transfer.robust import GroupRobustLogistic
from analysis_lib.transfer.stable import StableFeatures

__all__ = ["BASELINE", "CANDIDATES", "METHODS", "Method", "get_method", "make_trees"]

BASELINE = "DEFault"
TREES = 50


@dataclass(frozen=True)
class Method:
    """A way to diagnose runs of a program that was never trained on.

    Parameters
    ----------
    name : str
    track : {"Z", "U", "H", "K"}
        What it may use of the new program.
    feature_set : str
        Key of the feature tables that the protocol is given.
    make : callable
        From a random state to an unfitted
        :class:`~analysis_lib.transfer.base.ProgramClassifier`.
    description : str
        One line.

    Examples
    --------
    >>> METHODS["DEFault"].feature_set
    'default'
    """

    name: str
    track: str
    feature_set: str
    make: Callable[[int], ProgramClassifier]
    description: str

    def __post_init__(self):
        check_track(self.track)


def make_trees(random_state: int | None = None, *, trees: int = TREES) -> ExtraTreesClassifier:
    """Return extremely randomised trees, at least two runs per leaf.

    References
    ----------
    Geurts, Ernst and Wehenkel, Extremely randomized trees, Machine Learning 2006.
    """
    return ExtraTreesClassifier(trees, min_samples_leaf=2, n_jobs=1, random_state=random_state)


def _logistic(random_state: int | None = None) -> Any:
    ranks = QuantileTransformer(
        n_quantiles=100, output_distribution="normal", random_state=random_state
    )
    regression = LogisticRegression(
        C=0.02, class_weight="balanced", tol=1e-2, max_iter=1000, random_state=random_state
    )
    return make_pipeline(ranks, regression)


def _discriminant():
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)


def _referenced(track: str, **options: Any) -> Any:
    return lambda seed: Referenced(make_trees(seed), track, random_state=seed, **options)


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        m.name: m
        for m in (
            Method(
                BASELINE, "Z", "default", lambda s: Direct(make_default(s)), "the baseline: DEFault"
            ),
            Method(
                "scale-free",
                "Z",
                "scalefree",
                lambda s: Direct(make_trees(s)),
                "scale-free features, extremely randomised trees",
            ),
            Method(
                "scale-free linear",
                "Z",
                "scalefree",
                lambda s: Direct(_logistic(s)),
                "the same features, logistic regression on their ranks",
            ),
            Method(
                "dimensionless",
                "Z",
                "dimensionless",
                lambda s: Direct(make_trees(s)),
                "dimensionless curvature alone",
            ),
            Method(
                "stable features",
                "Z",
                "scalefree",
                lambda s: Direct(make_trees(s), StableFeatures(0.5)),
                "the half of the features whose effects agree across programs",
            ),
            Method(
                "group DRO",
                "Z",
                "scalefree",
                lambda s: GroupRobustLogistic(random_state=s),
                "logistic regression for the worst program",
            ),
            Method(
                "equal programs",
                "Z",
                "scalefree",
                lambda s: GroupRobustLogistic(steps=(0.0,), random_state=s),
                "the same regression, every program counting alike",
            ),
            Method(
                "CORAL",
                "U",
                "scalefree",
                lambda s: Coral(_discriminant()),
                "covariances aligned with the pool, linear discriminant",
            ),
            Method(
                "nearest programs",
                "U",
                "scalefree",
                lambda s: NearestPrograms(make_trees(s), "U"),
                "trained on the programs most like the pool",
            ),
            Method(
                "pool-centred",
                "U",
                "scalefree",
                _referenced("U", parts="d"),
                "relative to the pool's median",
            ),
            Method(
                "pool-referenced",
                "U",
                "scalefree",
                _referenced("U", parts="xdz"),
                "absolute, relative to the pool's median, and the distance from it",
            ),
            Method(
                "nearest by healthy",
                "H",
                "scalefree",
                lambda s: NearestPrograms(make_trees(s), "H"),
                "trained on the programs whose healthy runs are most alike",
            ),
            Method(
                "healthy-centred",
                "H",
                "scalefree",
                _referenced("H", parts="d", centre="mean"),
                "relative to the mean healthy run",
            ),
            Method(
                "healthy-referenced",
                "H",
                "scalefree",
                _referenced("H", parts="dz", centre="mean"),
                "relative to the mean healthy run, and the distance from it",
            ),
            Method(
                "k-shot",
                "K",
                "scalefree",
                _referenced("K", parts="x", weight=10.0),
                "labelled runs counted in the leaves",
            ),
            Method(
                "k-shot referenced",
                "K",
                "scalefree",
                _referenced("K", parts="xdz", weight=10.0),
                "and relative to the mean of their class centres",
            ),
        )
    }
)
"""The methods by name."""

CANDIDATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Z": (BASELINE, "scale-free", "stable features"),
        "U": ("scale-free", "pool-centred", "pool-referenced"),
        "H": ("scale-free", "healthy-centred", "healthy-referenced"),
        "K": ("scale-free", "k-shot", "k-shot referenced"),
    }
)
"""Methods among which the selected one of a track is chosen; a track may use less than it has."""


def get_method(name: str) -> Method:
    """Return a registered method; an unknown name is an InputError.

    Examples
    --------
    >>> get_method("DEFault").track
    'Z'
    """
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]
