"""bench/ is no part of the package: its scripts find each other by the folder they run in."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
