"""Side-by-side benchmark: trunkline, nginx and HAProxy under the same load on the same machine.

``run.py`` measures everything and writes the report; ``quick.py`` measures one proxy that already
runs.
"""

import sys
from pathlib import Path

# The test kit starts and stops processes for the tests and for these runs alike.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
