"""Files that are written whole or not at all, and temporary folders that do not stay; an error of
writing names its file.
"""

import errno
import fcntl
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

_SCRATCH = "mlsmac-"
_HELD = "held"
"""File in a temporary folder that is locked while a process that uses the folder lives."""
_YOUNG_S = 60.0
"""A folder of this age may have been made, but not locked yet."""


def write_whole(contents: Mapping[Path, str | bytes]) -> None:
    """Write every text (as UTF-8) or bytes to its path, all through temporary files beside them: no
    reader sees half of one, and nothing is changed unless all can be written.

    Raises: OSError.
    """
    for path in contents:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    umask = os.umask(0)
    os.umask(umask)
    staged: dict[str, Path] = {}
    try:
        for path, content in contents.items():
            with _naming(path):
                handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
                staged[name] = path
                with os.fdopen(handle, "wb") as file:
                    file.write(_bytes(content))
                os.chmod(name, 0o666 & ~umask)
        for name, path in staged.items():
            with _naming(path):
                os.replace(name, path)
    finally:
        for name in staged:
            Path(name).unlink(missing_ok=True)


def fill(directory: Path, contents: Mapping[str, str | bytes]) -> None:
    """Write every text (as UTF-8) or bytes to the file of its name in a directory of one's own.

    Raises: OSError.
    """
    for name, content in contents.items():
        with _naming(directory / name):
            (directory / name).write_bytes(_bytes(content))


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder, removed at the end; folders of processes that were killed go with the
    first one.

    Raises: OSError.
    """
    _sweep(Path(tempfile.gettempdir()))
    with (
        tempfile.TemporaryDirectory(prefix=_SCRATCH, ignore_cleanup_errors=True) as name,
        Path(name, _HELD).open("w") as held,
    ):
        fcntl.flock(held, fcntl.LOCK_EX)  # held by processes that are forked meanwhile, too
        yield Path(name)


@functools.cache
def _sweep(directory: Path) -> None:
    """Remove the folders in `directory` that no process holds, once a process."""
    for path in directory.glob(f"{_SCRATCH}*/{_HELD}"):
        with suppress(OSError), path.open("r+") as held:  # gone meanwhile, held, another user's
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - path.stat().st_mtime > _YOUNG_S:
                shutil.rmtree(path.parent, ignore_errors=True)


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """An OSError is of this file: that of a full disk has no name, others a temporary file's."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
