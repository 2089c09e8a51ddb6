"""A small task and the plain loop that the monitor watches."""

import torch
from torch import nn

from analysis_lib.monitor import Monitor

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 3
LOSS = nn.functional.cross_entropy


def network():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
    )


def loop(model, optimizer, snapshot, *, epochs=3, after_step=lambda: None):
    snapshot(-1)
    for epoch in range(epochs):
        for start in range(0, 40, 8):
            optimizer.zero_grad()
            rows = slice(start, start + 8)
            loss = LOSS(model(X[rows]), Y[rows])
            loss.backward()
            optimizer.step()
            after_step()
        snapshot(epoch, train_loss=loss.item())


def watched(make_optimizer=lambda p: torch.optim.Adam(p, lr=0.01), *, epochs=3, **options):
    model = network()
    optimizer = make_optimizer(model.parameters())
    torch.manual_seed(5)
    with Monitor(model, optimizer, probe=(X, Y), loss=LOSS, **options) as monitor:
        loop(model, optimizer, monitor.snapshot, epochs=epochs)
    return model, optimizer, monitor


def one_look(model, probe=(X, Y), loss=LOSS, **options):
    """The monitor after one snapshot of a model under gradient descent."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Monitor(model, optimizer, probe=probe, loss=loss, **options) as monitor:
        monitor.snapshot(-1)
    return monitor
