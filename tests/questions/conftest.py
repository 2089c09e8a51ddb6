"""Small worlds with known answers, for the tests of what questions compute."""

from types import SimpleNamespace

import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from analysis_lib.evaluation import simulate_world
from analysis_lib.features import FeatureSet
from analysis_lib.techniques import Technique


@pytest.fixture
def world():
    """Function of a kind and sizes: a corpus, and a technique that knows its features."""

    def make(kind="transferable", **options):
        features, runs = simulate_world(
            kind, **({"programs": 4, "classes": 3, "configurations": 3, "seeds": 2} | options)
        )
        runs = runs.assign(family=runs["program"].where(runs["program"] != "p01", "p00"))
        after = features.reset_index().assign(epoch=0)
        epochs = pd.concat([after.assign(epoch=-1), after], ignore_index=True)
        columns = tuple(features.columns)
        chosen = FeatureSet(
            "world",
            columns,
            lambda cube: {c: cube.values[:, -1, j] for j, c in enumerate(cube.channels)},
            "the features of the world",
        )
        tree = Technique("tree", chosen, lambda s: DecisionTreeClassifier(random_state=s), "")
        return SimpleNamespace(epochs=epochs, runs=runs), tree

    return make
