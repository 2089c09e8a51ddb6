"""What is installed is what is used: packages of the library, and pinned requirements."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import nbformat

from analysis_lib import ROOT

LIBRARY = ROOT / "analysis_lib"
PINNED = {
    re.sub(r"[-_.]+", "-", line.split("==")[0]).lower()
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if "==" in line
}
# what an adapter for another package imports when that package is there
OPTIONAL = {"lightning", "pytorch_lightning"}


def imported(source):
    """Return the top-level names that a piece of Python imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


def sources():
    for path in LIBRARY.rglob("*.py"):
        yield path.read_text(encoding="utf-8")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                yield cell.source


def test_every_package_of_the_library_is_declared():
    project = tomllib.loads((LIBRARY / "pyproject.toml").read_text(encoding="utf-8"))
    declared = project["tool"]["setuptools"]["packages"]
    found = {p.parent.relative_to(ROOT) for p in LIBRARY.rglob("__init__.py")}
    assert sorted(declared) == sorted(".".join(p.parts) for p in found)


def test_everything_imported_is_pinned_by_name():
    used = set().union(*map(imported, sources())) - sys.stdlib_module_names - OPTIONAL
    used.discard("analysis_lib")
    owners = packages_distributions()
    missing = {
        name
        for name in used
        if not {re.sub(r"[-_.]+", "-", d).lower() for d in owners.get(name, [])} & PINNED
    }
    assert len(used) > 10 and not missing
