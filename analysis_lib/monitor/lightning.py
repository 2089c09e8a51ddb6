"""The monitor as a callback of Lightning; imported only by those who use it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from analysis_lib.channels import CHANNELS
from analysis_lib.errors import InputError
from analysis_lib.monitor.recorder import Monitor

try:
    from pytorch_lightning import Callback
except ImportError:
    try:
        from lightning.pytorch import Callback
    except ImportError:
        Callback = object

__all__ = ["MonitorCallback"]


class MonitorCallback(Callback):
    """Record the channels of a Lightning run: before training and at the end of every epoch.

    Serves modules with one optimizer, optimized automatically or by hand. Whatever the module
    logs under the name of a channel (``train_loss``, ``valid_accuracy``, ...) is recorded too.

    Parameters
    ----------
    probe : tuple of Tensor
        Inputs of ``forward`` and, last, the target: a fixed batch of training data.
    loss : callable
        ``loss(prediction, target)`` returns the scalar that ``training_step`` minimises.
    **options
        Of :class:`~analysis_lib.monitor.Monitor`; ``clip_norm`` is the trainer's unless given.

    Attributes
    ----------
    monitor : Monitor or None
        With ``trace`` and ``layers``; None before training.

    Raises
    ------
    InputError
        If Lightning is not installed, or the module has not exactly one optimizer.

    Examples
    --------
    >>> probe = torch.randn(32, 4), torch.randn(32, 1)
    >>> callback = MonitorCallback(probe=probe, loss=torch.nn.functional.mse_loss)
    >>> # Trainer(callbacks=[callback]).fit(module, loader); callback.monitor.trace
    """

    def __init__(
        self,
        *,
        probe: tuple[Tensor, ...],
        loss: Callable[[Tensor, Tensor], Tensor],
        **options: Any,
    ):
        if Callback is object:
            raise InputError(
                "MonitorCallback needs Lightning, which is not installed: pip install "
                "pytorch-lightning, or use analysis_lib.Monitor in a loop of your own"
            )
        super().__init__()
        self.probe, self.loss, self.options = probe, loss, options
        self.monitor: Monitor | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Look at the model before its first step."""
        if len(trainer.optimizers) != 1:
            raise InputError(
                f"{type(pl_module).__name__} has {len(trainer.optimizers)} optimizers; "
                "MonitorCallback serves one: use one analysis_lib.Monitor for each instead"
            )
        probe = tuple(t.to(pl_module.device) if torch.is_tensor(t) else t for t in self.probe)
        options = dict(self.options)
        if trainer.gradient_clip_val and trainer.gradient_clip_algorithm in (None, "norm"):
            options.setdefault("clip_norm", float(trainer.gradient_clip_val))
        (optimizer,) = trainer.optimizers
        self.monitor = Monitor(pl_module, optimizer, probe=probe, loss=self.loss, **options)
        self.monitor.__enter__()
        self.monitor.snapshot(-1)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Look at the model after an epoch."""
        assert self.monitor is not None  # made when training starts
        logged = {n: float(v) for n, v in trainer.callback_metrics.items() if n in CHANNELS}
        self.monitor.snapshot(trainer.current_epoch, **logged)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Take the hooks off the optimizer."""
        if self.monitor is not None:
            self.monitor.__exit__()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Take the hooks off the optimizer, also where training fails."""
        if self.monitor is not None:
            self.monitor.__exit__()
