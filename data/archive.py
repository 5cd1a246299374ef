"""Archives of arrays (.npz) whose bytes follow from their content alone."""

import io
import zipfile
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

_EPOCH = (1980, 1, 1, 0, 0, 0)


def to_bytes(arrays: Mapping[str, npt.ArrayLike]) -> bytes:
    """An archive with an entry for each array, in their order, without the time of day."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compresslevel=9) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, np.asarray(array, order="C"), allow_pickle=False)
    return content.getvalue()
