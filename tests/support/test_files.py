"""Errors of writing name the file."""

import os

import pytest

from mlsmac.support.files import fill, write_whole


def test_fill(tmp_path):
    fill(tmp_path, {"text": "µ\n", "bytes": b"\x00"})
    assert (tmp_path / "text").read_bytes() == "µ\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x00"


def test_a_full_disk_names_the_file(tmp_path):
    os.symlink("/dev/full", tmp_path / "text")
    with pytest.raises(OSError, match="No space left on device") as found:
        fill(tmp_path, {"text": "x"})
    assert found.value.filename == str(tmp_path / "text")


def test_the_file_is_named_and_not_the_one_beside_it(tmp_path):
    target = tmp_path / "absent" / "file"
    with pytest.raises(FileNotFoundError) as found:
        write_whole({target: "text"})
    assert (found.value.filename, found.value.filename2) == (str(target), None)
