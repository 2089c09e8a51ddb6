"""Classifiers that were compared for the diagnosis; scikit-learn is loaded when one is made."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["CANDIDATES", "CHOSEN", "boosting", "logistic"]


def boosting(rounds: int, rate: float, *, bins: int = 63) -> Callable[[int], Any]:
    """Return what makes a gradient boosting classifier from a seed."""

    def make(seed: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(
            max_iter=rounds,
            learning_rate=rate,
            max_leaf_nodes=15,
            min_samples_leaf=20,
            max_features=0.2,
            l2_regularization=1.0,
            max_bins=bins,
            early_stopping=False,
            random_state=seed,
        )

    return make


def logistic(seed: int) -> Any:
    """Return a logistic regression; what is missing counts as the mean."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        StandardScaler(),
        SimpleImputer(strategy="constant", fill_value=0, keep_empty_features=True),
        LogisticRegression(C=0.003, max_iter=300),
    )


CANDIDATES: Mapping[str, Callable[[int], Any]] = MappingProxyType(
    {
        "logistic": logistic,
        "boosting, 40 rounds": boosting(40, 0.2),
        "boosting, 100 rounds": boosting(100, 0.1),
    }
)
"""What was compared."""

CHOSEN = CANDIDATES["boosting, 100 rounds"]
"""What is shipped."""
