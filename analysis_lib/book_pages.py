"""Pages of the book that are made from what the library and the repository already say."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis_lib.notebooks.parameters import read_parameters
from analysis_lib.report import Table, table

__all__ = ["DATA_CARD", "generated", "run_record"]

DATA_CARD = "data/dynfault-torch/README.md"
"""Data card of the shipped corpus, from the root of the project."""


def generated(root: Path, record: Mapping, folder: Path) -> None:
    """Write the generated pages, and the parts that other pages include, into a folder.

    These are ``run_record.md``, ``generated/times.md``, ``changelog.md``, ``data_card.md`` and, for
    the glossary, ``generated/operators.md`` and ``generated/channels.md``. What a project does not
    have is left out.

    Parameters
    ----------
    root : Path
        Root of the project.
    record : mapping
        Content of ``run.json``.
    folder : Path
        The staged sources.
    """
    pages = {
        "run_record.md": run_record(record, root / "notebooks"),
        "generated/times.md": _times(record),
    }
    for name, source, page in (
        ("changelog.md", "CHANGELOG.md", str),
        ("data_card.md", DATA_CARD, _data_card),
    ):
        if (root / source).exists():
            pages[name] = page((root / source).read_text(encoding="utf-8"))
    if (root / "book" / "glossary.md").exists():
        pages["generated/operators.md"] = _operators()
        pages["generated/channels.md"] = _channels()
    (folder / "generated").mkdir(exist_ok=True)
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


def run_record(record: Mapping, sources: Path | None = None) -> str:
    """Return the page that says how the notebooks of a profile were run.

    Parameters
    ----------
    record : mapping
        Content of ``run.json``.
    sources : Path, optional
        Folder of the notebooks, which say what their parameters mean.
    """
    entries = list(record["notebooks"].items())
    times = pd.DataFrame(
        [
            {
                # without a text of its own, a link shows the title of the chapter
                "chapter": f"[](notebooks/{stem}.ipynb)",
                "minutes": entry["seconds"] / 60,
                "started (UTC)": entry["started"][:16].replace("T", " "),
                "commit": entry["commit"] or "not under git",
            }
            for stem, entry in entries
        ]
    )
    values = pd.DataFrame(
        [
            {
                "parameter": f"`{name}`",
                "value": f"`{value!r}`",
                "meaning": meanings.get(name, "–"),
                "chapter": f"[](notebooks/{stem}.ipynb)",
            }
            for stem, entry in entries
            for meanings in [_meanings(sources, stem)]
            for name, value in entry["parameters"].items()
        ]
    )
    versions = pd.DataFrame(sorted(record["versions"].items()), columns=["what", "version"])
    lines = [
        "# Run record",
        "",
        f"This book was made with the profile `{record['profile']}`; its notebooks took "
        f"{_minutes(record):.0f} minutes together.",
        "",
        "## Notebooks",
        "",
        _markdown(times, "tab-record-times", "When each chapter ran, and for how long.", ".1f"),
        "## Parameters",
        "",
        _markdown(values, "tab-record-values", "The value of every parameter."),
        "## Versions",
        "",
        _markdown(versions, "tab-record-versions", "Versions of packages."),
        "## Corpus",
        "",
        "A corpus is named by the sha256 of its manifest, which lists those of its files."
        if record["corpus"]
        else "No corpus manifest was found under `data/`.",
        "",
        *(f"- `{path}`: `{sha}`" for path, sha in record["corpus"].items()),
        "",
    ]
    return "\n".join(lines)


def _meanings(sources: Path | None, stem: str) -> dict[str, str]:
    """Return what the parameters of a notebook mean, as its cell says, without their limits."""
    path = None if sources is None else sources / f"{stem}.ipynb"
    if path is None or not path.exists():
        return {}
    limits = re.compile(r" *(\[[^\[]*\.\.[^\[]*\]|\{[^{]*\})$")
    return {name: limits.sub("", p.help) for name, p in read_parameters(path).items()}


def _minutes(record: Mapping) -> float:
    return sum(entry["seconds"] for entry in record["notebooks"].values()) / 60


def _times(record: Mapping) -> str:
    """Return a sentence on how long the notebooks took."""
    return (
        f"For this copy the notebooks took {_minutes(record):.0f} minutes together, with the "
        f"profile `{record['profile']}`; the [run record](run_record.md) has each of them, with "
        "its parameters and versions.\n"
    )


def _markdown(frame: pd.DataFrame, name: str, caption: str, formats: str | None = None) -> str:
    """Return a numbered table; the build adds the link to its CSV."""
    if frame.empty:
        return "None.\n"
    shown: Table = table(frame, name=name, caption=caption, formats=formats)
    return shown.markdown() + "\n"


def _data_card(text: str) -> str:
    """Return the card under a title of its own, without the lines that are for machines."""
    body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL).lstrip()
    body = re.sub(r"\A# (.+)\n\n", r"# Data card\n\n**\1.** ", body)
    return re.sub(r"^\| `.*", lambda row: _formulas(row[0]), body, flags=re.MULTILINE)


def _operators() -> str:
    """Return the glossary of fault operators, from their registry."""
    from analysis_lib.faults import CATEGORIES, list_operators

    def parameters(operator: Any) -> str:
        return "; ".join(f"`{name}`: {p.help}" for name, p in operator.parameters.items()) or "none"

    parts = []
    for category in CATEGORIES:
        rows = [
            {
                "operator": f"`{o.id}`",
                "fault": _sentence(o.change.__doc__ or o.title),
                "parameters": parameters(o),
                "described by": o.source,
            }
            for o in sorted(list_operators(category), key=lambda o: o.id)
        ]
        name = f"tab-operators-{category.lower()}"
        caption = f"Operators of the category {category}."
        parts += [f"### {category}", "", _markdown(pd.DataFrame(rows), name, caption)]
    return "\n".join(parts)


def _channels() -> str:
    """Return the glossary of channels, from the table the recorder itself uses."""
    from analysis_lib.channels import GROUPS, LAYER_CHANNELS
    from analysis_lib.flags import DEFAULT_COLUMNS, DEFAULT_FLAGS

    others = [f"`{c}`" for c in DEFAULT_COLUMNS.values() if c not in DEFAULT_FLAGS]
    notes = {
        "default": f"DEFault has {len(DEFAULT_COLUMNS)} columns: these checks, and {len(others)} "
        f"channels of other groups, which are {', '.join(others)}.\n"
    }
    parts = []
    titles = {"deepfd": "Checks of DeepFD", "default": "Checks of DEFault", "layers": "By layer"}
    for group, channels in {**GROUPS, "layers": LAYER_CHANNELS}.items():
        rows = [
            {
                "channel": f"`{name}`",
                "unit": _formulas(unit),
                "meaning": _literal(_formulas(meaning)),
            }
            for name, (unit, meaning) in channels.items()
        ]
        title = titles.get(group, group.capitalize())
        name, caption = f"tab-channels-{group}", f"Channels: {title[0].lower()}{title[1:]}."
        parts += [f"### {title}", "", *([notes[group]] if group in notes else [])]
        parts += [_markdown(pd.DataFrame(rows), name, caption)]
    return "\n".join(parts)


def _sentence(docstring: Sequence[str]) -> str:
    """Return the first paragraph of a docstring in one line."""
    return " ".join(str(docstring).strip().split("\n\n")[0].split())


def _literal(text: str) -> str:
    """Keep Markdown from reading formulas as markup."""
    return re.sub(r"([*_<])", r"\\\1", text)


FORMULAS = {
    r"\|\||\\\|\\\|": "‖",
    r"(?<=\b[dgv])'(?=[Hdgv])|(?<=v_l)'(?=[v(])": "ᵀ",
    r"(?<=v|\))_l\b": "ₗ",
    r"_lᵀ": "ₗᵀ",
    r"\^2": "²",
    r"\+-(?=\d)": "±",
    r"<=": "≤",
    r">=": "≥",
    r"\blambda_": "λ_",
    r"\btheta\b": "θ",
    r"\.\.\.": "…",
    r"(?<=\d) %": "\N{NO-BREAK SPACE}%",
}
"""What the table of channels writes in plain characters, as terminals and files need it -> as it
is printed."""


def _formulas(text: str) -> str:
    """Set the formulas of a text, but not what is quoted as code."""

    def printed(part: str) -> str:
        for plain, shown in FORMULAS.items():
            part = re.sub(plain, shown, part)
        return part

    return "".join(
        part if part.startswith("`") else printed(part) for part in re.split(r"(`[^`]*`)", text)
    )
