"""What a tree consists of: entries by their path, relative to its root, with `/` between names.

Paths are `str` as `os.fsdecode` makes them, so any name a file system holds goes there and back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hashlib import _Hash

PERMISSIONS: Final = 0o777
"""The bits that are compared and copied. Set-uid, set-gid and sticky bits are neither: a target keeps its own."""


class Kind(StrEnum):
    """What an entry is."""

    FILE = "file"
    DIR = "dir"
    SYMLINK = "symlink"
    SPECIAL = "special"
    """A fifo, socket or device: never opened, never copied, never removed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `mode` is its permissions, 0 for a symlink; `size` is in bytes, that of its text for a symlink.

    `digest` identifies the content of a file and the text of a symlink; None where it is not known or there is none.
    """

    kind: Kind
    mode: int = 0
    size: int = 0
    digest: str | None = None


Entries = Mapping[str, Entry]

Hashing = Callable[[int], "_Hash"]
"""How a tree identifies contents: a function from the size of one to the hash object that is fed with it."""


def sha256(size: int) -> _Hash:  # noqa: ARG001  git's hash begins with the size, this one does not
    """The hashing of directories."""
    return hashlib.sha256()


def parent(path: str) -> str:
    """Return the path of the directory that holds this one; the root is the empty path."""
    return path.rpartition("/")[0]


def name(path: str) -> str:
    """Return the last name of a path."""
    return path.rpartition("/")[2]


def join(folder: str, last: str) -> str:
    """Return the path of `last` in `folder`."""
    return f"{folder}/{last}" if folder else last


def revision(entries: Entries) -> str:
    """Return 16 hex digits that are the same for the same paths, kinds, permissions and contents, and only for these."""
    summed = hashlib.sha256()
    for path in sorted(entries):
        entry = entries[path]
        # NUL cannot occur in a path, and no other field holds one.
        fields = (path, entry.kind.value, f"{entry.mode:o}", entry.digest or "")
        summed.update("\0".join(fields).encode("utf-8", "surrogateescape") + b"\0\0")
    return summed.hexdigest()[:16]
