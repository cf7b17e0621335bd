"""Locks that the kernel lets go of when their holder dies (`flock`), waited for without blocking the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from komodod.errors import TemporaryError
from komodod.texts import show_path

if TYPE_CHECKING:
    from komodod.tree.root import Root
    from komodod.tree.work import Stop

PAUSE: Final = 0.1
"""Seconds between two tries. `flock` can also wait in the kernel, but then nothing could tell it to stop."""


@contextlib.contextmanager
def hold(root: Root, stop: Stop, patience: float | None = None) -> Iterator[None]:
    """Hold the lock of a directory; in a thread, because it sleeps while somebody else has it.

    The directory itself is locked, so there is no lock file to leave behind, and all sources that write to it exclude
    each other. The lock belongs to the open directory: two `open()` of it exclude each other in one process, too.

    Raises:
        TemporaryError: somebody else held it for `patience` seconds.
        StoppedError: the caller was cancelled.
    """
    until = None if patience is None else time.monotonic() + patience
    while not _take(root.fd):
        stop.check()
        if until is not None and time.monotonic() >= until:
            raise _busy(root.place)
        stop.wait(PAUSE)
    try:
        yield
    finally:
        fcntl.flock(root.fd, fcntl.LOCK_UN)


def _busy(place: Path) -> TemporaryError:
    return TemporaryError(f"{show_path(place)} is still in use by a check or apply; try again later", doubtful=False)


def _take(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take_file(path: Path) -> int | None:
    """Open and lock the file at `path`, making it if need be; None while somebody else holds it. Close it to let go.

    The holder may remove the file: whoever waits then finds that the file at `path` is another one, and tries again.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    if _take(fd) and _stands(fd, path):
        return fd
    os.close(fd)
    return None


def _stands(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


@contextlib.asynccontextmanager
async def hold_file(path: Path, patience: float | None = None) -> AsyncIterator[None]:
    """Hold the lock file at `path`; waits on the event loop.

    Raises:
        TemporaryError: somebody else held it for `patience` seconds.
    """
    try:
        async with asyncio.timeout(patience):
            while (fd := take_file(path)) is None:  # noqa: ASYNC110  the kernel tells nobody when a lock is free
                await asyncio.sleep(PAUSE)
    except TimeoutError as error:
        raise _busy(path) from error
    try:
        yield
    finally:
        os.close(fd)
