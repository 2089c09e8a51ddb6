"""DEFault's classifier (Jahan et al., ICSE 2025), without its leaks."""

from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

__all__ = ["make_default"]


def make_default(random_state: int | None = None) -> Pipeline:
    """Return standardisation and a random forest of 100 trees.

    Notes
    -----
    The released pipeline imputes, clips and scales on the whole file before it splits it, keeps
    the 20 most important features, searches a grid and has one binary forest per category. Here
    the scaling belongs to the fold, one forest tells all classes apart, and nothing is tuned;
    imputing and clipping are unnecessary because features are finite and logarithmic.
    """
    forest = RandomForestClassifier(n_estimators=100, n_jobs=1, random_state=random_state)
    return make_pipeline(StandardScaler(), forest)
