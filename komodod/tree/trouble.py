"""What the operating system refused, told so that the reader knows what to do."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from komodod.errors import SourceError
from komodod.texts import show_path

DROP_INS: Final = "komodod.service.d"
"""Where an administrator widens the sandbox of the systemd unit; the examples that come with it are named below."""

_HIDDEN: Final = {"ProtectHome=": ("/home", "/root", "/run/user"), "PrivateTmp=": ("/tmp", "/var/tmp")}  # noqa: S108  not used, told of
"""What the unit keeps from us, by the setting that does."""


class ChangedError(Exception):
    """A tree changed while it was being read; look at it again.

    `place` is the path on disk that shows it.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        super().__init__(place)


CHANGED: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EEXIST, errno.EISDIR})
"""What a call answers that meets something else than what was listed a moment ago."""


@contextlib.contextmanager
def steady(place: Path) -> Iterator[None]:
    """Turn the errors of something that is gone, or is something else by now, into a ChangedError."""
    try:
        yield
    except OSError as error:
        if error.errno in CHANGED:
            raise ChangedError(str(place)) from error
        raise


@contextlib.contextmanager
def reading(place: Path) -> Iterator[None]:
    """Turn what reading this place raises into a SourceError."""
    try:
        yield
    except OSError as error:
        advice = _hiding(error, place) or _ownership(error, place)
        raise SourceError(f"cannot read {show_path(place)}: {_reason(error)}{advice}") from error


@contextlib.contextmanager
def writing(place: Path, target: Path) -> Iterator[None]:
    """Turn what writing this place raises into a SourceError; `target` is the root of the tree that it is in."""
    try:
        yield
    except OSError as error:
        # Making, replacing and removing an entry takes a right to its directory; the rest, to be its owner.
        holder = place.parent if error.errno == errno.EACCES else place
        advice = _ownership(error, holder) + _confinement(error, target)
        raise SourceError(f"cannot write {show_path(place)}: {_reason(error)}{advice}") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _ownership(error: OSError, place: Path) -> str:
    """Say who may, where somebody may not: of the place itself, or of the nearest directory above that we can see."""
    if error.errno not in (errno.EACCES, errno.EPERM):
        return ""
    for candidate in (place, *place.parents):
        try:
            status = os.lstat(candidate)
        except OSError:
            continue  # hidden from us, or not there: the one above it says more
        owner, group = _user(status.st_uid), _group(status.st_gid)
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        return f"; {show_path(candidate)} belongs to {owner}:{group}, mode {mode}, and komodod runs as {_user(os.geteuid())}"
    return ""


def _confinement(error: OSError, target: Path) -> str:
    """Say which drop-in allows to write, where the unit may be what forbids it (systemd.exec(5), ProtectSystem=)."""
    if not _in_unit():
        return ""
    if error.errno == errno.EROFS:
        return f"; allow it with ReadWritePaths={show_path(target)}, as in {DROP_INS}/writable-targets.conf"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"; make it komodod's own, or see {DROP_INS}/root-owned-targets.conf"
    return ""


def _hiding(error: OSError, place: Path) -> str:
    """Say which setting of the unit hides a place."""
    if not _in_unit() or error.errno not in (errno.ENOENT, errno.EACCES):
        return ""
    for setting, roots in _HIDDEN.items():
        if any(place.is_relative_to(root) for root in roots):
            return f"; the unit hides it with {setting}: use another place, or a drop-in in {DROP_INS}"
    return ""


def _in_unit() -> bool:
    return "INVOCATION_ID" in os.environ


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
