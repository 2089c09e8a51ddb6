"""A journal filled from a published corpus is as good as the one it came from."""

from dataclasses import replace

import pytest
from corpus_kit import CATEGORIES, NAMES, PROGRAMS, journal_of, label, plan_of, row_of
from pandas.testing import assert_frame_equal

from analysis_lib.corpus import load
from analysis_lib.corpus.generate import generate
from analysis_lib.corpus.journal import Journal
from analysis_lib.corpus.publish import publish
from analysis_lib.corpus.restore import restore
from analysis_lib.corpus.schema import from_bytes
from analysis_lib.errors import InputError

PLAN = plan_of()
OPTIONS = {"programs": PROGRAMS, "categories": CATEGORIES, "label": label}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("restore")
    publish(journal_of(folder / "j.db", PLAN), folder / "store", **OPTIONS)
    return folder / "store"


def test_publishing_again_gives_the_same_contents(store, tmp_path):
    assert restore(store, tmp_path / "new.db") == len(PLAN)
    again = publish(tmp_path / "new.db", tmp_path / "store", plan=PLAN, **OPTIONS)
    assert again["digest"] == load.read_manifest(store)["digest"]
    assert restore(store, tmp_path / "new.db") == 0


def test_only_what_is_missing_is_written_and_nothing_is_trained_again(store, tmp_path):
    part = plan_of(programs=NAMES[:1])
    journal = journal_of(tmp_path / "part.db", part)
    assert restore(store, journal) == len(PLAN) - len(part)
    summary = generate(PLAN, journal, progress=False, trainer="no_such_module:train")
    assert summary.complete


def test_rows_equal_those_of_the_first_journal(store, tmp_path):
    restore(store, tmp_path / "new.db")
    with Journal(tmp_path / "new.db") as journal:
        found = {row.run_id: row for row in journal.rows()}
    for run in PLAN:
        made, kept = row_of(run), found[run.run_id]
        assert (kept.spec, kept.status, kept.reason) == (made.spec, made.status, made.reason)
        assert not kept.torn
        for one, two in ((kept.epochs, made.epochs), (kept.layers, made.layers)):
            assert (one is None) == (two is None)
            if one is not None:
                assert_frame_equal(from_bytes(one).to_pandas(), from_bytes(two).to_pandas())


def test_another_recipe_is_refused(store, tmp_path, monkeypatch):
    corpus = load.load_corpus(store)
    other = replace(corpus, runs=corpus.runs.assign(meta_recipe=1))
    monkeypatch.setattr("analysis_lib.corpus.restore.load_corpus", lambda *_, **__: other)
    with pytest.raises(InputError, match=r"made with recipe \[1\], this version trains recipe"):
        restore(store, tmp_path / "new.db")
