"""The data card of a published corpus: a README that says what it is and how it was made.

Beside it the same facts for machines: the column dictionary and the citation.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from analysis_lib.corpus.licences import LICENCE, packages_of, sources_table
from analysis_lib.corpus.schema import STATUSES, epochs_schema, layers_schema, runs_schema
from analysis_lib.corpus.thinning import Thinning

__all__ = ["Card", "citation_file", "columns_table", "render"]


VERSIONS = {
    "python": "Python",
    "torch": "PyTorch",
    "numpy": "NumPy",
    "machine": "processor",
    "cpu_capability": "instructions used",
    "threads": "threads per run",
    "publisher_python": "Python that published",
    "parquet": "pyarrow that wrote the tables",
}
"""Names of a manifest's versions -> what they are."""


@dataclass(frozen=True)
class Card:
    """The sentences of the data card; everything else in it is computed.

    Parameters
    ----------
    title : str
    what : str
        What the corpus holds and what it is for.
    made : str
        How it was made.
    command : str
        The exact commands that make it again.
    limits : str
        What it does not show, and what it is unfit for.
    version, released, author, address, citation : str
        As in CITATION.cff.
    """

    title: str = "DynFault-Torch"
    what: str = (
        "Traces of healthy and faulty deep-learning training runs, to study how well the cause of\n"
        "a fault can be told from its traces, within known programs and on new ones."
    )
    made: str = (
        "Faults were injected into small PyTorch programs on real data. Every program has four\n"
        "configurations of every category of faults (three of Data and of Loop) and three healthy\n"
        "ones, each with five seeds. Every run was trained in a process of its own, with one\n"
        "snapshot before training and one after each epoch."
    )
    command: str = "python -m analysis_lib corpus generate\npython -m analysis_lib corpus publish"
    limits: str = (
        "Small programs, one processor type, one injected fault at a time, twelve epochs. Fault\n"
        "parameters were chosen to do harm, so mild faults are rare. The corpus serves to compare\n"
        "ways to diagnose and to evaluate; it does not say how often faults occur in practice."
    )
    version: str = "0.1.0"
    released: str = "2026-11-21"
    author: str = "The DynFault-Torch authors"
    address: str = "https://arxiv.org/abs/2606.26492"
    citation: str = (
        "The DynFault-Torch authors (2026). DynFault-Torch 0.1.0: traces of healthy and faulty "
        "deep-learning training runs. After Jahan, S. (2026). Evaluation-Strategy Gap in Fault "
        "Diagnosis of Deep Learning Programs. arXiv:2606.26492."
    )


def columns_table() -> str:
    """Return the column dictionary as CSV: table, column, type, unit, meaning, nullable."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["table", "column", "type", "unit", "meaning", "nullable"])
    schemas = {"runs": runs_schema(), "epochs": epochs_schema(), "layers": layers_schema()}
    for table, schema in schemas.items():
        for field in schema:
            unit, meaning = (field.metadata[k].decode() for k in (b"unit", b"meaning"))
            rows.writerow([table, field.name, field.type, unit, meaning, field.nullable])
    return text.getvalue()


def citation_file(card: Card) -> str:
    """Return the CITATION.cff of a corpus."""
    return f"""cff-version: 1.2.0
title: "{card.title}: {" ".join(card.what.split())}"
message: "Please cite this corpus, and the study it follows."
type: dataset
license: {LICENCE}
version: {card.version}
date-released: "{card.released}"
url: "{card.address}"
authors:
  - name: "{card.author}"
references:
  - type: article
    title: "Evaluation-Strategy Gap in Fault Diagnosis of Deep Learning Programs"
    authors:
      - family-names: Jahan
        given-names: Sigma
    year: 2026
    notes: "arXiv:2606.26492"
"""


def _columns(table: str, schema: pa.Schema) -> str:
    lines = [
        f"<!-- caption: Columns of the table {table}. -->",
        "| column | type | unit | meaning |",
        "|---|---|---|---|",
    ]
    for field in schema:
        unit, meaning = (field.metadata[k].decode() for k in (b"unit", b"meaning"))
        meaning = meaning.replace("|", "\\|")
        lines.append(f"| `{field.name}` | {field.type} | {unit or '–'} | {meaning} |")
    return "\n".join(lines)


def _counts(counts: Mapping[str, int]) -> str:
    lines = ["<!-- caption: How the runs ended. -->"]
    lines += ["| status | runs | meaning |", "|---|---:|---|"]
    lines += [f"| {status} | {n:,} | {STATUSES[status]} |" for status, n in counts.items()]
    return "\n".join(lines)


def render(card: Card, manifest: Mapping) -> str:
    """Return the data card as Markdown.

    Parameters
    ----------
    card : Card
    manifest : mapping
        The manifest of the store, without the card itself.
    """
    versions = "\n".join(
        f"- {VERSIONS.get(name, name)}: {', '.join(values)}"
        for name, values in manifest["versions"].items()
    )
    thinning = Thinning.of(manifest)
    size = sum(about["bytes"] for about in manifest["files"].values()) / 1e6
    return f"""---
license: {LICENCE.lower()}
pretty_name: {card.title}
configs:
- config_name: runs
  data_files: runs.parquet
- config_name: epochs
  data_files: epochs/*/*.parquet
- config_name: layers
  data_files: layers/*/*.parquet
---

# {card.title}

{card.what}

{manifest["runs"]:,} runs of {manifest["programs"]:,} programs, {size:.1f} MB. Version
{manifest["schema_version"]} of the schema, recipe {manifest["recipe"]} of the training code; the
digest of the contents begins with `{manifest["digest"][:16]}`.

## How it was made

{card.made}

```bash
{card.command}
```

`plan.json` lists the specification of every run; a run's id is the first 16 hexadecimal digits of
the sha256 of its specification. Missing values are NaN. After a run became non-finite its remaining
snapshots are NaN.
{"" if thinning is None else thinning.meaning}

{versions}

## Runs by status

{_counts(manifest["statuses"])}

## Reading it

```python
from analysis_lib import load_corpus

corpus = load_corpus()  # corpus.runs, corpus.epochs, corpus.layers
```

Any Parquet reader works, too. `manifest.json` holds the sha256 of every file;
`python -m analysis_lib corpus verify` checks them and the contents. `croissant.json` describes
the tables for machine-learning tools, `columns.csv` holds every column with its unit and meaning.

## Limits

{card.limits}

## Licences

The traces, measurements of training runs, are under {LICENCE} (`LICENSE`). They hold no data of the
programs. The data sets the programs train on are read from installed packages and keep their own
terms. They are needed to train the programs again, not to read this corpus. The packages that hold
them: {packages_of(manifest["sources"])}.

<!-- caption: Data sets of the programs, and the terms under which they are shared. -->
{sources_table(manifest["sources"])}

## Citation

{card.citation} `CITATION.cff` has it for reference managers.

## Columns

### runs

{_columns("runs", runs_schema())}

### epochs (by program)

{_columns("epochs", epochs_schema())}

### layers (by program)

{_columns("layers", layers_schema())}
"""
