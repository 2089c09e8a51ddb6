"""Build the book of a profile from the pages in ``book/`` and the executed notebooks."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from analysis_lib.book_pages import DATA_CARD, generated, run_record
from analysis_lib.book_tables import (
    number_notebook,
    number_tables,
    offer_tables,
    open_figures,
    write_figures,
    write_tables,
)
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
    # a notebook that is gone has left its entry behind
    record["notebooks"] = {n.stem: record["notebooks"][n.stem] for n in notebooks}
    source = _stage(project, notebooks, record)
    html = _jupyter_book(project, source)
    _prune(html / "_static")
    _mend_roles(html)
    _mend_defaults(html)
    open_figures(html)
    offer_tables(html, {path.stem for path in source.glob("notebooks/tables/*.csv")})
    (html / ".built").write_text(fingerprint)
    shutil.rmtree(book, ignore_errors=True)
    book.parent.mkdir(parents=True, exist_ok=True)
    os.replace(html, book)
    shutil.rmtree(_scratch(project))
    return index


def _fingerprint(project: Project, notebooks: Sequence[Notebook]) -> str:
    """Digest of everything the pages are made of; the library's docstrings are on one of them."""
    files = [project.root / "_config.yml", project.executed / "run.json"]
    files += [n.output for n in notebooks]
    files += [p for name in ("CHANGELOG.md", DATA_CARD) if (p := project.root / name).exists()]
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
        staged = source / "notebooks" / notebook.output.name
        shutil.copyfile(notebook.output, staged)
        number_notebook(staged)
        write_tables(notebook.output, source / "notebooks" / "tables")
        write_figures(notebook.output, source / "figures")
    generated(project.root, record, source)
    for page in source.glob("*.md"):
        text, _ = number_tables(page.read_text(encoding="utf-8"), page.stem)
        page.write_text(text, encoding="utf-8")
    config = yaml.safe_load((project.root / "_config.yml").read_text(encoding="utf-8"))
    if project.profile != "full":
        config.setdefault("html", {})["announcement"] = BANNER.format(profile=project.profile)
    (source / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return source


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


def _mend_roles(html: Path) -> None:
    """Let entries of the bibliography be items of their list, which docutils' role is not."""
    for page in html.glob("bibliography.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace('role="doc-biblioentry"', 'role="listitem"'), "utf-8")


def _mend_defaults(html: Path) -> None:
    """Write defaults of data classes as they are in the source: Sphinx has only their values."""
    for page in html.glob("api/*.html"):
        text = page.read_text(encoding="utf-8")
        text = re.sub(r"&lt;function</span> <span class=\"pre\">(\w+)&gt;", r"\1", text)
        page.write_text(re.sub(r"PosixPath\([^<]*\)(?=</span>)", "ROOT", text), encoding="utf-8")


def _prune(static: Path) -> None:
    """Delete what no page loads: most of MathJax, and maps for debuggers of the theme."""
    mathjax = static / "mathjax"
    for path in sorted(static.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.suffix == ".map" or (
            path.is_relative_to(mathjax)
            and not path.relative_to(mathjax).as_posix().startswith(MATHJAX_KEPT)
        ):
            path.unlink()
