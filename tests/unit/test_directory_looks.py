from __future__ import annotations

import os
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from komodod.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def test_equal_trees_are_in_step(site: Any) -> None:
    (site.origin / "a").mkdir()
    (site.origin / "a/b").write_text("b")
    (site.origin / "link").symlink_to("a/b")
    shutil.copytree(site.origin, site.target, symlinks=True, dirs_exist_ok=True)
    assert site.told(prune=True) == []


def test_what_the_target_lacks_is_to_be_created(site: Any) -> None:
    (site.origin / "a").mkdir()
    (site.origin / "a/b").write_text("b")
    (site.origin / "link").symlink_to("a/b")
    assert site.told() == ["create dir a", "create file a/b", "create symlink link"]


def test_a_missing_target_lacks_everything(site: Any) -> None:
    (site.origin / "a").write_text("new\n")
    site.target.rmdir()
    assert site.told() == ["create file a"]
    assert site.observe().changes[0].diff == "--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+new"


def test_contents_decide_where_size_and_time_are_equal(site: Any) -> None:
    for place, text in ((site.origin, "one"), (site.target, "two")):
        (place / "a").write_text(text)
        os.utime(place / "a", ns=(0, 0))
    assert site.told() == ["update file a"]


def test_times_do_not_matter(site: Any) -> None:
    (site.origin / "a").write_text("one")
    (site.target / "a").write_text("one")
    os.utime(site.target / "a", ns=(0, 0))
    assert site.told() == []


def test_permissions_matter(site: Any) -> None:
    for place, mode in ((site.origin, 0o755), (site.target, 0o644)):
        (place / "run").write_text("x")
        (place / "run").chmod(mode)
    (change,) = site.observe().changes
    assert (change.action, change.name, change.diff) == ("update", "run", "mode 0644 -> 0755")


def test_permissions_of_directories_matter(site: Any) -> None:
    for place, mode in ((site.origin, 0o700), (site.target, 0o755)):
        (place / "a").mkdir()
        (place / "a").chmod(mode)
    assert site.told() == ["update dir a"]


def test_set_id_bits_do_not_matter(site: Any) -> None:
    for place, mode in ((site.origin, 0o755), (site.target, 0o2755)):
        (place / "a").mkdir()
        (place / "a").chmod(mode)
    assert site.told() == []


def test_symlinks_are_compared_by_their_text(site: Any) -> None:
    (site.origin / "now").symlink_to("v2")
    (site.target / "now").symlink_to("v1")
    (change,) = site.observe().changes
    assert (change.action, change.kind, change.name) == ("update", "symlink", "now")
    assert change.diff.splitlines()[-2:] == ["-v1", "+v2"]


def test_another_kind_is_an_update(site: Any) -> None:
    (site.origin / "a").write_text("file")
    (site.target / "a").symlink_to("elsewhere")
    (change,) = site.observe().changes
    assert (change.action, change.kind) == ("update", "file")
    assert change.diff.startswith("symlink -> file\n")


def test_what_the_target_has_alone_is_left_out_unless_pruned(site: Any) -> None:
    (site.origin / "a").write_text("a")
    (site.target / "a").write_text("a")
    (site.target / "old").mkdir()
    (site.target / "old/b").write_text("b")
    assert site.told() == []
    assert site.told(prune=True) == ["delete dir old", "delete file old/b"]


def test_ignored_paths_count_on_neither_side(site: Any) -> None:
    (site.origin / "a.tmp").write_text("1")
    (site.target / "cache").mkdir()
    (site.target / "cache/x").write_text("2")
    assert site.told(prune=True, ignore=["*.tmp", "/cache/"]) == []


def test_a_directory_with_something_ignored_in_it_is_not_pruned(site: Any) -> None:
    (site.origin / "a").write_text("a")
    (site.target / "data/deep").mkdir(parents=True)
    (site.target / "data/deep/keep.db").write_text("k")
    (site.target / "data/old").write_text("o")
    assert site.told(prune=True, ignore=["*.db"]) == ["create file a", "delete file data/old"]


def test_a_look_changes_nothing_on_disk(site: Any) -> None:
    (site.origin / "a").write_text("a")
    site.target.rmdir()
    site.observe(prune=True)
    assert not site.target.exists()
    assert list(site.state.iterdir()) == []


def test_the_revision_follows_contents_names_and_permissions(site: Any) -> None:
    seen = set()
    (site.origin / "a").write_text("1")
    for step in (
        lambda: None,
        lambda: (site.origin / "a").write_text("2"),
        lambda: (site.origin / "a").chmod(0o600),
        lambda: (site.origin / "a").rename(site.origin / "b"),
        (site.origin / "c").mkdir,
    ):
        step()
        seen.add(site.observe().revision)
    assert len(seen) == 5


def test_the_revision_does_not_depend_on_the_target(site: Any) -> None:
    (site.origin / "a").write_text("1")
    before = site.observe().revision
    site.apply()
    assert site.observe().revision == before


def test_a_diff_of_texts_is_unified(site: Any) -> None:
    (site.origin / "a").write_text("one\ntwo\n")
    (site.target / "a").write_text("one\n2")
    (change,) = site.observe().changes
    assert change.diff == "--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n one\n-2\n\\ No newline at end of file\n+two"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b", b"x" * 70_000, b"\n" * 3000])
def test_what_is_no_text_of_a_reasonable_size_is_told_by_its_size(site: Any, content: bytes) -> None:
    (site.origin / "a").write_bytes(content)
    (site.target / "a").write_bytes(b"")
    (change,) = site.observe().changes
    assert change.diff == f"0 bytes -> {len(content)} bytes"


def test_all_diffs_together_are_bounded(site: Any) -> None:
    for number in range(40):
        (site.origin / f"{number:02}").write_text("x" * 60_000)
    changes = site.observe().changes
    assert len(changes) == 40
    assert sum(len(change.diff or "") for change in changes) < 1_200_000
    assert changes[-1].diff is None


def test_a_diff_of_the_worst_text_takes_a_bounded_time(site: Any) -> None:
    lines = [f"{number % 97}\n" for number in range(1990)]
    (site.origin / "a").write_text("".join(lines))
    (site.target / "a").write_text("".join(reversed(lines)))
    started = time.monotonic()
    assert site.observe().changes
    assert time.monotonic() - started < 5


def missing_origin(site: Any) -> None:
    site.origin.rmdir()


def file_origin(site: Any) -> None:
    site.origin.rmdir()
    site.origin.write_text("")


def file_target(site: Any) -> None:
    site.target.rmdir()
    site.target.write_text("")


def homeless_target(site: Any) -> None:
    site.target.rmdir()
    site.target = site.target / "deep/down"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (missing_origin, r"^cannot read \S*/from: no such file or directory$"),
        (file_origin, r"^cannot read \S*/from: not a directory$"),
        (file_target, r"^cannot read \S*/to: not a directory$"),
        (homeless_target, r"^cannot make \S*/to/deep/down: \S*/to/deep is no directory; make it first$"),
    ],
)
def test_places_that_are_not_there_are_named(site: Any, spoil: Any, said: str) -> None:
    spoil(site)
    with pytest.raises(SourceError, match=said):
        site.observe()
    with pytest.raises(SourceError, match=said):
        site.apply()


def test_a_file_that_never_stops_changing_is_an_error_that_names_it(site: Any) -> None:
    log, ended = site.origin / "log", threading.Event()
    log.write_bytes(b"x" * 4_000_000)

    def grow() -> None:
        with log.open("ab", buffering=0) as file:
            while not ended.is_set():
                file.write(b"x" * 1000)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        with pytest.raises(SourceError, match=r"/from/log keeps changing while it is read; wait until .* `ignore`$"):
            site.observe()
    finally:
        ended.set()
        thread.join()


def test_a_file_that_changed_once_is_read_again(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page, pread = site.origin / "a", os.pread
    page.write_text("before")
    reads = iter([True])

    def meddle(fd: int, size: int, at: int) -> bytes:
        if next(reads, False):
            page.write_text("after!")
        return pread(fd, size, at)

    monkeypatch.setattr(os, "pread", meddle)
    site.apply()
    assert (site.target / "a").read_text() == "after!"


def test_a_file_that_changes_half_way_is_seen_as_it_is_after(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page, pread = site.origin / "a", os.pread
    page.write_bytes(b"x" * 2_000_000)

    def meddle(fd: int, size: int, at: int) -> bytes:
        if at and page.read_bytes().startswith(b"x"):
            page.write_bytes(b"y" * 2_000_000)
        return pread(fd, size, at)

    monkeypatch.setattr(os, "pread", meddle)
    seen = site.observe().revision
    assert page.read_bytes().startswith(b"y")
    assert site.observe().revision == seen


def test_what_goes_away_during_a_look_is_looked_for_again(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.origin / "a").write_text("a")
    gone, pread = site.origin / "b", os.pread
    gone.write_text("b")

    def meddle(fd: int, size: int, at: int) -> bytes:
        gone.unlink(missing_ok=True)
        return pread(fd, size, at)

    monkeypatch.setattr(os, "pread", meddle)
    assert site.told() == ["create file a"]


def test_a_symlink_as_root_of_either_side_is_followed(site: Any, tmp_path: Path) -> None:
    (site.origin / "a").write_text("a")
    (tmp_path / "there").symlink_to(site.target)
    (tmp_path / "here").symlink_to(site.origin)
    site.origin, site.target = tmp_path / "here", tmp_path / "there"
    site.apply()
    assert (tmp_path / "to/a").read_text() == "a"
