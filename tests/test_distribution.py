"""What a wheel would hold, read from pyproject.toml: every package and its data, and no tests."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "setuptools"
]
PACKAGES: list[str] = SETUPTOOLS["packages"]
FOLDERS: dict[str, str] = SETUPTOOLS["package-dir"]
DATA: dict[str, list[str]] = SETUPTOOLS["package-data"]
TOP = FOLDERS["mlsmac"]


def folder(package: str) -> Path:
    """Where a package lies: package-dir has its own place, or that of the nearest above it."""
    if package in FOLDERS:
        return ROOT / FOLDERS[package]
    above, _, name = package.rpartition(".")
    return folder(above) / name


def _packages_of(top: str) -> set[str]:
    """Dotted names, below mlsmac, of the packages in a folder of the root."""
    inits = (ROOT / top).rglob("__init__.py")
    return {".".join(init.parent.relative_to(ROOT).parts) for init in inits}


def test_every_package_is_listed_once() -> None:
    tops = {init.parent.name for init in ROOT.glob("*/__init__.py")} - {TOP}
    found = {f"mlsmac.{name}" for top in tops for name in _packages_of(top)}
    assert sorted(PACKAGES) == sorted({"mlsmac", *found})


def test_each_top_folder_has_a_place_and_no_other_has() -> None:
    tops = {package for package in PACKAGES if package.count(".") < 2}
    assert set(FOLDERS) == tops
    assert all((folder(package) / "__init__.py").is_file() for package in PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_package_ships_no_tests(package: str) -> None:
    shipped = [path.name for path in folder(package).glob("*.py")]
    assert not [name for name in shipped if name.startswith("test_") or name == "conftest.py"]


def test_every_file_of_a_package_is_code_or_data() -> None:
    """A template that no glob of package-data matches would be missing in the wheel alone."""
    for package in PACKAGES:
        top = folder(package)
        data = {path for glob in DATA.get(package, ()) for path in top.glob(glob)}
        inside = {folder(other) for other in PACKAGES}
        files = {
            path
            for path in top.rglob("*")
            if path.is_file()
            and "__pycache__" not in path.parts
            and path.suffix not in (".py", ".md")
            and not any(above in inside for above in path.parents if top in above.parents)
        }
        assert data == files, package


@pytest.mark.parametrize(
    ("package", "glob"), [(package, glob) for package, globs in DATA.items() for glob in globs]
)
def test_data_glob_matches(package: str, glob: str) -> None:
    assert any(folder(package).glob(glob))
