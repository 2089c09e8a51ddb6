"""The runner, on tiny notebooks: what is refused, what fails, what resumes."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from analysis_lib.errors import InputError
from analysis_lib.notebooks import NotebookFailed, Project, pending, plan, record_of, run

METADATA = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
PARAMETERS = 'rows: int = 3  # how many rows [1..9]\nkind: str = "rf"  # which {rf, logistic}'


def write(project, stem, *sources, parameters=PARAMETERS):
    cells = [new_markdown_cell(f"# {stem}")]
    cells += [new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells += [new_code_cell(source) for source in sources]
    notebook = new_notebook(cells=cells, metadata=METADATA)
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place}"
    nbformat.write(notebook, project.sources / f"{stem}.ipynb")


def profiles(project, text):
    (project.sources / "profiles.yml").write_text(text)


@pytest.fixture
def project(tmp_path):
    project = Project("quick", tmp_path)
    for folder in ("notebooks", "analysis_lib", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "analysis_lib" / "x.py").write_text("one = 1\n")
    profiles(project, "quick: {}\nfull: {01_a: {rows: 5}}\n")
    write(project, "01_a", "print(rows, kind)")
    return project


def statuses(project):
    return {stem: entry["status"] for stem, entry in record_of(project)["notebooks"].items()}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["row=3"], "unknown parameter 'row'; did you mean 'rows'?"),
        (["rows=three"], "01_a.ipynb: parameter 'rows' is 'three'; expected int [1..9]"),
        (["rows=10"], "01_a.ipynb: parameter 'rows' is '10'; expected int [1..9]"),
        (["kind=svm"], "01_a.ipynb: parameter 'kind' is 'svm'; expected str {rf, logistic}"),
        (["rows"], "parameter 'rows' is not of the form NAME=VALUE"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(project, overrides, message):
    with pytest.raises(InputError) as caught:
        run(project, overrides=overrides)
    assert str(caught.value).startswith(message)
    assert not project.executed.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quick: {01_a: {row: 3}}", "01_a.ipynb: unknown parameter 'row'; did you mean 'rows'?"),
        ("quick: {01_a: {rows: 0}}", "01_a.ipynb: parameter 'rows' is 0; expected int"),
        ("quick: {01_b: {}}", "profiles.yml: unknown notebook '01_b'; did you mean '01_a'?"),
        ("quik: {}", "unknown profile 'quick'; did you mean 'quik'?"),
        ("quick: {", "cannot read"),
        ("", "profiles.yml is not a mapping"),
        ("quick: [1]", "profiles.yml: profile 'quick' is not a mapping"),
        ("quick: {01_a: 3}", "profiles.yml: the parameters of '01_a' are not a mapping"),
    ],
)
def test_a_profile_that_does_not_fit_is_refused(project, text, message):
    profiles(project, text)
    with pytest.raises(InputError) as caught:
        run(project)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_a_file_that_is_no_notebook_is_refused(project):
    (project.sources / "02_b.ipynb").write_text("[]")
    with pytest.raises(InputError, match="02_b.ipynb is not a notebook"):
        plan(project)


def test_an_unknown_notebook_is_refused(project):
    with pytest.raises(InputError, match="unknown notebook '07'"):
        run(project, only="07")


def test_profile_and_override_decide_the_parameters(project):
    full = plan(Project("full", project.root))[0]
    assert full.parameters == {"rows": 5, "kind": "rf"} and full.given == {"rows": 5}
    assert plan(Project("full", project.root), ["rows=7"])[0].parameters["rows"] == 7


def test_the_fingerprint_follows_everything_a_result_depends_on(project):
    write(project, "02_b", "print(1)")

    def now(*overrides):
        return [n.fingerprint for n in plan(project, overrides)]

    before = now()
    assert now() == before
    assert all(a != b for a, b in zip(now("rows=4"), before, strict=True))
    (project.root / "analysis_lib" / "x.py").write_text("one = 2\n")
    library = now()
    (project.root / "data" / "manifest.json").write_text("{}")
    corpus = now()
    write(project, "02_b", "print(2)")
    source = now()
    assert len({before[0], library[0], corpus[0]}) == 3
    assert source[0] == corpus[0] and source[1] != corpus[1]


def test_a_changed_notebook_runs_alone(project):
    write(project, "02_b", "print(2)")
    run(project, say=str)
    write(project, "01_a", "print(kind)")
    told = []
    run(project, say=told.append)
    assert told[0].startswith("[1/2] 01_a: running") and told[-1] == "[2/2] 02_b: up to date"


def test_a_notebook_that_shows_results_of_another_runs_after_it(project):
    write(project, "02_b", "print(2)")
    path = project.sources / "02_b.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.metadata["after"] = ["01_a"]
    nbformat.write(notebook, path)
    before = [n.fingerprint for n in plan(project)]
    write(project, "01_a", "print(kind)")
    assert all(a != b.fingerprint for a, b in zip(before, plan(project), strict=True))
    notebook.metadata["after"] = ["03_c"]
    nbformat.write(notebook, path)
    with pytest.raises(InputError, match="02_b.ipynb is to run after '03_c'"):
        plan(project)


def test_outputs_stored_by_an_editor_do_not_make_a_notebook_stale(project):
    before = plan(project)[0].fingerprint
    path = project.sources / "01_a.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="3 rf\n")]
    notebook.cells[2].execution_count = 7
    nbformat.write(notebook, path)
    assert plan(project)[0].fingerprint == before


def test_a_failure_is_told_in_two_lines_and_a_second_run_resumes_there(project):
    write(project, "02_b", "print(1)", "raise ValueError('no such row\\nsecond line')")
    write(project, "03_c", "print(3)")
    told = []
    with pytest.raises(NotebookFailed) as caught:
        run(project, say=told.append)
    assert str(caught.value) == (
        "02_b failed in cell [3]: ValueError: no such row\n"
        "the notebook up to there: _build/executed/quick/02_b.partial.ipynb"
    )
    assert told[0] == "[1/3] 01_a: running" and told[-1] == "[2/3] 02_b: running"
    assert statuses(project) == {"01_a": "ok", "02_b": "failed"}
    assert not (project.executed / "02_b.ipynb").exists()
    assert (project.executed / "02_b.partial.ipynb").exists()

    write(project, "02_b", "print(2)")
    told.clear()
    notebooks = run(project, overrides=["kind=rf"], say=told.append)
    assert told[0] == "[1/3] 01_a: up to date" and told[1].startswith("[2/3] 02_b: running")
    assert not (project.executed / "02_b.partial.ipynb").exists()
    assert set(statuses(project).values()) == {"ok"} and not pending(notebooks, record_of(project))
    told.clear()
    run(project, say=told.append)
    assert [line.split(": ")[1] for line in told] == ["up to date"] * 3


def test_a_kernel_that_exits_early_is_a_failure(project):
    write(project, "01_a", "import sys\nsys.exit(0)", "print('never')")
    with pytest.raises(NotebookFailed, match="01_a failed: RuntimeError: the kernel exited"):
        run(project, say=str)
    assert statuses(project) == {"01_a": "failed"}


def test_a_kernel_that_dies_is_a_failure(project):
    write(project, "01_a", "import os\nos._exit(3)", "print('never')")
    with pytest.raises(NotebookFailed, match="01_a failed: DeadKernelError"):
        run(project, say=str)


def test_parameters_reach_the_notebook_and_the_record(project):
    run(project, overrides=["rows=8"], say=str)
    notebook = nbformat.read(project.executed / "01_a.ipynb", 4)
    assert notebook.cells[-1].outputs[0].text == "8 rf\n"
    assert sorted(p.name for p in project.sources.iterdir()) == ["01_a.ipynb", "profiles.yml"]
    entry = json.loads((project.executed / "run.json").read_text())["notebooks"]["01_a"]
    assert entry["parameters"] == {"rows": 8, "kind": "rf"} and entry["seconds"] > 0
    assert pending(plan(project), record_of(project)) == {"01_a": "out of date"}


SLOW = """\
from pathlib import Path
import time
if not Path("{marker}").exists():
    Path("{marker}").touch()
    time.sleep(300)
"""
DRIVER = (
    "import sys; from pathlib import Path; from analysis_lib.notebooks import Project, run;"
    "run(Project('quick', Path(sys.argv[1])))"
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
def test_an_interrupted_run_resumes(project, number):
    marker = project.root / "reached"
    write(project, "02_b", SLOW.format(marker=marker))
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(project.root)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    try:
        while not marker.exists():
            assert driver.poll() is None
            time.sleep(0.1)
        with pytest.raises(InputError, match="being run by another process"):
            run(project)
        driver.send_signal(number)
        assert driver.wait(timeout=60) != 0
    finally:
        driver.kill()
        driver.wait()
    assert statuses(project) == {"01_a": "ok", "02_b": "unfinished"}
    assert not (project.executed / "02_b.ipynb").exists()
    told = []
    run(project, say=told.append)
    assert told[0] == "[1/2] 01_a: up to date"
    assert statuses(project) == {"01_a": "ok", "02_b": "ok"}
