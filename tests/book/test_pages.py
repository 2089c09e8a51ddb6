"""The built pages: self-contained, linked, described, without leftovers."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

from analysis_lib import ROOT
from analysis_lib.channels import CHANNELS, LAYER_CHANNELS
from analysis_lib.faults import CATEGORIES, list_operators
from analysis_lib.notebooks import Project

LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}
LEFTOVERS = re.compile(r"np\.float64|Warning|Traceback|\{glue|<Axes|<Figure|papermill-error")
OF_THE_MACHINE = re.compile(
    rf"{re.escape(str(ROOT))}|\w+Path\(['\"]/|<(?:built-in )?function| at 0x[0-9a-f]"
    r"|Alias for field number"
)
BUILT = ("genindex.html", "py-modindex.html", "search.html")


@pytest.fixture(scope="session")
def pages(book):
    """Path -> parsed page, of every page a reader gets to."""
    paths = [p for p in book.rglob("*.html") if "_static" not in p.parts]
    return {p: BeautifulSoup(p.read_text(encoding="utf-8"), "html.parser") for p in paths}


@pytest.fixture(scope="session")
def articles(pages, book):
    """Path -> the part with the content, of the pages we write."""
    return {
        path: page.select_one("article.bd-article")
        for path, page in pages.items()
        if path.name not in BUILT and "_modules" not in path.parts
    }


def test_every_entry_of_the_contents_has_its_page(book):
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    chapters = [c for part in toc["parts"] for c in part["chapters"]]
    chapters += [c for chapter in chapters for c in chapter.get("sections", [])]
    entries = [toc["root"], *(c["file"] for c in chapters)]
    assert [e for e in entries if not (book / f"{e}.html").exists()] == []
    notebooks = {p.stem for p in (ROOT / "notebooks").glob("[0-9a-z]*.ipynb")}
    assert notebooks == {e.split("/")[1] for e in entries if e.startswith("notebooks/")}


def test_nothing_is_loaded_from_outside(pages):
    outside = [
        (path.name, element[attribute])
        for path, page in pages.items()
        for tag, attribute in LOADED.items()
        for element in page.find_all(tag, attrs={attribute: True})
        if urlsplit(element[attribute]).netloc and "canonical" not in element.get("rel", [])
    ]
    assert not outside


def test_every_link_and_fragment_resolves(pages):
    ids = {
        path: {e["id"] for e in page.find_all(id=True)}
        | {e["name"] for e in page.select("a[name]")}
        for path, page in pages.items()
    }
    broken = []
    for path, page in pages.items():
        for anchor in page.find_all("a", href=True):
            parts = urlsplit(anchor["href"])
            if parts.scheme in ("http", "https", "mailto") or anchor["href"] in ("#", ""):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            missing = not target.exists()
            if missing or (parts.fragment and unquote(parts.fragment) not in ids.get(target, ())):
                broken.append((path.name, anchor["href"]))
    assert not broken


def test_every_image_is_described(articles):
    bare = [
        (path.name, image.get("src"))
        for path, article in articles.items()
        for image in article.find_all("img")
        if len(image.get("alt", "")) < 20 or Path(image["src"]).name in image["alt"]
    ]
    assert not bare


def test_every_figure_is_numbered_and_captioned(articles):
    bare = [
        (path.name, image.get("src"))
        for path, article in articles.items()
        for image in article.find_all("img")
        if not (figure := image.find_parent("figure"))
        or not figure.select_one("figcaption .caption-number")
        or len(figure.select_one("figcaption .caption-text").get_text()) < 20
    ]
    assert not bare


def test_line_art_is_vector(articles):
    pixels = {
        path.name: Path(image["src"]).name
        for path, article in articles.items()
        for image in article.find_all("img")
        if Path(image["src"]).suffix != ".svg"
    }
    assert not pixels


def test_every_table_is_numbered_and_can_be_downloaded(articles, book):
    """But for reports that are a table to work with, or part of a page of their own."""
    bare = []
    for path, article in articles.items():
        tables = [] if path.parent.name == "api" else article.find_all("table")
        for table in tables:
            if table.find_parent(class_="text_html"):
                continue
            number = table.select_one("caption .caption-number")
            link = table.find_next("a", class_="download")
            offered = link and (path.parent / link["href"]).resolve()
            if not (number and table.get("id") and offered and offered.stem == table["id"]):
                bare.append((path.name, table.get("id"), table.get_text()[:40]))
            elif len(offered.read_text().splitlines()) < len(table.find_all("tr")):
                bare.append((path.name, table["id"], "lacks rows"))
    assert not bare


def test_the_book_is_small(book):
    size = sum(path.stat().st_size for path in book.rglob("*") if path.is_file())
    assert size <= 40e6


def test_the_glossary_is_what_the_library_has(articles, book):
    text = articles[book / "glossary.html"].get_text()
    names = [o.id for o in list_operators()] + [*CHANNELS, *LAYER_CHANNELS, *CATEGORIES]
    assert not [name for name in names if name not in text]


def test_the_limitations_speak_of_every_chapter(articles, book):
    page = articles[book / "limitations.html"]
    linked = {Path(a["href"]).stem for a in page.find_all("a", href=True)}
    assert {path.stem for path in book.glob("notebooks/*.html")} <= linked


def test_an_unchanged_book_is_there_at_once(book):
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "analysis_lib", "book", "--profile", "quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "nothing changed since the last build" in done.stdout, done.stdout + done.stderr
    assert time.monotonic() - start < 20  # about one second, on a machine with nothing else to do


def test_no_leftovers_in_the_text(articles):
    found = [
        (path.name, match[0])
        for path, article in articles.items()
        if path.parent.name != "api"
        for match in LEFTOVERS.finditer(article.get_text())
    ]
    assert not found


def test_pages_of_the_library_hold_what_the_source_says(articles):
    """Neither paths nor values of the machine that built them, nor texts that Python makes up."""
    library = {path: a for path, a in articles.items() if path.parent.name == "api"}
    found = [
        (path.name, match[0])
        for path, article in library.items()
        for match in OF_THE_MACHINE.finditer(article.get_text())
    ]
    assert library and not found


def test_descriptions_in_the_library_are_not_taken_for_types(articles):
    """Napoleon cuts the first line of an attribute's docstring at a colon."""
    cut = [
        (path.name, label.find_next("dd").get_text())
        for path, article in articles.items()
        for label in article.select("dl.field-list > dt")
        if label.get_text().startswith("Type")
    ]
    assert not cut


def test_long_values_are_not_printed(articles):
    long = [
        (path.name, entry.get_text()[:60])
        for path, article in articles.items()
        for entry in article.select("dl.py.data > dt, dl.py.attribute > dt")
        if len(entry.get_text()) > 200
    ]
    assert not long


def test_parts_of_a_page_of_the_library_have_headings():
    for page in (ROOT / "book" / "api").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        modules = text.count("automodule::")
        assert text.count("\n## ") == (modules if modules > 1 else 0), page.name


def test_no_unresolved_markup_in_the_text(articles):
    found = [
        (path.name, match[0])
        for path, article in articles.items()
        for text in article.find_all(string=re.compile(r"\{[a-z:]+\}`|`{3}|(?<!\w)\*\*\w+\*\*"))
        if not text.find_parent(["code", "pre", "script", "style"])
        for match in re.finditer(r"\S*(\{[a-z:]+\}`|`{3}|(?<!\w)\*\*\w+\*\*)\S*", text)
    ]
    assert not found


def test_every_page_has_one_top_heading(articles):
    assert {path.name: len(a.find_all("h1")) for path, a in articles.items()} == {
        path.name: 1 for path in articles
    }


def test_tables_offer_the_data_they_show(book, articles):
    record = json.loads((Project("quick").executed / "run.json").read_text())
    checked = 0
    for stem in record["notebooks"]:
        executed = json.loads((Project("quick").executed / f"{stem}.ipynb").read_text())
        outputs = [o for c in executed["cells"] for o in c.get("outputs", [])]
        tables = [o["metadata"]["table"] for o in outputs if "table" in o.get("metadata", {})]
        page = book / "notebooks" / f"{stem}.html"
        links = {
            Path(a["href"]).name: page.parent / a["href"]
            for a in articles[page].select("a.download")
        }
        for table in tables:
            assert links[f"{table['name']}.csv"].read_text() == table["csv"]
            checked += 1
    assert checked


def test_the_quick_book_says_that_it_is_no_result(pages, book):
    assert "Its numbers are not results" in pages[book / "index.html"].get_text()


def test_the_run_record_names_parameters_versions_and_corpus(articles, book):
    text = articles[book / "run_record.html"].get_text()
    record = json.loads((Project("quick").executed / "run.json").read_text())
    for version in record["versions"].values():
        assert version in text
    for digest in record["corpus"].values():
        assert digest in text
    for entry in record["notebooks"].values():
        assert all(name in text for name in entry["parameters"])
