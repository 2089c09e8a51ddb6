"""What the README shows works as shown."""

import re

import pytest
import torch

import analysis_lib
from analysis_lib import ROOT, load_corpus
from analysis_lib.corpus import sample_programs
from analysis_lib.evaluation import evaluation_gap, run_study
from analysis_lib.labels import FAULT_CLASSES_4, select_runs
from analysis_lib.questions.estimates import of_programs

README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda s: s.strip().splitlines()[-1][:30])
def test_snippets_run(snippet, monkeypatch):
    corpus = load_corpus()
    part = of_programs(corpus, sample_programs(corpus.runs, 6, 0))  # all of it takes a minute
    monkeypatch.setattr(analysis_lib, "load_corpus", lambda: part)
    model = torch.nn.Linear(3, 1)
    x, y = torch.randn(8, 3), torch.randn(8, 1)
    exec(
        compile(snippet, "README.md", "exec"),
        {
            "model": model,
            "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
            "x": x,
            "y": y,
            "loss_function": torch.nn.functional.mse_loss,
            "epochs": 1,
            "train_loss": 1.0,
            "valid_loss": 1.0,
        },
    )


def test_there_are_snippets():
    assert len(SNIPPETS) == 3


def test_every_file_it_links_exists():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links and not [link for link in links if not (ROOT / link).exists()]


def test_its_table_is_what_the_shipped_corpus_says():
    corpus = load_corpus()
    runs = select_runs(corpus.runs, FAULT_CLASSES_4)
    predictions = run_study(
        corpus,
        runs,
        label="label",
        techniques=["DEFault"],
        windows=[5],
        strategies=["E1", "E4"],
        repeats=3,
        n_jobs=2,
    )
    gap = evaluation_gap(predictions)
    scores = gap.scores["pooled_balanced_accuracy"]
    total = gap.decomposition.loc[("pooled_balanced_accuracy", "total")]
    assert (
        f"| DEFault | {scores['E1']:.3f} | {scores['E4']:.3f} "
        f"| {total['estimate']:.3f} [{total['low']:.3f}, {total['high']:.3f}] |"
    ) in README
