"""Transfer estimators on worlds with known answers."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from analysis_lib.errors import InputError
from analysis_lib.evaluation import simulate_world
from analysis_lib.transfer import (
    Coral,
    Direct,
    GroupRobustLogistic,
    NearestPrograms,
    Referenced,
    StableFeatures,
    align,
    class_effects,
    relative_to,
)
from analysis_lib.transfer.base import class_shares
from analysis_lib.transfer.reference import leaf_probabilities, leaves_of, pooled_spread


def split(world="transferable", **options):
    """Features, classes and programs of training, and of one new program."""
    given = {"programs": 9, "classes": 3, "configurations": 4, "seeds": 2, "signal": 2.0}
    features, runs = simulate_world(world, **(given | {"identity": 6.0} | options))
    x, y, g = features.to_numpy(), runs["label"].to_numpy(), runs["program"].to_numpy()
    new = g == "p00"
    return (x[~new], y[~new], g[~new]), (x[new], y[new])


def accuracy(model, x, y) -> float:
    return float((model.predict(x) == y).mean())


def linear():
    return LogisticRegression(max_iter=2000)


def test_unlabelled_reference_closes_a_gap_of_location():
    (x, y, g), (new, labels) = split()
    alone = Direct(linear()).fit(x, y, groups=g)
    centred = Referenced(linear(), "U", parts="d", centre="mean", pools=0).fit(x, y, groups=g)
    known = accuracy(centred.adapt(new), new, labels)
    assert known > 0.9
    assert accuracy(alone, new, labels) < known - 0.2


def test_a_single_class_pool_misleads_a_mean_that_was_trained_on_whole_programs():
    (x, y, g), (new, labels) = split()
    naive = Referenced(linear(), "U", parts="d", centre="mean", pools=0).fit(x, y, groups=g)
    one = new[labels == labels[0]]
    assert accuracy(naive.adapt(one), new, labels) < 0.9


def test_pools_of_training_are_drawn_within_the_program_and_reproducible():
    (x, y, g), (new, _) = split()
    make = lambda: Referenced(linear(), "U", random_state=3).fit(x, y, groups=g)  # noqa: E731
    first, second = make(), make()
    assert np.allclose(first.adapt(new).predict_proba(new), second.adapt(new).predict_proba(new))
    own = Referenced(linear(), "U", pools=4)
    centres = own._drawn(x[g == "p01"], y[g == "p01"], np.random.default_rng(0))
    assert len(np.unique(centres.round(9), axis=0)) == 4
    low, high = x[g == "p01"].min(axis=0), x[g == "p01"].max(axis=0)
    assert ((centres >= low) & (centres <= high)).all()


def test_healthy_reference_needs_healthy_runs_of_every_training_program():
    (x, y, g), (new, labels) = split()
    rng = np.random.default_rng(0)
    names = np.unique(g)
    base = np.array([x[g == n].mean(axis=0) for n in names])
    reference = np.repeat(base, 2, axis=0) + 0.1 * rng.standard_normal((2 * len(names), x.shape[1]))
    owners = np.repeat(names, 2)
    model = Referenced(linear(), "H", parts="d", centre="mean")
    model.fit(x, y, groups=g, reference=reference, reference_groups=owners)
    assert accuracy(model.adapt(new.mean(axis=0)[None]), new, labels) > 0.9
    with pytest.raises(InputError, match="needs healthy reference runs"):
        Referenced(linear(), "H").fit(x, y, groups=g)
    with pytest.raises(InputError, match="1 training programs have no reference"):
        Referenced(linear(), "H").fit(
            x, y, groups=g, reference=reference[2:], reference_groups=owners[2:]
        )


def test_shares_of_a_forest_are_its_own():
    (x, y, g), (new, _) = split()
    for make in (ExtraTreesClassifier, RandomForestClassifier):
        forest = make(7, random_state=0).fit(x, y)
        assert (class_shares(forest, new) == forest.predict_proba(new)).all()
        assert (leaves_of(forest, new) == forest.apply(new)).all()
    plain = linear().fit(x, y)
    assert (class_shares(plain, new) == plain.predict_proba(new)).all()


def test_labelled_runs_count_in_leaves():
    x = np.array([[0.0], [0.0], [1.0], [1.0]] * 5)
    y = np.array(["a", "a", "b", "b"] * 5)
    forest = ExtraTreesClassifier(5, random_state=0).fit(x, y)
    leaves = forest.apply(np.array([[0.0]]))
    classes = np.array(["a", "b"])
    labels = np.array(["b"])
    p = leaf_probabilities(forest, np.array([[0.0], [1.0]]), leaves, labels, 10.0, classes)
    assert p == pytest.approx(np.array([[0.5, 0.5], [0.0, 1.0]]))  # 10 runs of a, and one as 10
    none = leaf_probabilities(forest, np.array([[0.0]]), leaves, labels, 0.0, classes)
    assert none == pytest.approx(forest.predict_proba([[0.0]]))


def test_few_labelled_runs_teach_a_signature_of_its_own():
    (x, y, g), (new, labels) = split("specific", seeds=6, configurations=6, replicate=0.2)
    forest = ExtraTreesClassifier(50, min_samples_leaf=2, random_state=0)
    shots = Referenced(forest, "K", parts="d", centre="mean", weight=20.0).fit(x, y, groups=g)
    pick = np.concatenate([np.flatnonzero(labels == c)[:5] for c in np.unique(labels)])
    rest = np.setdiff1d(np.arange(len(labels)), pick)
    adapted = shots.adapt(new[pick], labels[pick])
    weak = Referenced(forest, "K", parts="d", centre="mean").fit(x, y, groups=g)
    weak = weak.adapt(new[pick], labels[pick])
    assert (
        accuracy(adapted, new[rest], labels[rest]) > accuracy(weak, new[rest], labels[rest]) + 0.1
    )


def test_relative_to_and_spread_by_hand():
    x = np.array([[1.0, 5.0], [3.0, 5.0]])
    found = relative_to(x, np.array([1.0, 4.0]), np.array([2.0, 1.0]), "dz")
    assert found[1] == pytest.approx([2.0, 1.0, np.log(2), np.log(2)])
    assert pooled_spread(x, np.array(["p", "p"])) == pytest.approx([1.0, 0.02])
    with pytest.raises(InputError, match="letters x, d and z"):
        relative_to(x, x[0], x[0], "q")


def test_class_effects_by_brute_force():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((30, 2)), rng.choice(list("abc"), 30)
    g = np.repeat(["p", "q"], 15)
    found = class_effects(x, y, g)
    for i, program in enumerate("pq"):
        for j, name in enumerate("abc"):
            hit, rest = (x[(g == program) & ((y == name) == s), 1] for s in (True, False))
            above = np.mean([(a > b) + 0.5 * (a == b) for a in hit for b in rest])
            assert found[i, j, 1] == pytest.approx(2 * above - 1)


def test_stable_features_are_those_whose_sign_agrees():
    rng = np.random.default_rng(0)
    g, y = np.repeat(list("pqrstu"), 20), np.tile(["a", "b"], 60)
    sign = np.where(y == "a", 1.0, -1.0)
    flip = np.where(np.isin(g, list("prt")), 1.0, -1.0)
    noise = 0.3 * rng.standard_normal((120, 3))
    x = np.column_stack([sign * flip, sign, np.zeros(120)]) * 2 + noise
    model = StableFeatures(1 / 3).fit(x, y, groups=g)
    assert model.kept_.tolist() == [1]
    assert model.transform(x).shape == (120, 1)
    with pytest.raises(InputError, match="share is 0"):
        StableFeatures(0).fit(x, y, groups=g)


def test_a_weaker_effect_that_all_programs_share_beats_a_stronger_one_that_one_reverses():
    rng = np.random.default_rng(0)
    g, y = np.repeat(list("pqrstu"), 40), np.tile(["a", "b"], 120)
    sign = np.where(y == "a", 1.0, -1.0)
    often = sign * np.where(g == "u", -1.0, 1.0)
    x = np.column_stack([often, sign + 1.7 * rng.standard_normal(len(g))])
    effects = np.abs(class_effects(x, y, g).mean(axis=0))[0]
    assert effects[0] > effects[1]
    assert StableFeatures(0.5).fit(x, y, groups=g).kept_.tolist() == [1]


def test_labelled_reference_weighs_classes_equally():
    (x, y, g), _ = split()
    model = Referenced(linear(), "K", centre="mean").fit(x, y, groups=g)
    classes = model.classes_
    pool = np.zeros((4, x.shape[1]))
    pool[3] = 8.0
    labels = np.array([classes[0]] * 3 + [classes[1]])
    assert model.adapt(pool, labels).centre_ == pytest.approx(np.full(x.shape[1], 4.0))


def test_align_gives_the_moments_of_the_target():
    rng = np.random.default_rng(0)
    source = rng.standard_normal((400, 3)) @ rng.standard_normal((3, 3))
    target = rng.standard_normal((300, 3)) @ rng.standard_normal((3, 3)) + 4
    moved = align(source, target, shrinkage=0.0)
    assert moved.mean(axis=0) == pytest.approx(target.mean(axis=0))
    assert np.cov(moved.T, bias=True) == pytest.approx(np.cov(target.T, bias=True), abs=1e-6)


def test_coral_moves_training_runs_to_the_pool():
    (x, y, g), (new, labels) = split()
    model = Coral(linear(), shrinkage=0.9).fit(x, y, groups=g)
    assert accuracy(model.adapt(new), new, labels) > 0.9
    with pytest.raises(InputError, match="call adapt"):
        model.predict(new)


def test_group_robust_training_lifts_the_worst_program():
    # one small program in which feature 0 means the opposite, and feature 1 is weak everywhere
    rng = np.random.default_rng(0)
    sizes = {"p": 200, "q": 200, "r": 40}
    g = np.repeat(list(sizes), list(sizes.values()))
    y = np.tile(["a", "b"], len(g) // 2)
    sign = np.where(y == "a", 1.0, -1.0)
    first = sign * np.where(g == "r", -1.0, 1.0)
    x = np.column_stack([first, sign]) + rng.standard_normal((len(g), 2)) * [0.25, 1.2]
    once = {"penalties": (1e-3,), "iterations": 600}
    plain = GroupRobustLogistic(steps=(0.0,), **once).fit(x, y, groups=g)
    robust = GroupRobustLogistic(steps=(0.1,), **once).fit(x, y, groups=g)

    def worst(model):
        return min((model.predict(x[g == p]) == y[g == p]).mean() for p in sizes)

    assert plain.shares_ == pytest.approx(np.full(3, 1 / 3))
    assert robust.programs_[robust.shares_.argmax()] == "r"
    assert worst(robust) > worst(plain) + 0.05


def test_every_program_counts_the_same_in_plain_group_training():
    x = np.array([[1.0], [1.0], [-1.0]] + [[-1.0]] * 30 + [[1.0]] * 10)
    y = np.array(["a", "a", "b"] + ["b"] * 30 + ["a"] * 10)
    g = np.array(["p"] * 3 + ["q"] * 40)
    model = GroupRobustLogistic(penalties=(1e-3,), steps=(0.0,), iterations=50)
    model.fit(x, y, groups=g)
    p = model.predict_proba(np.array([[0.0]]))[0]
    assert abs(p[0] - 0.5) < 0.15  # not the 12 to 31 of the runs


def test_without_steps_group_training_is_logistic_regression():
    (x, y, g), (new, _) = split(programs=5)
    penalty = 0.05
    model = GroupRobustLogistic(penalties=(penalty,), steps=(0.0,), iterations=2000)
    model.fit(x, y, groups=g)
    inputs = np.hstack([np.clip((x - x.mean(axis=0)) / x.std(axis=0), -5, 5), np.ones((len(x), 1))])
    cell = np.array([((g == a) & (y == b)).sum() for a, b in zip(g, y, strict=True)])
    present = np.array([len(np.unique(y[g == a])) for a in g])
    weight = 1 / (cell * present * len(np.unique(g)))
    plain = LogisticRegression(C=1 / penalty, fit_intercept=False, max_iter=5000, tol=1e-10)
    plain.fit(inputs, y, sample_weight=weight)
    moved = (new - x.mean(axis=0)) / x.std(axis=0)
    moved = np.hstack([np.clip(moved, -5, 5), np.ones((len(new), 1))])
    assert model.predict_proba(new) == pytest.approx(plain.predict_proba(moved), abs=2e-3)


def test_penalty_and_step_are_chosen_by_the_worst_held_out_training_programs():
    # the class is in the difference of two noisy features, which a huge penalty cannot weigh
    rng = np.random.default_rng(0)
    g, y = np.repeat(list("pqrstu"), 40), np.tile(["a", "b"], 120)
    noise = 3 * rng.standard_normal(len(g))
    x = np.column_stack([noise + np.where(y == "a", 0.5, -0.5), noise])
    options = {"steps": (0.0, 0.05), "rate": 0.1, "iterations": 300}
    model = GroupRobustLogistic(penalties=(1e4, 1e-4), **options).fit(x, y, groups=g)
    assert model.penalty_ == 1e-4
    assert model.inner_["score"].max() > 0.95 and model.inner_["score"].min() < 0.7
    again = GroupRobustLogistic(penalties=(1e4, 1e-4), **options).fit(x, y, groups=g)
    assert again.inner_.equals(model.inner_)
    alone = GroupRobustLogistic(penalties=(1e-4,), **options | {"steps": (model.step_,)})
    alone.fit(x, y, groups=g)
    assert alone.inner_.empty
    assert alone.weights_ == pytest.approx(model.weights_, abs=1e-3)


def test_the_choice_sees_only_programs_that_were_held_out_inside():
    rng = np.random.default_rng(0)
    g, x = np.repeat(list("pqrs"), 10), rng.standard_normal((40, 60))
    y = rng.permutation(np.tile(["a", "b"], 20))  # nothing to learn, and enough to fit it
    model = GroupRobustLogistic(penalties=(1e-4, 1e-3), steps=(0.0,)).fit(x, y, groups=g)
    assert accuracy(model, x, y) == 1.0
    assert model.inner_["score"].max() < 0.8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_inner": 1}, "n_inner is 1"),
        ({"penalties": (-1.0,)}, "must be 0 or more"),
        ({"steps": ()}, "must be 0 or more"),
        ({"iterations": 0}, "the others above 0"),
    ],
)
def test_bad_options_of_group_training_are_named(change, message):
    (x, y, g), _ = split(programs=4)
    with pytest.raises(InputError, match=message):
        GroupRobustLogistic(**change).fit(x, y, groups=g)


def test_nearest_programs_are_kept():
    rng = np.random.default_rng(0)
    g = np.repeat(list("pqrs"), 20)
    y = np.tile(["a", "b"], 40)
    place = np.repeat([0.0, 1.0, 50.0, 60.0], 20)
    x = np.column_stack([place, np.where(y == "a", 1.0, -1.0) * np.where(place > 10, -1, 1)])
    x = x + 0.1 * rng.standard_normal(x.shape)
    model = NearestPrograms(linear(), "U", n_programs=2).fit(x, y, groups=g)
    adapted = model.adapt(np.array([[55.0, 0.0], [56.0, 0.1]]))
    assert set(adapted.nearest_) == {"r", "s"}
    assert adapted.predict([[55.0, 1.0]]).tolist() == ["b"]
    assert model.estimator_ is None  # adapting leaves the fitted one as it was


def test_tracks_are_kept_apart():
    (x, y, g), (new, labels) = split()
    direct = Direct(linear()).fit(x, y, groups=g)
    with pytest.raises(InputError, match="uses nothing of the new program"):
        direct.adapt(new)
    unlabelled = Referenced(linear(), "U").fit(x, y, groups=g)
    with pytest.raises(InputError, match="must not see labels"):
        unlabelled.adapt(new, labels)
    with pytest.raises(InputError, match="call adapt"):
        unlabelled.predict(new)
    shots = Referenced(linear(), "K").fit(x, y, groups=g)
    with pytest.raises(InputError, match="needs the labels"):
        shots.adapt(new)
    with pytest.raises(InputError, match="no class of training"):
        shots.adapt(new[:1], ["other"])
    with pytest.raises(InputError, match="pool is empty"):
        unlabelled.adapt(new[:0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y, g: (x[:, 0], y, g), "has shape"),
        (lambda x, y, g: (x, y[1:], g), "one class and one program per run"),
        (lambda x, y, g: (x, y, np.full(len(y), "p")), "two classes and two programs"),
        (lambda x, y, g: (np.where(x == x[0, 0], np.nan, x), y, g), "not finite"),
    ],
)
def test_bad_training_is_named(change, message):
    (x, y, g), _ = split(programs=3)
    x, y, g = change(x, y, g)
    with pytest.raises(InputError, match=message):
        Direct(linear()).fit(x, y, groups=g)
