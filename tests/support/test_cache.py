"""Results by content: what a digest tells apart, and that no entry is believed that was changed."""

import json
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlsmac.support.cache import Cache, code_digest, digest, source_digest

CODE = '''"""What it is."""
# A comment.
LIMIT = 1_000
"""What it limits."""


class Shape:
    """A shape."""

    sides = 3  # at least


def area(side: int) -> int:
    """Its area."""
    if side > LIMIT:
        raise ValueError("side must be small")
    return side * side
'''


@pytest.fixture
def package(tmp_path):
    """A package with a sub-package, a module in each."""
    for file in ("engine/__init__.py", "engine/parts/__init__.py", "engine/parts/shape.py"):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CODE)
    return tmp_path / "engine"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""What it is."""', '"""What it is, in\nmore words."""'),
        ('"""What it is."""\n', ""),
        ('"""What it limits."""', '"""What it\'s for."""'),
        ('    """A shape."""\n', ""),
        ('    """Its area."""', "    'Its area, rounded.'"),
        ("# A comment.", "# Another.\n\n"),
        ("  # at least", ""),
        ("\n\n\ndef", "\n\n\n\n\ndef"),
        ("1_000", "1000"),
        ('"side must be small"', "('side must '\n        'be small')"),
        ("side * side", "(side*side)"),
    ],
)
def test_code_is_the_same_whatever_it_says_of_itself(package, old, new):
    before, exact = code_digest(package), source_digest(package)
    assert old in CODE
    (package / "parts" / "shape.py").write_text(CODE.replace(old, new))
    assert code_digest(package) == before
    assert source_digest(package) != exact


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1_000", "1_001"),
        ("side * side", "side + side"),
        ("small", "short"),
        ("sides = 3", "sides = 4"),
        ("    sides = 3", "    edges = 3"),
        ("side: int) -> int", "side: int) -> float"),
        ("side > LIMIT", "side >= LIMIT"),
        ("    return side * side\n", "    return side * side\n\n\nNAME = 'x'\n"),
    ],
)
def test_code_that_does_something_else_is_another(package, old, new):
    before = code_digest(package)
    assert old in CODE
    (package / "parts" / "shape.py").write_text(CODE.replace(old, new))
    assert code_digest(package) != before


@pytest.mark.parametrize("of", [code_digest, source_digest])
def test_files_and_their_places_count(package, of):
    seen = [of(package)]
    new = package / "parts" / "more" / "new.py"
    new.parent.mkdir()
    for path in (new, package / "parts" / "more" / "renamed.py", package / "renamed.py"):
        if seen[1:]:
            new.rename(path)
        else:
            new.write_text("")
        new = path
        seen.append(of(package))
    (package / "parts" / "notes.txt").write_text("no code")
    assert of(package) == seen[-1]
    new.unlink()
    assert of(package) == seen[0]
    assert len(set(seen)) == 4
    assert of(package / "parts" / "shape.py") != of(package / "parts" / "__init__.py")


@pytest.mark.parametrize("lost", ["nowhere", "nowhere.py"])
def test_a_digest_of_nothing_is_an_error(tmp_path, lost):
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(FileNotFoundError) as found:
        code_digest(tmp_path / lost)
    assert found.value.filename == str(tmp_path / lost)


def test_digest_frames_its_parts_and_tells_kinds_apart():
    codes = np.arange(6)
    wide = np.array([1 << 70, -1], object)
    parts: list[list[Any]] = [
        *(["ab", "c"], ["a", "bc"], ["abc"], [["ab", "c"]], [{"ab": "c"}], [None], [b"abc", ""]),
        *([codes], [codes.astype(np.int32)], [codes.reshape(2, 3)], [codes.tobytes()], [wide]),
    ]
    assert len({digest(each) for each in parts}) == len(parts)
    assert digest([codes]) == digest([np.arange(12)[::2] // 2])
    assert digest([wide]) == digest([np.array([1 << 70, int("-1")], object)])
    assert digest([{"a": 1, "b": 2}]) == digest([{"b": 2, "a": 1}])


VALUE = {"area": 12.5, "stages": {"one": 0.1, "two": None}, "builds": [1, 2]}


@pytest.fixture
def kept(tmp_path):
    """A cache with an entry, and how often it was computed."""

    class Kept:
        calls = 0
        cache = Cache(tmp_path / "some" / "cache")
        path = tmp_path / "some" / "cache" / "key.json"

        def compute(self) -> dict[str, Any]:
            self.calls += 1
            return VALUE

        def get(self) -> dict[str, Any]:
            return self.cache.get("key", self.compute)

    kept = Kept()
    assert kept.get() == VALUE
    return kept


def test_a_value_is_computed_once(kept):
    assert kept.get() == VALUE
    assert list(kept.get()["stages"]) == ["one", "two"]
    assert kept.calls == 1
    assert json.loads(kept.path.read_text()).keys() == {"key", "value", "checksum"}
    assert Cache(None).get("key", kept.compute) == VALUE
    assert kept.calls == 2


@pytest.mark.parametrize("text", [b"", b"{", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_entry_is_written_again(kept, text):
    whole = kept.path.read_bytes()
    kept.path.write_bytes(text)
    assert kept.get() == VALUE
    assert (kept.calls, kept.path.read_bytes()) == (2, whole)


@pytest.mark.parametrize(
    "change",
    [
        {"value": VALUE | {"area": 12.6}},
        {"value": {}},
        {"value": [1]},
        {"value": None},
        {"key": "other"},
        {"key": None},
        {"checksum": "0" * 64},
        {"checksum": None},
        {"more": 1},
    ],
    ids=str,
)
def test_a_changed_entry_is_written_again(kept, change):
    whole = kept.path.read_bytes()
    kept.path.write_text(json.dumps(json.loads(whole) | change))
    assert kept.get() == VALUE
    assert (kept.calls, kept.path.read_bytes()) == (2, whole)


def test_every_changed_byte_shows(kept):
    whole = kept.path.read_bytes()
    for place in range(len(whole)):
        kept.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert kept.get() == VALUE
        assert kept.path.read_bytes() == whole
    assert kept.calls >= len(whole) - 10  # blanks between tokens say nothing


def test_an_entry_under_another_name_is_none(kept):
    kept.path.rename(kept.path.with_name("other.json"))
    assert kept.cache.get("other", lambda: {"other": 1}) == {"other": 1}


def test_a_full_disk_names_the_file(kept, monkeypatch):
    def full(dir: Path, **_: Any) -> tuple[int, str]:
        return os.open("/dev/full", os.O_WRONLY), str(dir / "staged")

    whole = kept.path.read_bytes()
    kept.path.write_bytes(b"")
    monkeypatch.setattr(tempfile, "mkstemp", full)
    with pytest.raises(OSError, match="No space left on device") as found:
        kept.get()
    assert found.value.filename == str(kept.path)
    # As it comes back from another process.
    assert pickle.loads(pickle.dumps(found.value)).filename == str(kept.path)
    monkeypatch.undo()
    assert kept.get() == VALUE
    assert kept.path.read_bytes() == whole
    assert list(kept.path.parent.iterdir()) == [kept.path]


def test_what_is_kept_is_found_and_nothing_else(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.find("a") is None
    assert cache.keep("a", {"x": 1}) == {"x": 1}
    assert cache.find("a") == {"x": 1}
    (tmp_path / "a.json").write_text("half of")
    assert cache.find("a") is None
    nothing = Cache(None)
    assert nothing.keep("a", {"x": 1}) == {"x": 1}
    assert nothing.find("a") is None
