"""The builder on a book of two pages: what it refuses, keeps, and says."""

import json
import pkgutil
import re
import shutil

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import analysis_lib
from analysis_lib.book import BuildFailed, build, run_record
from analysis_lib.errors import InputError
from analysis_lib.notebooks import Project, plan

TOC = "format: jb-book\nroot: index\nchapters:\n- file: notebooks/01_a\n- file: run_record\n"
TABLE = "```{table} Scores.\n:name: tab-x\n\n| a |\n| :--- |\n| 1 |\n```\n\n"
FIGURE = "\n```{figure} figures/fig-x.png\n:alt: One grey dot.\n\nThe dot of the notebook.\n```\n"
LINK = "{download}`CSV <tables/tab-x.csv>`"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
INTERNAL = {"cli", "dependencies"} | {
    f"corpus.{name}"
    for name in ("card", "child", "croissant", "journal", "licences", "progress", "schema", "warm")
}


def executed(project):
    """Put down what a run of the notebooks leaves behind, without running any."""
    table = new_output(
        "display_data",
        data={"text/markdown": TABLE + LINK},
        metadata={"table": {"name": "tab-x", "csv": "a\n1\n"}},
    )
    record = {"profile": project.profile, "versions": {"python": "3"}, "corpus": {}}
    record["notebooks"] = {}
    project.executed.mkdir(parents=True, exist_ok=True)
    for notebook in plan(project):
        content = nbformat.read(notebook.source, 4)
        picture = new_output("display_data", data={"image/png": PIXEL})
        content.cells[1].outputs = [table]
        content.cells[2].outputs = [picture]
        content.cells[2].metadata["mystnb"] = {
            "figure": {"name": "fig-x", "caption": "A dot."},
            "image": {"alt": "One grey dot."},
        }
        nbformat.write(content, notebook.output)
        record["notebooks"][notebook.stem] = {
            "status": "ok",
            "fingerprint": notebook.fingerprint,
            "seconds": 1.0,
            "started": "2026-01-01T00:00:00+00:00",
            "commit": None,
            "parameters": {"rows": 3},
        }
    (project.executed / "run.json").write_text(json.dumps(record))
    return record


@pytest.fixture
def project(tmp_path):
    project = Project("full", tmp_path)
    for folder in ("notebooks", "book", "analysis_lib", "data"):
        (tmp_path / folder).mkdir()
    shutil.copy(analysis_lib.ROOT / "_config.yml", tmp_path)
    (tmp_path / "book" / "references.bib").write_text("")
    (tmp_path / "book" / "_toc.yml").write_text(TOC)
    (tmp_path / "book" / "index.md").write_text("# A book\n\nMaths: $x^2$.\n" + FIGURE)
    (project.sources / "profiles.yml").write_text("quick: {}\nfull: {}\n")
    cells = [new_markdown_cell("# A page"), new_code_cell("rows: int = 3"), new_code_cell("1")]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place}"
    nbformat.write(notebook, project.sources / "01_a.ipynb")
    return project


def test_a_book_without_its_notebooks_is_refused_with_the_command(project):
    with pytest.raises(InputError) as caught:
        build(project)
    command = "run: python -m analysis_lib notebooks --profile full"
    assert str(caught.value) == f"the book needs 01_a (not run); {command}"
    executed(project)
    (project.root / "analysis_lib" / "new.py").write_text("")
    with pytest.raises(InputError, match=r"01_a \(out of date\)"):
        build(project)
    assert not (project.root / "_build" / "book").exists()


def test_a_book_is_built_kept_and_replaced(project):
    executed(project)
    told = []
    index = build(project, say=told.append)
    assert told == ["building the book"]
    assert index == project.root / "_build" / "book" / "full" / "index.html"
    assert "Its numbers are not results" not in index.read_text()
    page = (index.parent / "notebooks" / "01_a.html").read_text()
    link = re.search(r'href="\.\./(_downloads/[^"]*tab-x\.csv)"', page)[1]
    assert (index.parent / link).read_text() == "a\n1\n"
    mathjax = index.parent / "_static" / "mathjax"
    assert (mathjax / "tex-chtml.js").exists() and len(list(mathjax.rglob("*.js"))) == 1

    told.clear()
    assert build(project, say=told.append) == index
    assert told == ["nothing changed since the last build"]

    (project.root / "book" / "index.md").write_text("# A book\n\n{numref}`fig-missing`\n")
    with pytest.raises(BuildFailed, match=r"index.md.*fig-missing"):
        build(project, say=str)
    assert "Maths" in index.read_text()


def test_the_run_record_says_what_was_run(project):
    record = executed(project)
    record["corpus"] = {"data/x/manifest.json": "ab12"}
    page = run_record(record)
    assert "profile `full`; its notebooks took 1 seconds" in page
    assert "| 01_a | `rows` | `3` |" in page
    assert "| `data/x/manifest.json` | `ab12` |" in page
    assert "| [01_a](notebooks/01_a.ipynb) | 2026-01-01 00:00 | 1 | not under git |" in page


def test_every_public_module_is_on_the_library_page():
    text = (analysis_lib.ROOT / "book" / "api.md").read_text()
    shown = set(re.findall(r"automodule:: analysis_lib\.([\w.]+)", text))
    tops = [m.name for m in pkgutil.iter_modules(analysis_lib.__path__) if m.name != "__main__"]
    parts = [
        f"corpus.{m.name}"
        for m in pkgutil.iter_modules([analysis_lib.ROOT / "analysis_lib/corpus"])
    ]
    of_own = {name for name in shown if name.startswith("injection.")}
    assert of_own and shown - of_own == {*tops, *parts} - INTERNAL - {"corpus", "injection"}
