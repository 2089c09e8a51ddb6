"""Estimators that are not tied to a published technique: forest, logistic regression, dummy."""

from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from analysis_lib.techniques.technique import Technique

__all__ = ["make_dummy", "make_forest", "make_logistic"]


def make_forest(random_state: int | None = None) -> RandomForestClassifier:
    """Return a random forest of 50 trees with classes weighted equally.

    Notes
    -----
    Measured on six classes at k = 5 with 14 programs, two seeds, balanced accuracy by rows and by
    programs, and CPU seconds of a fit on 3,400 rows:

    ================== ================ ================ ======
    forest             optimizer set    curvature set    fit
    ================== ================ ================ ======
    100 trees          .974 / .594      .840 / .428      1.8
    50 trees           .973 / .590      .834 / .415      0.9
    100 extra trees    .982 / .576      .849 / .400      0.5
    ================== ================ ================ ======

    Seeds differ by about .01. Extra trees are faster, but gain by rows and lose by programs: they
    would widen the gap.

    Examples
    --------
    >>> make_forest(0).n_estimators
    50
    """
    return RandomForestClassifier(
        n_estimators=50, class_weight="balanced", n_jobs=1, random_state=random_state
    )


def make_logistic(random_state: int | None = None) -> Pipeline:
    """Return standardisation and an L2 logistic regression (C = 0.1, classes weighted equally).

    The data are standardised and the penalty is strong enough that the solver converges on
    strongly correlated features.
    """
    regression = LogisticRegression(
        C=0.1, class_weight="balanced", tol=1e-3, max_iter=5000, random_state=random_state
    )
    return make_pipeline(StandardScaler(), regression)


def make_dummy(random_state: int | None = None) -> DummyClassifier:
    """Return a classifier that draws classes with their training frequencies, ignoring features."""
    return DummyClassifier(strategy="stratified", random_state=random_state)


TECHNIQUES = (
    Technique("default-logistic", "default", make_logistic, "DEFault's features, linear"),
    Technique("curvature-forest", "curvature", make_forest, "curvature, forest"),
    Technique("curvature-logistic", "curvature", make_logistic, "curvature, linear"),
    Technique("optimizer-forest", "optimizer", make_forest, "optimizer, forest"),
    Technique("optimizer-logistic", "optimizer", make_logistic, "optimizer, linear"),
    Technique("scalefree-forest", "scalefree", make_forest, "scale-free ratios, forest"),
    Technique("dummy", "default", make_dummy, "guesses by class frequency"),
)
