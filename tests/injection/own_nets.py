"""Programs of users that the library has never seen."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

RNG = np.random.default_rng(0)


def blobs(rows=48, columns=6, classes=3):
    """Points around one centre per class."""
    y = np.arange(rows) % classes
    centres = 2 * np.random.default_rng(1).normal(size=(classes, columns))
    x = centres[y] + np.random.default_rng(2).normal(size=(rows, columns))
    return x, y


class Mlp(nn.Module):
    """LayerNorm, dropout, and activations that are functions."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(8, 3)  # registered first, runs last
        self.first, self.norm = nn.Linear(6, 12), nn.LayerNorm(12)
        self.second, self.drop = nn.Linear(12, 8), nn.Dropout(0.2)

    def forward(self, x):
        x = F.gelu(self.norm(self.first(x)))
        return self.out(self.drop(torch.relu(self.second(x))))


class Residual(nn.Module):
    """A convolution net with a residual connection, batch norm and one shared activation."""

    def __init__(self):
        super().__init__()
        self.stem, self.act = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()
        self.a, self.norm = nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.b, self.pool = nn.Conv2d(6, 4, 3, padding=1), nn.MaxPool2d(2)
        self.head = nn.Linear(4 * 4 * 4, 2)

    def forward(self, x):
        x = self.act(self.stem(x))
        x = self.act(x + self.b(self.act(self.norm(self.a(x)))))
        return self.head(self.pool(x).flatten(1))


class Series(nn.Module):
    """Two inputs, given by name."""

    def __init__(self):
        super().__init__()
        self.names, self.cell = nn.Embedding(5, 3), nn.GRU(2, 5, batch_first=True)
        self.out = nn.Linear(8, 1)

    def forward(self, steps, kind):
        states, _ = self.cell(steps)
        return self.out(torch.cat([states[:, -1], self.names(kind)], 1))


class Tied(nn.Module):
    """One weight in two layers."""

    def __init__(self):
        super().__init__()
        self.table, self.mix = nn.Embedding(7, 5), nn.Linear(5, 5)
        self.out = nn.Linear(5, 7, bias=False)
        self.out.weight = self.table.weight

    def forward(self, x):
        return self.out(torch.tanh(self.mix(self.table(x))))


def images(rows=24):
    """Small images and classes."""
    y = np.arange(rows) % 2
    x = np.random.default_rng(3).normal(size=(rows, 1, 8, 8)) + y[:, None, None, None]
    return x.astype("float32"), y


def series(rows=32):
    """Dicts with two inputs and a real target."""
    rng = np.random.default_rng(4)
    steps, kind = rng.normal(size=(rows, 4, 2)), rng.integers(0, 5, rows)
    return {"steps": steps, "kind": kind, "y": (steps.sum((1, 2)) + kind)[:, None]}


def plain_loop(model, loader, loss, optimizer):
    """The loop of a user: one epoch, then a look at the training data."""
    model.train()
    for batch in loader:
        x, y = batch
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in loader)
    assert 0 <= right <= len(loader.dataset)


def whole_loop(model, loader, loss, optimizer, epochs):
    """The loop of another user: all epochs, with a schedule."""
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.9)
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            value = loss(model(x), y)
            value.backward()
            optimizer.step()
        schedule.step()
