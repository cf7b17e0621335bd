"""Directories brought in step with a tree of files, wherever that tree comes from.

A source says where its tree comes from (`Origin`; `DirectoryOrigin` for one on disk) and where it is to be (`Target`);
`observe` and `apply` do the rest. They block, so a source runs them with `perform`: in one thread for all of a check,
which stops early when the check is cancelled.

What a tree is: files, directories and symlinks, by path; contents by digest, permissions (not owners, times, set-uid
bits, extended attributes or hard links), texts of symlinks. Anything else in it (a fifo, socket, device) is an error.
"""

from __future__ import annotations

from komodod.tree.entries import Entries, Entry, Hashing, Kind
from komodod.tree.locks import hold_file
from komodod.tree.origin import DirectoryOrigin, Opening, Origin, verified
from komodod.tree.patterns import Pattern, Patterns
from komodod.tree.places import check_pair, check_places
from komodod.tree.reconciliation import Target, apply, observe, tidy
from komodod.tree.trouble import ChangedError
from komodod.tree.work import Stop, perform

__all__ = [
    "ChangedError",
    "DirectoryOrigin",
    "Entries",
    "Entry",
    "Hashing",
    "Kind",
    "Opening",
    "Origin",
    "Pattern",
    "Patterns",
    "Stop",
    "Target",
    "apply",
    "check_pair",
    "check_places",
    "hold_file",
    "observe",
    "perform",
    "tidy",
    "verified",
]
