"""Our estimates for the claims: contrasts with known answers, and the options of the chapters."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from analysis_lib.corpus import Corpus
from analysis_lib.errors import InputError
from analysis_lib.evaluation import (
    Interval,
    cluster_bootstrap,
    permute_within_program,
    sign_flip_test,
)
from analysis_lib.notebooks import Project, plan
from analysis_lib.questions import CHAPTERS, CLAIMS, estimates_training
from analysis_lib.questions.cache import content_digest
from analysis_lib.questions.contrasts import (
    as_estimate,
    change_of_gap,
    mean_gap,
    share_left,
    smallest_mean,
)
from analysis_lib.questions.estimates import of_programs
from analysis_lib.questions.estimates_gap import origin_contrast
from analysis_lib.questions.estimates_training import (
    cluster_contrasts,
    fifths_contrast,
    not_finite_largest,
)
from analysis_lib.questions.instability_features import SETTINGS
from analysis_lib.questions.permutation import control_forest, permutation_table
from analysis_lib.questions.permuted import permuted_predictions
from analysis_lib.questions.rates import difference_of_shares, rate_spread, stable_difference
from analysis_lib.questions.verdicts import Estimate


def guessed(right, rng, programs=12, runs=30, classes="xyz"):
    """Return predictions of which a share is right."""
    label = rng.choice(list(classes), size=programs * runs)
    wrong = np.array([rng.choice([c for c in classes if c != k]) for k in label])
    hit = rng.random(len(label)) < right
    program = np.repeat([f"p{k:02d}" for k in range(programs)], runs)
    return pd.DataFrame(
        {"program": program, "label": label, "predicted": np.where(hit, label, wrong)}
    )


def test_the_mean_gap_of_one_technique_is_its_gap():
    rng = np.random.default_rng(0)
    base = guessed(1.0, rng)
    first, second = (
        base.assign(predicted=base["label"].where(rng.random(len(base)) < share, "none"))
        for share in (0.9, 0.5)
    )
    one = pd.concat([first.assign(strategy="E1"), second.assign(strategy="E4")])
    own, known = mean_gap(one.assign(technique="a"), "E1", "E4"), cluster_bootstrap(first, second)
    assert (own.estimate, own.low, own.high) == pytest.approx(
        (known.estimate, known.low, known.high)
    )


def test_the_mean_gap_averages_techniques_and_leaves_other_strategies_out():
    rng = np.random.default_rng(1)
    base = guessed(1.0, rng)
    level = {"E1": (1.0, 0.8), "E2": (0.1, 0.1), "E4": (0.5, 0.6)}
    parts = []
    for strategy, shares in level.items():
        for technique, share in zip("ab", shares, strict=True):
            keep = np.arange(len(base)) % 10 < 10 * share
            predicted = base["label"].where(keep, "none")
            parts.append(base.assign(predicted=predicted, technique=technique, strategy=strategy))
    found = mean_gap(pd.concat(parts), "E1", "E4")
    assert found.estimate == pytest.approx((0.5 + 0.2) / 2, abs=0.02)
    assert found.low < found.estimate < found.high and found.n == 12


def scored(rng, high, low, programs=12, runs=30):
    """Return predictions under E1 and E4 with the given shares right."""
    base = guessed(1.0, rng, programs=programs, runs=runs)
    parts = []
    for strategy, share in (("E1", high), ("E4", low)):
        hit = rng.random(len(base)) < share
        parts.append(base.assign(predicted=base["label"].where(hit, "none"), strategy=strategy))
    return pd.concat(parts)


def test_gaps_on_other_runs_of_the_same_programs_are_compared():
    rng = np.random.default_rng(7)
    wide, narrow = scored(rng, 0.9, 0.5, runs=90), scored(rng, 0.9, 0.8)
    found = change_of_gap(wide, narrow)
    assert found.estimate == pytest.approx(0.3, abs=0.08) and found.low > 0 and found.n == 12
    same = change_of_gap(wide, wide)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    fewer = narrow[narrow["program"] != "p00"]
    assert change_of_gap(wide, fewer).n == 12
    assert change_of_gap(narrow, wide).estimate == pytest.approx(-found.estimate)


def test_the_origin_is_the_program_part_minus_the_leak():
    rng = np.random.default_rng(8)
    score = {"E1": 0.9, "E2": 0.6, "E4": 0.5}
    base = guessed(1.0, rng, runs=300)
    parts = [
        base.assign(
            predicted=base["label"].where(rng.random(len(base)) < share, "none"), strategy=s
        )
        for s, share in score.items()
    ]
    found = origin_contrast(pd.concat(parts)).mean()
    assert found["program part"] == pytest.approx(0.1, abs=0.03)
    assert found["contrast"] == pytest.approx(0.1 - 0.3, abs=0.04)


def test_the_smallest_mean_is_covered_in_simulations():
    rng = np.random.default_rng(0)
    covered, above = [], []
    for _ in range(400):
        shared = rng.normal(0, 0.1, (15, 1))
        table = pd.DataFrame(np.array([0.1, 0.1, 0.1, 0.3]) + shared + rng.normal(0, 0.1, (15, 4)))
        i = smallest_mean(table)
        covered.append(i.low <= 0.1 <= i.high)
        above.append(smallest_mean(table - 0.1).low > 0)
    assert np.mean(covered) >= 0.93
    # a claim about every window is rarely confirmed when one mean is nothing
    assert np.mean(above) <= 0.04


def test_the_smallest_mean_is_wide_enough_on_either_side():
    table = pd.DataFrame({"a": [0.1, 0.2, 0.3, np.nan], "b": [0.3, 0.4, 0.2, 0.3]})
    i = smallest_mean(table)
    assert i.estimate == pytest.approx(0.2) and i.n == 3
    assert i.low == pytest.approx(0.2 - 4.302653 * 0.1 / np.sqrt(3))
    # the upper end is that of b, at half the tail
    assert i.high == pytest.approx(0.3 + 4.176535 * np.std([0.3, 0.4, 0.2, 0.3], ddof=1) / 2)
    with pytest.raises(InputError, match="two programs"):
        smallest_mean(pd.DataFrame({"a": [0.1, np.nan]}))


def test_what_is_left_of_a_score():
    rng = np.random.default_rng(2)
    plain = guessed(1.0, rng, classes="wxyz")
    draws = [guessed(0.625, rng, classes="wxyz").assign(repeat=k) for k in range(4)]
    i = share_left(plain, pd.concat(draws))
    assert i.estimate == pytest.approx(0.5, abs=0.05) and i.low < i.estimate < i.high
    assert np.isnan(share_left(plain.assign(predicted="w"), plain).estimate)


def test_permuted_predictions_are_those_of_the_chapter():
    rng = np.random.default_rng(3)
    runs = pd.DataFrame({"run_id": [f"r{k:03d}" for k in range(96)]})
    runs["program"] = np.repeat(list("pqr"), 32)
    runs["configuration"] = np.repeat([f"c{k:02d}" for k in range(24)], 4)
    runs["label"] = np.tile(np.repeat(list("xyzw"), 4), 6)
    x = pd.DataFrame(rng.normal(size=(96, 4)), index=runs["run_id"])
    small = control_forest(5)
    options = {"technique": small, "repeats": 2, "random_state": 1}
    table = permutation_table(
        x, {"m": runs}, "label", kinds=[("run", "E1")], other_repeats=1, **options
    )
    by_run = table[table["permuted"] == "run"]["balanced_accuracy"]
    found = permuted_predictions(x, runs, "label", unit="run", **options)
    assert by_run.nunique() == 2
    for repeat, part in found.groupby("repeat"):
        recall = (part["label"] == part["predicted"]).groupby(part["label"]).mean()
        assert recall.mean() == pytest.approx(by_run.iloc[repeat])
        labels = permute_within_program(runs, "label", random_state=1 + repeat)["label"]
        assert sorted(part["label"]) == sorted(labels)
    plain = permuted_predictions(x, runs, "label", unit="nothing", **options)
    assert len(plain) == len(runs)


def test_differences_of_shares():
    hit = np.array([1, 1, 0, 0, 1, 0, 0, 0], dtype=bool)
    program = list("ppqqppqq")
    first = np.arange(8) < 4
    i = difference_of_shares(hit, program, first, ~first)
    assert i.estimate == 0.25 and i.low < i.estimate < i.high and i.n == 2
    alone = difference_of_shares(hit, program, first)
    assert alone.estimate == 0.5 and (alone.low, alone.high) == (0, 1)
    assert np.isnan(difference_of_shares(hit, program, first & ~first, first).estimate)
    # programs that are not in the group are none of its units
    assert difference_of_shares(hit, list("ppppqqqq"), first).n == 1


def test_stable_and_unstable_runs_are_compared_inside_programs():
    runs = pd.DataFrame({"run_id": range(8), "program": list("ppppqqqr")})
    runs["unstable"] = [0, 0, 1, 1, 0, 1, 1, 1]
    values = pd.Series([1.0, 3.0, 5.0, np.inf, 100.0, 101.0, 103.0, 7.0])
    i = stable_difference(values, runs)
    assert i.estimate == pytest.approx((3 + 2) / 2) and i.n == 2
    assert np.isnan(stable_difference(values[:2], runs[:2]).estimate)


def test_the_spread_of_rates_leaves_chance_out():
    rng = np.random.default_rng(4)
    runs = pd.DataFrame({"program": np.repeat(np.arange(40), 300)})
    runs["configuration"] = np.arange(len(runs)) // 5
    spread = []
    for sd in (0.0, 0.2):
        rate = np.clip(0.5 + sd * rng.normal(size=40), 0.02, 0.98)[runs["program"]]
        odds = rng.random(len(runs) // 5)[runs["configuration"]]
        spread.append(rate_spread(runs, odds < rate))  # all runs of a configuration are alike
    assert abs(spread[0].estimate) < 0.06 and spread[0].low < 0
    assert spread[1].estimate == pytest.approx(0.2, abs=0.05) and spread[1].low > 0.1
    with pytest.raises(InputError, match="two configurations"):
        rate_spread(runs.assign(configuration=runs["program"]), [1] * len(runs))


def test_fifths_are_of_all_runs_and_of_finite_values():
    epochs = pd.DataFrame({"run_id": range(50), "epoch": 0, "x": np.arange(50.0)})
    epochs.loc[40:, "x"] = np.nan
    epochs = pd.concat([epochs, epochs.assign(epoch=-1, x=-epochs["x"])])
    runs = pd.DataFrame({"run_id": range(50), "program": np.tile(list("pqrst"), 10)})
    runs["unstable"] = np.isin(runs["run_id"], [0, 33, 35, 37, 39, 45])
    assert fifths_contrast(epochs, runs, channel="x").estimate == pytest.approx(4 / 8 - 1 / 8)
    assert fifths_contrast(epochs, runs, channel="x", epoch=-1).estimate == pytest.approx(-3 / 8)
    # the ten runs without a value become the upper fifth, with one unstable run among them
    whole = not_finite_largest(epochs, channel="x")
    assert fifths_contrast(whole, runs, channel="x").estimate == pytest.approx(1 / 10 - 1 / 10)
    runs["unstable"] |= runs["run_id"] >= 40
    assert fifths_contrast(whole, runs, channel="x").estimate == pytest.approx(1 - 1 / 10)


def test_clusters_are_told_by_size_and_by_median():
    rng = np.random.default_rng(5)
    level = np.repeat([1.0, 1e3, 1e6, np.nan], [40, 20, 20, 20])
    noise = 10 ** rng.normal(0, 0.05, (100, 4))
    channels = ("hvp_layer_mean", "hvp_layer_std", "grad_tensor_mean", "grad_tensor_std")
    epochs = pd.DataFrame(level[:, None] * noise, columns=channels)
    epochs = epochs.assign(run_id=range(100), epoch=0)
    runs = pd.DataFrame({"run_id": range(100), "program": np.tile(list("pqrst"), 20)})
    runs["unstable"] = level >= 1e6
    runs.loc[80:, "unstable"] = np.arange(20) < 15
    runs["mismatch"] = pd.array(np.where(level < 10, np.arange(100) % 4 < 3, False), "boolean")
    found = cluster_contrasts(epochs, runs)
    assert found["an unstable cluster"].estimate == 1
    assert found["an unstable cluster, not finite"].estimate == 0.75
    # against the runs of finite curvature: 20 of 80 are unstable
    assert found["a stable cluster"].estimate == pytest.approx(0 - 0.25)
    assert found["mismatch by cluster"].estimate == 0.75
    runs.loc[level == 1e6, "mismatch"] = pd.NA
    assert np.isnan(cluster_contrasts(epochs, runs)["mismatch by cluster"].estimate)


def test_the_warning_pays_for_everything_decided_alike():
    rng = np.random.default_rng(0)
    cells = list(product(SETTINGS, ("curvature", "dimensionless")))
    shift = dict(zip(cells, (2.0, 0.5, 0.9, 0.4, 0.3, 0.2), strict=True))
    parts = []
    for (setting, kind), program in product(cells, range(14)):
        positive = np.arange(12) % 3 == 0
        score = rng.normal(size=12) + shift[setting, kind] * positive
        own = {"setting": setting, "features": kind, "estimator": "logistic", "strategy": "E4"}
        parts.append(pd.DataFrame({"program": f"p{program}", "positive": positive, "score": score}))
        parts[-1] = parts[-1].assign(**own)
    predictions = pd.concat(parts, ignore_index=True)
    alone = []
    for setting, kind in cells:
        own = predictions[(predictions["setting"] == setting) & (predictions["features"] == kind)]
        areas = own.groupby("program").apply(lambda r: roc_auc_score(r["positive"], r["score"]))
        alone.append(sign_flip_test(areas - 0.5))
    adjusted = multipletests(alone, method="holm")[1]
    assert len(set(adjusted)) > 2
    expected = adjusted[cells.index(("before", "curvature"))]
    assert estimates_training._holm_of_warning(predictions) == pytest.approx(expected)


def test_an_interval_holds_its_estimate():
    i = as_estimate(Interval(0.5, 0.6, 0.7, 0.95, 4, "bootstrap"))
    assert (i.estimate, i.low, i.high, i.programs) == (0.5, 0.5, 0.7, 4) and np.isnan(i.p_value)
    row = {"change": 1.0, "low": 0.5, "high": 1.5, "programs": 3, "p_value": 0.2}
    assert as_estimate(row, "change", minus=0.5) == Estimate(0.5, 0.0, 1.0, 3, 0.2)
    assert np.isnan(as_estimate(Interval(0.5, np.nan, np.nan, 0.95, 4, "t")).low)


def test_a_part_of_a_corpus_is_what_loading_that_part_gives():
    runs = pd.DataFrame({"run_id": list("abcd"), "program": list("pqpr")})
    epochs = pd.DataFrame({"run_id": list("aabbccdd"), "epoch": [-1, 0] * 4, "x": range(8)})
    layers = pd.DataFrame({"run_id": list("abcd"), "epoch": 0, "hvp_norm": range(4)})
    part = of_programs(Corpus(runs, epochs, lambda: layers), ["p", "r"])
    kept = [
        table[table["run_id"] != "b"].reset_index(drop=True) for table in (runs, epochs, layers)
    ]
    assert content_digest(part) == content_digest(Corpus(*kept))


SHARED = {
    "gap": {
        "n_programs": "n_programs",
        "window": "headline_window",
        "windows": "windows",
        "repeats": "repeats",
        "program_groups": "program_groups",
        "random_state": "random_state",
    },
    "structure": {
        "n_programs": "n_programs",
        "window": "window",
        "repeats": "repeats",
        "program_groups": "program_groups",
        "trees": "trees",
        "random_state": "random_state",
    },
    "instability": {
        "n_programs": "n_programs",
        "detection_groups": "groups",
        "random_state": "random_state",
    },
    "mismatch": {
        "n_programs": "n_programs",
        "window": "headline_window",
        "random_state": "random_state",
    },
}
TAKEN = {
    "gap": {"classes": "4"},
    "mismatch": {"threshold": 0.1, "repeats": 1, "seen": "E2", "margin": 0.05},
}


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_estimates_use_the_options_of_the_chapters(profile):
    given = {n.source.stem: n.parameters for n in plan(Project(profile))}
    own = given["10_against_the_study"]
    for question, names in SHARED.items():
        chapter = given[CHAPTERS[question]]
        assert {k: own[k] for k in names} == {k: chapter[v] for k, v in names.items()}
        taken = TAKEN.get(question, {})
        assert {k: chapter[k] for k in taken} == taken
    assert own["permutations"] <= given[CHAPTERS["structure"]]["permutations"]
    margins = {c.margin for c in CLAIMS if c.question == "mismatch" and c.direction != "negligible"}
    assert margins <= {0.0, TAKEN["mismatch"]["margin"]}
