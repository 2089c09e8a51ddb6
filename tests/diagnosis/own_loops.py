"""Training loops that no program of ours is: other data, other models, plain PyTorch."""

import numpy as np
import torch
from sklearn.datasets import load_diabetes, make_classification
from torch import nn

from analysis_lib import Monitor

CAUSES = {
    "none": "Healthy",
    "rate x 100": "Hyperparameter",
    "rate / 1000": "Hyperparameter",
    "summed loss": "Loss",
    "biases of -100": "Weights",
    "weights x 10": "Weights",
    "no activation": "Activation",
    "sigmoid everywhere": "Activation",
    "half the labels wrong": "Data",
    "weight decay of 1": "Regularization",
    "dropout of 0.9": "Regularization",
    "SGD for Adam, or the reverse": "Optimization",
    "zero gradients": "Loop",
    "gradients never cleared": "Loop",
    "loss ascended": "Loop",
}
"""What is planted, and the category under which the corpus has the like."""

LOOPS = ("diabetes", "clusters", "waves")


class Waves(nn.Module):
    """A recurrent net over the values of a series, and a linear layer on its last state."""

    def __init__(self, activation, dropout):
        super().__init__()
        self.cell = nn.GRU(1, 16, batch_first=True)
        self.head = nn.Sequential(nn.Linear(16, 16), activation(), dropout, nn.Linear(16, 3))

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


def _task(name, fault):
    activation = {"no activation": nn.Identity, "sigmoid everywhere": nn.Sigmoid}.get(fault)
    dropout = nn.Dropout(0.9) if fault == "dropout of 0.9" else nn.Identity()
    rng = np.random.default_rng(3)
    if name == "diabetes":
        x, y = load_diabetes(return_X_y=True)
        x, y = x / x.std(0), ((y - y.mean()) / y.std())[:, None]
        act = activation or nn.ReLU
        model = nn.Sequential(
            nn.Linear(10, 32), act(), nn.Linear(32, 32), act(), dropout, nn.Linear(32, 1)
        )
        return x, y, model, nn.functional.mse_loss, ("sgd", 0.1)
    if name == "clusters":
        x, y = make_classification(
            600, 20, n_informative=8, n_classes=5, class_sep=1.5, random_state=0
        )
        act = activation or nn.ReLU
        model = nn.Sequential(
            *(nn.Linear(20, 48), nn.BatchNorm1d(48), act()),
            *(nn.Linear(48, 48), act(), dropout, nn.Linear(48, 5)),
        )
        return x, y, model, nn.functional.cross_entropy, ("adam", 3e-3)
    time = np.linspace(0, 1, 24)
    y = rng.integers(0, 3, 400)
    phase = rng.uniform(0, 6, (400, 1))
    x = np.sin(2 * np.pi * (1 + 2 * y[:, None]) * time + phase) + 0.3 * rng.normal(size=(400, 24))
    return x[:, :, None], y, Waves(activation or nn.Tanh, dropout), None, ("adam", 1e-2)


def train_own(name, fault="none", *, seed=0, epochs=5):
    """Train one loop with a planted fault; return its monitor."""
    torch.manual_seed(seed)
    x, y, model, loss_of, (kind, rate) = _task(name, fault)
    loss_of = loss_of or nn.functional.cross_entropy
    classes = y.ndim == 1
    if fault == "half the labels wrong":
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(y))[: len(y) // 2]
        y = y.copy()
        y[rows] = rng.permutation(y[rows])
    x = torch.tensor(x, dtype=torch.float32)
    y = torch.tensor(y, dtype=torch.long if classes else torch.float32)
    train, valid = slice(0, int(0.8 * len(x))), slice(int(0.8 * len(x)), None)
    with torch.no_grad():
        for key, p in model.named_parameters():
            if fault == "biases of -100" and key.endswith("bias") and "4" not in key:
                p.fill_(-100.0)
            if fault == "weights x 10" and p.ndim > 1:
                p.mul_(10.0)
    rate *= {"rate x 100": 100, "rate / 1000": 1e-3}.get(fault, 1)
    if fault == "SGD for Adam, or the reverse":
        kind = "adam" if kind == "sgd" else "sgd"
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[kind]
    decay = 1.0 if fault == "weight decay of 1" else 0.0
    optimizer = make(model.parameters(), lr=rate, weight_decay=decay)

    def loss(output, target):
        value = loss_of(output, target)
        value = value * len(output) if fault == "summed loss" else value
        value = -value if fault == "loss ascended" else value
        return value * 0.0 if fault == "zero gradients" else value

    def score(rows):
        model.eval()
        with torch.no_grad():
            output = model(x[rows])
            right = (output.argmax(1) == y[rows]).float().mean().item() if classes else np.nan
            value = loss(output, y[rows]).item()
        model.train()
        return value, right

    accumulate = fault == "gradients never cleared"
    probe = (x[:64], y[:64])
    with Monitor(model, optimizer, probe=probe, loss=loss, accumulate=accumulate) as monitor:
        for epoch in range(-1, epochs):
            losses = []
            for start in range(0, train.stop, 32) if epoch >= 0 else ():
                rows = slice(start, min(start + 32, train.stop))
                if not accumulate:
                    optimizer.zero_grad()
                value = loss(model(x[rows]), y[rows])
                value.backward()
                optimizer.step()
                losses.append(value.item())
            given = {"train_loss": np.mean(losses)} if losses else {}
            value, right = score(valid)
            given |= {"valid_loss": value, "valid_accuracy": right}
            if losses:
                given["train_accuracy"] = score(train)[1]
            monitor.snapshot(epoch, **given)
    return monitor
