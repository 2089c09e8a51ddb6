"""The monitor beside other ways of logging: hooks at every step, and Cockpit."""

import warnings
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from analysis_lib.curvature import Hessian, Layout, undisturbed
from analysis_lib.monitor import Monitor
from benchmarks.nets import NETS
from benchmarks.timing import cpu_seconds, paired_ratio

__all__ = ["measure_loggers"]

STEPS = {"mlp": 64, "lenet5": 32}
"""Optimizer steps per epoch of the nets whose whole runs are measured."""

TRACKED = ("mlp", "lenet5", "lstm", "resnet8_train")
"""Nets of which one tracked step is measured."""

EPOCHS = 2


class _Loop:
    """Training of a net on random batches of its data, with Adam."""

    def __init__(self, name: str, steps: int | None = None):
        torch.manual_seed(0)
        build, shape, classes = NETS[name]
        self.model = build()
        self.x = torch.randn((4 * 64, *shape[1:]))
        self.y = torch.randint(classes, (len(self.x),))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.loss = nn.CrossEntropyLoss()
        self.steps = steps or STEPS[name]
        self.probe = (self.x[:32], self.y[:32])

    def batches(self) -> Iterable[tuple[int, Tensor, Tensor]]:
        for step in range(self.steps):
            part = slice(step % 4 * 64, step % 4 * 64 + 64)
            yield step, self.x[part], self.y[part]

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def epochs(self, after: Callable[[int], object] = lambda epoch: None) -> None:
        for epoch in range(EPOCHS):
            for _, x, y in self.batches():
                self.step(x, y)
            after(epoch)


def bare(name: str) -> Callable[[], object]:
    return lambda: _Loop(name).epochs()


def monitored(name: str, **options) -> Callable[[], object]:
    def run() -> None:
        loop = _Loop(name)
        monitor = Monitor(loop.model, loop.optimizer, probe=loop.probe, loss=loop.loss, **options)
        with monitor:
            monitor.snapshot(-1)
            loop.epochs(monitor.snapshot)

    return run


def one_product(name: str) -> Callable[[], object]:
    """One product with its norms by layer at the end of every epoch, nothing else."""

    def run() -> None:
        loop = _Loop(name)
        loop.epochs(lambda epoch: _product(loop, *loop.probe))

    return run


def _product(loop: _Loop, x: Tensor, y: Tensor) -> np.ndarray:
    layout = Layout(loop.model)
    with undisturbed(loop.model):
        hessian = Hessian.of(lambda: loop.loss(loop.model(x), y), layout)
        product = hessian @ torch.ones_like(hessian.gradient)
    return layout.sums_by_layer(np.square(product.numpy()))


def every_step(name: str) -> Callable[[], object]:
    """Hooks on every layer at every step, each number taken out with ``item()``."""

    def run() -> None:
        loop = _Loop(name)
        seen: list[float] = []

        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            out = output.detach()
            seen.extend([out.mean().item(), out.std().item(), (out <= 0).float().mean().item()])

        for module in loop.model.modules():
            if not list(module.children()):
                module.register_forward_hook(hook)
        for _ in range(EPOCHS):
            for _, x, y in loop.batches():
                seen.append(loop.step(x, y).item())
                for p in loop.model.parameters():
                    g, w = p.grad, p.detach()
                    seen.extend([g.norm().item(), g.mean().item(), g.std().item()])
                    seen.extend([g.abs().max().item(), w.norm().item(), w.mean().item()])

    return run


# --- one tracked step --------------------------------------------------------------------------


def step_alone(name: str) -> Callable[[], object]:
    loop = _Loop(name, 1)
    (_, x, y) = next(iter(loop.batches()))
    return lambda: loop.step(x, y)


def step_and_product(name: str) -> Callable[[], object]:
    loop = _Loop(name, 1)
    (_, x, y) = next(iter(loop.batches()))

    def run() -> None:
        loop.step(x, y)
        _product(loop, x, y)

    return run


def step_and_snapshot(name: str) -> Callable[[], object]:
    """A step, and all channels on a probe as large as the batch."""
    loop = _Loop(name, 1)
    (_, x, y) = next(iter(loop.batches()))
    monitor = Monitor(loop.model, loop.optimizer, probe=(x, y), loss=loop.loss)
    loop.step(x, y)
    monitor.snapshot(-1)

    def run() -> None:
        loop.step(x, y)
        monitor.snapshot(0)

    return run


def cockpit_step(name: str, preset: str) -> Callable[[], object]:
    from backpack import extend
    from cockpit import Cockpit
    from cockpit.utils.configuration import configuration

    loop = _Loop(name, 1)
    (_, x, y) = next(iter(loop.batches()))
    model = extend(loop.model)
    loss, single = extend(nn.CrossEntropyLoss()), nn.CrossEntropyLoss(reduction="none")
    cockpit = Cockpit(model.parameters(), quantities=configuration(preset))
    taken = iter(range(10**9))

    def run() -> None:
        step = next(taken)
        loop.optimizer.zero_grad()
        output = model(x)
        mean = loss(output, y)
        info = {
            "batch_size": len(x),
            "individual_losses": single(output, y),
            "loss": mean,
            "optimizer": loop.optimizer,
        }
        with cockpit(step, info=info):
            mean.backward(create_graph=cockpit.create_graph(step))
        loop.optimizer.step()

    return run


RUNS = {
    "monitor, everything": monitored,
    "monitor, first order only": lambda n: monitored(n, skip=("curvature", "stability")),
    "one product by layer": one_product,
    "hooks at every step": every_step,
}

STEP = {
    "step and product by layer": step_and_product,
    "step and snapshot of everything": step_and_snapshot,
}

COCKPIT = {
    f"cockpit {preset}": lambda n, preset=preset: cockpit_step(n, preset)
    for preset in ("economy", "business", "full")
}


def measure_loggers(
    *,
    nets: Iterable[str] = TRACKED,
    repeats: int = 9,
    budget: float = 2.0,
    with_peers: bool = True,
) -> pd.DataFrame:
    """Processor time of whole runs over a bare loop, and of one tracked step over a plain one."""
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in nets:
            if name in STEPS:
                rows += _compare(name, "run", bare, RUNS, repeats, budget)
            methods = STEP | (COCKPIT if with_peers else {})
            rows += _compare(name, "tracked step", step_alone, methods, repeats, budget)
    return pd.DataFrame(rows)


def _compare(net: str, what: str, base, methods: dict, repeats: int, budget: float) -> list[dict]:
    tasks = {"gradient": lambda: base(net)}
    tasks |= {name: (lambda method=method: method(net)) for name, method in methods.items()}
    seconds, failures = cpu_seconds(tasks, repeats=repeats, budget=budget)
    rows = []
    for name in methods:
        row = {"net": net, "measured": what, "logger": name, "status": "ok"}
        if name in failures:
            rows.append({**row, "status": f"failed: {failures[name]}"})
            continue
        ratio, low, high, count = paired_ratio(seconds[name], seconds["gradient"])
        row |= {"repeats": count, "bare_ms": 1e3 * float(np.median(seconds["gradient"]))}
        rows.append({**row, "ratio": ratio, "ratio_q1": low, "ratio_q3": high})
    return rows
