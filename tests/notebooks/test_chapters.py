"""Every chapter has the same parts in the same order; nothing is run."""

import re

import nbformat
import pytest
import yaml

from analysis_lib import ROOT

TOC = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
NUMBERED = [
    chapter["file"].split("/")[1]
    for part in TOC["parts"]
    if part.get("numbered")
    for chapter in part["chapters"]
]
STEMS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9a-z]*.ipynb"))
UNITS = r"(?i)\b(half a|a|one|two|three|four|five|some|few|\d+)? ?(seconds?|minutes?)\b"


@pytest.fixture(params=STEMS)
def stem(request):
    return request.param


@pytest.fixture
def cells(stem):
    return nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4).cells


def prose(cells):
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_it_opens_with_question_aims_and_needs(cells):
    first = cells[0].source
    assert re.match(r"# .+\n\n\*\*Question\.\*\* ", first)
    places = [first.find(f"\n**{part}") for part in ("Question.**", "You will see**", "Needs**")]
    assert -1 not in places and places == sorted(places)
    assert first[places[0] : places[1]].count("?") >= 1
    assert re.search(UNITS, first[places[2] :]), "Needs says what it reads and how long it takes"


def test_method_and_results_have_headings_and_something_to_see(cells):
    sections = re.findall(r"^## (.+)$", prose(cells), re.MULTILINE)
    assert len(sections) >= 3 and sections[-1] == "Answer"
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert any("figure" in c.metadata.get("mystnb", {}) or "table(" in c.source for c in code)


def test_it_ends_with_a_computed_answer_its_limits_and_what_is_next(cells, stem):
    heading = max(i for i, c in enumerate(cells) if re.search(r"^## Answer$", c.source, re.M))
    after = cells[heading + 1 : -1]
    assert after and all(cell.cell_type == "code" for cell in after)
    assert re.search(r"^answer\(", after[0].source, re.MULTILINE)
    lines = cells[-1].source.strip().splitlines()
    assert lines[0].startswith("**What could be wrong.** ") and len(lines[0]) > 200
    assert re.match(r"\*\*Next:\*\* .*\]\([^)]+\)", lines[-1])


@pytest.mark.parametrize("place", range(len(NUMBERED)), ids=NUMBERED)
def test_the_next_chapter_is_the_next_of_the_contents(place):
    cells = nbformat.read(ROOT / "notebooks" / f"{NUMBERED[place]}.ipynb", as_version=4).cells
    link = re.search(r"\*\*Next:\*\*.*?\]\(([^)]+)\)", cells[-1].source)
    last = place == len(NUMBERED) - 1
    assert link and link[1] == ("../limitations.md" if last else f"{NUMBERED[place + 1]}.ipynb")


def test_links_to_other_pages_lead_somewhere(cells):
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", prose(cells)):
        name = target.removeprefix("../")
        generated = name in ("run_record.md", "changelog.md", "data_card.md")
        folder = ROOT / ("book" if target.startswith("../") else "notebooks")
        assert generated or (folder / name).exists(), target


def test_no_two_figures_are_described_alike():
    said = []
    for stem in STEMS:
        for cell in nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4).cells:
            options = cell.metadata.get("mystnb", {})
            if "figure" in options:
                said += [options["figure"]["caption"], options["image"]["alt"]]
    assert len(said) > 100 and sorted({text for text in said if said.count(text) > 1}) == []
