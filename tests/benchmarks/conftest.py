"""Makes the benchmarks importable as a package."""

import sys
from pathlib import Path

TESTS = str(Path(__file__).parents[1])
if TESTS not in sys.path:
    sys.path.insert(0, TESTS)

collect_ignore = [
    "bench_trainer.py",
    "scale.py",
]  # scripts of the engine's measurement, not modules
