"""What the monitor adds to whole runs: by program, by steps per snapshot, by group of channels."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import numpy as np
import pandas as pd

from analysis_lib import training
from analysis_lib.configuration import EPOCHS, Configuration, Run
from analysis_lib.monitor import Monitor
from analysis_lib.programs import get_program, list_programs, program
from benchmarks.timing import cpu_seconds, paired_ratio

__all__ = ["VARIANTS", "measure_groups", "measure_telemetry"]

RARELY = 10**9


class _Nothing:
    """A recorder that keeps what a bare loop would keep: losses and the metric."""

    def __init__(self, *_, **__):
        self.rows = []

    def missing(self, epoch: int, **metrics: float) -> None:
        self.rows.append({"epoch": epoch, "train_loss": np.nan, "valid_loss": np.nan, **metrics})

    @property
    def trace(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows)

    layers = None


VARIANTS: Mapping[str, Callable | None] = {
    "everything": Monitor,
    "without stability": partial(Monitor, skip=("stability",)),
    "without curvature": partial(Monitor, skip=("curvature",)),
    "first order only": partial(Monitor, skip=("curvature", "stability")),
    "first order, steps not sampled": partial(
        Monitor, skip=("curvature", "stability"), every=RARELY
    ),
    "tables and flags only": None,
}
"""What is recorded -> the recorder; None: the tables are made, the model is not looked at."""


def _run(name: str, variant: str | None, epochs: int) -> Callable[[], object]:
    run = Run(Configuration(name), 0, epochs=epochs)
    if variant is None:
        recorder = _Nothing
    else:
        recorder = VARIANTS[variant] or Monitor
    looking = variant is not None and VARIANTS[variant] is not None

    def train() -> object:
        with patch.object(training, "Monitor", recorder):
            return training.train(run, monitor=looking)

    return train


@contextmanager
def _longer(name: str, factor: int) -> Iterator[None]:
    """A program whose epochs have ``factor`` times as many steps."""
    changed = replace(get_program(name), passes=get_program(name).passes * factor)
    with patch.dict(program._REGISTRY, {name: changed}):
        yield


def _measure(name: str, variants: Iterable[str], *, epochs: int, repeats: int) -> list[dict]:
    tasks = {"bare": lambda: _run(name, None, epochs)}
    tasks |= {v: (lambda v=v: _run(name, v, epochs)) for v in variants}
    seconds, failures = cpu_seconds(tasks, repeats=repeats, budget=np.inf, sample=0.0)
    if failures:
        raise RuntimeError(f"{name}: {failures}")
    steps = training.train(Run(Configuration(name), 0, epochs=1), monitor=False).record["steps"]
    rows = []
    for variant in variants:
        ratio, low, high, count = paired_ratio(seconds[variant], seconds["bare"])
        rows.append(
            {
                "program": name,
                "recorded": variant,
                "epochs": epochs,
                "steps_per_epoch": steps,
                "repeats": count,
                "bare_s": float(np.median(seconds["bare"])),
                "step_ms": 1e3 * float(np.median(seconds["bare"])) / (steps * epochs),
                "ratio": ratio,
                "ratio_q1": low,
                "ratio_q3": high,
                "snapshot_ms": 1e3
                * float(np.median(seconds[variant] - seconds["bare"]))
                / (epochs + 1),
            }
        )
    return rows


def measure_telemetry(
    *,
    programs: Iterable[str] | None = None,
    factors: Iterable[int] = (1, 4, 16),
    longer: Iterable[str] = ("mlp_breast_cancer", "lenet5_mnist", "gru_storms", "gat_digits_knn"),
    epochs: int = EPOCHS,
    repeats: int = 4,
) -> pd.DataFrame:
    """Processor time of a run with the monitor over that of a bare loop.

    ``factor`` multiplies the steps of an epoch, between which snapshots are taken. The bare loop
    keeps losses and metric, and makes no table of channels.
    """
    rows = []
    for name in [p.name for p in list_programs()] if programs is None else programs:
        for factor in factors if name in longer else [1]:
            with _longer(name, factor):
                few = epochs if factor == 1 else min(epochs, 4 if factor < 10 else 2)
                times = repeats if factor == 1 else min(repeats, 3)
                for row in _measure(name, ["everything"], epochs=few, repeats=times):
                    rows.append({"factor": factor, **row})
    return pd.DataFrame(rows).drop(columns="recorded")


def measure_groups(
    *, programs: Iterable[str] | None = None, epochs: int = 4, repeats: int = 3
) -> pd.DataFrame:
    """The same with groups of channels left out."""
    rows = []
    for name in [p.name for p in list_programs()] if programs is None else programs:
        rows += _measure(name, list(VARIANTS), epochs=epochs, repeats=repeats)
    return pd.DataFrame(rows)
