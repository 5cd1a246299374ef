"""Files that are written whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Mapping
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
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            staged[name] = path
            with os.fdopen(handle, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
            os.chmod(name, 0o666 & ~umask)
        for name, path in staged.items():
            os.replace(name, path)
    finally:
        for name in staged:
            Path(name).unlink(missing_ok=True)
