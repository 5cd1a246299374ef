"""Results by the content of what made them: a second run of the same measurement reads a file."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .files import write_whole


def digest(parts: Iterable[Any]) -> str:
    """SHA-256 (hex) of texts, bytes, arrays and JSON values, in order, each framed by its
    length.
    """
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            part = f"{part.dtype.str}{part.shape}".encode() + np.ascontiguousarray(part).tobytes()
        elif isinstance(part, str):
            part = part.encode()
        elif not isinstance(part, bytes):
            part = json.dumps(part, sort_keys=True).encode()
        whole.update(len(part).to_bytes(8, "little") + part)
    return whole.hexdigest()


def code_digest(*packages: Path) -> str:
    """Digest of all Python sources of the packages: a result must not outlive the code that made
    it.
    """
    files = sorted(file for package in packages for file in package.rglob("*.py"))
    return digest(part for file in files for part in (file.name, file.read_bytes()))


class Cache:
    """JSON values under `directory`; None keeps nothing."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def get(self, key: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The value kept under `key`, or `compute()`, which is then kept."""
        if self._directory is None:
            return compute()
        path = self._directory / f"{key}.json"
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["key"] == key:
                return dict(kept["value"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            pass  # never kept, or not by this class
        value = compute()
        self._directory.mkdir(parents=True, exist_ok=True)
        write_whole({path: json.dumps({"key": key, "value": value})})
        return value
