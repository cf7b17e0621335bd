"""The Unix socket of the API: made, guarded against a second daemon, and removed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from komodod.api.peers import peer_of
from komodod.errors import ConfigError, Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST: Final = 107
"""Bytes of the longest path of a socket that Linux takes: `sun_path` has 108, with a NUL at the end."""

MODE: Final = 0o660
BACKLOG: Final = 512


@dataclass(frozen=True, slots=True)
class Bound:
    """A socket that listens, and its file."""

    socket: socket.socket
    path: Path

    def remove(self) -> None:
        """Close the socket and remove its file, unless another process listens on that by now.

        Raises:
            OSError: the file cannot be removed.
        """
        self.socket.close()
        with contextlib.suppress(FileNotFoundError, RefusedError, ConfigError), _locked(self.path.parent):
            _clear(self.path)


def bind(path: Path) -> Bound:
    """Listen on a socket of this path, which its owner and group may use; a file that a dead daemon left is replaced.

    Raises:
        ConfigError: there can be no socket of this path.
        RefusedError: a living process listens there.
    """
    length = len(os.fsencode(path))
    if length > LONGEST:
        raise _unusable(f"the path of the socket is too long: {length} bytes, at most {LONGEST}: '{path}'")
    try:
        with _locked(path.parent):
            _clear(path)
            return _listen(path)
    except OSError as error:
        raise _unusable(f"cannot listen on '{path}': {error.strerror}") from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other daemons from looking at what is there, and removing it, at the same time."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError(f"another process makes a socket in '{folder}' at this moment; try again") from error
        yield
    finally:
        os.close(descriptor)  # ends the lock


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise _unusable(f"'{path}' exists and is no socket; remove it")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            holder = "another process"  # its queue is full, so it is there
        else:
            holder = f"process {peer_of(probe)[0]}"
    raise RefusedError(f"{holder} listens on '{path}' already; stop it, or set api.socket to another path")


def _listen(path: Path) -> Bound:
    listener = socket.socket(socket.AF_UNIX)
    try:
        # The file is made with the mode of the socket, so that nobody else can connect even for a moment. Setting the
        # umask instead would be felt by every thread, the store's too.
        os.fchmod(listener.fileno(), MODE)
        listener.bind(os.fspath(path))
        path.chmod(MODE)  # where a strict umask took the group's part
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return Bound(listener, path)


def _unusable(what: str) -> ConfigError:
    return ConfigError([Problem(f"{what}; set api.socket to a path that the daemon can use")])
