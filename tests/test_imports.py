"""Imports run one way, and what needs no training does not load torch."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

from analysis_lib import ROOT

LIBRARY = ROOT / "analysis_lib"

LAYERS = """
    errors published dependencies configuration channels report triage
    curvature programs flags faults monitor training
    labels corpus
    features techniques evaluation
    plots transfer harness injection diagnosis questions leaderboard
    notebooks book_pages book_tables book
    cli __main__
""".split()
"""Packages and modules of the library; each may import those before it, also inside functions."""

TRAINS = {"curvature", "faults", "injection", "monitor", "programs", "training"}
BY_COLUMNS = ("labels", "features", "techniques", "evaluation", "transfer", "harness", "diagnosis")
"""These know programs and faults as columns of tables, so they serve anybody's table."""

PATHS = {
    ".".join(("analysis_lib", *path.relative_to(LIBRARY).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in LIBRARY.rglob("*.py")
}


def part(module):
    """Return the layer of a module, empty for the library itself."""
    return (*module.split("."), "")[1]


def imports(path, *, inside=True):
    """Yield the modules of the library that a file imports, those in functions only if wanted."""

    def visit(node, within):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.ImportFrom) and not child.level and (inside or not within):
                for alias in child.names:
                    name = f"{child.module}.{alias.name}"
                    yield name if name in PATHS else child.module
            elif isinstance(child, ast.Import) and (inside or not within):
                yield from (alias.name for alias in child.names)
            yield from visit(child, within or isinstance(child, ast.FunctionDef))

    found = visit(ast.parse(path.read_bytes()), False)
    return sorted({name for name in found if name.split(".")[0] == "analysis_lib"})


def test_every_part_has_its_layer():
    assert sorted(LAYERS) == sorted({part(name) for name in PATHS} - {""})
    assert TRAINS | set(BY_COLUMNS) <= set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_run_one_way(layer):
    allowed = {"", *LAYERS[: LAYERS.index(layer) + 1]}
    against = [
        f"{name} imports {used}"
        for name, path in PATHS.items()
        if part(name) == layer
        for used in imports(path)
        if part(used) not in allowed
    ]
    assert against == []


# titles of operators, for a page and when it is written
FOR_A_PAGE = {("analysis_lib.diagnosis.report", "analysis_lib.faults")}


@pytest.mark.parametrize("layer", BY_COLUMNS)
def test_tables_need_no_program_and_no_fault(layer):
    against = [
        f"{name} imports {used}"
        for name, path in PATHS.items()
        if part(name) == layer
        for used in imports(path)
        if part(used) in TRAINS and (name, used) not in FOR_A_PAGE
    ]
    assert against == []


def test_no_modules_import_each_other_in_a_circle():
    graph = {
        name: {
            used
            for used in imports(path, inside=False)
            if used != name and not name.startswith(f"{used}.")
        }
        for name, path in PATHS.items()
    }
    # a circle is an error that names its modules
    assert len(list(TopologicalSorter(graph).static_order())) > 200


def test_what_needs_no_training_loads_no_torch():
    modules = [
        name
        for name in PATHS
        if part(name) not in ("", "__main__", *TRAINS)
        and name != "analysis_lib.corpus.warm"  # it loads what the processes that train need
    ]
    script = (
        "import importlib, sys\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules:\n"
        "        sys.exit(f'{name} loads torch')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(modules) > 100


def test_an_import_is_found_where_it_stands(tmp_path):
    file = tmp_path / "sample.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "from analysis_lib import ROOT, labels\n"
        "if TYPE_CHECKING:\n"
        "    from analysis_lib.cli import app\n"
        "def f():\n"
        "    import analysis_lib.corpus.load\n"
    )
    assert imports(file) == ["analysis_lib", "analysis_lib.corpus.load", "analysis_lib.labels"]
    assert imports(file, inside=False) == ["analysis_lib", "analysis_lib.labels"]
