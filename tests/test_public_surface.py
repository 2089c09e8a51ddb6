"""What the library offers: importable, annotated in full, explained, and the same to a checker."""

import ast
import configparser
import doctest
import importlib
import inspect
import pkgutil
import re
import tomllib
from pathlib import Path

import nbformat
import pytest

import analysis_lib
from analysis_lib import ROOT

LIBRARY = ROOT / "analysis_lib"
MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages([str(LIBRARY)], "analysis_lib.")
    # these run when they are imported, and the readers of data sets pass on what their files offer
    if m.name not in ("analysis_lib.__main__", "analysis_lib.corpus.warm")
    and m.name != "analysis_lib.programs.sources"
)
# users call the commands behind these
COMMANDS = {"book", "book_pages", "book_tables", "cli", "notebooks"}
# users import from packages and from the modules beside them; other modules serve these
PUBLIC = [
    "analysis_lib",
    *(m for m in MODULES if m.count(".") == 1 and m.split(".")[1] not in COMMANDS),
]
LAZY = [p.parent for p in LIBRARY.rglob("__init__.pyi")]

WITHOUT_EXAMPLE = {
    # what a function with an example returns, or raises
    "analysis_lib.curvature": {
        *("Eigenvalue", "NoSecondDerivative", "Noise", "Spectrum", "StepStability", "TraceEstimate")
    },
    "analysis_lib.evaluation": {"Gap", "Strategy"},
    "analysis_lib.leaderboard": {"Entry"},
    # the parts of what `load_model` returns; `python -m analysis_lib diagnosis-model` makes it
    "analysis_lib.diagnosis": {
        *("Curve", "DiagnosisModel", "HealthyRanges", "Reference", "Trees"),
        *("build_model", "held_out_scores", "read_traces"),
    },
    # parts of the training loop, which other loops share, and the loop on a GPU
    "analysis_lib.training": {"Objective", "Stopping", "train_on_gpu"},
    # what `claim_estimates` puts together, minutes each; chapter 10 shows all of it
    "analysis_lib.questions": {
        *("cluster_contrasts", "gap_estimates", "instability_estimates", "mismatch_estimates"),
        "structure_estimates",
        # and `compare_methods`, which chapter 7 shows
        *("closing_table", "scores_beside"),
    },
}
"""Names without an example of their own that no page of the book shows either."""


def offered(name):
    """Yield the functions and classes that a module offers, by name; values that can be called
    are not among them."""
    module = importlib.import_module(name)
    for key in module.__all__:
        found = getattr(module, key)
        if (inspect.isfunction(found) or inspect.isclass(found)) and found.__name__ == key:
            yield key, found


def callables(name, found):
    """Yield a function, or the public methods that the class itself defines."""
    if inspect.isfunction(found):
        yield name, inspect.unwrap(found)
        return
    for key, member in vars(found).items():
        if key.startswith("_") and key not in ("__init__", "__call__", "__enter__"):
            continue
        if isinstance(member, property):
            member = member.fget
        elif isinstance(member, (classmethod, staticmethod)):
            member = member.__func__
        if inspect.isfunction(member) and Path(member.__code__.co_filename).is_file():
            yield f"{name}.{key}", member


def unannotated(function):
    signature = inspect.signature(function)
    names = [
        p.name
        for p in signature.parameters.values()
        if p.annotation is p.empty and p.name not in ("self", "cls")
    ]
    if signature.return_annotation is signature.empty and function.__name__ != "__init__":
        names.append("return")
    return names


def shown():
    """Return all words of the code in chapters, other pages of the book, and the README."""
    pages = "".join(p.read_text() for p in (ROOT / "README.md", *(ROOT / "book").glob("*.md")))
    text = "\n".join(re.findall(r"```(?:python|\{code-block\} python)\n(.*?)```", pages, re.S))
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        text += "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    return set(re.findall(r"\w+", text))


def listed(path):
    """Return the names of ``__all__`` as its source lists them, by the comments between them."""
    source = path.read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
            sections = [[]]
            for line in lines:
                if line.strip().startswith("#"):
                    sections.append([])
                sections[-1] += re.findall(r'"(\w+)"', line)
            return [section for section in sections if section]
    return []


@pytest.mark.parametrize("name", MODULES)
def test_a_module_lists_what_it_offers_once_and_has_it(name):
    module = importlib.import_module(name)
    names = module.__all__
    assert len(set(names)) == len(names)
    assert [n for n in names if not hasattr(module, n)] == []


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("__init__.py")), ids=lambda p: p.parent.name)
def test_long_lists_have_sections_in_alphabetical_order(path):
    sections = listed(path)
    assert len(sections) > 1 or sum(map(len, sections)) <= 12
    # constants, classes, functions; or all as characters go
    kinds = [
        sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), n)) for names in sections
    ]
    assert all(s in (k, sorted(s)) for s, k in zip(sections, kinds, strict=True)), sections


@pytest.mark.parametrize("name", MODULES)
def test_what_is_offered_is_annotated_in_full(name):
    found = {
        called: missing
        for key, value in offered(name)
        if value.__module__.startswith("analysis_lib")
        for called, function in callables(key, value)
        if (missing := unannotated(function))
    }
    assert found == {}


@pytest.mark.parametrize("name", MODULES)
def test_what_is_offered_is_explained(name):
    assert [key for key, found in offered(name) if not (found.__doc__ or "").strip()] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_an_example_or_are_shown_in_a_chapter(name):
    words = shown()
    lacking = {
        key
        for key, found in offered(name)
        if "Examples\n" not in inspect.getdoc(found) and key not in words
    }
    assert lacking == WITHOUT_EXAMPLE.get(name, set())


@pytest.mark.parametrize("name", MODULES)
def test_every_example_is_a_test(name):
    module = importlib.import_module(name)
    source = Path(module.__file__).read_text(encoding="utf-8")
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    written = [
        text
        for node in ast.walk(ast.parse(source))
        if isinstance(node, kinds) and ">>> " in (text := ast.get_docstring(node) or "")
    ]
    found = doctest.DocTestFinder(exclude_empty=True).find(module, name)
    assert len([test for test in found if test.examples]) == len(written)
    assert "doctest: +SKIP" not in source


def test_examples_run_with_the_tests():
    settings = configparser.ConfigParser()
    settings.read(ROOT / ".pytest.ini")
    assert settings["pytest"]["testpaths"].split() == ["tests", "analysis_lib"]
    options = settings["pytest"]["addopts"].split()
    assert "--doctest-modules" in options and not any("ignore" in o for o in options)


@pytest.mark.parametrize("folder", LAZY, ids=lambda p: p.name)
def test_a_checker_sees_the_names_that_are_loaded_on_first_use(folder):
    parts = folder.relative_to(ROOT).parts
    module = importlib.import_module(".".join(parts))
    tree = ast.parse((folder / "__init__.pyi").read_text(encoding="utf-8"))
    imports = {
        alias.asname: (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module.startswith("analysis_lib")
        for alias in node.names
    }
    plain = {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)}
    assert set(imports) | plain == set(module.__all__)
    for name, (home, original) in imports.items():
        assert getattr(importlib.import_module(home), original) is getattr(module, name)


def test_the_package_says_that_it_is_annotated():
    project = tomllib.loads((LIBRARY / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools"]["package-data"] == {"*": ["py.typed", "*.pyi"]}
    assert (LIBRARY / "py.typed").is_file()


def test_every_package_with_names_on_first_use_has_a_stub():
    lazy = {p.parent for p in LIBRARY.rglob("__init__.py") if "def __getattr__" in p.read_text()}
    assert lazy == set(LAZY) and LIBRARY in lazy


def test_what_is_not_annotated_is_found():
    def sample(a: int, b, *rest, c: int = 1):
        return a

    assert unannotated(sample) == ["b", "rest", "return"]
    assert sorted(analysis_lib.__all__) == dir(analysis_lib)
