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
from analysis_lib.book_pages import generated
from analysis_lib.book_tables import number_tables, offer_tables, open_figures
from analysis_lib.channels import CHANNELS
from analysis_lib.errors import InputError
from analysis_lib.faults import list_operators
from analysis_lib.flags import DEFAULT_COLUMNS
from analysis_lib.notebooks import Project, plan, run

TOC = "format: jb-book\nroot: index\nchapters:\n- file: notebooks/01_a\n- file: run_record\n"
TABLE = "```{table} Scores.\n:name: tab-x\n\n| a |\n| :--- |\n| 1 |\n```\n\n"
FIGURE = "\n```{figure} figures/fig-x.png\n:alt: One grey dot.\n\nThe dot of the notebook.\n```\n"
LINK = "{download}`CSV <tables/tab-x.csv>`"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
GLUED = "from analysis_lib.report import glue\nglue('rows', f'{rows * FACTOR} rows')"
INTERNAL = {"book_pages", "book_tables", "cli", "dependencies"} | {
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


def test_a_new_number_reaches_the_other_pages_and_nothing_else_is_run(project):
    """Everything as users do it: two notebooks, of which one is changed."""
    notebook = nbformat.read(project.sources / "01_a.ipynb", 4)
    notebook.cells[1].metadata["tags"] = ["parameters"]
    notebook.cells[1].source += "  # how many"
    for stem, factor in (("01_a", 1), ("02_b", 2)):
        notebook.cells[2].source = GLUED.replace("FACTOR", str(factor))
        nbformat.write(notebook, project.sources / f"{stem}.ipynb")
    (project.root / "book" / "_toc.yml").write_text(TOC + "- file: notebooks/02_b\n")
    shown = "".join(f"{{glue:text}}`notebooks/{stem}.ipynb::rows:s`\n" for stem in ("01_a", "02_b"))
    (project.root / "book" / "index.md").write_text(f"# A book\n\n{shown}")
    run(project, say=str)
    page = build(project, say=str)
    assert "3 rows" in page.read_text() and "6 rows" in page.read_text()

    notebook.cells[2].source = GLUED.replace("FACTOR", "4")
    nbformat.write(notebook, project.sources / "02_b.ipynb")
    told = []
    run(project, say=told.append)
    assert told[0] == "[1/2] 01_a: up to date" and told[1].startswith("[2/2] 02_b: running")
    text = build(project, say=str).read_text()
    assert "12 rows" in text and "3 rows" in text and "6 rows" not in text

    # a chapter that is gone leaves nothing behind
    (project.sources / "02_b.ipynb").unlink()
    (project.root / "book" / "_toc.yml").write_text(TOC)
    (project.root / "book" / "index.md").write_text("# A book\n")
    run(project, say=str)
    page = build(project, say=str)
    assert not (page.parent / "notebooks" / "02_b.html").exists()
    assert "02_b" not in (page.parent / "run_record.html").read_text()


def test_what_the_library_says_is_on_the_generated_pages(project):
    record = executed(project)
    staged = project.root / "staged"
    staged.mkdir()
    generated(project.root, record, staged)
    assert sorted(p.name for p in staged.rglob("*.md")) == ["run_record.md", "times.md"]
    record["notebooks"] = {"01_a": record["notebooks"]["01_a"] | {"seconds": 300}}
    generated(project.root, record, staged)
    assert "took 5 minutes" in (staged / "generated" / "times.md").read_text()
    (project.root / "book" / "glossary.md").write_text("")
    (project.root / "CHANGELOG.md").write_text("# Changelog\n")
    card = "---\nlicense: x\n---\n\n# Card\n\nAll of it.\n\n| a |\n|---|\n| `b<=2` | <= 2^2 |\n"
    (project.root / "data" / "dynfault-torch").mkdir()
    (project.root / "data" / "dynfault-torch" / "README.md").write_text(card)
    generated(project.root, record, staged)
    assert (staged / "changelog.md").read_text() == "# Changelog\n"
    page = "# Data card\n\n**Card.** All of it.\n\n| a |\n|---|\n| `b<=2` | ≤ 2² |\n"
    assert (staged / "data_card.md").read_text() == page
    operators = (staged / "generated" / "operators.md").read_text()
    assert all(operators.count(f"| `{o.id}` |") == 1 for o in list_operators())
    channels = (staged / "generated" / "channels.md").read_text()
    assert all(f"| `{name}` |" in channels for name in CHANNELS)
    assert "dᵀHd / (2 \\|gᵀd\\|)" in channels and "‖(Hv)ₗ‖ / ‖vₗ‖" in channels
    assert not re.search(r"[dgv]'|\^2|<=|\+-|\|\|", channels)
    assert f"DEFault has {len(DEFAULT_COLUMNS)} columns" in channels


def test_plain_tables_are_numbered_under_their_heading():
    rows = "| a |\n| :-- |\n| 1 |\n"
    fenced = (
        f"```{{table}} Mine.\n:name: tab-mine\n\n{rows}```\n\n````md\n```\n# no\n{rows}```\n````\n"
    )
    text, last = number_tables(f"# Page\n\n{fenced}\n## A `b`, c\n\n{rows}\nx\n\n{rows}", "index")
    assert fenced in text and last == "A `b`, c"
    assert re.findall(r":name: (\S+)", text) == [
        "tab-mine",
        "tab-index-a-b-c",
        "tab-index-a-b-c-2",
    ]
    assert text.count("```{table} A `b`, c\n") == 2 and text.endswith(f"{rows}```\n")
    said = "<!-- caption: What `a` is. -->"
    for between in ("\n", "\n\n"):
        text, _ = number_tables(f"## A `b`, c\n\n{said}{between}{rows}", "index")
        assert text.endswith(f"```{{table}} What `a` is.\n:name: tab-index-a-b-c\n\n{rows}```\n")
    assert number_tables(f"{said}\n\nNo table.\n", "index")[0] == f"{said}\n\nNo table.\n"


def test_numbered_tables_of_pages_are_offered_as_they_read(tmp_path):
    table = (
        '<div class="pst-scrollable-table-container"><table class="table" id="tab-x">\n'
        "<caption><span>Table 1</span><span>Scores.</span></caption>\n<thead>\n"
        '<tr class="row-odd"><th class="head"><p>a &amp; b</p></th></tr>\n</thead>\n<tbody>\n'
        '<tr><td><p><span class="pasted-text">0.5,\n1</span> or <em>more</em></p></td></tr>\n'
        "</tbody>\n</table>\n</div>"
    )
    (tmp_path / "index.html").write_text(f"<p>x</p>{table}<p>y</p>{table.replace('tab-x', 'z')}")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_a.html").write_text(table.replace("tab-x", "tab-own") + table)
    offer_tables(tmp_path, {"tab-own"})
    chapter = (tmp_path / "notebooks" / "01_a.html").read_text()
    assert chapter.count("Download as CSV") == 1
    assert 'href="../_downloads/tables/tab-x.csv"' in chapter
    text = (tmp_path / "index.html").read_text()
    address = "_downloads/tables/tab-x.csv"
    assert text.count("Download as CSV") == 1 and f'{table}\n<p><a class="reference' in text
    assert f'href="{address}"' in text
    assert (tmp_path / address).read_text() == 'a & b\n"0.5, 1 or more"\n'


def test_figures_open_by_themselves_and_stay_legible(tmp_path):
    (tmp_path / "_images").mkdir()
    (tmp_path / "_images" / "a.svg").write_text(
        '<?xml?>\n<svg x="1" width="720.5pt"><g transform="scale(0.12 -0.12)"/></svg>'
    )
    image = '<img alt="A &quot;dot&quot;." src="_images/a.svg" />'
    pixels = '<img alt="A dot." src="_images/a.png" />'
    (tmp_path / "index.html").write_text(image + pixels)
    open_figures(tmp_path)
    wide = image.replace("<img", '<img style="min-width: min(540px, 44rem)"')
    link = f'<a class="figure-link" href="_images/a.svg">{wide}</a>'
    assert (tmp_path / "index.html").read_text() == link + pixels


def test_the_run_record_says_what_was_run(project):
    record = executed(project)
    record["corpus"] = {"data/x/manifest.json": "ab12"}
    page = run_record(record)
    assert "profile `full`; its notebooks took 0 minutes" in page
    assert "| `rows` | `3` | – | [](notebooks/01_a.ipynb) |" in page
    assert "- `data/x/manifest.json`: `ab12`" in page
    assert "| [](notebooks/01_a.ipynb) | 0.0 | 2026-01-01 00:00 | not under git |" in page
    assert "No corpus manifest" in run_record(record | {"corpus": {}})
    notebook = nbformat.read(project.sources / "01_a.ipynb", 4)
    notebook.cells[1].metadata["tags"] = ["parameters"]
    notebook.cells[1].source += "  # how many [1..9]"
    nbformat.write(notebook, project.sources / "01_a.ipynb")
    assert "| `rows` | `3` | how many |" in run_record(record, project.sources)


def test_every_public_module_is_on_a_page_of_the_library():
    texts = [page.read_text() for page in (analysis_lib.ROOT / "book" / "api").glob("*.md")]
    listed = re.findall(r"automodule:: analysis_lib\.([\w.]+)", "\n".join(texts))
    shown = set(listed)
    assert len(shown) == len(listed)
    tops = [m.name for m in pkgutil.iter_modules(analysis_lib.__path__) if m.name != "__main__"]
    parts = [
        f"corpus.{m.name}"
        for m in pkgutil.iter_modules([analysis_lib.ROOT / "analysis_lib/corpus"])
    ]
    of_own = {name for name in shown if name.startswith("injection.")}
    assert of_own and shown - of_own == {*tops, *parts} - INTERNAL - {"corpus", "injection"}
