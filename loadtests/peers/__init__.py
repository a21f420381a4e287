"""Side-by-side benchmark: trunkline, nginx and HAProxy under the same load on the same machine.

``python -m loadtests.peers`` from the repository root runs it; ``quick.py`` is the short form that
measures one proxy that already runs.
"""

import sys
from pathlib import Path

# The test kit starts and stops processes for the tests and for these runs alike.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
