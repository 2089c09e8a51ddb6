"""The monitor as a Lightning callback: the same trace as in a plain loop, and no footprint."""

import subprocess
import sys

import pandas as pd
import pytest
import torch
from loops import LOSS, X, Y, network
from torch.utils.data import DataLoader, TensorDataset

from analysis_lib.errors import InputError
from analysis_lib.monitor import Monitor
from analysis_lib.monitor import lightning as ours

pl = pytest.importorskip(
    "pytorch_lightning", reason="pytorch-lightning is not installed; see tests/oracles.txt"
)
pytestmark = [
    # what it advises about the machine and the number of workers, and what torch says to it
    pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.isinstance.treespec:FutureWarning"),
]


class Module(pl.LightningModule):
    def __init__(self, *, automatic=True, optimizers=1, breaks=False):
        super().__init__()
        self.net, self.optimizer_count, self.breaks = network(), optimizers, breaks
        self.automatic_optimization = automatic

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, index):
        x, y = batch
        if self.breaks and index == 2:
            raise ZeroDivisionError
        loss = LOSS(self(x), y)
        self.log("train_loss", loss, on_epoch=True, on_step=False)
        self.log("other", 1.0)
        if not self.automatic_optimization:
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(loss)
            self.clip_gradients(optimizer, 0.5, "norm")
            optimizer.step()
        return loss

    def configure_optimizers(self):
        made = [torch.optim.Adam(self.parameters(), lr=0.01) for _ in range(self.optimizer_count)]
        return made if len(made) > 1 else made[0]


def fit(module, *callbacks, clip=None):
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        gradient_clip_val=clip,
    )
    torch.manual_seed(5)
    trainer.fit(module, DataLoader(TensorDataset(X, Y), batch_size=8))
    return module


def callback(**options):
    return ours.MonitorCallback(probe=(X, Y), loss=LOSS, every=1, **options)


def plain_loop():
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    torch.manual_seed(5)
    torch.empty((), dtype=torch.int64).random_()  # the loader draws a seed
    with Monitor(model, optimizer, probe=(X, Y), loss=LOSS, every=1, clip_norm=0.5) as monitor:
        monitor.snapshot(-1)
        for epoch in range(2):
            if epoch:
                torch.empty((), dtype=torch.int64).random_()
            for start in range(0, 40, 8):
                optimizer.zero_grad()
                LOSS(model(X[start : start + 8]), Y[start : start + 8]).backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
                optimizer.step()
            monitor.snapshot(epoch)
    return model, monitor


@pytest.mark.parametrize("automatic", [True, False])
def test_the_trace_is_that_of_a_plain_loop(automatic):
    watcher = callback() if automatic else callback(clip_norm=0.5)
    module = fit(Module(automatic=automatic), watcher, clip=0.5 if automatic else None)
    model, monitor = plain_loop()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, module.net.state_dict()[name]), name
    found, expected = watcher.monitor.trace, monitor.trace
    own = [c for c in expected if c != "train_loss" and not c.startswith(("deepfd_", "default_"))]
    pd.testing.assert_frame_equal(found[own], expected[own])
    assert found.train_loss.notna().tolist() == [False, True, True]
    layers = watcher.monitor.layers
    layers["layer"] = layers.layer.str.removeprefix("net.")
    pd.testing.assert_frame_equal(layers, monitor.layers)


@pytest.mark.parametrize("automatic", [True, False])
def test_it_leaves_no_footprint(automatic):
    watched, bare = fit(Module(automatic=automatic), callback()), fit(Module(automatic=automatic))
    for name, tensor in bare.state_dict().items():
        assert torch.equal(tensor, watched.state_dict()[name]), name


def test_hooks_are_gone_after_training_and_after_a_failure():
    for breaks in (False, True):
        watcher = callback()
        if breaks:
            with pytest.raises(ZeroDivisionError):
                fit(Module(breaks=True), watcher)
        else:
            fit(Module(), watcher)
        optimizer = watcher.monitor._sampler.optimizer
        assert not optimizer._optimizer_step_pre_hooks
        assert not optimizer._optimizer_step_post_hooks
        assert len(watcher.monitor.trace) == (1 if breaks else 3)


def test_two_optimizers_are_refused():
    with pytest.raises(InputError, match="Module has 2 optimizers"):
        fit(Module(automatic=False, optimizers=2), callback())


def test_without_lightning_the_callback_says_so_and_the_package_does_not_care(monkeypatch):
    monkeypatch.setattr(ours, "Callback", object)
    with pytest.raises(InputError, match="needs Lightning, which is not installed"):
        callback()
    code = (
        "import sys, analysis_lib.monitor; "
        "sys.exit(any(m.split('.')[0] in ('pytorch_lightning', 'lightning') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
