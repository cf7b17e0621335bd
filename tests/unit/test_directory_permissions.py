"""What an unprivileged user may not do. The subject runs in a process of its own, which gives up root's rights."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from komodod.errors import SourceError
from komodod.tree.trouble import reading, writing

if TYPE_CHECKING:
    from collections.abc import Iterator

SUBJECT = """
import asyncio, json, os, resource, sys
from pathlib import Path
from komodod.errors import SourceError
from komodod.testing.sources import apply, observe, source_context
from komodod_directory import DirectorySource

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
action = {"observe": observe, "apply": apply}[sys.argv[1]]
try:
    done = asyncio.run(action(DirectorySource, json.loads(sys.argv[2]), source_context(Path(sys.argv[3]))))
    print(getattr(done, "summary", len(getattr(done, "changes", ()))))
except SourceError as error:
    print("SourceError:", error)
"""


@pytest.fixture
def shared(site: Any) -> Iterator[Any]:
    """A site that an unprivileged user can get to, and whose target is theirs."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    made = type(site)(folder / "from", folder / "to", folder / "state")
    for place in (made.origin, made.target, made.state):
        place.mkdir()
        place.chmod(0o755)
    give(made.target)
    give(made.state)
    yield made
    folder.chmod(0o755)
    for place, folders, _ in os.walk(folder):  # who is not root gets into a folder only once it is opened
        for inner in (Path(place) / name for name in folders):
            if not inner.is_symlink():
                inner.chmod(0o755)
    shutil.rmtree(folder)


def give(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)


def run(site: Any, action: str, largest: int = resource.RLIM_INFINITY) -> str:
    """Return what the subject says; it cannot write files larger than `largest`."""
    command = [sys.executable, "-c", SUBJECT, action, json.dumps(site.config()), str(site.state), str(largest)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("action", ["observe", "apply"])
def test_an_unreadable_file_is_named_with_its_owner(shared: Any, action: str) -> None:
    (shared.origin / "secret").write_text("x")
    (shared.origin / "secret").chmod(0o000)
    said = run(shared, action)
    assert said.startswith(
        f"SourceError: cannot read {shared.origin}/secret: permission denied; {shared.origin}/secret belongs to "
    )
    assert ", mode 0000, and komodod runs as " in said


def test_an_unreadable_directory_is_named(shared: Any) -> None:
    (shared.origin / "closed").mkdir(mode=0o000)
    assert f"cannot read {shared.origin}/closed: permission denied" in run(shared, "observe")


def test_an_unreadable_origin_is_named(shared: Any) -> None:
    shared.origin.chmod(0o000)
    assert f"cannot read {shared.origin}: permission denied" in run(shared, "observe")


def test_an_unreadable_target_is_unknown_not_empty(shared: Any) -> None:
    (shared.origin / "a").write_text("a")
    shared.target.chmod(0o000)
    assert f"cannot read {shared.target}: permission denied" in run(shared, "observe")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory that belongs to somebody else")
def test_a_target_without_write_permission_is_named_with_its_owner(shared: Any) -> None:
    (shared.origin / "etc").mkdir()
    (shared.origin / "etc/a").write_text("a")
    shutil.copytree(shared.origin / "etc", shared.target / "etc")
    (shared.target / "etc/a").write_text("b")
    said = run(shared, "apply")
    assert said.startswith(f"SourceError: cannot write {shared.target}/etc/a: permission denied; ")
    assert said.endswith(f"{shared.target}/etc belongs to root:root, mode 0755, and komodod runs as nobody")
    assert (shared.target / "etc/a").read_text() == "b"


def test_a_target_that_cannot_be_made_is_named(shared: Any) -> None:
    (shared.origin / "a").write_text("a")
    shared.target.rmdir()
    shared.target.parent.chmod(0o555)
    assert f"cannot write {shared.target}: permission denied; {shared.target.parent} belongs to " in run(
        shared, "apply"
    )


def test_read_only_directories_of_ones_own_are_written_all_the_same(shared: Any) -> None:
    for place in (shared.origin, shared.target):
        (place / "closed").mkdir()
        give(place / "closed")
    (shared.origin / "closed/a").write_text("a")
    (shared.origin / "fresh").mkdir()
    (shared.origin / "fresh/b").write_text("b")
    for path in (shared.origin / "closed", shared.target / "closed", shared.origin / "fresh"):
        path.chmod(0o555)
    assert run(shared, "apply") == "3 created"
    assert {oct((shared.target / path).stat().st_mode & 0o777) for path in ("closed", "fresh")} == {"0o555"}
    assert run(shared, "observe") == "0"


def test_an_unreadable_file_of_ones_own_is_replaced(shared: Any) -> None:
    for place in (shared.origin, shared.target):
        (place / "a").write_text("a")
    (shared.target / "a").chmod(0o000)
    give(shared.target / "a")
    assert run(shared, "apply") == "1 updated"
    assert run(shared, "observe") == "0"


def test_a_file_that_does_not_fit_leaves_nothing_behind(shared: Any) -> None:
    (shared.origin / "large").write_bytes(b"x" * 3_000_000)
    (shared.target / "large").write_text("old")
    assert f"cannot write {shared.target}/large: file too large" in run(shared, "apply", largest=1_000_000)
    assert shared.paths() == ["large"]
    assert (shared.target / "large").read_text() == "old"


def refuse(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def test_a_read_only_file_system_under_systemd_names_the_drop_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVOCATION_ID", "0")
    said = r"^cannot write /srv/www/a: read-only file system; .* ReadWritePaths=/srv/www, .*/writable-targets\.conf$"
    with pytest.raises(SourceError, match=said), writing(Path("/srv/www/a"), Path("/srv/www")):
        raise refuse(errno.EROFS)


def test_a_target_of_somebody_else_under_systemd_names_the_drop_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVOCATION_ID", "0")
    said = r"or see komodod\.service\.d/root-owned-targets\.conf$"
    with pytest.raises(SourceError, match=said), writing(Path("/usr/a"), Path("/usr")):
        raise refuse(errno.EACCES)


@pytest.mark.parametrize(("place", "setting"), [("/home/ada/site", "ProtectHome="), ("/tmp/site", "PrivateTmp=")])  # noqa: S108  not used
def test_what_the_unit_hides_is_told_with_its_setting(
    place: str, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVOCATION_ID", "0")
    with (
        pytest.raises(SourceError, match=f"; the unit hides it with {setting}: use another place"),
        reading(Path(place)),
    ):
        raise refuse(errno.ENOENT)


def test_without_systemd_no_drop_in_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    said = r"^cannot write /srv/www/a: read-only file system$"
    with pytest.raises(SourceError, match=said), writing(Path("/srv/www/a"), Path("/srv/www")):
        raise refuse(errno.EROFS)


def test_a_set_gid_bit_that_the_unit_forbids_to_keep_is_given_up(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, bits in ((site.origin, 0o750), (site.target, 0o3755)):
        (place / "a").mkdir()
        (place / "a").chmod(bits)
    fchmod = os.fchmod

    def confined(fd: int, mode: int) -> None:
        if mode & 0o6000:
            raise refuse(errno.EPERM)
        fchmod(fd, mode)

    monkeypatch.setattr(os, "fchmod", confined)
    site.apply()
    assert (site.target / "a").stat().st_mode & 0o7777 == 0o1750
