"""What is recorded of a training run, in anybody's own loop, without changing it."""

from analysis_lib.monitor.recorder import Monitor

__all__ = ["Monitor"]
