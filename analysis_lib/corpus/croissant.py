"""The machine-readable description of a corpus: Croissant 1.0 (JSON-LD), with its RAI fields.

Written with the standard library; a test reads it with ``mlcroissant``. The format is described at
https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from analysis_lib.corpus.licences import LICENCE
from analysis_lib.corpus.schema import epochs_schema, layers_schema, runs_schema

if TYPE_CHECKING:
    from analysis_lib.corpus.card import Card

__all__ = ["CROISSANT", "describe"]

CROISSANT = "croissant.json"

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_PARQUET = "application/x-parquet"  # mlcroissant reads no other name of it


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"


def _records(name: str, key: list[str], schema: pa.Schema, files: str, source: Mapping) -> dict:
    fields = []
    for field in schema:
        unit, meaning = (field.metadata[k].decode() for k in (b"unit", b"meaning"))
        about = {
            "@type": "cr:Field",
            "@id": f"{name}/{field.name}",
            "name": field.name,
            "description": f"{meaning} [{unit}]" if unit else meaning,
            "dataType": _kind(field.type),
            "source": {**source, "extract": {"column": field.name}},
        }
        if field.name == "run_id" and name != "runs":
            about["references"] = {"field": {"@id": "runs/run_id"}}
        fields.append(about)
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": files,
        "key": [{"@id": f"{name}/{part}"} for part in key],
        "field": fields,
    }


def describe(card: "Card", manifest: Mapping) -> str:
    """Return the Croissant description of a store as JSON text.

    Parameters
    ----------
    card : Card
    manifest : mapping
        The manifest of the store, with its Parquet files.
    """
    files = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{about['bytes']} B",
            "encodingFormat": _PARQUET,
            "sha256": about["sha256"],
        }
        for name, about in manifest["files"].items()
        if name.endswith(".parquet")
    ]
    sets, records = [], []
    tables = {"runs": (runs_schema(), ["run_id"], "one row per run")}
    tables["epochs"] = (epochs_schema(), ["run_id", "epoch"], "one row per run and snapshot")
    keys = ["run_id", "epoch", "layer"]
    tables["layers"] = (layers_schema(), keys, "one row per run, snapshot and layer")
    for name, (schema, key, what) in tables.items():
        source = {"fileObject": {"@id": "runs.parquet"}}
        if name != "runs":
            parts = [{"@id": f["@id"]} for f in files if f["@id"].startswith(f"{name}/")]
            if not parts:
                continue
            sets.append(
                {
                    "@type": "cr:FileSet",
                    "@id": f"{name}-files",
                    "name": f"{name}-files",
                    "description": f"{what}, one file per program",
                    "encodingFormat": _PARQUET,
                    "includes": f"{name}/*/*.parquet",
                }
            )
            source = {"fileSet": {"@id": f"{name}-files"}}
        records.append(_records(name, key, schema, what, source))
    plain = {name: " ".join(getattr(card, name).split()) for name in ("what", "made", "limits")}
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.0",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": card.title,
        "description": plain["what"],
        "version": card.version,
        "datePublished": card.released,
        "license": f"https://spdx.org/licenses/{LICENCE}.html",
        "url": card.address,
        "citeAs": card.citation,
        "creator": {"@type": "sc:Organization", "name": card.author},
        "keywords": ["fault diagnosis", "deep learning", "training dynamics"],
        "isLiveDataset": False,
        "rai:dataCollection": plain["made"],
        "rai:dataCollectionType": "Experiments",
        "rai:dataLimitations": plain["limits"],
        "rai:dataBiases": "Every program carries the same mix of fault categories, by design.",
        "rai:dataUseCases": "Comparing techniques of fault diagnosis and ways to evaluate them.",
        "rai:personalSensitiveInformation": "None: measurements of training runs only.",
        "distribution": files + sets,
        "recordSet": records,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
