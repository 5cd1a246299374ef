"""Files that are written whole or not at all; an error of writing names its file."""

import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


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
