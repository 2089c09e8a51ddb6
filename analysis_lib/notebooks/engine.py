"""Run the notebooks of a profile, in order, resuming where an earlier run stopped."""

import fcntl
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

from analysis_lib.errors import InputError, unknown
from analysis_lib.notebooks.planning import (
    Notebook,
    Project,
    corpus_digests,
    pending,
    plan,
    record_of,
)

__all__ = ["NotebookFailed", "run"]

PACKAGES = ("torch", "numpy", "scipy", "pandas", "scikit-learn", "statsmodels", "matplotlib")


class NotebookFailed(RuntimeError):
    """A notebook did not finish; the message says which, where, and what is left of it."""


def run(
    project: Project,
    *,
    overrides: Sequence[str] = (),
    only: str | None = None,
    force: bool = False,
    say: Callable[[str], None] = print,
) -> list[Notebook]:
    """Run the notebooks that are not up to date.

    Parameters
    ----------
    project : Project
    overrides : sequence of str
        ``NAME=VALUE`` beyond the profile.
    only : str, optional
        Run this one alone: its number (``03``) or name.
    force : bool
        Run even what is up to date.
    say : callable
        Receives the lines of progress.

    Returns
    -------
    list of Notebook
        Those of the profile, all of them now up to date unless `only` is given.

    Raises
    ------
    InputError
        Before any kernel starts, if anything given does not fit.
    NotebookFailed
        If a notebook fails. What ran before it is kept.
    """
    notebooks = plan(project, overrides)
    chosen = [
        n for n in notebooks if only is None or only.zfill(2) in (n.stem, n.stem[:2], n.source.name)
    ]
    if not chosen:
        raise unknown("notebook", only, [n.stem for n in notebooks])
    project.executed.mkdir(parents=True, exist_ok=True)
    with _alone(project):
        record = record_of(project)
        due = {n.stem for n in chosen} if force else set(pending(chosen, record))
        for index, notebook in enumerate(chosen):
            label = f"[{index + 1}/{len(chosen)}] {notebook.stem}:"
            if notebook.stem not in due:
                say(f"{label} up to date")
                continue
            left = [n.stem for n in chosen[index:] if n.stem in due]
            say(f"{label} running{_expected(record, left)}")
            seconds = _run_one(project, notebook, record)
            say(f"{label} done in {_duration(seconds)}")
    return notebooks


@contextmanager
def _alone(project: Project) -> Iterator[None]:
    with (project.executed / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"profile '{project.profile}' is being run by another process; wait for it to end"
            ) from error
        yield


def _expected(record: Mapping, left: Sequence[str]) -> str:
    known = [record["notebooks"].get(stem, {}).get("usual_seconds") for stem in left]
    if known[0] is None:
        return ""
    total = f", {_duration(sum(known))} for all that is left" if None not in known[1:] else ""
    return f" (about {_duration(known[0])}{total})"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _run_one(project: Project, notebook: Notebook, record: dict) -> float:
    partial = notebook.output.with_suffix(".partial.ipynb")
    entry = record["notebooks"].setdefault(notebook.stem, {})
    entry |= {
        "status": "unfinished",  # what stays if this process is killed
        "parameters": dict(notebook.parameters),
        "fingerprint": notebook.fingerprint,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(project),
    }
    for stale in ("error", "seconds"):
        entry.pop(stale, None)
    record |= {"versions": _versions(), "corpus": corpus_digests(project)}
    notebook.output.unlink(missing_ok=True)
    _write_record(project, record)
    start = time.monotonic()
    try:
        _execute(project, notebook, partial)
    except Exception as error:
        where, what = _explain(error)
        entry |= {"status": "failed", "error": f"{where}{what}"}
        _write_record(project, record)
        raise NotebookFailed(
            f"{notebook.stem} failed{where}: {what}\n"
            f"the notebook up to there: {project.relative(partial)}"
        ) from error
    os.replace(partial, notebook.output)
    seconds = round(time.monotonic() - start, 1)
    entry |= {"status": "ok", "seconds": seconds, "usual_seconds": seconds}
    _write_record(project, record)
    return seconds


def _execute(project: Project, notebook: Notebook, output: Path) -> None:
    # tracing the frozen modules is the debugger's business; it warns into every first cell
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    import papermill
    from jupyter_client.manager import AsyncKernelManager

    with (project.executed / "kernel.log").open("w") as log, TemporaryDirectory() as sockets:

        class LocalKernel(AsyncKernelManager):
            """Talks over sockets in the file system: no port is opened, no warning printed."""

            transport = "ipc"
            ip = f"{sockets}/kernel"

            async def start_kernel(self, **options):
                # the process's own stderr; what cells write there goes into the notebook
                return await self._async_start_kernel(stderr=log, **options)

        executed = papermill.execute_notebook(
            str(notebook.source),
            str(output),
            parameters=dict(notebook.given),
            kernel_name="python3",
            kernel_manager_class=LocalKernel,
            cwd=str(project.sources),
            start_timeout=600,  # seconds; a busy machine needs more than papermill's 60
            progress_bar=sys.stderr.isatty(),
        )
    last = [cell for cell in executed.cells if cell.cell_type == "code" and cell.source.strip()]
    if last and last[-1].execution_count is None:
        raise RuntimeError("the kernel exited before the last cell (sys.exit in a notebook?)")


def _explain(error: Exception) -> tuple[str, str]:
    """Where a notebook failed, and the error in one line."""
    where = f" in cell [{error.exec_count}]" if hasattr(error, "exec_count") else ""
    name = getattr(error, "ename", type(error).__name__)
    text = str(getattr(error, "evalue", error)).strip()
    return where, f"{name}: {text.splitlines()[0]}" if text else name


def _write_record(project: Project, record: dict) -> None:
    path = project.executed / "run.json"
    beside = path.with_suffix(".json.new")
    beside.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(beside, path)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "system": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit(project: Project) -> str | None:
    command = ["git", "-C", str(project.root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
