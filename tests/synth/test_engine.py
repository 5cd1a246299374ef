"""The engine stands alone: it knows cells and netlists, and nothing of what they compute."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "data" / "power" / "tiny.liberty"

_IMPORT_ALL = """
import importlib, pkgutil, sys
import elsewhere
for module in pkgutil.walk_packages(elsewhere.__path__, "elsewhere."):
    importlib.import_module(module.name)
from elsewhere.synth.liberty import pdk
found = pdk.find(liberty=sys.argv[1])
print(found.name, *(name for name in sys.modules if name.split(".")[0] == "mlsmac"))
"""


def test_the_engine_and_what_it_stands_on_run_under_another_name(tmp_path):
    """`synth` and `support` alone, as a distribution of their own would have them."""
    for package in ("synth", "support"):
        shutil.copytree(ROOT / package, tmp_path / "elsewhere" / package)
    (tmp_path / "elsewhere" / "__init__.py").touch()
    command = [sys.executable, "-c", _IMPORT_ALL, str(TINY)]
    environment = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "tiny\n"), done.stderr


def test_no_word_of_macs():
    files = [file for package in ("synth", "support") for file in (ROOT / package).rglob("*.py")]
    word = re.compile(r"\bmacs?\b|\btiles?\b|quantiz|\bgolden\b|accumulat(?!e\()", re.IGNORECASE)
    assert [file.name for file in files if word.search(file.read_text())] == []
    assert len(files) > 25
