"""Where the daemon listens, and why it cannot be reached there."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from komodod.errors import ConfigError

LONGEST = 107
"""Bytes of a socket's path; the kernel's 108 hold a final zero."""


def find_socket(socket: Path | None, config: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the daemon's socket: what is named first of the option, the option's configuration, the environment.

    Without any configuration it is the socket of a daemon with the default one: systemd's, else the user's own.

    Raises:
        ConfigError: the configuration cannot be read, or does not tell.
    """
    if socket is not None:
        return socket
    if config is None and environ.get("KOMODOD_SOCKET"):
        return Path(environ["KOMODOD_SOCKET"])
    from komodod.settings import location  # noqa: PLC0415  PyYAML is not needed where the socket is named

    try:
        found = location.find_config(config, environ)
    except ConfigError:
        if location.SYSTEM_SOCKET.exists():
            return location.SYSTEM_SOCKET
        return location.default_socket(location.default_state_dir(environ), environ)
    return location.find_socket(found, environ)


def explain(path: Path, error: OSError) -> str:
    """Return one line on why nobody was reached at this socket, and what to do."""
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return (
                f"no daemon at {path}: there is no such file; start one with `komodod run`, or name another with "
                "--socket or --config"
            )
        case errno.ECONNREFUSED if not _is_socket(path):
            return f"no daemon at {path}: that is no socket; name another with --socket or --config"
        case errno.ECONNREFUSED:
            return (
                f"no daemon at {path}: nobody listens there; start one with `komodod run` or `systemctl start komodod`"
            )
        case errno.EACCES | errno.EPERM:
            return (
                f"no permission for {path}; members of the group that owns it may use it, komodod under systemd "
                "(`usermod -aG komodod NAME`, then log in again)"
            )
        case errno.EAGAIN:
            return (
                f"the daemon at {path} takes no callers at this moment: too many wait already, or it hangs; try again"
            )
    if len(os.fsencode(path)) > LONGEST:
        return f"no daemon at {path}: the path is longer than the {LONGEST} bytes that a socket's may have"
    return f"cannot reach the daemon at {path}: {error.strerror or error}"


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False
