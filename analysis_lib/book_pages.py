"""Pages of the book that are made from what the library and the repository already say."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

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
    pages = {"run_record.md": run_record(record), "generated/times.md": _times(record)}
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


def run_record(record: Mapping) -> str:
    """Return the page that says how the notebooks of a profile were run.

    Parameters
    ----------
    record : mapping
        Content of ``run.json``.
    """
    entries = list(record["notebooks"].items())
    seconds = sum(entry["seconds"] for _, entry in entries)
    times = pd.DataFrame(
        [
            {
                "notebook": f"[{stem}](notebooks/{stem}.ipynb)",
                "started (UTC)": entry["started"][:16].replace("T", " "),
                "seconds": entry["seconds"],
                "commit": entry["commit"] or "not under git",
            }
            for stem, entry in entries
        ]
    )
    values = pd.DataFrame(
        [
            {"notebook": stem, "parameter": f"`{name}`", "value": f"`{value!r}`"}
            for stem, entry in entries
            for name, value in entry["parameters"].items()
        ]
    )
    versions = pd.DataFrame(sorted(record["versions"].items()), columns=["what", "version"])
    digests = pd.DataFrame(
        [{"manifest": f"`{path}`", "sha256": f"`{sha}`"} for path, sha in record["corpus"].items()]
    )
    lines = [
        "# Run record",
        "",
        f"This book was made with the profile `{record['profile']}`; its notebooks took "
        f"{seconds:.0f} seconds together.",
        "",
        "## Notebooks",
        "",
        _markdown(times, "tab-record-times", "When each notebook ran, and for how long.", ".0f"),
        "## Parameters",
        "",
        _markdown(values, "tab-record-values", "The value of every parameter."),
        "## Versions",
        "",
        _markdown(versions, "tab-record-versions", "Versions of packages."),
        "## Corpus",
        "",
        "Each manifest lists the sha256 of every file of its corpus."
        if len(digests)
        else "No corpus manifest was found under `data/`.",
        "",
        _markdown(digests, "tab-record-corpora", "Digests of the corpora."),
    ]
    return "\n".join(lines)


def _times(record: Mapping) -> str:
    """Return a sentence on how long the notebooks took."""
    minutes = sum(entry["seconds"] for entry in record["notebooks"].values()) / 60
    return (
        f"For this copy the notebooks took {minutes:.0f} minutes together, with the profile "
        f"`{record['profile']}`; the [run record](run_record.md) has each of them, with its "
        "parameters and versions.\n"
    )


def _markdown(frame: pd.DataFrame, name: str, caption: str, formats: str | None = None) -> str:
    """Return a numbered table; the build adds the link to its CSV."""
    if frame.empty:
        return "None.\n"
    shown: Table = table(frame, name=name, caption=caption, formats=formats)
    return shown.markdown() + "\n"


def _data_card(text: str) -> str:
    """Return the card without its first lines, which are for machines."""
    return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL).lstrip()


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

    parts = []
    titles = {"deepfd": "Checks of DeepFD", "default": "Columns of DEFault", "layers": "By layer"}
    for group, channels in {**GROUPS, "layers": LAYER_CHANNELS}.items():
        rows = [
            {"channel": f"`{name}`", "unit": unit, "meaning": _literal(meaning)}
            for name, (unit, meaning) in channels.items()
        ]
        title = titles.get(group, group.capitalize())
        name, caption = f"tab-channels-{group}", f"Channels: {title[0].lower()}{title[1:]}."
        parts += [f"### {title}", "", _markdown(pd.DataFrame(rows), name, caption)]
    return "\n".join(parts)


def _sentence(docstring: Sequence[str]) -> str:
    """Return the first paragraph of a docstring in one line."""
    return " ".join(str(docstring).strip().split("\n\n")[0].split())


def _literal(text: str) -> str:
    """Keep Markdown from reading formulas as markup."""
    return re.sub(r"([*_<])", r"\\\1", text)
