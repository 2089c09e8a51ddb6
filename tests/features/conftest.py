import numpy as np
import pandas as pd
import pytest

from analysis_lib.features import FEATURE_SETS

CHANNELS = sorted({c for s in FEATURE_SETS.values() for c in s.channels})


def synthetic_epochs(runs: int = 6, epochs: int = 12, random_state: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(random_state)
    rows = runs * (epochs + 1)
    table = pd.DataFrame(rng.lognormal(size=(rows, len(CHANNELS))), columns=CHANNELS)
    flags = [c for c in CHANNELS if c.startswith("deepfd_")]
    table[flags] = rng.integers(0, 2, size=(rows, len(flags)))
    table = table.astype("float32")
    table.insert(0, "run_id", np.repeat([f"run{i}" for i in range(runs)], epochs + 1))
    table.insert(1, "epoch", np.tile(np.arange(-1, epochs), runs).astype("int16"))
    return table


@pytest.fixture
def epochs() -> pd.DataFrame:
    return synthetic_epochs()
