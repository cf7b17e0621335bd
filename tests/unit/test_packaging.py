"""What is packaged: an editable installation hides what a wheel forgot, so the wheel is built and looked into.

These tests are about the source tree; a run against an installed wheel leaves them out.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from fnmatch import fnmatchcase
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Final

import pytest

import komodod

ROOT: Final = Path(__file__).parents[2]
TOP_LEVEL: Final = {
    *("pyproject.toml", "komodod", "plugins", "config", "tests", "README.md", "systemd"),
    *("LICENSE", "CHANGELOG.md", ".gitignore", ".ci"),
}
IN_SDIST: Final = ("komodod", "plugins", "config", "systemd", "tests", ".ci")
SHARED: Final = f"komodod-{komodod.__version__}.data/data/share/komodod"
INFO: Final = f"komodod-{komodod.__version__}.dist-info"
BROUGHT: Final = {"pydantic_core": "pydantic", "starlette": "fastapi"}
"""Packages that come with another one, which alone knows the version of them that it takes."""
DISTRIBUTIONS: Final = packages_distributions()
EXTRAS: Final = ("testing", "test", "postgres")
APART: Final = {"komodod": "testing/", "plugins": "komodod_postgres/"}
"""What within a folder has an extra of its own."""


@dataclass(frozen=True)
class Built:
    """The names in a source distribution and in the wheel built from that, and what the wheel says of itself."""

    source: set[str]
    wheel: set[str]
    metadata: Message
    entry_points: str


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build as for a release, but with the hatchling that is installed: no network is needed."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ((archive,), (wheel,)) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    with tarfile.open(archive) as opened:
        source = {member.name.partition("/")[2] for member in opened if member.isfile()}
    with zipfile.ZipFile(wheel) as read:
        metadata, points = (read.read(f"{INFO}/{name}").decode() for name in ("METADATA", "entry_points.txt"))
        return Built(source, set(read.namelist()), Parser().parsestr(metadata), points)


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def ignored(name: str) -> bool:
    """Whether git leaves it out: the patterns of .gitignore, which here are names."""
    patterns = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()]
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def files(folder: str) -> set[str]:
    """Return the paths of all files in a folder of the repository, seen from there."""
    paths = (path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*") if path.is_file())
    return {str(path) for path in paths if not any(ignored(part) for part in path.parts)}


def test_each_plugin_folder_is_in_the_wheel_list_and_has_an_entry_point() -> None:
    folders = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir() and not ignored(path.name)}
    listed = project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(listed) == ["komodod", *sorted(f"plugins/{folder}" for folder in folders)]
    points = project()["project"]["entry-points"]["komodod"]
    assert points == {folder.removeprefix("komodod_"): folder for folder in folders}


def test_the_wheel_holds_every_file_of_its_packages_and_nothing_else(built: Built) -> None:
    shipped = {name for name in built.wheel if not name.startswith((INFO, SHARED))}
    assert shipped == {f"komodod/{name}" for name in files("komodod")} | files("plugins")
    assert {"komodod/py.typed", "komodod_sqlite/py.typed", "komodod_sqlite/migrations/0001_initial.sql"} < shipped


@pytest.mark.parametrize("folder", ["config", "systemd"])
def test_examples_and_units_are_installed_under_share(built: Built, folder: str) -> None:
    prefix = f"{SHARED}/{folder}/"
    assert {name.removeprefix(prefix) for name in built.wheel if name.startswith(prefix)} == files(folder)


def test_the_source_distribution_is_the_repository(built: Built) -> None:
    assert {f"{folder}/{name}" for folder in IN_SDIST for name in files(folder)} < built.source
    assert {name.partition("/")[0] for name in built.source} == {*TOP_LEVEL, "PKG-INFO"}


def test_the_wheel_says_what_it_is(built: Built) -> None:
    assert built.metadata["Version"] == komodod.__version__
    assert built.metadata["License-Expression"] == "MIT"
    assert f"{INFO}/licenses/LICENSE" in built.wheel
    assert built.metadata["Requires-Python"] == ">=3.11"
    assert "komodod = komodod.cli:main" in built.entry_points


def test_the_top_level_holds_nothing_that_does_not_belong_there() -> None:
    assert top_level() - {"PKG-INFO"} <= TOP_LEVEL


def top_level() -> set[str]:
    """Return what git keeps; where there is no git, what is there."""
    if not (ROOT / ".git").exists():
        return {path.name for path in ROOT.iterdir() if not ignored(path.name)}
    kept = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.partition("/")[0] for name in kept.stdout.splitlines()}


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("komodod", ()),
        ("plugins", ()),
        ("komodod/testing", ("testing",)),
        ("plugins/komodod_postgres", ("postgres",)),
        ("tests", EXTRAS),
    ],
)
def test_what_is_imported_is_required(folder: str, extras: tuple[str, ...]) -> None:
    apart = {path for path in files(folder) if folder in APART and path.startswith(APART[folder])}
    imported = {name for path in files(folder) - apart for name in imports(ROOT / folder / path)}
    assert imported - requirements(*extras) == set()


def test_what_is_required_is_imported() -> None:
    imported = {name for top in ("komodod", "plugins") for path in files(top) for name in imports(ROOT / top / path)}
    assert requirements() - imported == {"tzdata"}  # zoneinfo reads it


def requirements(*extras: str) -> set[str]:
    """Return the distributions that an installation with these extras asks for."""
    table = project()["project"]
    asked = [*table["dependencies"], *(one for extra in extras for one in table["optional-dependencies"][extra])]
    return {canonical(re.split(r"[^\w.-]", one)[0]) for one in asked} - {"komodod"}


def imports(path: Path) -> set[str]:
    """Return the distributions that a module imports from, without Python's own and ours."""
    if path.suffix != ".py":
        return set()
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {one.name for node in nodes if isinstance(node, ast.Import) for one in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    tops = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    strange = {top for top in tops if not top.startswith(("komodod", "tests"))}
    return {canonical(DISTRIBUTIONS[BROUGHT.get(top, top)][0]) for top in strange}


def canonical(name: str) -> str:
    """Return the name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
