"""The subsample with uneven class mixes."""

import numpy as np
import pandas as pd
import pytest

from analysis_lib.errors import InputError
from analysis_lib.evaluation import natural_sample


def corpus(programs=6, classes="ABCDEF", configurations=8, seeds=3):
    return pd.DataFrame(
        [
            {"program": f"p{p}", "configuration": f"p{p}/{c}{i}", "seed": s, "label": c}
            for p in range(programs)
            for c in classes
            for i in range(configurations)
            for s in range(seeds)
        ]
    )


def test_configurations_stay_whole_and_in_order():
    runs = corpus()
    sample = natural_sample(runs)
    assert (sample.groupby("configuration").size() == 3).all()
    assert sample.index.is_monotonic_increasing and 0 < len(sample) < len(runs)


def test_the_largest_class_stays_whole_and_mixes_differ():
    sample = natural_sample(corpus())
    mixes = sample.groupby(["program", "label"]).size().unstack(fill_value=0)
    assert (mixes.max(axis=1) == 8 * 3).all()
    assert len({tuple(row) for row in mixes.to_numpy()}) == 6
    assert (mixes.min(axis=1) < 8 * 3 / 2).all()


def test_a_program_is_drawn_whatever_the_others_are():
    runs = corpus()
    alone = natural_sample(runs[runs["program"] == "p2"])
    together = natural_sample(runs)
    pd.testing.assert_frame_equal(alone, together[together["program"] == "p2"])
    shuffled = natural_sample(runs.sample(frac=1, random_state=0)).sort_index()
    pd.testing.assert_frame_equal(shuffled, together)


def test_the_random_state_and_concentration_matter():
    runs = corpus()
    assert len(natural_sample(runs, random_state=1)) != len(natural_sample(runs))
    assert len(natural_sample(runs, concentration=1e6)) > 0.9 * len(runs)
    assert len(natural_sample(runs, concentration=0.01)) < len(runs) / 3


def test_rows_without_a_label_are_left_out():
    runs = corpus()
    runs.loc[runs["label"] == "A", "label"] = np.nan
    assert natural_sample(runs)["label"].notna().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"label": "lable"}, "lacks the columns lable"), ({"concentration": 0}, "a positive number")],
)
def test_wrong_input_is_named(options, message):
    with pytest.raises(InputError, match=message):
        natural_sample(corpus(1), **options)
