"""Soak: mixed traffic for minutes to hours while everything around trunkline changes.

``run.py`` is the one command. It passes if memory and descriptors stay flat, and if nothing failed
that was not made to fail.
"""

import sys
from pathlib import Path

# The test kit starts and stops processes for the tests and for these runs alike.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
