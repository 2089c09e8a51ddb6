"""Readers, splits and standardisation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis_lib.programs import sources
from analysis_lib.programs.cache import SOURCES


@pytest.mark.parametrize("name", SOURCES)
def test_source_gives_plain_arrays_of_real_rows(name):
    arrays = SOURCES[name]()
    rows = {len(a) for a in arrays.values()}
    assert len(rows) == 1
    for array in arrays.values():
        assert array.size >= 100
        assert array.dtype.kind in "fiuU"
        if array.dtype.kind == "f":
            # weeks without a measurement are left out where windows are made
            assert np.isfinite(array).mean() >= (0.97 if name == "carbon_dioxide" else 1)


def test_storms_are_in_order_of_time():
    a = sources.storms()
    for storm in range(5):
        assert (np.diff(a["hours"][a["storm"] == storm]) > 0).all()


def test_syllables_are_the_vowels_of_the_pronunciation():
    a = sources.syllables()
    assert len(np.unique(a["word"])) == len(a["word"])
    vowels = ("A", "E", "I", "O", "U")
    counted = [sum(p.startswith(vowels) for p in text.split()) for text in a["phonemes"].tolist()]
    np.testing.assert_array_equal(a["syllables"], counted)


def test_tate_keeps_accents():
    assert any("é" in text for text in sources.tate()["text"].tolist())


@given(st.integers(4, 200), st.floats(0.1, 0.6), st.integers(0, 5))
def test_split_is_a_partition(n, share, seed):
    train, valid = sources.split(n, share=share, seed=seed)
    assert sorted([*train, *valid]) == list(range(n))
    assert len(valid) == round(n * share)
    np.testing.assert_array_equal(train, sources.split(n, share=share, seed=seed)[0])


@given(st.lists(st.integers(0, 8), min_size=8, max_size=60), st.integers(0, 5))
def test_groups_stay_on_one_side(groups, seed):
    groups = np.array(groups)
    train, valid = sources.split(len(groups), share=0.4, groups=groups, seed=seed)
    assert sorted([*train, *valid]) == list(range(len(groups)))
    assert not set(groups[train]) & set(groups[valid])
    assert len(set(groups[valid])) == round(len(set(groups)) * 0.4)


def test_standardize_uses_training_rows_and_survives_constants():
    x = np.column_stack([[1.0, 3.0, 100.0], [5.0, 5.0, 7.0]])
    out = sources.standardize(x, np.array([0, 1]))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, [[-1, 0], [1, 0], [98, 2]])
    whole = sources.standardize(x, np.arange(3), axis=None)
    assert whole.mean() == pytest.approx(0, abs=1e-6)
    assert whole.std() == pytest.approx(1, abs=1e-6)
