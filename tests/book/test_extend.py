"""What the pages on extending the library show works as shown."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from analysis_lib import ROOT

PAGES = sorted((ROOT / "book").glob("extend_*.md"))
FILE = re.compile(r"```\{code-block\} python\n:caption: (\S+)\n\n(.*?)```", re.DOTALL)
SNIPPET = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_there_is_a_page_for_each():
    assert [page.stem for page in PAGES] == [
        f"extend_{what}" for what in ("operator", "program", "technique")
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_example_runs(page, tmp_path):
    """In a process of its own, since it registers what it declares."""
    text = page.read_text(encoding="utf-8")
    files, snippets = FILE.findall(text), SNIPPET.findall(text)
    assert files and snippets
    for name, code in files:
        (tmp_path / Path(name).name).write_text(code)
    imports = [f"import {Path(name).stem}" for name, _ in files]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join([*imports, *snippets])],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_and_command_it_names_exists(page):
    text = page.read_text(encoding="utf-8")
    own = {name for name, _ in FILE.findall(text)}
    named = set(re.findall(r"`((?:analysis_lib|tests)/[\w./]*)`", text)) - own
    named |= {path for run in re.findall(r"`pytest ([\w/. ]+)`", text) for path in run.split()}
    assert named and not [path for path in named if not (ROOT / path).exists()]
    for command in re.findall(r"^python -m analysis_lib ([a-z]+(?: [a-z]+)?)", text, re.MULTILINE):
        help_of = [sys.executable, "-m", "analysis_lib", *command.split(), "--help"]
        assert subprocess.run(help_of, capture_output=True, cwd=ROOT).returncode == 0, command
