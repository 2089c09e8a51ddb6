"""Benchmarks of curvature and monitor against other packages: ``python -m benchmarks``."""
