"""Statistics of the optimizer's steps, sampled by hooks on the optimizer."""

import math

import numpy as np
import torch
from torch import Tensor

from analysis_lib.curvature import Layout

__all__ = ["STEP_CHANNELS", "StepSampler"]

STEP_CHANNELS = (
    "step_grad_norm_mean", "step_grad_norm_std", "step_grad_norm_max", "grad_noise",
    "update_ratio", "update_norm", "epoch_change", "first_moment_norm", "second_moment_norm",
)  # fmt: skip
"""Channels of :meth:`StepSampler.summary`; 0 before the first step."""


class StepSampler:
    """Watch every ``every``-th step of an optimizer between two snapshots.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    layout : Layout
        Of the model.
    every : int
    """

    def __init__(self, optimizer: torch.optim.Optimizer, layout: Layout, *, every: int):
        self.optimizer, self.layout, self.every = optimizer, layout, every
        self.parameters = layout.parameters
        self.restart()

    def attach(self) -> list:
        """Register the hooks; returns their handles."""
        return [
            self.optimizer.register_step_pre_hook(self._before),
            self.optimizer.register_step_post_hook(self._after),
        ]

    @torch.no_grad()
    def restart(self) -> None:
        """Forget the steps so far."""
        self._last = [p.detach().clone() for p in self.parameters]
        self._step = 0
        self._late = False
        self._norms: list[Tensor] = []
        self._moved: list[Tensor] = []
        self._sizes: list[Tensor] = []
        self._gradient_sum: list[Tensor] = []
        self._copies: list[Tensor] | None = None

    @torch.no_grad()
    def _before(self, optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
        sampled = self._step % self.every == 0
        self._step += 1
        self._copies = [p.detach().clone() for p in self.parameters] if sampled else None
        # a closure computes its gradients within the step; without one they are read before it,
        # because some steps write into them
        self._late = any(callable(a) for a in (*args[1:], *kwargs.values()))
        if sampled and not self._late:
            self._gather()

    def _gather(self) -> None:
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        gradients = [g.to_dense() if g.is_sparse else g for g in found]
        self._norms.append(torch.stack(torch._foreach_norm(gradients)))
        if self._gradient_sum:
            torch._foreach_add_(self._gradient_sum, gradients)
        else:
            self._gradient_sum = [g.clone() for g in gradients]

    @torch.no_grad()
    def _after(self, *_: object) -> None:
        if self._copies is None:
            return
        if self._late:
            self._gather()
        difference = torch._foreach_sub(self.parameters, self._copies)
        self._moved.append(torch.stack(torch._foreach_norm(difference)))
        self._sizes.append(torch.stack(torch._foreach_norm(self._copies)))
        self._copies = None

    @torch.no_grad()
    def summary(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the step channels, and the update ratio of each layer."""
        if not self._moved:
            return dict.fromkeys(STEP_CHANNELS, 0.0), dict.fromkeys(self.layout.layers, 0.0)
        with np.errstate(all="ignore"):
            tensors = _array(self._norms)
            moved, sizes = _array(self._moved), _array(self._sizes)
            norms, n = np.sqrt(tensors.sum(1)), len(tensors)
            mean_square = _square(self._gradient_sum) / n**2
            noise = (np.mean(norms**2) - mean_square) / max(mean_square, 1e-30)
            change = math.sqrt(_square(torch._foreach_sub(self.parameters, self._last)))
            row = {
                "step_grad_norm_mean": norms.mean(),
                "step_grad_norm_std": norms.std(),
                "step_grad_norm_max": norms.max(),
                "grad_noise": max(noise, 0.0) if math.isfinite(noise) else noise,
                "update_ratio": _ratio(moved.sum(1), sizes.sum(1)).mean(),
                "update_norm": np.sqrt(moved.sum(1)).mean(),
                "epoch_change": change / max(math.sqrt(_square(self._last)), 1e-12),
                "first_moment_norm": self._moment("exp_avg", "momentum_buffer"),
                "second_moment_norm": self._moment("exp_avg_sq", "square_avg", "sum", "exp_inf"),
            }
            ratios = {
                layer: float(_ratio(moved[:, where].sum(1), sizes[:, where].sum(1)).mean())
                for layer, where in self.layout.layers.items()
            }
        return row, ratios

    def _moment(self, *keys: str) -> float:
        state = self.optimizer.state
        found = [
            state[p][key].to_dense() if state[p][key].is_sparse else state[p][key]
            for p in self.parameters
            for key in keys
            if p in state and torch.is_tensor(state[p].get(key))
        ]
        return math.sqrt(_square(found)) if found else 0.0


def _array(norms: list[Tensor]) -> np.ndarray:
    """Squared norms of shape (steps, tensors) in float64."""
    return torch.stack(norms).double().square().cpu().numpy()


def _square(tensors: list[Tensor]) -> float:
    return float(torch.stack(torch._foreach_norm(tensors)).double().square().sum())


def _ratio(moved: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.sqrt(moved) / np.maximum(np.sqrt(sizes), 1e-12)
