from __future__ import annotations

import asyncio
import dataclasses
import os
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from komodod.errors import SourceError
from komodod.testing.sources import source_context, validate
from komodod.tree import Patterns, Stop
from komodod_git import GitConfig, GitSource
from komodod_git.commands import Access, Git, GitError
from komodod_git.origin import CommitOrigin, parse

if TYPE_CHECKING:
    from pathlib import Path


def test_the_revision_is_the_commit(remote: Any) -> None:
    assert remote.observe().revision == remote.git("rev-parse", "HEAD")


def test_what_the_branch_holds_is_to_be_created(remote: Any) -> None:
    assert remote.told() == ["create file a", "create dir deploy", "create file deploy/b"]
    assert remote.observe().changes[0].diff == "--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+one"


def test_an_apply_brings_the_files_and_nothing_of_git(remote: Any) -> None:
    applied = remote.apply()
    assert applied.revision == remote.git("rev-parse", "HEAD")
    assert remote.paths() == ["a", "deploy", "deploy/b"]
    assert (remote.target / "deploy/b").read_text() == "two\n"
    assert remote.told(prune=True) == []


def test_a_new_commit_is_seen(remote: Any) -> None:
    remote.apply()
    commit = remote.commit({"a": "ONE\n"})
    seen = remote.observe()
    assert seen.revision == commit
    assert [(change.action, change.name) for change in seen.changes] == [("update", "a")]
    remote.apply()
    assert (remote.target / "a").read_text() == "ONE\n"


def test_a_change_by_hand_is_seen(remote: Any) -> None:
    remote.apply()
    (remote.target / "a").write_text("1 e\n")
    (change,) = remote.observe().changes
    assert change.diff.endswith("-1 e\n+one")


def test_modes_and_symlinks_are_those_of_the_repository_whatever_the_umask(remote: Any) -> None:
    (remote.place / "run").write_text("#!/bin/sh\n")
    (remote.place / "run").chmod(0o755)
    (remote.place / "link").symlink_to("../outside")
    remote.commit()
    before = os.umask(0o077)
    try:
        remote.apply()
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE((remote.target / path).stat().st_mode) for path in ("run", "a", "deploy")}
    assert modes == {"run": 0o755, "a": 0o644, "deploy": 0o755}
    assert os.fspath((remote.target / "link").readlink()) == "../outside"


def test_what_the_branch_no_longer_holds_is_pruned_if_so_told(remote: Any) -> None:
    remote.apply()
    remote.git("rm", "--quiet", "deploy/b")
    remote.commit()
    assert remote.told() == []
    assert remote.told(prune=True) == ["delete dir deploy", "delete file deploy/b"]


def test_another_branch_can_be_followed(remote: Any) -> None:
    remote.git("checkout", "--quiet", "-b", "feature/x")
    remote.commit({"c": "three"})
    remote.git("checkout", "--quiet", "main")
    assert "create file c" in remote.told(branch="feature/x")
    assert "create file c" not in remote.told()


def test_a_branch_whose_name_ends_alike_is_not_followed(remote: Any) -> None:
    remote.git("checkout", "--quiet", "-b", "refs/heads/live")
    remote.git("checkout", "--quiet", "main")
    with pytest.raises(SourceError, match="there is no branch 'live'"):
        remote.observe(branch="live")


def test_a_directory_of_the_repository_can_be_followed(remote: Any) -> None:
    assert remote.told(path="deploy/") == ["create file b"]


@pytest.mark.parametrize(("path", "said"), [("nowhere", "does not exist"), ("a", "is a file, not a directory")])
def test_a_path_that_is_no_directory_is_named(remote: Any, path: str, said: str) -> None:
    commit = remote.git("rev-parse", "HEAD")[:12]
    with pytest.raises(SourceError, match=rf"^the path '{path}' of \S+, at {commit}, {said}$"):
        remote.observe(path=path)


def test_ignored_paths_count_on_neither_side(remote: Any) -> None:
    (remote.target / "a").write_text("mine")
    (remote.target / "cache").mkdir()
    assert remote.told(prune=True, ignore=["/a", "deploy/", "cache"]) == []


def test_submodules_are_left_alone_on_both_sides(remote: Any, tmp_path: Path) -> None:
    inner = type(remote)(tmp_path / "inner", remote.target, remote.state)
    inner.place.mkdir()
    inner.git("init", "--quiet")
    inner.commit({"x": "x"})
    remote.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.place), "vendor/mod*")
    remote.commit()
    (remote.target / "vendor/mod*").mkdir(parents=True)
    (remote.target / "vendor/mod*/mine").write_text("mine")
    (remote.target / "vendor/module").write_text("to be pruned")
    remote.apply(prune=True)
    assert remote.paths() == [".gitmodules", "a", "deploy", "deploy/b", "vendor", "vendor/mod*", "vendor/mod*/mine"]


@pytest.mark.parametrize("name", [b"new\nline", b"\xff\xfe", b"tab\t", b'"quoted"', b" ", b"caf\xc3\xa9", b"x" * 255])
def test_any_name_is_copied(remote: Any, name: bytes) -> None:
    (remote.place / os.fsdecode(name)).write_text("x")
    remote.commit()
    remote.apply()
    assert name in {os.fsencode(path.name) for path in remote.target.iterdir()}
    assert remote.told(prune=True) == []


def test_contents_come_as_they_are_stored(remote: Any) -> None:
    """No line ends are converted, nothing is filtered, left out or filled in, whatever the attributes say."""
    remote.commit({"dos.txt": "a\n$Id$ $Format:%H$\n"})
    remote.commit({".gitattributes": "* text eol=crlf ident export-ignore export-subst filter=evil\n"})
    remote.apply()
    assert (remote.target / "dos.txt").read_bytes() == b"a\n$Id$ $Format:%H$\n"
    assert remote.told(prune=True) == []


def test_large_and_empty_files_are_copied(remote: Any) -> None:
    (remote.place / "large").write_bytes(os.urandom(3_000_000))
    (remote.place / "empty").write_bytes(b"")
    remote.commit()
    remote.apply()
    assert (remote.target / "large").read_bytes() == (remote.place / "large").read_bytes()
    assert (remote.target / "empty").read_bytes() == b""


def test_a_repository_of_the_other_hash_is_read(remote: Any, tmp_path: Path) -> None:
    other = type(remote)(tmp_path / "sha256", remote.target, remote.state)
    other.place.mkdir()
    other.git("init", "--quiet", "--object-format=sha256")
    assert len(other.commit({"a": "one\n"})) == 64
    other.apply()
    assert other.told(prune=True) == []
    assert (remote.target / "a").read_text() == "one\n"


def test_a_shallow_repository_is_read(remote: Any, tmp_path: Path) -> None:
    remote.commit({"a": "1"})
    url = f"file://{remote.place}"
    subprocess.run(["git", "clone", "--quiet", "--bare", "--depth=1", url, tmp_path / "shallow"], check=True)
    remote.apply(url=str(tmp_path / "shallow"))
    assert (remote.target / "a").read_text() == "1"
    for text in "234":
        remote.commit({"a": text})
    fetch = ["git", "fetch", "--quiet", "--depth=1", url, "+main:main"]
    subprocess.run(fetch, cwd=tmp_path / "shallow", check=True)
    remote.apply(url=str(tmp_path / "shallow"))
    assert (remote.target / "a").read_text() == "4"


def test_a_file_url_is_read(remote: Any) -> None:
    assert len(remote.told(url=f"file://{remote.place}")) == 3


def test_an_empty_branch_does_not_prune_everything(remote: Any) -> None:
    remote.apply()
    remote.git("rm", "-r", "--quiet", ".")
    remote.commit()
    with pytest.raises(SourceError, match=r"the origin is empty; .* --force"):
        remote.apply(prune=True)
    remote.apply(prune=True, force=True)
    assert remote.paths() == []


@pytest.mark.parametrize("name", [".git/config", "x/.GIT/hooks/post-checkout", "../escape", "a/../../escape"])
def test_paths_that_git_would_not_write_are_not_written(remote: Any, name: str) -> None:
    blob = remote.git("hash-object", "-w", "a")
    tree = b""
    for last in reversed(name.split("/")):
        mode, entry = (b"40000", tree) if tree else (b"100644", blob)
        record = (
            mode + b" " + last.encode() + b"\0" + bytes.fromhex(entry if isinstance(entry, str) else entry.decode())
        )
        command = ["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"]
        tree = subprocess.run(command, input=record, cwd=remote.place, capture_output=True, check=True).stdout.strip()
    commit = remote.git("commit-tree", "-m", "evil", tree.decode())
    remote.git("update-ref", "refs/heads/main", commit)
    with pytest.raises(SourceError, match=r"the repository holds the path .*, which cannot be right; it is not used$"):
        remote.apply(force=True)
    assert remote.paths() == []


def test_komodods_own_state_is_no_target(remote: Any) -> None:
    remote.target = remote.state
    with pytest.raises(SourceError, match="keeps its own state"):
        remote.observe()


def test_an_unchanged_branch_costs_no_fetch(remote: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote.apply()
    log = tmp_path / "commands"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(f'#!/bin/sh\necho "$@" >> {log}\nPATH={os.environ["PATH"]} exec git "$@"\n')
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    assert remote.told() == []
    assert "ls-remote" in log.read_text()
    assert " fetch " not in log.read_text()
    remote.commit({"a": "new"})
    assert remote.told() == ["update file a"]
    assert " fetch " in log.read_text()


def test_the_configuration_of_a_user_does_not_count(
    remote: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".gitconfig").write_text(f'[url "/nowhere"]\n insteadOf = {remote.place}\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(remote.told()) == 3


def test_hooks_do_not_run(remote: Any, tmp_path: Path) -> None:
    remote.observe()
    hook = remote.clone / "hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    remote.commit({"a": "new\n"})
    remote.apply()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("address", ["ext::sh -c 'touch ran'", "ftp://127.0.0.1:1/x"])
def test_git_itself_is_told_which_transports_it_may_use(remote: Any, tmp_path: Path, address: str) -> None:
    config = validate(GitSource, remote.config())
    assert isinstance(config, GitConfig)
    git = Git(Access.build(config, None), tmp_path)
    with pytest.raises(GitError) as caught:
        asyncio.run(git.run("ls-remote", address))
    assert "not allowed" in caught.value.stderr
    assert not (tmp_path / "ran").exists()


def test_a_content_that_was_read_in_part_does_not_spoil_the_next(remote: Any) -> None:
    remote.commit({"large": "x" * 3_000_000})
    remote.observe()
    config = validate(GitSource, remote.config())
    assert isinstance(config, GitConfig)
    git = Git(Access.build(config, None), remote.state, remote.clone)
    commit = remote.git("rev-parse", "HEAD")
    listed = asyncio.run(git.run("ls-tree", "-r", "-t", "-l", "-z", commit))
    with CommitOrigin.open(git, commit, parse(listed, Patterns()).entries, Stop()) as origin:
        pieces = origin.read("large")
        next(pieces)
        pieces.close()
        assert b"".join(origin.read("a")) == b"one\n"


def test_a_machine_without_git_is_told_so(remote: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="there is no git on this machine; install it"):
        remote.observe()


def test_a_git_source_needs_to_know_its_sync(remote: Any) -> None:
    context = dataclasses.replace(source_context(remote.state), sync_id=None)
    with pytest.raises(ValueError, match="needs the id of its sync"):
        GitSource(validate(GitSource, remote.config()), context)
