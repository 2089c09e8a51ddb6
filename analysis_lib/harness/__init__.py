"""The gap of any technique on any table of runs: scores, parts, controls, checks, as a report.

A table has a row per run: features, the program, the class, and, if known, the configuration (what
seeds of one fault with the same parameters share), seed, session, operator and family. See
:func:`analysis_lib.harness.measure.gap_report`.
"""

from analysis_lib.harness.bound import ESTIMATORS, FiniteValues
from analysis_lib.harness.findings import CODES, list_checks
from analysis_lib.harness.foreign import foreign_traces
from analysis_lib.harness.measure import gap_report
from analysis_lib.harness.reading import read_table
from analysis_lib.harness.report import GapReport

__all__ = [
    # the report
    "GapReport",
    "gap_report",
    "read_table",
    # the checks
    "CODES",
    "list_checks",
    # techniques by name
    "ESTIMATORS",
    "FiniteValues",
    # an example
    "foreign_traces",
]
