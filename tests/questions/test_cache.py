"""Kept results come back, and no other ones."""

import functools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from analysis_lib import dependencies
from analysis_lib.corpus import Corpus
from analysis_lib.dependencies import code_files
from analysis_lib.errors import InputError
from analysis_lib.features import audit_feature_set
from analysis_lib.questions import cache
from analysis_lib.questions.cache import cached, content_digest
from analysis_lib.techniques import get_technique

CALLS = []


def doubled(x, *, n_jobs=1, scale=2):
    CALLS.append(x)
    return x * scale


@pytest.fixture(autouse=True)
def fresh():
    CALLS.clear()


def frame(**changes):
    return pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]} | changes)


def test_a_result_is_computed_once(tmp_path):
    first = cached(doubled, folder=tmp_path)(frame()[["a"]])
    again = cached(doubled, folder=tmp_path)(frame()[["a"]])
    assert len(CALLS) == 1
    pd.testing.assert_frame_equal(first, again)
    assert again["a"].tolist() == [2.0, 4.0]


def test_arguments_make_the_key_however_they_are_given(tmp_path):
    kept = cached(doubled, folder=tmp_path)
    assert [kept(3), kept(x=3), kept(3, scale=2), kept(3, n_jobs=4)] == [6] * 4
    assert len(CALLS) == 1
    assert kept(3, scale=3) == 9 and kept(4) == 8 and len(CALLS) == 3
    assert cached(doubled, ignore=(), folder=tmp_path)(3, n_jobs=4) == 6 and len(CALLS) == 4


def test_a_change_of_code_makes_it_anew(tmp_path, monkeypatch):
    cached(doubled, folder=tmp_path)(3)
    monkeypatch.setattr(cache, "_code_of", lambda module: "changed")
    cached(doubled, folder=tmp_path)(3)
    assert len(CALLS) == 2


def test_the_code_is_that_of_all_imported_modules(tmp_path, monkeypatch):
    package = tmp_path / "analysis_lib"
    (package / "sub").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "top.py").write_text("def f():\n    from analysis_lib.sub import leaf\n")
    (package / "sub" / "__init__.py").write_text("")
    leaf, other = package / "sub" / "leaf.py", package / "other.py"
    leaf.write_text("import analysis_lib.top\n")
    other.write_text("import numpy\n")
    monkeypatch.setattr(dependencies, "PACKAGE", package)
    names = [str(p.relative_to(package)) for p in code_files("analysis_lib.top")]
    assert names == ["sub/__init__.py", "sub/leaf.py", "top.py"]
    assert code_files("numpy.linalg") == []

    def digest():
        cache._code_of.cache_clear()
        return cache._code_of("analysis_lib.top")

    before = digest()
    other.write_text("import pandas\n")
    assert digest() == before
    leaf.write_text("# changed\n")
    assert digest() != before
    cache._code_of.cache_clear()


@pytest.mark.parametrize(
    "changed",
    [
        frame(a=[1.0, 2.5]),
        frame(a=[1, 2]),
        frame(b=["x", "z"]),
        frame(c=1),
        frame()[["b", "a"]],
        frame().rename(columns={"a": "A"}),
        frame().iloc[::-1],
        frame().set_axis(["p", "q"], axis=0),
        frame().iloc[:1],
    ],
)
def test_every_part_of_a_table_counts(changed):
    assert content_digest(frame()) == content_digest(frame().copy())
    assert content_digest(frame()) != content_digest(changed)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        ("1", 1),
        ([1, 2], (1, 2)),
        ([[1], [2]], [[1, 2]]),
        ({"a": 1}, {"a": 2}),
        (np.zeros(4), np.zeros((2, 2))),
        (np.zeros(2), np.zeros(2, dtype="float32")),
        (RandomForestClassifier(5), RandomForestClassifier(6)),
        (get_technique("DEFault"), get_technique("DeepFD")),
        (functools.partial(doubled, scale=3), functools.partial(doubled, scale=4)),
        (lambda x: x + 1, lambda x: x + 2),
    ],
)
def test_different_contents_have_different_digests(one, other):
    assert content_digest(one) != content_digest(other)
    assert content_digest(one) == content_digest(one)


def test_order_of_a_mapping_does_not_count_and_captured_values_do():
    assert content_digest({"a": 1, "b": 2}) == content_digest({"b": 2, "a": 1})
    assert content_digest({"a", "b", "c"}) == content_digest({"c", "b", "a"})

    def adding(k):
        return lambda x: x + k

    assert content_digest(adding(1)) == content_digest(adding(1)) != content_digest(adding(2))


def test_a_corpus_is_its_content():
    def corpus(rate=0.1, layers=None, manifest=None):
        runs = pd.DataFrame({"run_id": ["a"], "program": ["p"], "meta_learning_rate": [rate]})
        epochs = pd.DataFrame({"run_id": ["a"], "epoch": [-1], "train_loss": [2.0]})
        return Corpus(runs, epochs, layers, manifest=manifest)

    def never():
        raise AssertionError("the layers were read for a key")

    plain = content_digest(corpus(layers=frame()))
    assert plain == content_digest(corpus(layers=frame()))
    assert plain != content_digest(corpus(rate=0.2, layers=frame()))
    assert plain != content_digest(corpus(layers=frame(a=[0.0, 0.0])))
    sealed = content_digest(corpus(layers=never, manifest={"x": 1}))
    assert sealed == content_digest(corpus(layers=frame(), manifest={"x": 1}))
    assert sealed != content_digest(corpus(layers=never, manifest={"x": 2}))
    leaks = [audit_feature_set(corpus(rate), "audit_rate") for rate in (0.1, 0.1, 0.2)]
    one, same, other = map(content_digest, leaks)
    assert one == same != other


def test_what_is_not_known_is_refused():
    for value in (np.random.default_rng(0), np, (i for i in range(3))):
        with pytest.raises(InputError, match="content is not known"):
            content_digest([value])
    for value in (lambda: 1, len, SimpleNamespace().__init__):
        with pytest.raises(InputError, match="top of a module"):
            cached(value)
