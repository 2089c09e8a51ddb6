"""Controls of the gap, on worlds with known answers."""

import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier

from analysis_lib.evaluation import simulate_world
from analysis_lib.questions import gap_controls as gap
from analysis_lib.techniques import Technique


def test_mixes_change_the_mix_or_the_size_alone():
    _, runs = simulate_world("none", programs=6, classes=4, configurations=8, seeds=2)
    sets = gap.mixes(runs, random_state=1)
    number = {k: r.groupby("program")["configuration"].nunique() for k, r in sets.items()}
    assert number["natural"].equals(number["thinned"])
    assert (number["natural"] < number["designed"]).all()

    def spread(name):
        shares = pd.crosstab(sets[name]["program"], sets[name]["label"], normalize="index")
        return shares.std(axis=1).mean()

    assert spread("balanced") < 1e-12 and spread("natural") > 1.5 * spread("thinned")


def test_what_uneven_mixes_do(world):
    corpus, tree = world("none", programs=6, classes=2, configurations=10)
    near = Technique("near", tree.feature_set, lambda s: KNeighborsClassifier(25), "")
    options = {"technique": near, "window": 1, "n_groups": 2, "random_state": 2}
    table = gap.mix_table(corpus, corpus.runs, permutations=3, n_resamples=20, **options)
    table = table.set_index("mix")
    assert table.loc["balanced", "prior_oracle"] == table.loc["balanced", "chance"] == 0.5
    assert table.loc["natural", "prior_oracle"] > 0.6
    assert table.loc["natural", "permuted"] > table.loc["balanced", "permuted"] + 0.1
    against = {"balanced": "designed", "thinned": "designed", "natural": "thinned"}
    assert table["against"].dropna().to_dict() == against
    for name, other in against.items():
        row = table.loc[name]
        assert row["change"] == pytest.approx(row["gap"] - table.loc[other, "gap"])
        assert row["change_low"] <= row["change"] <= row["change_high"]


def test_training_sets_of_equal_size(world, monkeypatch):
    corpus, tree = world()
    monkeypatch.setattr(gap, "get_technique", lambda name: tree)
    found = gap.size_matched(corpus, corpus.runs, technique="tree", window=1, n_groups=10)
    assert found["share"] == pytest.approx(0.8 / 0.75 if 0.8 < 0.75 else 1.0)
    assert found["difference"].estimate == pytest.approx(found["E4"] - found["E4_matched"])
    found = gap.size_matched(corpus, corpus.runs, window=1, n_groups=4, n_splits=2)
    assert found["share"] == pytest.approx(0.5 / 0.75)
