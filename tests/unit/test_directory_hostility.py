"""Names that break lines, symlinks that lead out, things that must not be opened."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from komodod.errors import SourceError
from komodod.texts import show_path
from komodod.tree.writing import Writer

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = [
    b"new\nline",
    b"tab\t",
    b"\x1b[31mred",
    b"back\\slash",
    b"\xff\xfe",
    b"caf\xc3\xa9",
    b"\xe2\x80\xaetxt.exe",
    b"-rf",
    b" ",
    b"*",
    b"x" * 255,
    b"\xc3\xa9" * 127,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_copied_and_shown_on_one_line(site: Any, name: bytes) -> None:
    (site.origin / os.fsdecode(name)).write_text("x")
    (change,) = site.observe().changes
    assert change.name.isprintable()
    assert json.dumps([change.name, change.diff], ensure_ascii=False).encode()
    site.apply()
    assert [os.fsencode(path.name) for path in site.target.iterdir()] == [name]
    assert site.told(prune=True) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_can_be_pruned(site: Any, name: bytes) -> None:
    (site.origin / "a").write_text("a")
    (site.target / os.fsdecode(name)).write_text("x")
    site.apply(prune=True)
    assert site.paths() == ["a"]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("a/b c.txt", "a/b c.txt"),
        ("caf\u00e9", "caf\u00e9"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("a\\nb", r"a\\nb"),
        ("\udcff", r"\xff"),
        ("\x1b", r"\x1b"),
        ("\x85", r"\u0085"),
        ("\u202e", r"\u202e"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_paths_are_shown_so_that_different_ones_look_different(path: str, shown: str) -> None:
    assert show_path(path) == shown


def test_a_path_longer_than_the_kernel_takes_is_copied(site: Any) -> None:
    fd = os.open(site.origin, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=fd)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)
    site.apply()
    assert site.told(prune=True) == []


def test_a_directory_of_the_target_that_is_a_symlink_is_replaced_not_written_through(site: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "passwd").write_text("root")
    (site.origin / "etc").mkdir()
    (site.origin / "etc/passwd").write_text("mine")
    (site.target / "etc").symlink_to(outside)
    site.apply(prune=True)
    assert (outside / "passwd").read_text() == "root"
    assert (site.target / "etc/passwd").read_text() == "mine"
    assert not (site.target / "etc").is_symlink()


def test_a_file_of_the_target_that_is_a_symlink_is_replaced_not_written_through(site: Any, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("theirs")
    (site.origin / "a").write_text("mine")
    (site.target / "a").symlink_to(tmp_path / "outside")
    site.apply()
    assert (tmp_path / "outside").read_text() == "theirs"
    assert (site.target / "a").read_text() == "mine"


def test_pruning_does_not_go_through_a_symlink(site: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (site.origin / "a").write_text("a")
    (site.target / "old").symlink_to(outside)
    site.apply(prune=True)
    assert site.paths() == ["a"]
    assert (outside / "precious").exists()


def test_symlinks_in_the_origin_are_copied_not_followed(site: Any, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("x")
    (site.origin / "link").symlink_to(tmp_path / "outside")
    (site.origin / "loop").symlink_to("loop")
    site.apply()
    assert site.paths() == ["link", "loop"]
    assert (site.target / "link").is_symlink()


def test_a_directory_swapped_for_a_symlink_during_an_apply_is_not_written_through(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (site.origin / "a").mkdir()
    (site.origin / "a/f").write_text("mine")
    (site.target / "a").mkdir()
    write = Writer.write

    def swap(writer: Writer, differences: Any) -> None:
        monkeypatch.undo()
        (site.target / "a").rename(tmp_path / "moved")
        (site.target / "a").symlink_to(outside)
        write(writer, differences)

    monkeypatch.setattr(Writer, "write", swap)
    site.apply()
    assert list(outside.iterdir()) == []
    assert (site.target / "a/f").read_text() == "mine"


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("make", [make_fifo, make_socket])
def test_a_special_file_in_the_origin_is_an_error_that_names_it(site: Any, make: Any) -> None:
    make(site.origin / "odd")
    with pytest.raises(SourceError, match=r"/from/odd is a fifo, socket or device; remove it, or add it to `ignore`$"):
        site.observe()
    assert site.told(ignore=["odd"]) == []


@pytest.mark.parametrize("make", [make_fifo, make_socket])
def test_a_special_file_in_the_way_is_an_error_that_names_it(site: Any, make: Any) -> None:
    make(site.target / "odd")
    assert site.told() == []
    with pytest.raises(SourceError, match=r"/to/odd is a fifo, socket or device, and in the way"):
        site.observe(prune=True)
    (site.origin / "odd").write_text("x")
    with pytest.raises(SourceError, match=r"/to/odd is a fifo, socket or device, and in the way"):
        site.apply()


def test_a_fifo_that_takes_the_place_of_a_file_is_not_waited_for(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.origin / "a").write_text("a")
    opened = os.open

    def swap(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "a":
            (site.origin / "a").unlink()
            os.mkfifo(site.origin / "a")
        return opened(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(SourceError, match="/from/a is a fifo"):
        site.observe()
