"""Build the book of a profile from the pages in ``book/`` and the executed notebooks."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from analysis_lib.errors import InputError
from analysis_lib.notebooks import Notebook, Project, pending, plan, record_of

__all__ = ["BuildFailed", "build", "run_record"]

BANNER = (
    "This book was made with the profile <b>{profile}</b>, a quick check that everything runs. "
    "Its numbers are not results; those are in the book of the profile <b>full</b>."
)
MATHJAX_KEPT = ("tex-chtml.js", "output/chtml/fonts/woff-v2/")


class BuildFailed(RuntimeError):
    """Jupyter Book stopped or warned; the message holds its warnings."""


def build(
    project: Project, *, overrides: Sequence[str] = (), say: Callable[[str], None] = print
) -> Path:
    """Build the book, unless nothing changed since the last build.

    Parameters
    ----------
    project : Project
    overrides : sequence of str
        ``NAME=VALUE``, as given when the notebooks were run.
    say : callable
        Receives the lines of progress.

    Returns
    -------
    Path
        The book's ``index.html``.

    Raises
    ------
    InputError
        If a notebook has to be run first.
    BuildFailed
        If Jupyter Book stops or warns about anything.
    """
    notebooks = plan(project, overrides)
    record = record_of(project)
    missing = pending(notebooks, record)
    if missing:
        listed = ", ".join(f"{stem} ({reason})" for stem, reason in missing.items())
        options = "".join(f" -p {text}" for text in overrides)
        raise InputError(
            f"the book needs {listed}; "
            f"run: python -m analysis_lib notebooks --profile {project.profile}{options}"
        )
    book = project.root / "_build" / "book" / project.profile
    index, stamp = book / "index.html", book / ".built"
    fingerprint = _fingerprint(project, notebooks)
    if index.exists() and stamp.exists() and stamp.read_text() == fingerprint:
        say("nothing changed since the last build")
        return index
    say("building the book")
    source = _stage(project, notebooks, record)
    html = _jupyter_book(project, source)
    _prune_mathjax(html / "_static" / "mathjax")
    (html / ".built").write_text(fingerprint)
    shutil.rmtree(book, ignore_errors=True)
    book.parent.mkdir(parents=True, exist_ok=True)
    os.replace(html, book)
    shutil.rmtree(_scratch(project))
    return index


def _fingerprint(project: Project, notebooks: Sequence[Notebook]) -> str:
    """Digest of everything the pages are made of, the library's docstrings included."""
    files = [project.root / "_config.yml", project.executed / "run.json"]
    files += [n.output for n in notebooks]
    files += [p for p in (project.root / "book").rglob("*") if p.is_file()]
    files += (project.root / "analysis_lib").rglob("*.py")
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(hashlib.sha256(path.read_bytes()).digest() + project.relative(path).encode())
    return total.hexdigest()


def _scratch(project: Project) -> Path:
    return project.root / "_build" / "book" / f".{project.profile}.new"


def _stage(project: Project, notebooks: Sequence[Notebook], record: dict) -> Path:
    """Copy pages and executed notebooks into one fresh folder; return it."""
    source = project.root / "_build" / "src" / project.profile
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(project.root / "book", source, ignore=shutil.ignore_patterns(".*"))
    (source / "notebooks" / "tables").mkdir(parents=True)
    for notebook in notebooks:
        shutil.copyfile(notebook.output, source / "notebooks" / notebook.output.name)
        _write_tables(notebook.output, source / "notebooks" / "tables")
        _write_figures(notebook.output, source / "figures")
    (source / "run_record.md").write_text(run_record(record), encoding="utf-8")
    config = yaml.safe_load((project.root / "_config.yml").read_text(encoding="utf-8"))
    if project.profile != "full":
        config.setdefault("html", {})["announcement"] = BANNER.format(profile=project.profile)
    (source / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return source


def _write_tables(executed: Path, folder: Path) -> None:
    """Write the CSV that each table of a notebook carries to where its link points."""
    for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            table = output.get("metadata", {}).get("table")
            if table:
                (folder / f"{table['name']}.csv").write_text(table["csv"], encoding="utf-8")


def _write_figures(executed: Path, folder: Path) -> None:
    """Write every named figure of a notebook to a file, so that other pages can show it."""
    for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]:
        name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
        images = [
            o["data"]["image/png"]
            for o in cell.get("outputs", [])
            if "image/png" in o.get("data", {})
        ]
        if name and images:
            folder.mkdir(exist_ok=True)
            (folder / f"{name}.png").write_bytes(base64.b64decode("".join(images[-1])))


def run_record(record: dict) -> str:
    """Return the page that says how the notebooks of a profile were run.

    Parameters
    ----------
    record : dict
        Content of ``run.json``.
    """

    def rows(head: Sequence[str], lines: Sequence[Sequence[object]]) -> list[str]:
        table = [head, ["---"] * len(head), *lines]
        return [f"| {' | '.join(str(cell) for cell in line)} |" for line in table] + [""]

    entries = sorted(record["notebooks"].items())
    seconds = sum(entry["seconds"] for _, entry in entries)
    times = [
        [
            f"[{stem}](notebooks/{stem}.ipynb)",
            entry["started"][:16].replace("T", " "),
            f"{entry['seconds']:.0f}",
            entry["commit"] or "not under git",
        ]
        for stem, entry in entries
    ]
    values = [
        [stem, f"`{name}`", f"`{value!r}`"]
        for stem, entry in entries
        for name, value in entry["parameters"].items()
    ]
    lines = [
        "# Run record",
        "",
        f"This book was made with the profile `{record['profile']}`; its notebooks took "
        f"{seconds:.0f} seconds together.",
        "",
        "## Notebooks",
        "",
        *rows(["notebook", "started (UTC)", "seconds", "commit"], times),
        "## Parameters",
        "",
        *(rows(["notebook", "parameter", "value"], values) if values else ["None.", ""]),
        "## Versions",
        "",
        *rows(["what", "version"], sorted(record["versions"].items())),
        "## Corpus",
        "",
    ]
    if record["corpus"]:
        lines += ["Each manifest lists the sha256 of every file of its corpus.", ""]
        digests = [[f"`{path}`", f"`{sha}`"] for path, sha in record["corpus"].items()]
        lines += rows(["manifest", "sha256"], digests)
    else:
        lines += ["No corpus manifest was found under `data/`.", ""]
    return "\n".join(lines)


def _jupyter_book(project: Project, source: Path) -> Path:
    """Build in a scratch folder, so that the book of before stays until the new one is good."""
    output = _scratch(project)
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    command = [
        *(sys.executable, "-c", "from jupyter_book.cli.main import main; main()"),
        *("build", str(source), "--config", str(source / "_config.yml")),
        *("--path-output", str(output), "-W", "-n", "--keep-going", "--quiet"),
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(project.root), *_python_path()])}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=project.root
    )
    html = output / "_build" / "html"
    if done.returncode or not (html / "index.html").exists():
        text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        lines = text.splitlines()
        told = [line for line in lines if re.search(r"WARNING|ERROR|Error:", line)] or lines[-20:]
        raise BuildFailed("\n".join(["the book could not be built:", *dict.fromkeys(told)]))
    return html


def _python_path() -> list[str]:
    return [part for part in [os.environ.get("PYTHONPATH")] if part]


def _prune_mathjax(folder: Path) -> None:
    """Delete what pages with TeX maths never load: 22 of 24 MB."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif not path.relative_to(folder).as_posix().startswith(MATHJAX_KEPT):
            path.unlink()
