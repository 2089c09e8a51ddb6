"""Entry point of ``python -m analysis_lib``."""

import gc
import sys

if sys.version_info < (3, 11):
    sys.exit("analysis_lib needs Python 3.11 or newer; this is %d.%d" % sys.version_info[:2])

try:
    from analysis_lib.cli import main
except ModuleNotFoundError as error:
    sys.exit("no package '%s' in this Python; use .venv/bin/python, made by `make`" % error.name)

status = main()
gc.freeze()  # or leaving looks for garbage in all of torch: half a second until the prompt
sys.exit(status)
