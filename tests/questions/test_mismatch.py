"""Mismatch: who takes part, areas under the curve by hand, verdicts, signs of coefficients."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from analysis_lib import plots
from analysis_lib.errors import InputError
from analysis_lib.features import FEATURE_SETS, extract
from analysis_lib.labels import label_runs
from analysis_lib.questions import (
    GUESSING,
    added_value,
    auc_table,
    auc_within_folds,
    channel_levels,
    mismatch_arms,
    mismatch_predictions,
    mismatch_rates,
    mismatch_runs,
    only_on_seen,
    pooled_auc,
    program_aucs,
    seen_minus_unseen,
    sign_agreement,
    sign_summary,
    single_feature_auc,
    threshold_table,
    within_between,
)

HIT = {"positive": "up", "score": "s"}
EPOCHS = 12


def scored(seed=0, programs=6, runs=40, folds=1, repeats=1):
    """Return predictions in which scores of each program and fold are on a scale of their own."""
    rng = np.random.default_rng(seed)
    parts = []
    for repeat, program in product(range(repeats), range(programs)):
        label = np.random.default_rng([7, program]).random(runs) < 0.3
        part = pd.DataFrame({"program": f"p{program}", "label": np.where(label, "up", "down")})
        part["run_id"] = [f"{program}-{i}" for i in range(runs)]
        part["fold"], part["repeat"] = rng.integers(0, folds, runs), repeat
        part["s"] = (label + rng.normal(size=runs)).round(1) + 3 * program + 10 * part["fold"]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def test_the_area_of_one_fold_is_that_of_scikit_learn():
    p = scored()
    found = auc_within_folds(p, min_runs=1, **HIT)
    for program, rows in p.groupby("program"):
        up = rows["label"] == "up"
        assert found.loc[program, "auc"] == pytest.approx(roc_auc_score(up, rows["s"]))
        counts = found.loc[program, ["positives", "negatives"]].tolist()
        assert counts == [up.sum(), (~up).sum()]
        assert found.loc[program, "pairs"] == up.sum() * (~up).sum()


def test_only_pairs_of_one_model_are_compared():
    p = scored(folds=3, repeats=2)
    found = auc_within_folds(p, min_runs=1, **HIT)
    for program, rows in p.groupby("program"):
        won = total = 0
        for _, cell in rows.groupby(["repeat", "fold"]):
            up, down = (cell.loc[cell["label"] == side, "s"] for side in ("up", "down"))
            for a, b in product(up, down):
                won, total = won + (a > b) + 0.5 * (a == b), total + 1
        assert found.loc[program, "auc"] == pytest.approx(won / total)
        assert found.loc[program, "pairs"] == total
        runs = rows.drop_duplicates("run_id")
        assert found.loc[program, "positives"] == (runs["label"] == "up").sum()


def test_a_program_that_is_known_and_nothing_else_has_an_area_of_one_half():
    p = scored(folds=4)
    p["s"] = p.groupby("program")["label"].transform(lambda s: (s == "up").mean()) - p["fold"]
    assert set(auc_within_folds(p, **HIT)["auc"].dropna()) == {0.5}
    assert pooled_auc(p.assign(s=p["s"] + p["fold"]), n_resamples=50, **HIT).estimate > 0.5


def test_programs_with_few_runs_of_a_label_have_no_area():
    p = pd.DataFrame({"program": list("aaabbb"), "label": ["up", "down", "down"] * 2, "s": 1.0})
    assert auc_within_folds(p, min_runs=2, **HIT)["auc"].isna().all()
    assert auc_within_folds(p, min_runs=1, **HIT)["auc"].tolist() == [0.5, 0.5]


def test_the_pooled_area_is_that_of_scikit_learn_and_its_bootstrap_that_of_copied_programs():
    p = scored(repeats=2)
    one = p[p["repeat"] == 0]
    i = pooled_auc(one, n_resamples=80, **HIT)
    assert i.estimate == pytest.approx(roc_auc_score(one["label"] == "up", one["s"]))
    other = p[p["repeat"] == 1]
    both = np.mean([roc_auc_score(q["label"] == "up", q["s"]) for q in (one, other)])
    assert pooled_auc(p, n_resamples=9, **HIT).estimate == pytest.approx(both)
    rng = np.random.default_rng(0)
    names, values = sorted(one["program"].unique()), []
    groups = dict(list(one.groupby("program")))
    for drawn in rng.multinomial(6, np.full(6, 1 / 6), size=80):
        q = pd.concat([groups[n] for n, k in zip(names, drawn, strict=True) for _ in range(k)])
        values.append(roc_auc_score(q["label"] == "up", q["s"]))
    assert min(values) < i.low < i.estimate < i.high < max(values)
    assert i.low < np.quantile(values, 0.06) and i.high > np.quantile(values, 0.94)


def test_the_pooled_difference_is_paired():
    p = scored()
    assert pooled_auc(p, p, n_resamples=50, **HIT).high == 0
    worse = p.assign(s=0.0)
    i = pooled_auc(p, worse, n_resamples=50, **HIT)
    assert i.estimate == pytest.approx(pooled_auc(p, n_resamples=9, **HIT).estimate - 0.5)
    with pytest.raises(InputError, match="not of the same runs"):
        pooled_auc(p, p[p["program"] != "p0"], **HIT)
    with pytest.raises(InputError, match="no run is labelled"):
        pooled_auc(p, positive="none", score="s")


@pytest.fixture(scope="module")
def corpus():
    """Return a corpus whose gap grows in proportion to the update ratio, but in one program."""
    rng = np.random.default_rng(3)
    rows, curves = [], []
    for program, c, seed in product(range(8), range(8), range(3)):
        run = f"{program}-{c}-{seed}"
        size = rng.uniform(-1, 1)
        final = 0.1 * (1 + size + 0.2 * rng.normal())
        rows.append({"run_id": run, "program": f"p{program}", "configuration": run[:-2]})
        rows[-1] |= {"seed": seed, "operator": "HLR" if c else "healthy", "status": "ok"}
        rows[-1] |= {"category": "Hyperparameter", "parameters": "{}", "final_metric": 0.5}
        rows[-1] |= {"higher_is_better": True, "meta_learning_rate": 0.1}
        epoch = np.arange(-1, EPOCHS)
        names = {c for s in ("optimizer", "curvature") for c in FEATURE_SETS[s].channels}
        noise = rng.uniform(0.1, 1, size=(len(epoch), len(names)))
        part = pd.DataFrame(noise, columns=sorted(names)).assign(run_id=run, epoch=epoch)
        part["update_ratio"] = 10.0 ** (4 * size + 0.3 * program)
        part["train_loss"], part["valid_loss"] = 1.0, 1.0
        part["valid_accuracy"] = np.float32(0.5)
        part["train_accuracy"] = np.float32(0.5 + final * (epoch + 1) / EPOCHS)
        if program == 7:
            part[["train_accuracy", "valid_accuracy"]] = np.nan
        curves.append(part)
    runs, epochs = pd.DataFrame(rows), pd.concat(curves, ignore_index=True)
    return SimpleNamespace(runs=runs.join(label_runs(runs, epochs)), epochs=epochs)


def test_labels_are_those_of_the_corpus_and_follow_the_threshold(corpus):
    runs = mismatch_runs(corpus)
    assert set(runs["program"]) == {f"p{i}" for i in range(7)}
    assert ((runs["label"] == "mismatch") == runs["mismatch"].astype(bool)).all()
    for threshold in (0.05, 0.15):
        other = label_runs(corpus.runs.iloc[:, :10], corpus.epochs, mismatch_gap=threshold)
        labels = mismatch_runs(corpus, threshold=threshold)["label"] == "mismatch"
        expected = other["mismatch"].loc[runs.index].astype(bool)
        assert (labels.to_numpy() == expected.to_numpy()).all()


def test_a_gap_either_way_counts_and_one_at_the_threshold_does_not():
    runs = pd.DataFrame({"run_id": list("abcd"), "program": "p", "configuration": list("abcd")})
    runs = runs.assign(operator=["HLR", "HLR", "HLR", "HNE"], seed=0, status="ok", mismatch=True)
    train = np.float32([0.6, 0.3, 0.51, 0.9])
    epochs = pd.DataFrame({"run_id": list("abcd"), "epoch": 11, "train_accuracy": train})
    found = mismatch_runs(SimpleNamespace(runs=runs, epochs=epochs.assign(valid_accuracy=0.5)))
    assert found["label"].tolist() == ["agreement", "mismatch", "agreement"]
    row = mismatch_rates(found).loc["p"]
    assert row[["runs", "mismatched", "train_higher"]].tolist() == [3, 1, 0]
    assert not row["informative"]


def test_of_configurations_that_train_alike_one_takes_part():
    runs = pd.DataFrame({"run_id": list("abc"), "program": "p", "configuration": list("abc")})
    runs = runs.assign(operator="HLR", seed=0, status="ok", mismatch=False, label="x")
    epochs = pd.DataFrame({"run_id": list("abc"), "epoch": 11, "train_accuracy": 0.5})
    alike = SimpleNamespace(
        runs=runs.assign(weights_digest=list("uuv")), epochs=epochs.assign(valid_accuracy=0.5)
    )
    assert mismatch_runs(alike)["run_id"].tolist() == ["a", "c"]


def test_joined_sets_hold_the_columns_of_each(corpus):
    arms = mismatch_arms(corpus, ["optimizer", "accuracy", "accuracy + optimizer"])
    epochs = corpus.epochs[corpus.epochs["run_id"].isin(corpus.runs["run_id"][:20])]
    tables = {n: extract(epochs, t.feature_set, window=3) for n, t in arms.items()}
    for name in ("optimizer", "accuracy"):
        part = tables["accuracy + optimizer"].filter(regex=f"^{name}:")
        np.testing.assert_array_equal(part, tables[name])
    gap = tables["accuracy"]["gap_last"]
    here = epochs[epochs["epoch"] == 2].set_index("run_id")
    expected = (here["train_accuracy"] - here["valid_accuracy"]).abs().fillna(0)
    np.testing.assert_allclose(gap, expected.reindex(gap.index), atol=1e-6)


@pytest.fixture(scope="module")
def predictions(corpus):
    names = ["optimizer", "accuracy", "program", "learning rate"]
    runs = mismatch_runs(corpus)
    arms = mismatch_arms(corpus, names)
    return mismatch_predictions(corpus, runs, arms=arms, windows=[5])


def test_what_transfers_is_found_and_nuisances_are_not(predictions):
    table = auc_table(predictions, n_resamples=50)
    within = table[table["measure"] == "within"].set_index(["technique", "strategy"])["estimate"]
    assert within["accuracy", "E4"] > 0.95
    assert within["optimizer", "E4"] > 0.7
    for name, strategy in product(("program", "learning rate"), ("E1", "E2", "E4")):
        assert within[name, strategy] == 0.5
    assert set(table["programs"]) == {7}


def test_windows_of_more_than_half_the_training_are_refused(corpus):
    runs = mismatch_runs(corpus)
    with pytest.raises(InputError, match="window 7 is too long"):
        mismatch_predictions(corpus, runs, arms=mismatch_arms(corpus, ["program"]), windows=[7])
    with pytest.raises(InputError, match="unknown arm"):
        mismatch_arms(corpus, ["optimiser"])


def test_other_thresholds_repeat_the_comparison(corpus, predictions):
    table = threshold_table(corpus, thresholds=[0.1, 0.13], techniques=["optimizer"], window=5)
    expected = seen_minus_unseen(program_aucs(predictions), window=5).iloc[0]
    assert table.loc[0, ["seen", "unseen"]].tolist() == expected[["seen", "unseen"]].tolist()
    shares = [(mismatch_runs(corpus, threshold=t)["gap"].abs() > t).mean() for t in (0.1, 0.13)]
    assert table["mismatched"].tolist() == shares and shares[0] > shares[1]


def areas(**by_strategy):
    """Return scores of technique "t" with a given mean per strategy, and of a base at .6."""
    noise = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])
    return pd.DataFrame(
        {"technique": t, "window": 5, "strategy": s, "program": f"p{i}", "auc": value + shake}
        for s, mean in by_strategy.items()
        for t, value in (("t", mean), ("base", 0.6))
        for i, shake in enumerate(noise if t == "t" else 0 * noise)
    )


def test_differences_are_paired_by_program():
    scores = areas(E1=0.9, E2=0.8, E4=0.7)
    table = seen_minus_unseen(scores, window=5).set_index("technique")
    row = table.loc["t"]
    assert row[["seen", "unseen", "estimate"]].round(9).tolist() == [0.8, 0.7, 0.1]
    assert row["high"] - row["low"] < 1e-9 and row["p_value"] == 2 / 32
    assert table.loc["base", "estimate"] == 0
    gains = added_value(scores, [("base", "t"), (GUESSING, "t")], window=5, strategies=["E4"])
    assert gains["p_adjusted"].between(gains["p_value"] - 0.02, 1).all()
    assert gains["estimate"].round(9).tolist() == [0.1, 0.2]
    half = 2.776445 * np.std([-0.02, -0.01, 0, 0.01, 0.02], ddof=1) / np.sqrt(5)
    np.testing.assert_allclose(gains["high"] - gains["estimate"], half, rtol=1e-5)
    with pytest.raises(InputError, match="unknown score"):
        added_value(scores, [("base", "u")], window=5)


@pytest.mark.parametrize(
    ("seen", "unseen", "base", "verdict", "reason"),
    [
        (0.8, 0.5, GUESSING, "confirmed", "not on unseen"),
        (0.8, 0.62, "base", "confirmed", "not on unseen"),
        (0.8, 0.7, GUESSING, "contradicted", "though less"),
        (0.7, 0.7, GUESSING, "contradicted", "as well"),
        (0.51, 0.5, GUESSING, "contradicted", "not even"),
        (0.6, 0.7, "base", "contradicted", "as well"),
    ],
)
def test_verdicts(seen, unseen, base, verdict, reason):
    scores = areas(E2=seen, E4=unseen)
    if unseen in (0.5, 0.62):  # unseen programs differ widely enough to reach the base
        wide = scores["strategy"].eq("E4") & scores["technique"].eq("t")
        scores.loc[wide, "auc"] = unseen + np.array([-0.03, -0.015, 0.0, 0.015, 0.03])
    found = only_on_seen(scores, base=base, technique="t", window=5)
    assert found["verdict"] == verdict and reason in found["reason"]


def test_an_open_gain_on_unseen_programs_is_not_taken_for_none():
    scores = areas(E2=0.8, E4=0.53)
    wide = scores["strategy"].eq("E4") & scores["technique"].eq("t")
    scores.loc[wide, "auc"] = 0.53 + np.array([-0.1, -0.05, 0.0, 0.05, 0.1])
    found = only_on_seen(scores, base=GUESSING, technique="t", window=5)
    assert found["verdict"] == "unresolved" and "help more on seen" in found["reason"]


def test_a_gain_on_seen_programs_that_is_not_told_from_zero_leaves_it_open():
    scores = areas(E2=0.6, E4=0.51)
    wide = scores["strategy"].eq("E2") & scores["technique"].eq("t")
    scores.loc[wide, "auc"] = 0.6 + np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
    found = only_on_seen(scores, base=GUESSING, technique="t", window=5)
    assert found["verdict"] == "unresolved" and "leave it open" in found["reason"]


def test_within_and_between_are_told_apart():
    rng = np.random.default_rng(1)
    program = np.repeat(np.arange(14), 50)
    inside, level = rng.normal(size=700), rng.normal(size=14)[program]
    y = rng.random(700) < 1 / (1 + np.exp(1 - 1.5 * inside + 1.5 * level))
    x = pd.DataFrame({"both": inside + level, "level": level, "noise": rng.normal(size=700)})
    table = within_between(y, x, program, n_resamples=199)
    rows = table.set_index(["feature", "kind"])
    assert rows.loc[("both", "within"), "low"] > 0 > rows.loc[("both", "between"), "high"]
    assert np.isnan(rows.loc[("level", "within"), "estimate"])
    assert rows.loc[("noise", "within"), "low"] < 0 < rows.loc[("noise", "within"), "high"]
    assert rows.loc[("both", "within"), "estimate"] == pytest.approx(1.5, abs=0.4)
    known = rows["q_value"].dropna()
    assert (known >= rows.loc[known.index, "p_value"] - 1e-12).all()
    signs = sign_summary(table)
    assert signs[["features", "opposed"]].tolist() == [2, 1]
    assert signs["resolved_within"] == 1
    scaled = within_between(y, 100 * x[["both"]] - 7, program, kinds=["within"], n_resamples=199)
    assert scaled.loc[0, "estimate"] == pytest.approx(rows.loc[("both", "within"), "estimate"])


def test_the_area_of_a_single_feature_is_that_of_scikit_learn():
    rng = np.random.default_rng(2)
    y, program = rng.random(90) < 0.4, np.repeat(list("abc"), 30)
    x = pd.DataFrame({"u": rng.normal(size=90).round(1), "v": 1.0}, index=range(900, 990))
    found = single_feature_auc(y, x, program)
    for name in "abc":
        here = program == name
        assert found.loc[name, "u"] == pytest.approx(roc_auc_score(y[here], x["u"][here]))
    assert set(found["v"]) == {0.5}
    y[program == "c"] = False
    assert list(single_feature_auc(y, x, program).index) == ["a", "b"]


def test_agreement_is_over_pairs_of_programs():
    rng = np.random.default_rng(4)
    areas = pd.DataFrame(rng.random((9, 5)), columns=list("abcde"))
    by_feature, by_program, overall = sign_agreement(areas)
    for name in areas:
        pairs = [
            (areas[name][i] > 0.5) == (areas[name][j] > 0.5) for i in range(9) for j in range(i)
        ]
        assert by_feature.loc[name, "agreement"] == pytest.approx(np.mean(pairs))
    assert overall.estimate == pytest.approx(by_feature["agreement"].mean())
    assert overall.estimate == pytest.approx(by_program.mean())
    # jackknife by hand
    rest = [sign_agreement(areas.drop(i))[0]["agreement"].mean() for i in range(9)]
    pseudo = 9 * overall.estimate - 8 * np.array(rest)
    half = 2.306004 * pseudo.std(ddof=1) / 3
    assert overall.high - overall.estimate == pytest.approx(half, rel=1e-5)


def test_coins_agree_half_the_time():
    rng = np.random.default_rng(5)
    found = [sign_agreement(pd.DataFrame(rng.random((10, 20))))[2].estimate for _ in range(40)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.015)


def test_levels_are_the_means_of_channels_that_vary():
    features = pd.DataFrame({"a_mean": [1.0, 2.0], "a_last": [1.0, 2.0], "b_mean": [1.0, 1.0]})
    assert list(channel_levels(features)) == ["a"]


def test_figures_show_what_they_are_given(canvas, predictions, corpus):
    scores = program_aucs(predictions)
    ax = plots.plot_seen_unseen(scores, technique="optimizer", window=5)
    points = ax.collections[0].get_offsets()
    wide = scores[scores["technique"] == "optimizer"].pivot(
        index="program", columns="strategy", values="auc"
    )
    np.testing.assert_allclose(points, wide[["E2", "E4"]])
    gains = added_value(scores, [(GUESSING, "optimizer")], window=5)
    ax = plots.plot_auc_gains(gains)
    drawn = [container.lines[0].get_xdata()[0] for container in ax.containers]
    assert drawn == gains["estimate"].tolist()
    figure = plots.plot_auc_grid(
        auc_table(predictions, n_resamples=9), techniques=["optimizer", "accuracy"]
    )
    assert len(figure.axes) == 6
    assert {len(ax.collections) for ax in figure.axes} == {2}  # a band per line, pooled ones too
    with pytest.raises(InputError, match="unknown line"):
        plots.plot_auc_grid(auc_table(predictions, n_resamples=9), techniques=["program"])
    ax = plots.plot_mismatch_rates(mismatch_rates(mismatch_runs(corpus)))
    assert len(ax.patches) == 7
    kinds = pd.DataFrame({"feature": list("uuvv"), "kind": ["within", "between"] * 2})
    kinds = kinds.assign(estimate=[1.0, -9, -1, 0], low=[0.5, -99, -2, -1], high=[2, -5, 0, 1.0])
    ax = plots.plot_coefficient_kinds(kinds)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["v", "u"]
    assert ax.get_xlim()[0] >= -3.5
