"""A trainer without torch: real traces by formula, and every way a process can go wrong.

The operator of the run names what happens; everything else trains "healthily".
"""

import ctypes
import hashlib
import os
import signal
import sys
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.channels import CHANNELS, LAYER_CHANNELS

TRAINER = f"{__name__}:train"
FOREVER = 10**9


@dataclass
class Trace:
    status: str
    reason: str
    epochs: pd.DataFrame
    layers: pd.DataFrame
    record: dict


class Unpicklable(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")

    def __reduce__(self):
        raise RuntimeError("never")


class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no message")


def tables(run, *, bad=None):
    """Epochs and layers of a run; from epoch ``bad`` on everything is NaN."""
    rng = np.random.default_rng(run.seed_of("fault"))
    epoch = np.arange(-1, run.epochs, dtype=np.int16)
    values = rng.random((len(epoch), len(CHANNELS)), dtype=np.float32)
    if bad is not None:
        values[epoch >= bad] = np.nan
    epochs = pd.DataFrame(values, columns=list(CHANNELS))
    epochs.insert(0, "epoch", epoch)
    names = ["first", "last"]
    layers = pd.DataFrame(
        rng.random((len(epoch) * 2, len(LAYER_CHANNELS)), dtype=np.float32),
        columns=list(LAYER_CHANNELS),
    )
    layers.insert(0, "depth", np.tile([0.0, 1.0], len(epoch)))
    layers.insert(0, "layer", names * len(epoch))
    layers.insert(0, "epoch", np.repeat(epoch, 2))
    return epochs, layers


def trace_of(run, *, bad=None):
    """The trace every healthy call of :func:`train` returns."""
    epochs, layers = tables(run, bad=bad)
    last = float(epochs["valid_metric"].iloc[-1])
    record = {
        "parameters_count": np.int64(42),
        "weights_digest": hashlib.sha256(run.key.encode()).hexdigest(),
        "learning_rate": 0.1,
        "batch_size": 32,
        "steps": 10 * run.epochs,
        "optimizer": "sgd",
        "loss": "mse",
        "metric_name": "accuracy",
        "final_metric": last,
    }
    status = "ok" if bad is None else "nonfinite"
    reason = "" if bad is None else f"loss is NaN at epoch {bad}"
    return Trace(status, reason, epochs, layers, record)


def fail(run):
    """Do what the operator says."""
    match run.configuration.operator:
        case "RAISE":
            raise ValueError("shape\n\x1b[31m mismatch " + "x" * 10_000)
        case "UNPICKLABLE":
            raise Unpicklable("this", "that")
        case "SILENT":
            raise Silent
        case "MEMORY":
            raise MemoryError("too much")
        case "HUNGRY":
            np.ones(FOREVER)
        case "EXIT":
            os._exit(3)
        case "SYSEXIT":
            sys.exit(4)
        case "KILL":
            os.kill(os.getpid(), signal.SIGKILL)
        case "ONCE":  # killed from outside, but only the first time
            mark = run.configuration.parameters["mark"]
            if not os.path.exists(mark):
                open(mark, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
        case "SEGFAULT":
            ctypes.string_at(0)
        case "BUSY":
            while True:
                pass
        case "SLEEP":
            time.sleep(FOREVER)
        case "FROZEN":  # in C, with the interpreter's lock held
            ctypes.PyDLL(None).pause()
        case "WORK":
            until = time.process_time() + float(run.configuration.parameters["s"])
            while time.process_time() < until:
                pass
        case "SLOW":
            time.sleep(float(run.configuration.parameters["s"]))
        case "CLOSE":
            for fd in range(3, 64):
                try:
                    os.close(fd)
                except OSError:
                    pass
            time.sleep(FOREVER)


def train(run):
    """Stand in for ``analysis_lib.training.train``."""
    fail(run)
    return trace_of(run, bad=2 if run.configuration.operator == "NONFINITE" else None)


def wrong(run):
    """A trainer that forgets a channel and measures another one in float64."""
    trace = trace_of(run)
    trace.epochs = trace.epochs.drop(columns="train_loss").astype({"grad_norm": "float64"})
    return trace


def broken(run):
    """A trainer that never works for one program."""
    if run.configuration.program == "hopeless":
        raise RuntimeError("no data")
    return trace_of(run)


def look(run):
    """A trainer that reports what it finds imported."""
    trace = trace_of(run)
    tasks = len(os.listdir("/proc/self/task"))
    trace.record |= {"optimizer_ready": "torch._dynamo" in sys.modules, "threads": tasks}
    return trace
