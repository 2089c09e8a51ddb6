"""Which notebooks a profile runs, with which parameters, and which of them are up to date."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from analysis_lib.errors import InputError, unknown
from analysis_lib.notebooks.parameters import read_parameters, resolve, split_override

__all__ = ["Notebook", "Project", "corpus_digests", "digest", "pending", "plan", "record_of"]

ROOT = Path(__file__).resolve().parents[2]

NAMES = "[0-9a-z]*.ipynb"
"""File names of notebooks that belong to the book: numbered chapters, then reference pages; an
``Untitled.ipynb`` does not."""


@dataclass(frozen=True)
class Project:
    """Where things lie, and which profile is meant."""

    profile: str = "quick"
    root: Path = ROOT

    @property
    def sources(self) -> Path:
        """Folder of the notebook sources; also where they run."""
        return self.root / "notebooks"

    @property
    def executed(self) -> Path:
        """Folder of the executed notebooks and of ``run.json``."""
        return self.root / "_build" / "executed" / self.profile

    def relative(self, path: Path) -> str:
        """The path as seen from the project's root, for messages."""
        return os.path.relpath(path, self.root)


@dataclass(frozen=True)
class Notebook:
    """A notebook with everything that decides its result."""

    stem: str
    source: Path
    output: Path
    given: Mapping[str, object]
    parameters: Mapping[str, object]
    fingerprint: str


def plan(project: Project, overrides: Sequence[str] = ()) -> list[Notebook]:
    """Discover the notebooks and check every parameter, without starting anything.

    Parameters
    ----------
    project : Project
    overrides : sequence of str
        ``NAME=VALUE``; each goes to every notebook that takes a parameter of that name.

    Returns
    -------
    list of Notebook
        In the order in which they run. The fingerprint covers source, parameters, library and
        corpus, and the fingerprints of the earlier notebooks that the notebook's metadata name
        under ``after``, because it shows their results. What others leave is kept under keys of
        content and code, so it saves time and changes no result.

    Raises
    ------
    InputError
        If a profile, notebook or parameter is unknown, or a value does not fit.
    """
    paths = sorted(project.sources.glob(NAMES))
    if not paths:
        raise InputError(f"no notebook named like 01_name.ipynb in {project.sources}")
    declared = {path.stem: read_parameters(path) for path in paths}
    profile = _profile(project, declared)
    extra = dict(split_override(text) for text in overrides)
    every = {name for parameters in declared.values() for name in parameters}
    for name in extra:
        if name not in every:
            raise unknown("parameter", name, every)

    notebooks, environment, known = [], _environment(project), dict[str, str]()
    for path in paths:
        takes = declared[path.stem]
        given = {**(profile.get(path.stem) or {}), **{k: extra[k] for k in extra if k in takes}}
        given = resolve(takes, given, path.name)
        parameters = {name: p.default for name, p in takes.items()} | given
        own = _corpus(parameters.get("corpus_path"), path.name)
        told = json.dumps(parameters, sort_keys=True)
        before = [known[stem] for stem in _after(path, known)]
        fingerprint = known[path.stem] = digest(environment, _content(path), told, own, *before)
        output = project.executed / path.name
        notebooks.append(Notebook(path.stem, path, output, given, parameters, fingerprint))
    return notebooks


def _profile(project: Project, stems: Mapping) -> dict:
    path = project.sources / "profiles.yml"
    try:
        profiles = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(profiles, dict):
        raise InputError("profiles.yml is not a mapping of profile to notebooks")
    if project.profile not in profiles:
        raise unknown("profile", project.profile, profiles)
    profile = profiles[project.profile] or {}
    if not isinstance(profile, dict):
        raise InputError(f"profiles.yml: profile '{project.profile}' is not a mapping")
    for stem, given in profile.items():
        if stem not in stems:
            raise InputError(f"profiles.yml: {unknown('notebook', stem, stems)}")
        if not isinstance(given or {}, dict):
            raise InputError(f"profiles.yml: the parameters of '{stem}' are not a mapping")
    return profile


def digest(*parts: str | bytes) -> str:
    """Sha256 of the parts and of where each ends."""
    total = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        total.update(len(raw).to_bytes(8, "big") + raw)
    return total.hexdigest()


def _after(path: Path, known: Mapping) -> list[str]:
    stems = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("after", [])
    for stem in stems:
        if stem not in known:
            raise InputError(
                f"{path.name} is to run after '{stem}', which is no notebook before it; correct "
                "'after' in its metadata"
            )
    return stems


def _content(path: Path) -> str:
    """What a notebook says, whatever an editor stored beside it (outputs, counters)."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    kept = [
        [
            cell["cell_type"],
            "".join(cell["source"]),
            cell["metadata"].get("tags"),
            cell["metadata"].get("mystnb"),
        ]
        for cell in cells
    ]
    return json.dumps(kept)


def _environment(project: Project) -> str:
    """Digest of library, corpus and recorded reports, which every notebook depends on."""
    files = sorted((project.root / "analysis_lib").rglob("*.py"))
    files += sorted((project.root / "data" / "reports").glob("*.*"))
    parts = [part for path in files for part in (project.relative(path), path.read_bytes())]
    return digest(*parts, json.dumps(corpus_digests(project)))


def _corpus(folder: object, notebook: str) -> bytes:
    """Manifest of the corpus that a notebook was given, empty for the shipped one."""
    if not isinstance(folder, str) or not folder:
        return b""
    try:
        return (Path(folder).expanduser() / "manifest.json").read_bytes()
    except OSError:
        raise InputError(
            f"{notebook}: corpus_path '{folder}' holds no manifest.json; expected the folder of a "
            "published corpus, as an absolute path"
        ) from None


def corpus_digests(project: Project) -> dict[str, str]:
    """Sha256 of each corpus manifest under ``data/``; a manifest lists its files' own."""
    manifests = sorted((project.root / "data").rglob("manifest.json"))
    return {
        project.relative(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in manifests
    }


def record_of(project: Project) -> dict:
    """Return the run record of a profile; its ``notebooks`` are empty before the first run.

    Examples
    --------
    >>> sorted(record_of(Project("full", Path("there/is/none"))))
    ['notebooks', 'profile']
    """
    try:
        return json.loads((project.executed / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"profile": project.profile, "notebooks": {}}


def pending(notebooks: Sequence[Notebook], record: Mapping) -> dict[str, str]:
    """Return the notebooks that must run, with the reason: ``not run``, ``out of date``, ..."""
    reasons = {}
    for notebook in notebooks:
        entry = record["notebooks"].get(notebook.stem, {"status": "not run"})
        if entry["status"] != "ok":
            reasons[notebook.stem] = entry["status"]
        elif not notebook.output.exists():
            reasons[notebook.stem] = "not run"
        elif entry["fingerprint"] != notebook.fingerprint:
            reasons[notebook.stem] = "out of date"
    return reasons
