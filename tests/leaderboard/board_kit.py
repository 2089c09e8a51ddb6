"""A small world as a corpus, and entries with known answers."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from analysis_lib.evaluation.worlds import simulate_world
from analysis_lib.features import FeatureSet
from analysis_lib.labels import FAULT_CLASSES_4
from analysis_lib.leaderboard import Entry

FEATURES, WORLD = simulate_world("transferable", programs=5, classes=4, configurations=2, seeds=3)
SET = FeatureSet(
    "world",
    tuple(FEATURES.columns),
    lambda cube: {c: cube.values[:, -1, j] for j, c in enumerate(cube.channels)},
    "the features of the world",
)
CLASSES = dict(zip(sorted(WORLD["label"].unique()), FAULT_CLASSES_4, strict=True))


def corpus():
    after = FEATURES.reset_index().assign(epoch=0)
    epochs = pd.concat([after.assign(epoch=-1), after], ignore_index=True)
    runs = WORLD.assign(label=WORLD["label"].map(CLASSES), modality="tabular", status="ok")
    return SimpleNamespace(runs=runs, epochs=epochs, manifest=None)


def runs_of(programs=4, per_class=6):
    """Runs with classes Loss and Activation, the same number of each in every program."""
    n = programs * 2 * per_class
    program = np.repeat([f"p{k}" for k in range(programs)], 2 * per_class)
    label = np.tile(np.repeat(["Loss", "Activation"], per_class), programs)
    table = {"run_id": [f"r{k:03d}" for k in range(n)], "program": program, "label": label}
    return pd.DataFrame(table | {"configuration": [f"c{k // 2}" for k in range(n)]})


def predictions_of(runs, wrong=0, strategy="E4", technique="t", window=5):
    """Predictions of which the first ``wrong`` of every cell are wrong."""
    place = runs.groupby(["program", "label"]).cumcount()
    other = runs["label"].map({"Loss": "Activation", "Activation": "Loss"})
    fold = pd.factorize(runs["program"])[0] if strategy == "E4" else np.arange(len(runs)) % 5
    return pd.DataFrame(
        {
            "technique": technique,
            "window": window,
            "strategy": strategy,
            "repeat": 0,
            "run_id": runs["run_id"],
            "program": runs["program"],
            "fold": fold,
            "label": runs["label"],
            "predicted": runs["label"].where(place >= wrong, other),
        }
    )


def entry_of(runs, wrong=0, strategy="E4", technique="t", **fields):
    table = predictions_of(runs, wrong, strategy, technique)
    held_out = "one" if strategy == "E4" else ""
    fields = {"task": "typing-4", "held_out": held_out, "target_runs": 0.0} | fields
    return Entry(technique=technique, strategy=strategy, window=5, predictions=table, **fields)
