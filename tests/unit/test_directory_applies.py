from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from komodod.errors import SourceError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_an_apply_copies_files_directories_and_symlinks(site: Any) -> None:
    (site.origin / "a/b").mkdir(parents=True)
    (site.origin / "a/b/file").write_bytes(b"\0\xff" * 1_000_000)
    (site.origin / "a/link").symlink_to("b/file")
    applied = site.apply()
    assert site.paths() == ["a", "a/b", "a/b/file", "a/link"]
    assert (site.target / "a/b/file").read_bytes() == b"\0\xff" * 1_000_000
    assert (site.target / "a/link").readlink() == Path("b/file")
    assert applied.summary == "4 created"


def test_an_apply_says_what_it_did(site: Any) -> None:
    (site.origin / "new").write_text("1")
    (site.origin / "changed").write_text("2")
    (site.target / "changed").write_text("3")
    (site.target / "old").write_text("4")
    assert site.apply(prune=True).summary == "1 created, 1 updated, 1 deleted"
    assert site.apply(prune=True).summary == "nothing to do"


def test_permissions_are_copied_whatever_the_umask(site: Any) -> None:
    for path, bits in (("script", 0o755), ("secret", 0o600), ("open", 0o666)):
        (site.origin / path).write_text("x")
        (site.origin / path).chmod(bits)
    before = os.umask(0o077)
    try:
        site.apply()
    finally:
        os.umask(before)
    assert [mode(site.target / path) for path in ("script", "secret", "open")] == [0o755, 0o600, 0o666]


def test_permissions_alone_are_changed_without_copying(site: Any) -> None:
    for place, bits in ((site.origin, 0o755), (site.target, 0o644)):
        (place / "run").write_text("x")
        (place / "run").chmod(bits)
    inode = (site.target / "run").stat().st_ino
    site.apply()
    assert mode(site.target / "run") == 0o755
    assert (site.target / "run").stat().st_ino == inode


def test_a_set_gid_directory_keeps_its_bit(site: Any) -> None:
    for place, bits in ((site.origin, 0o750), (site.target, 0o2755)):
        (place / "a").mkdir()
        (place / "a").chmod(bits)
    site.apply()
    assert mode(site.target / "a") == 0o2750


def test_a_set_uid_file_is_copied_without_its_bit(site: Any) -> None:
    (site.origin / "su").write_text("x")
    (site.origin / "su").chmod(0o4755)
    site.apply()
    assert mode(site.target / "su") == 0o755
    assert site.told() == []


def test_a_changed_file_is_replaced_not_written_into(site: Any) -> None:
    (site.origin / "a").write_text("new")
    (site.target / "a").write_text("old")
    with (site.target / "a").open() as reader:
        site.apply()
        assert reader.read() == "old"
    assert (site.target / "a").read_text() == "new"


def test_a_hard_link_elsewhere_is_not_written_into(site: Any, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    os.link(tmp_path / "mine", site.target / "a")
    (site.origin / "a").write_text("new")
    site.apply()
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_missing_target_is_made_like_its_origin(site: Any) -> None:
    (site.origin / "a").write_text("a")
    site.origin.chmod(0o750)
    site.target.rmdir()
    site.apply()
    assert mode(site.target) == 0o750
    assert site.paths() == ["a"]


def test_a_file_becomes_a_directory(site: Any) -> None:
    (site.origin / "a").mkdir()
    (site.origin / "a/b").write_text("b")
    (site.target / "a").write_text("file")
    site.apply()
    assert site.paths() == ["a", "a/b"]


def test_a_symlink_becomes_a_directory(site: Any) -> None:
    (site.origin / "a").mkdir()
    (site.target / "a").symlink_to("nowhere")
    site.apply()
    assert (site.target / "a").is_dir()
    assert not (site.target / "a").is_symlink()


def test_a_directory_becomes_a_file_when_pruned(site: Any) -> None:
    (site.origin / "a").write_text("file")
    (site.target / "a/deep").mkdir(parents=True)
    (site.target / "a/deep/b").write_text("b")
    site.apply(prune=True)
    assert (site.target / "a").read_text() == "file"
    assert site.told(prune=True) == []


def test_a_directory_with_files_of_somebody_else_is_not_made_a_file(site: Any) -> None:
    (site.origin / "a").write_text("file")
    (site.target / "a").mkdir()
    (site.target / "a/mine").write_text("mine")
    with pytest.raises(SourceError, match=r"/to/a is a directory, should not be one.*empty it, or set `prune: true`$"):
        site.apply()
    assert site.paths() == ["a", "a/mine"]


def test_an_empty_directory_becomes_a_symlink(site: Any) -> None:
    (site.origin / "a").symlink_to("x")
    (site.target / "a").mkdir()
    site.apply()
    assert (site.target / "a").readlink() == Path("x")


def test_what_is_not_in_the_origin_stays_unless_pruned(site: Any) -> None:
    (site.origin / "a").write_text("a")
    (site.target / "b").write_text("b")
    site.apply()
    assert site.paths() == ["a", "b"]
    site.apply(prune=True)
    assert site.paths() == ["a"]


def test_a_pruned_directory_goes_with_everything_in_it(site: Any) -> None:
    (site.origin / "a").write_text("a")
    (site.target / "old/deep/down").mkdir(parents=True)
    (site.target / "old/deep/b").write_text("b")
    (site.target / "old/link").symlink_to("/etc")
    site.apply(prune=True)
    assert site.paths() == ["a"]


def test_ignored_paths_are_left_alone(site: Any) -> None:
    (site.origin / "a.tmp").write_text("1")
    (site.origin / "b").write_text("b")
    (site.target / "cache").mkdir()
    (site.target / "cache/x").write_text("2")
    site.apply(prune=True, ignore=["*.tmp", "/cache/"])
    assert site.paths() == ["b", "cache", "cache/x"]


def test_the_revision_of_an_apply_is_the_one_that_was_seen(site: Any) -> None:
    (site.origin / "a").write_text("a")
    seen = site.observe().revision
    assert site.apply().revision == seen


def test_leftovers_of_a_killed_apply_are_seen_by_nobody_and_removed(site: Any) -> None:
    leftover = ".komodod-0e8b3c5e-0123456789abcdef.tmp"
    (site.origin / "a").mkdir()
    (site.origin / leftover).write_text("torn")
    (site.target / leftover).write_text("torn")
    (site.target / "b").mkdir()
    (site.target / "b" / leftover).symlink_to("torn")
    assert site.told() == ["create dir a"]
    site.apply()
    assert site.paths() == ["a", "b"]


def test_a_file_that_grows_while_it_is_copied_is_never_copied_torn(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page, read = site.origin / "a", os.read
    page.write_text("before")
    meddling = iter([True])

    def meddle(fd: int, size: int) -> bytes:
        if next(meddling, False):
            page.write_text("before and after")
        return read(fd, size)

    monkeypatch.setattr(os, "read", meddle)
    assert site.apply().revision == site.observe().revision
    assert (site.target / "a").read_text() == "before and after"


def test_everything_is_on_disk_when_an_apply_returns(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file before its rename, every directory after the last change in it."""
    (site.origin / "d").mkdir()
    (site.origin / "d/f").write_text("f")
    (site.target / "old").write_text("o")
    synced, fsync, rename = [], os.fsync, os.rename

    def note(fd: int) -> None:
        path = str(Path(f"/proc/self/fd/{fd}").readlink())
        synced.append("file" if path.endswith(".tmp") else os.path.relpath(path, site.target))
        fsync(fd)

    def renamed(source: str, target: str, **dirs: int) -> None:
        synced.append("renamed")
        rename(source, target, **dirs)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "rename", renamed)
    site.apply(prune=True)
    assert synced == ["file", "renamed", "d", "."]
