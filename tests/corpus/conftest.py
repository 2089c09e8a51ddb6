"""Makes the stand-in trainer importable, here and in the processes of runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))


@pytest.fixture
def script(tmp_path):
    """Start a Python script in a process of its own, without torch in its fork server."""
    started = []

    def start(text, *arguments):
        file = tmp_path / f"script{len(started)}.py"
        file.write_text(text)
        paths = [str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "ANALYSIS_LIB_COLD": "1",
        }
        process = subprocess.Popen(
            [sys.executable, file, *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
