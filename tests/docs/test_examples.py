"""Python in the documents runs, and says what the document says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlsmac.study.documents import ROOT

EXAMPLES = [
    (page, number, code)
    for page in ("README.md", "docs/questions.md", "docs/training.md")
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    )
]


@pytest.mark.parametrize(("page", "number", "code"), EXAMPLES, ids=lambda value: str(value)[:20])
def test_example_runs(page: str, number: int, code: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, f"{page}, example {number}: {done.stderr}"
    assert done.stdout


def test_training_loop_learns() -> None:
    """Far below the error of an untrained layer, 1, and not that of exact arithmetic."""
    code = next(code for page, _, code in EXAMPLES if page == "docs/questions.md")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.001 < float(done.stdout.split()[-1]) < 0.05
