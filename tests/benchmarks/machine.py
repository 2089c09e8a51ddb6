"""On what was measured, with what, and when."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

__all__ = ["PACKAGES", "describe_machine"]

PACKAGES = (
    "torch", "numpy", "scipy", "pyhessian", "curvlinops-for-pytorch", "hessian-eigenthings",
    "backpack-for-pytorch", "cockpit-for-pytorch",
)  # fmt: skip


def describe_machine(**settings: object) -> dict:
    """Processor, cores, versions and date, and the settings of the measurement."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "system": platform.platform(),
        "versions": versions,
        "date": datetime.now(UTC).date().isoformat(),
        "clock": "process CPU time",
        **settings,
    }


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    if known.exists():
        for line in known.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
