"""The notebooks as they are committed; nothing is run."""

import re

import nbformat
import papermill
import pytest
import yaml

from analysis_lib import ROOT
from analysis_lib.notebooks import Project, plan
from analysis_lib.notebooks.parameters import read_parameters

PATHS = sorted((ROOT / "notebooks").glob("[0-9a-z]*.ipynb"))
PROFILES = yaml.safe_load((ROOT / "notebooks" / "profiles.yml").read_text())

# what is not prose: fenced code, code, maths, roles, targets of links, addresses
NOT_PROSE = re.compile(
    r"```.*?```|\$\$.*?\$\$|\$[^$\n]+\$|\{[a-z:]+\}`[^`]*`|`[^`]*`|\]\([^)]*\)|<[^>]*>|https?://\S+",
    re.DOTALL,
)
TYPED_NUMBER = re.compile(r"(?<![\w.])\d*\.\d+(?![\w.])|\d\s?%")


@pytest.fixture(params=PATHS, ids=[path.stem for path in PATHS])
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def test_there_are_notebooks():
    assert PATHS


def test_outputs_are_stripped(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_it_is_valid_and_runs_in_the_python3_kernel(notebook):
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"


def test_the_one_top_heading_is_in_the_first_cell(notebook):
    texts = [c.source if c.cell_type == "markdown" else "" for c in notebook.cells]
    headings = [
        (place, line)
        for place, text in enumerate(texts)
        for line in re.sub(r"```.*?```", "", text, flags=re.DOTALL).splitlines()
        if re.match(r"# ", line)
    ]
    assert [place for place, _ in headings] == [0], headings


def test_every_parameter_is_typed_and_explained(notebook, request):
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    path = request.node.callspec.params["notebook"]
    declared = read_parameters(path)
    assert declared and all(parameter.help for parameter in declared.values())
    # papermill reads the same cell with its own rules; both must see the same
    seen = papermill.inspect_notebook(path)
    assert {name: p["inferred_type_name"] for name, p in seen.items()} == {
        name: p.type for name, p in declared.items()
    }


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_fits(profile):
    assert [n.source for n in plan(Project(profile))] == PATHS


def test_prose_holds_no_typed_results(notebook):
    found = [
        match[0]
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for match in TYPED_NUMBER.finditer(NOT_PROSE.sub(" ", cell.source))
    ]
    assert not found, f"take these from the run, or put a constant into `code` or $maths$: {found}"


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("the gap is 0.19 here", True),
        ("about 19 % of runs", True),
        ("about 19% of runs", True),
        ("a drop of .19", True),
        ("see `0.19`, $p < 0.05$ and {cite:p}`x2.5`", False),
        ("Python 3, epoch 12, section 2", False),
        ("[text](a_1.5.html), version 1.0.4", False),
    ],
)
def test_typed_numbers_are_told_from_code_and_maths(text, typed):
    assert bool(TYPED_NUMBER.search(NOT_PROSE.sub(" ", text))) == typed


def test_figures_have_a_caption_and_a_description(notebook):
    for cell in notebook.cells:
        options = cell.metadata.get("mystnb", {})
        if "figure" in options:
            assert set(options["figure"]) >= {"name", "caption"}
            assert len(options["image"]["alt"]) > 20


def test_names_of_figures_and_tables_are_used_once():
    names = []
    for path in PATHS:
        for cell in nbformat.read(path, as_version=4).cells:
            if "figure" in cell.metadata.get("mystnb", {}):
                names.append(cell.metadata["mystnb"]["figure"]["name"])
            if cell.cell_type == "code":
                names += re.findall(r"""name=["'](tab-[a-z0-9-]+)["']""", cell.source)
    assert len(names) > 40
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
