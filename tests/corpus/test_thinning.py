"""What is left out is little, said, and the same every time."""

import numpy as np
import pytest
from corpus_kit import CATEGORIES, PROGRAMS, journal_of, label, plan_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis_lib.channels import GROUPS
from analysis_lib.corpus.load import load_corpus, read_manifest
from analysis_lib.corpus.publish import publish
from analysis_lib.corpus.restore import restore
from analysis_lib.corpus.thinning import Thinning, rounded
from analysis_lib.errors import InputError

PLAN = plan_of()
OPTIONS = {"programs": PROGRAMS, "categories": CATEGORIES, "label": label}
SMALLEST = np.finfo(np.float32).tiny


@given(hnp.arrays(np.float32, 20), st.integers(1, 23))
def test_rounding_is_near_sparse_and_final(values, bits):
    near = rounded(values, bits)
    assert near.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(near), np.isnan(values))
    np.testing.assert_array_equal(np.isinf(near), np.isinf(values))
    normal = np.isfinite(values) & (np.abs(values) >= SMALLEST)
    a, b = values[normal].astype(float), near[normal].astype(float)
    assert (np.abs(a - b) <= 2.0 ** -(bits + 1) * np.abs(a) * (1 + 1e-12)).all()
    np.testing.assert_array_equal(rounded(near, bits), near)
    moved = normal & (near != values)
    assert not (near.view(np.uint32)[moved] & np.uint32((1 << (23 - bits)) - 1)).any()


def test_it_is_to_nearest():
    step = 2.0**-4
    ones = np.float32([1 + 0.49 * step, 1 + 0.51 * step, -1 - 0.51 * step])
    assert rounded(ones, 4).tolist() == [1.0, 1 + step, -1 - step]


@pytest.mark.parametrize("bits", [0, 24, 15.0])
def test_wrong_bits_are_named(bits):
    with pytest.raises(InputError, match="expected an integer from 1 to 23"):
        rounded(np.ones(1, np.float32), bits)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("thinning")
    journal = journal_of(folder / "j.db", PLAN)
    publish(journal, folder / "whole", **OPTIONS)
    publish(journal, folder / "thin", thinning=Thinning(layer_epochs=(-1, 1)), **OPTIONS)
    return folder / "whole", folder / "thin"


def test_a_thin_store_says_so_and_holds_the_rest(stores):
    whole, thin = map(load_corpus, stores)
    assert whole.manifest["thinning"] is None
    about = thin.manifest["thinning"]
    assert about == {"mantissa_bits": 15, "layer_epochs": [-1, 1]}
    assert Thinning.of(thin.manifest) == Thinning(layer_epochs=(-1, 1))
    sentence = "rounded to 15 bits of mantissa (relative error below 2e-05)"
    assert sentence in (stores[1] / "README.md").read_text()
    assert sentence not in (stores[0] / "README.md").read_text()
    names = list(GROUPS["metrics"])
    np.testing.assert_array_equal(whole.epochs[names], thin.epochs[names])
    others = [n for n in whole.channels if n not in names]
    np.testing.assert_allclose(thin.epochs[others], whole.epochs[others], rtol=2.0**-16)
    assert sorted(thin.layers["epoch"].unique()) == [-1, 1]
    kept = whole.layers[whole.layers["epoch"].isin([-1, 1])].reset_index(drop=True)
    assert kept[["run_id", "layer"]].equals(thin.layers[["run_id", "layer"]])
    columns = ["label", "unstable", "first_bad_epoch"]
    assert whole.runs[columns].equals(thin.runs[columns])


def test_a_trace_is_rounded_as_the_store_is(stores):
    whole, thin = map(load_corpus, stores)
    again = Thinning().frame(whole.epochs)
    np.testing.assert_array_equal(again[thin.channels], thin.epochs[thin.channels])


def test_what_is_restored_and_published_again_is_the_same(stores, tmp_path):
    restore(stores[1], tmp_path / "j.db")
    options = OPTIONS | {"thinning": Thinning(layer_epochs=(-1, 1))}
    again = publish(tmp_path / "j.db", tmp_path / "again", plan=PLAN, **options)
    assert again["digest"] == read_manifest(stores[1])["digest"]
