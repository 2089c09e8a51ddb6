"""Makes the loops of this folder, and the nets of the neighbour, importable."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "curvature"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
