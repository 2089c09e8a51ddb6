"""Nominal 95 % intervals hold the truth in 92 to 98 % of simulated studies.

``TORTURE=full`` runs 500 studies each, as the goal says, which takes minutes. Otherwise it is a
few dozen, and the share may leave the range by what chance allows: the counts below are such that
an interval within the range fails once in two thousand.
"""

import os

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from analysis_lib.evaluation.inference import bca_interval, cluster_bootstrap, t_interval
from analysis_lib.evaluation.predict import cross_predict
from analysis_lib.evaluation.scores import by_program
from analysis_lib.evaluation.wild import wild_cluster_bootstrap
from analysis_lib.evaluation.worlds import simulate_world

FULL = os.environ.get("TORTURE") == "full"
GOAL = (0.92, 0.98)
CLASSES = np.array(list("abc"))


def studies(few: int) -> int:
    return 500 if FULL else few


def assert_covers(counts: dict[str, int], n: int) -> None:
    low, high = (500 * GOAL[0], 500 * GOAL[1]) if n == 500 else (
        stats.binom.ppf(0.0005, n, GOAL[0]),
        stats.binom.ppf(0.9995, n, GOAL[1]),
    )  # fmt: skip
    print({name: round(count / n, 3) for name, count in counts.items()}, f"of {n}")
    assert {k: c for k, c in counts.items() if not low <= c <= high} == {}, (low, high)


def simulate_scores(rng, programs):
    """Predictions of two strategies, with skills drawn per program and class, of uneven size."""
    skill = 0.6 + 0.15 * rng.uniform(-1, 1, (programs, 1)) + 0.1 * rng.uniform(-1, 1, (programs, 3))
    drop = 0.15 + 0.15 * rng.uniform(-1, 1, (programs, 1))
    size = np.repeat(rng.integers(5, 60, programs), 3)
    program = np.repeat(np.repeat(np.arange(programs), 3), size)
    kind = np.repeat(np.tile(np.arange(3), programs), size)
    pair = []
    for recall in (skill, skill - drop):
        right = rng.random(len(kind)) < recall[program, kind]
        label = CLASSES[kind]
        table = {"program": program, "label": label, "predicted": np.where(right, label, "d")}
        pair.append(pd.DataFrame(table))
    return pair


@pytest.mark.parametrize("programs", [38, 52])
def test_intervals_of_scores_and_differences_cover(programs):
    n = studies(40)
    rng = np.random.default_rng(programs)
    counts = dict.fromkeys(("t", "t difference", "BCa", "bootstrap", "bootstrap difference"), 0)
    for _ in range(n):
        first, second = simulate_scores(rng, programs)
        score, other = (by_program(p)["score"] for p in (first, second))
        found = {
            "t": (t_interval(score), 0.6),
            "t difference": (t_interval(score - other), 0.15),
            "BCa": (bca_interval(score, n_resamples=999), 0.6),
            "bootstrap": (cluster_bootstrap(first, n_resamples=999), 0.6),
            "bootstrap difference": (cluster_bootstrap(first, second, n_resamples=999), 0.15),
        }
        for name, (interval, truth) in found.items():
            counts[name] += interval.low <= truth <= interval.high
    assert_covers(counts, n)


@pytest.mark.parametrize("family", ["ols", "logit"])
def test_the_wild_cluster_bootstrap_covers(family):
    """A regressor that varies between and within programs, and programs of uneven size."""
    n = 500
    rng = np.random.default_rng(1)
    counts = {family: 0}
    for _ in range(n):
        size = rng.integers(5, 60, 38)
        group = np.repeat(np.arange(38), size)
        x = rng.normal(size=38)[group] + rng.normal(size=len(group))
        if family == "ols":
            # a slope of its own in every program: errors that only clusters account for
            y = (0.5 + 0.5 * rng.normal(size=38))[group] * x + rng.normal(size=38)[group]
            y = y + rng.normal(size=len(group))
        else:
            # outcomes of a program hang together, yet the margin is logistic with slope 0.5
            same = rng.random(38)[group]
            uniform = np.where(rng.random(len(group)) < 0.3, same, rng.random(len(group)))
            y = (uniform < 1 / (1 + np.exp(-0.5 * x))).astype(float)
        design = pd.DataFrame({"one": 1.0, "x": x})
        row = wild_cluster_bootstrap(
            y, design, group, family=family, coefficients=["x"], null=0.5, intervals=False,
            n_resamples=399, random_state=int(rng.integers(1 << 30)),
        )  # fmt: skip
        counts[family] += row.loc["x", "p_value"] >= 0.05
    assert_covers(counts, n)


@pytest.mark.parametrize("world", ["none", "transferable", "specific"])
def test_intervals_of_the_gap_cover_in_simulated_worlds(world):
    """From features to the interval of E2 - E4: worlds differ in their programs alone, and the
    truth is the mean over all of them; with 500, its error is a twentieth of that of one.

    Plain intervals are conditional on the models. Where there is nothing to learn, that is no
    matter; where there is, they miss more often, and the corrected one must not."""
    n = studies(12)
    model = LinearDiscriminantAnalysis()
    size = {"programs": 24, "classes": 2, "configurations": 3, "seeds": 2, "features": 4}
    found = {"conditional": [], "corrected": [], "pooled": []}
    for state in range(n):
        features, runs = simulate_world(
            world, random_state=state, direction_state=1, identity=1.0, **size
        )
        first, second = (cross_predict(features, runs, model, s, "label") for s in ("E2", "E4"))
        difference = by_program(first)["score"] - by_program(second)["score"]
        found["conditional"].append(t_interval(difference))
        found["corrected"].append(t_interval(difference, overlap=1 / (len(difference) - 1)))
        found["pooled"].append(cluster_bootstrap(first, second, n_resamples=1000))
    counts = {}
    for kind, intervals in found.items():
        truth = np.mean([i.estimate for i in intervals])
        counts[kind] = int(sum(i.low <= truth <= i.high for i in intervals))
    print(world, {kind: count / n for kind, count in counts.items()})
    if world == "none":
        assert_covers({kind: counts[kind] for kind in ("conditional", "pooled")}, n)
    least = 500 * GOAL[0] if n == 500 else stats.binom.ppf(0.0005, n, GOAL[0])
    assert counts["corrected"] >= least
