"""A commit as the origin of a tree, read straight from the clone: nothing is checked out.

What git says identifies a content (the hash of its blob) is compared with the files of the target. Contents come as
they are stored: no line ends are converted, no filter runs, and a file of Git LFS is its pointer. Submodules are left
out, on both sides.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from komodod.errors import SourceError
from komodod.texts import show_path
from komodod.tree import ChangedError, Entries, Entry, Hashing, Kind, Patterns, Stop, verified
from komodod_git.clone import DamagedError

if TYPE_CHECKING:
    from hashlib import _Hash

    from komodod_git.commands import Git

CHUNK: Final = 1 << 20

_KINDS: Final = {
    "040000": (Kind.DIR, 0o755),
    "100644": (Kind.FILE, 0o644),
    "100664": (Kind.FILE, 0o644),  # of old repositories
    "100755": (Kind.FILE, 0o755),
    "120000": (Kind.SYMLINK, 0),
}
_SUBMODULE: Final = "160000"
_FORBIDDEN: Final = frozenset({"", ".", "..", ".git"})


@dataclass(frozen=True, slots=True)
class Contents:
    """What a commit holds: entries whose digests are the names of their blobs, and the paths of submodules."""

    entries: Entries
    submodules: tuple[str, ...]


def parse(listed: bytes, ignore: Patterns) -> Contents:
    """Read what `git ls-tree -r -t -l -z` printed.

    Raises:
        SourceError: it holds a path that git itself would not write, such as `..` or `.git`.
    """
    entries: dict[str, Entry] = {}
    submodules = []
    for record in listed.split(b"\0")[:-1]:
        fields, _, raw = record.partition(b"\t")
        mode, _, blob, size = fields.decode().split()
        path = os.fsdecode(raw)
        if _FORBIDDEN & {name.lower() for name in path.split("/")}:
            raise SourceError(f"the repository holds the path {show_path(path)}, which cannot be right; it is not used")
        if mode == _SUBMODULE:
            submodules.append(path)
        elif not ignore.covers(path, directory=mode == "040000"):
            kind, permissions = _KINDS[mode]
            content = kind is not Kind.DIR
            entries[path] = Entry(kind, permissions, int(size) if content else 0, blob if content else None)
    return Contents(entries, tuple(submodules))


def literal(path: str) -> str:
    """Return the pattern that matches this path alone."""
    return "/" + re.sub(r"([\\*?\[\]])", r"\\\1", path)


def hashing(commit: str) -> Hashing:
    """Return how a repository with such commits names its blobs."""
    algorithm = hashlib.sha256 if len(commit) == 64 else hashlib.sha1

    def begin(size: int) -> _Hash:
        return algorithm(b"blob %d\0" % size)

    return begin


class CommitOrigin:
    """One commit of a clone as an origin; `git cat-file` runs from the first content that is read until it is closed."""

    mode = 0o755

    def __init__(self, git: Git, commit: str, entries: Entries, stop: Stop) -> None:
        self.revision, self.entries, self.hashing = commit, entries, hashing(commit)
        self._git, self._stop = git, stop
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextlib.contextmanager
    def open(cls, git: Git, commit: str, entries: Entries, stop: Stop) -> Iterator[CommitOrigin]:
        """Give the origin; `git` works in the clone."""
        origin = cls(git, commit, entries, stop)
        try:
            yield origin
        finally:
            origin.close()

    def link(self, path: str) -> str:
        return os.fsdecode(b"".join(self.read(path)))

    def read(self, path: str) -> Generator[bytes, None, None]:
        """Give the content of a blob.

        Raises:
            DamagedError: the clone does not hold it as it was.
        """
        entry = self.entries[path]
        try:
            yield from verified(self._pieces(entry), entry, self.hashing, path)
        except ChangedError as error:
            raise DamagedError(f"the blob {entry.digest} is not what it was") from error

    def _pieces(self, entry: Entry) -> Iterator[bytes]:
        complete, left = False, entry.size
        try:
            output = self._ask(entry)
            while left and (piece := output.read(min(left, CHUNK))):
                self._stop.check()
                left -= len(piece)
                yield piece
            complete = output.read(1) == b"\n"
        finally:
            if not complete:
                self.close()  # what it says next would not be the answer to what is asked next

    def _ask(self, entry: Entry) -> IO[bytes]:
        """Ask for a blob and return where it can be read, followed by a line break."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None, "started with pipes"  # noqa: S101
        assert process.stdout is not None, "started with pipes"  # noqa: S101
        asked = (entry.digest or "").encode()
        try:
            process.stdin.write(asked + b"\n")
            process.stdin.flush()
        except BrokenPipeError as error:
            raise DamagedError("git ended while it was reading the clone") from error
        if process.stdout.readline().split() != [asked, b"blob", b"%d" % entry.size]:
            raise DamagedError(f"the blob {entry.digest} is missing")
        return process.stdout

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._git.argv("cat-file", "--batch"),
            cwd=self._git.place,
            env=self._git.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """End the process. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with process, contextlib.suppress(BrokenPipeError):
                pass  # closes its pipes and reaps it
