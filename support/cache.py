"""Results by the content of what made them: a second run of the same measurement reads a file."""

import ast
import errno
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
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
        text = _encoded(part)
        whole.update(len(text).to_bytes(8, "little") + text)
    return whole.hexdigest()


def _encoded(part: Any) -> bytes:
    if isinstance(part, np.ndarray):
        head = f"{part.dtype.str}{part.shape}".encode()
        if part.dtype == object:  # Python's own integers: the array holds their addresses
            return head + json.dumps(part.tolist(), default=int).encode()
        return head + np.ascontiguousarray(part).tobytes()
    if isinstance(part, bytes):
        return part
    return part.encode() if isinstance(part, str) else json.dumps(part, sort_keys=True).encode()


def source_digest(*roots: Path) -> str:
    """Digest of the names and bytes of Python files: `roots`, and all in those that are folders."""
    return digest(part for name, code in _sources(roots) for part in (name, code))


def code_digest(*roots: Path) -> str:
    """Digest of what Python files do, and of their names: as `source_digest`, but comments,
    docstrings and formatting do not count.
    """
    return digest(part for name, code in _sources(roots) for part in (name, _meaning(code)))


def _sources(roots: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Name, from the root's own on, and bytes of each file.

    Raises: FileNotFoundError, since a digest of nothing would be the same for all that is lost.
    """
    for root in roots:
        files = sorted(root.rglob("*.py")) if root.is_dir() else [root]
        if not files:
            raise FileNotFoundError(errno.ENOENT, "no Python file there", str(root))
        for file in files:
            yield file.relative_to(root.parent).as_posix(), file.read_bytes()


def _meaning(code: bytes) -> str:
    """The syntax tree less its docstrings, those of attributes too: texts that nothing takes."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(line: ast.stmt) -> bool:
    return (
        isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, str)
    )


class Cache:
    """JSON objects under `directory`, an entry a file with its key and checksum; None keeps
    nothing.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def get(self, key: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The value kept under `key`, or `compute()`, which is then kept: so too where an entry is
        not as it was written.

        Raises: OSError, naming the file.
        """
        kept = self.find(key)
        return self.keep(key, compute()) if kept is None else kept

    def find(self, key: str) -> dict[str, Any] | None:
        """The value kept under `key`; None where there is none as it was written."""
        return None if self._directory is None else _read(self._path(self._directory, key), key)

    def keep(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        """Keep a value under `key`, and give it back. Raises: OSError, naming the file."""
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
            write_whole({self._path(self._directory, key): json.dumps(_entry(key, value))})
        return value

    def _path(self, directory: Path, key: str) -> Path:
        return directory / f"{key}.json"


def _entry(key: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"key": key, "value": value, "checksum": digest([key, value])}


def _read(path: Path, key: str) -> dict[str, Any] | None:
    """The value of an entry; None if there is none, or it is not what was written."""
    try:
        kept = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    value = kept.get("value") if isinstance(kept, dict) else None
    return value if isinstance(value, dict) and kept == _entry(key, value) else None
