from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis_lib.errors import InputError
from analysis_lib.features import FEATURE_SETS, FeatureSet, extract
from analysis_lib.features.values import make_cube

NAMES = sorted(FEATURE_SETS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("window", [0, 1, 5, 12, 50, None])
def test_one_finite_row_per_run(epochs, name, window):
    table = extract(epochs, name, window=window)
    assert table.index.name == "run_id"
    assert table.index.tolist() == [f"run{i}" for i in range(6)]
    assert np.isfinite(table.to_numpy()).all()
    assert table.columns.is_unique


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("window", [0, 3])
def test_what_lies_after_the_window_is_not_seen(epochs, name, window):
    changed = epochs.copy()
    later = changed["epoch"] >= window
    changed.loc[later, changed.columns[2:]] = np.nan
    pd.testing.assert_frame_equal(
        extract(epochs, name, window=window), extract(changed, name, window=window)
    )


@pytest.mark.parametrize("name", NAMES)
def test_window_0_is_init_alone_and_window_1_is_not(epochs, name):
    changed = epochs.copy()
    changed.loc[changed["epoch"] == 0, changed.columns[2:]] *= 2
    same = extract(epochs, name, window=0).equals(extract(changed, name, window=0))
    differs = not extract(epochs, name, window=1).equals(extract(changed, name, window=1))
    assert same and differs


@pytest.mark.parametrize("name", NAMES)
@given(
    seed=st.integers(0, 2**32 - 1),
    bad=st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0]),
)
@settings(max_examples=15, deadline=None)
def test_features_stay_finite_and_runs_do_not_touch_each_other(name, seed, bad):
    rng = np.random.default_rng(seed)
    channels = list(FEATURE_SETS[name].channels)
    clean = pd.DataFrame(rng.lognormal(size=(26, len(channels))), columns=channels)
    clean["run_id"], clean["epoch"] = np.repeat(["a", "b"], 13), np.tile(np.arange(-1, 12), 2)
    spoilt = clean.copy()
    hit = rng.random((13, len(channels))) < rng.random()
    spoilt.loc[:12, channels] = np.where(hit, bad, clean.loc[:12, channels])
    table = extract(spoilt, name, window=5)
    assert np.isfinite(table.to_numpy()).all()
    pd.testing.assert_series_equal(table.loc["b"], extract(clean, name, window=5).loc["b"])


@pytest.mark.parametrize("name", NAMES)
def test_order_of_rows_does_not_matter_and_ragged_traces_are_allowed(epochs, name):
    ragged = epochs[~((epochs["run_id"] == "run2") & (epochs["epoch"] > 1))]
    table = extract(ragged, name, window=5)
    shuffled = extract(ragged.sample(frac=1, random_state=0), name, window=5)
    pd.testing.assert_frame_equal(table, shuffled.loc[table.index])
    alone = extract(ragged[ragged["run_id"] == "run2"], name, window=5)
    pd.testing.assert_frame_equal(table.loc[["run2"]], alone)


def test_no_meta_column_can_become_a_feature(epochs):
    epochs["meta_learning_rate"] = 0.1
    with pytest.raises(InputError, match="meta_learning_rate"):
        FeatureSet("leak", ("meta_learning_rate",), lambda cube: {}, "")
    leak = FeatureSet("leak", ("grad_norm",), lambda cube: {"meta_x": cube.values[:, 0, 0]}, "")
    with pytest.raises(InputError, match="meta_x"):
        extract(epochs, leak, window=1)
    for name, chosen in FEATURE_SETS.items():
        table = extract(epochs, name, window=5)
        assert not [c for c in (*chosen.channels, *table) if c.startswith("meta_")]


def test_a_corpus_is_accepted(epochs):
    corpus = SimpleNamespace(epochs=epochs)
    assert extract(corpus, "curvature", window=2).equals(extract(epochs, "curvature", window=2))


def test_mistakes_are_named(epochs):
    with pytest.raises(InputError, match="did you mean 'curvature'"):
        extract(epochs, "curvatur", window=1)
    with pytest.raises(InputError, match="hvp_norm"):
        extract(epochs.drop(columns="hvp_norm"), "curvature", window=1)
    for window in (-1, 1.5, True):
        with pytest.raises(InputError, match="window"):
            extract(epochs, "curvature", window=window)
    with pytest.raises(InputError, match="same epoch twice"):
        extract(pd.concat([epochs, epochs]), "curvature", window=1)
    with pytest.raises(InputError, match="no snapshot before epoch 0"):
        extract(epochs[epochs["epoch"] >= 0], "curvature", window=0)
    broken = FeatureSet("broken", ("grad_norm",), lambda c: {"x": c.values[:, 0, 0] * np.nan}, "")
    with pytest.raises(InputError, match="not finite"):
        extract(epochs, broken, window=1)


def test_the_cube_holds_the_values_of_the_table(epochs):
    cube = make_cube(epochs, ("grad_norm", "hvp_norm"), window=3)
    assert cube.values.shape == (6, 4, 2) and cube.visible.all()
    row = epochs[(epochs["run_id"] == "run4") & (epochs["epoch"] == 1)].iloc[0]
    assert cube.values[4, 2].tolist() == [row["grad_norm"], row["hvp_norm"]]
    assert cube.epoch[4].tolist() == [-1, 0, 1, 2]
