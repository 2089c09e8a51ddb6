"""What the README shows works as shown."""

import re

import pytest
import torch

from analysis_lib import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda s: s.strip().splitlines()[-1][:30])
def test_snippets_run(snippet):
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
    assert len(SNIPPETS) >= 4


def test_every_file_it_links_exists():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links and not [link for link in links if not (ROOT / link).exists()]
