"""Everything that one look at a model on its probe batch yields."""

import warnings
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from analysis_lib.curvature import (
    Hessian,
    Layout,
    NoSecondDerivative,
    Spectrum,
    critical_multiple,
    gradient_noise,
    hutchinson,
    lanczos,
    loss_along,
    preconditioner,
    proposed_update,
    rademacher,
    relative_progress,
    rho,
    twice_differentiable,
    undisturbed,
)
from analysis_lib.curvature.noise import Noise
from analysis_lib.errors import InputError
from analysis_lib.monitor.activations import ForwardWatch

__all__ = ["Probe"]

SIGNS = 4
"""Probes with random signs per snapshot; the same ones at every snapshot."""

COLD, WARM = 10, 5
"""Lanczos steps at the first snapshot, and at later ones, which start from the last vectors."""

MICRO_BATCHES = 2
"""Parts of the probe batch between which gradient noise is measured."""


class Probe:
    """A fixed batch on which a model is measured.

    Parameters
    ----------
    model : torch.nn.Module
    optimizer : torch.optim.Optimizer
    batch : tuple of Tensor
        Inputs of the model and, last, the target.
    loss : callable
    seed : int
    guard : iterable of torch.nn.Module
        Further modules that the loss runs.
    clip_norm : float, optional
    accumulate : bool
    skip : set of str
        Groups of channels that are not measured: ``curvature``, ``stability``.

    Attributes
    ----------
    layout : Layout
    order : list of str
        Layers in the order in which the first look saw them run.
    second_order : str
        ``exact``, or why there is no second derivative.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        batch: tuple[Tensor, ...],
        loss: Callable[[Tensor, Tensor], Tensor],
        seed: int,
        guard: Iterable[nn.Module],
        clip_norm: float | None,
        accumulate: bool,
        skip: frozenset[str],
    ):
        self.model = getattr(model, "_orig_mod", model)  # the module behind torch.compile
        self.optimizer, self.loss, self.seed, self.skip = optimizer, loss, seed, skip
        self.batch = tuple(batch)
        self.guard = (self.model, *guard)
        self.options = {"clip_norm": clip_norm, "accumulate": accumulate}
        self.layout = Layout(self.model)
        modules = dict(self.model.named_modules())
        self.modules = {n: modules["" if n == "(model)" else n] for n in self.layout.layers}
        self.order: list[str] = []
        self.second_order = "exact"
        # signs are kept in eight bits: drawing or storing them in full costs more than a product
        self._signs = rademacher(self.layout.size, probes=SIGNS, seed=seed)
        self._warm: dict[str, Tensor] = {}

    def measure(self) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        """Return the channels of the snapshot, and those of each layer."""
        row: dict[str, float] = {}
        vectors: dict[str, Tensor] = {}
        with undisturbed(*self.guard, seed=self.seed) as reset:
            with twice_differentiable():
                with ForwardWatch(self.model, self.modules) as watch:
                    output = self.model(*self.batch[:-1])
                loss = self.loss(output, self.batch[-1])
            self.order = self.order or [
                *watch.order,
                *(layer for layer in self.modules if layer not in watch.order),
            ]
            value = float(loss.detach())
            hessian = self._hessian(loss, value)
            gradient = self._gradient(loss) if hessian is None else hessian.gradient
            vectors["g"] = gradient
            if np.isfinite(value) and torch.isfinite(gradient).all():
                if "stability" not in self.skip:
                    self._propose(gradient, vectors)
                if hessian is not None:
                    self._curve(hessian, vectors, row)
                del hessian, loss, output
                if "d" in vectors:
                    row |= self._step(value, vectors, reset)
        with torch.no_grad(), np.errstate(all="ignore"):
            return self._summary({"probe_loss": value, **row}, vectors, watch)

    def _hessian(self, loss: Tensor, value: float) -> Hessian | None:
        wanted = {"curvature", "stability"} - self.skip
        known = np.isfinite(value) and loss.requires_grad
        if not wanted or not known or self.second_order != "exact":
            return None
        try:
            return Hessian(loss, self.layout)
        except NoSecondDerivative as error:
            self.second_order = str(error)
            return None

    def _gradient(self, loss: Tensor) -> Tensor:
        if not loss.requires_grad:
            return torch.zeros_like(self.layout.flatten(self.layout.parameters))
        found = torch.autograd.grad(
            loss,
            self.layout.parameters,
            allow_unused=True,
            materialize_grads=True,
        )
        return self.layout.flatten(found)

    def _propose(self, gradient: Tensor, vectors: dict[str, Tensor]) -> None:
        """Add the update ``d`` the optimizer would make, unless that overflows."""
        try:
            update = proposed_update(self.optimizer, self.layout, gradient, **self.options)
        except InputError as error:
            self.skip |= {"stability"}
            warnings.warn(f"{error}: no rho, kappa, chi and progress are recorded", stacklevel=2)
            return
        if torch.isfinite(update).all():
            vectors["d"] = update

    def _curve(self, hessian: Hessian, vectors: dict[str, Tensor], row: dict[str, float]) -> None:
        """Take every product of the snapshot on one graph."""
        signs = self._signs.to(hessian.gradient)
        wanted = [] if "curvature" in self.skip else list(signs)
        if "d" in vectors:
            length = float(vectors["d"].norm()) or 1.0
            wanted.append((vectors["d"] / length).to(signs))
        if not wanted:
            return
        try:
            products = hessian @ torch.stack(wanted)
            if "d" in vectors:
                vectors["hd"] = products[-1].double() * length
            if "curvature" not in self.skip:
                vectors["v"], vectors["hv"] = signs, products[:SIGNS]
                row |= self._lambda(hessian, signs[0])
            if "d" in vectors:
                row |= self._kappa(hessian, signs[0], row)
        except NoSecondDerivative as error:
            self.second_order = str(error)

    def _kappa(self, hessian: Hessian, start: Tensor, row: dict[str, float]) -> dict[str, float]:
        scale = preconditioner(self.optimizer, self.layout)
        if scale is None:
            return {}
        if isinstance(scale, float) and "lambda_max" in row:
            return {"kappa": scale**2 * row["lambda_max"]}
        ends = self._ends("kappa", lambda v: scale * (hessian @ (scale * v)), start)
        return {} if ends is None else {"kappa": ends.largest}

    def _lambda(self, hessian: Hessian, start: Tensor) -> dict[str, float]:
        ends = self._ends("lambda", hessian.__matmul__, start)
        if ends is None:
            return {}
        return {
            "lambda_max": ends.largest,
            "lambda_min": ends.smallest,
            "lambda_residual": ends.largest_residual,
        }

    def _ends(self, name: str, matvec: Callable[[Tensor], Tensor], cold: Tensor) -> Spectrum | None:
        """Both ends of a spectrum, started from where the last snapshot found them."""
        warm = self._warm.get(name)
        start, steps = (cold, COLD) if warm is None else (warm, WARM)
        ends = lanczos(matvec, start, steps=steps)
        if not np.isfinite(ends.largest):
            return None
        # the sum of both vectors, because from the top one alone the bottom is hardly found
        self._warm[name] = ends.largest_vector + ends.smallest_vector
        return ends

    def _step(
        self, value: float, vectors: dict[str, Tensor], reset: Callable[[], None]
    ) -> dict[str, float]:
        """Follow the update by forward passes, and measure the gradient's noise."""
        update = vectors["d"]
        slope = float(vectors["g"].double() @ update)
        row = {}
        guess = 1.0
        if "hd" in vectors:
            row["rho"] = rho(slope, float(update @ vectors["hd"]))
            guess = 1 / row["rho"] if row["rho"] else 1.0
        with loss_along(self._loss_of, self.layout, update, reset=reset) as loss_at:
            row["chi"] = critical_multiple(loss_at, value, guess=guess, refinements=1).chi
            row["next_loss"] = loss_at(1.0)
        row["progress"] = relative_progress(value, row["next_loss"], slope)
        noise = self._noise(reset)
        return row if noise is None else row | {"grad_snr": noise.snr}

    def _noise(self, reset: Callable[[], None]) -> Noise | None:
        """Compare the gradients of the two halves of the probe, where it can be halved."""
        rows = {len(t) if torch.is_tensor(t) and t.ndim else 0 for t in self.batch}
        size = min(rows) // MICRO_BATCHES
        if len(rows) > 1 or size < 2:  # BatchNorm needs two rows
            return None
        parts = []
        for part in range(MICRO_BATCHES):
            reset()
            try:
                loss = self._loss_of(slice(part * size, (part + 1) * size))
            except (RuntimeError, ValueError, IndexError):
                return None  # a model whose rows belong together, such as the nodes of one graph
            parts.append(self._gradient(loss))
        return gradient_noise(torch.stack(parts).double().cpu().numpy(), size)

    def _loss_of(self, rows: slice = slice(None)) -> Tensor:
        batch = self.batch if rows == slice(None) else tuple(t[rows] for t in self.batch)
        return self.loss(self.model(*batch[:-1]), batch[-1])

    def _summary(
        self, row: dict[str, float], vectors: dict[str, Tensor], watch: ForwardWatch
    ) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        layout = self.layout
        w = layout.flatten(layout.parameters).double().cpu().numpy()
        arrays = {name: v.double().cpu().numpy() for name, v in vectors.items()}
        g = arrays["g"]
        tensors = np.sqrt(layout.sums_by_tensor(np.square(g)))
        kernels = [i for i, p in enumerate(layout.parameters) if p.ndim >= 2] or [0]
        row |= {
            "grad_norm": _length(g),
            "grad_mean": g.mean(),
            "grad_std": g.std(),
            "grad_abs_mean": np.abs(g).mean(),
            "grad_abs_max": np.abs(g).max(),
            "grad_zero_share": np.mean(g == 0),
            "grad_norm_first": tensors[kernels[0]],
            "grad_norm_last": tensors[kernels[-1]],
            **_five("grad_tensor", tensors),
            "grad_nonfinite": int(np.count_nonzero(~np.isfinite(g))),
            "weight_norm": _length(w),
            "weight_mean": w.mean(),
            "weight_std": w.std(),
            "weight_abs_max": np.abs(w).max(),
            "weight_large_count": int(np.count_nonzero(np.abs(w) > 10)),
            "weight_nonfinite": int(np.count_nonzero(~np.isfinite(w))),
            **watch.channels(),
        }
        by_layer = {
            "weight_norm": np.sqrt(layout.sums_by_layer(np.square(w))),
            "grad_norm": np.sqrt(layout.sums_by_layer(np.square(g))),
        }
        if "hv" in arrays:
            v, hv = arrays["v"], arrays["hv"]
            sizes = layout.sums_by_layer(np.ones_like(g))
            norms = np.sqrt(layout.sums_by_layer(np.square(hv)) / sizes).mean(0)
            estimate = hutchinson(v, hv)
            row |= {
                "hvp_norm": np.sqrt(np.square(hv).mean(1)).mean(),
                **_five("hvp_layer", norms),
                "hessian_trace": estimate.estimate,
                "hessian_trace_se": estimate.standard_error,
            }
            by_layer["hvp_norm"] = norms
            by_layer["rayleigh"] = layout.sums_by_layer(v * hv).mean(0) / sizes
        if "d" in arrays:
            d = arrays["d"]
            row["update_cosine"] = _quotient(-(g @ d), _length(g) * _length(d))
        if "hd" in arrays:
            hd = arrays["hd"]
            row["update_curvature"] = _quotient(d @ hd, d @ d)
            parts = layout.sums_by_layer(d * hd)
            by_layer["rho"] = np.where(parts == 0, 0.0, parts / (2 * abs(g @ d)))
        per_layer = {}
        for i, layer in enumerate(layout.layers):
            seen = np.array(watch.outputs[layer] or [(np.nan, np.nan)])
            dead, saturated = watch.layer_shares(layer)
            per_layer[layer] = {
                **{name: float(values[i]) for name, values in by_layer.items()},
                "output_mean": seen[:, 0].mean(),
                "output_std": seen[:, 1].mean(),
                "dead_share": dead,
                "saturated_share": saturated,
            }
        return row, per_layer


def _quotient(above: float, below: float) -> float:
    """A quotient that is 0 for a step or gradient of length 0, which has no direction."""
    return 0.0 if below == 0 else float(above / below)


def _length(values: np.ndarray) -> float:
    return float(np.sqrt(np.sum(np.square(values))))


def _five(name: str, values: np.ndarray) -> dict[str, float]:
    return {
        f"{name}_mean": values.mean(),
        f"{name}_std": values.std(),
        f"{name}_max": values.max(),
        f"{name}_min": values.min(),
        f"{name}_median": np.median(values),
    }
