from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from komodod.settings.includes import expand

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.settings.conftest import Load

SYNC = "syncs: [{{name: {0}, source: {{type: directory, from: ./a, to: ./{0}}}}}]\n"


@pytest.fixture
def folder(home: Path) -> Path:
    made = home / "conf.d"
    made.mkdir()
    return made


def test_included_files_add_syncs_routes_and_notifiers(load_text: Load, folder: Path) -> None:
    (folder / "b.yaml").write_text(SYNC.format("b") + "notifiers: [{name: ops, type: log}]\n")
    (folder / "a.yaml").write_text(SYNC.format("a") + "routes: [{name: all, notify: ops}]\nx-mine: 1\n")
    settings = load_text("include: [conf.d/*.yaml]\n" + SYNC.format("main"))
    assert [sync.name for sync in settings.syncs] == ["main", "a", "b"]
    assert [route.notify for route in settings.routes] == [("ops",)]
    assert [path.name for path in settings.files] == ["komodod.yaml", "a.yaml", "b.yaml"]


def test_relative_paths_are_relative_to_the_file_they_stand_in(load_text: Load, folder: Path) -> None:
    (folder / "a.yaml").write_text(SYNC.format("a"))
    settings = load_text("include: [conf.d/a.yaml]")
    assert settings.syncs[0].spec.source["from"] == str(folder / "a")
    assert settings.syncs[0].declared == f"{folder}/a.yaml:1"


def test_variables_are_filled_in_there_too(load_text: Load, folder: Path) -> None:
    (folder / "a.yaml").write_text("syncs: [{name: '${NAME}', source: {type: command, check: [x]}}]")
    assert load_text("include: [conf.d/a.yaml]", NAME="x").syncs[0].name == "x"


def test_problems_come_file_by_file(complaints: Callable[..., list[str]], folder: Path) -> None:
    (folder / "a.yaml").write_text("syncs: [{name: s}]\nlog: {level: info}\ninclude: [b.yaml]\n")
    (folder / "b.yaml").write_text("- syncs\n")
    (folder / "c.yaml").write_text("syncs: [\n")
    told = complaints("include: [conf.d/*]\nsyncs: [{name: s, source: {type: command, check: []}}, {}]\n")
    assert told == [
        "2:56: key 'name' is missing",
        "2:56: key 'source' is missing",
        "1:9: key 'source' is missing",
        f"1:16: two syncs are named 's'; the other stands at {folder.parent}/komodod.yaml:2",
        "2:1: unknown key 'log'; known: notifiers, routes, syncs (all else belongs in the main file)",
        "3:1: an included file cannot include others; name them in the main file",
        "1:1: an included file is a mapping, not a list",
        "2:1: not YAML: did not find expected node content while parsing a flow node",
    ]


def test_a_file_that_two_globs_match_is_read_once(load_text: Load, folder: Path) -> None:
    (folder / "a.yaml").write_text(SYNC.format("a"))
    assert len(load_text("include: [conf.d/*.yaml, conf.d/a.*]").syncs) == 1


def test_a_glob_does_not_match_the_file_it_stands_in(load_text: Load, complaints: Callable[..., list[str]]) -> None:
    assert complaints("include: ['*.yaml']")[0].startswith("1:11: no file matches '*.yaml'")
    assert load_text("include: [{glob: '*.yaml', optional: true}]").syncs == ()


def test_an_optional_glob_may_match_nothing_but_not_something_unreadable(
    load_text: Load, complaints: Callable[..., list[str]], home: Path
) -> None:
    text = "include: [{glob: conf.d/*.yaml, optional: yes}]"
    assert load_text(text).syncs == ()
    (home / "conf.d").mkdir()
    (home / "conf.d/gone.yaml").symlink_to("nowhere")
    assert complaints(text) == ["0:0: cannot read it: no such file or directory"]


UNREADABLE = """
import os, sys, pathlib
from komodod.settings.includes import expand
if os.getuid() == 0:
    os.setuid(65534)
try:
    print(expand(pathlib.Path(sys.argv[1]), "conf.d/*.yaml"))
except PermissionError:
    print("unknown")
"""


@pytest.mark.parametrize("glob", ["conf.d/*.yaml", "conf.d/a.yaml", "**/a.yaml"])
def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path, glob: str) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/a.yaml").touch()
    (tmp_path / "conf.d").chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o005)
    code = UNREADABLE.replace("conf.d/*.yaml", glob)
    ran = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert ran.stdout == "unknown\n"


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("*.yaml", ["a.yaml", "b.yaml"]),
        ("[b-z].yaml", ["b.yaml"]),
        ("?.yaml", ["a.yaml", "b.yaml"]),
        (".*", [".hidden.yaml"]),
        ("**/*.yaml", ["a.yaml", "b.yaml", "sub/c.yaml", "sub/deep/d.yaml"]),
        ("sub/**/d.yaml", ["sub/deep/d.yaml"]),
        ("sub", []),
        ("*", ["a.yaml", "b.yaml"]),
        ("a.yaml/*", []),
        ("absent/*", []),
        ("../*/a.yaml", ["../tree/a.yaml"]),
        ("[", []),
    ],
)
def test_globs(tmp_path: Path, glob: str, found: list[str]) -> None:
    tree = tmp_path / "tree"
    for name in ("a.yaml", "b.yaml", ".hidden.yaml", "sub/c.yaml", "sub/deep/d.yaml", ".git/e.yaml"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    assert expand(tree, glob) == {tree / name for name in found}
