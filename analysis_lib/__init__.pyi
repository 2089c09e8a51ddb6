# what a type checker sees of the names that are loaded on first use
from pathlib import Path

from analysis_lib.configuration import Configuration as Configuration
from analysis_lib.configuration import Run as Run
from analysis_lib.corpus import Corpus as Corpus
from analysis_lib.corpus import load_corpus as load_corpus
from analysis_lib.corpus import make_plan as make_plan
from analysis_lib.diagnosis import Diagnosis as Diagnosis
from analysis_lib.diagnosis import diagnose as diagnose
from analysis_lib.errors import InputError as InputError
from analysis_lib.faults import Operator as Operator
from analysis_lib.faults import get_operator as get_operator
from analysis_lib.faults import list_operators as list_operators
from analysis_lib.harness import gap_report as gap_report
from analysis_lib.injection import own_corpus as own_corpus
from analysis_lib.injection import own_program as own_program
from analysis_lib.monitor import Monitor as Monitor
from analysis_lib.programs import Program as Program
from analysis_lib.programs import get_program as get_program
from analysis_lib.programs import list_programs as list_programs
from analysis_lib.training import Trace as Trace
from analysis_lib.training import train as train

__version__: str
ROOT: Path
DATA: Path
