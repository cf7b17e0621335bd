"""Bringing a directory to what a tree should be, so that a crash at any moment leaves whole files only.

Contents are written to a temporary name beside their place, fsynced and renamed. What a killed apply leaves are
temporary files, which the next one removes, and paths that it had not come to, which the next one sees as different.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from komodod.errors import SourceError
from komodod.texts import show_path
from komodod.tree.entries import PERMISSIONS, Entry, Kind, name, parent
from komodod.tree.origin import WRITABLE
from komodod.tree.scan import TEMPORARY
from komodod.tree.trouble import ChangedError, steady, writing

if TYPE_CHECKING:
    from komodod.tree.comparison import Difference
    from komodod.tree.origin import Origin
    from komodod.tree.root import Root
    from komodod.tree.work import Stop


def temporary(label: str) -> str:
    """Return a new name for a file that is being written for the sync that `label` stands for."""
    return f".komodod-{label}-{secrets.token_hex(8)}.tmp"


def sweep(target: Root, leftovers: Sequence[str], label: str | None = None) -> None:
    """Remove temporary files; only those of one sync if `label` is given. The target must be locked.

    Raises:
        SourceError: one cannot be removed.
    """
    for path in leftovers:
        if label is not None and not name(path).startswith(f".komodod-{label}-"):
            continue
        with writing(target.locate(path), target.place), target.directory(parent(path)) as folder:
            if TEMPORARY.fullmatch(name(path)):
                with contextlib.suppress(FileNotFoundError):  # what was to be reached
                    os.unlink(name(path), dir_fd=folder)


class Writer:
    """Carries out the differences of one target, which must be locked."""

    def __init__(self, target: Root, origin: Origin, label: str, stop: Stop) -> None:
        self._target, self._origin, self._label, self._stop = target, origin, label, stop
        self._touched: set[str] = set()
        self._modes: dict[str, int] = {}
        """Permissions that a directory gets when all is done in it, because they would be in the way before."""

    def write(self, differences: Sequence[Difference]) -> None:
        """Carry them out: first what makes room, then what should be there, then what should not.

        Raises:
            SourceError: something cannot be written; what came before it is done.
            ChangedError: something is not as it was compared; compare again.
        """
        early, late = _split(differences)
        for item in reversed(early):
            self._remove(item)
        for item in differences:
            if item.want is not None:
                self._put(item, item.want)
        for item in reversed(late):
            self._remove(item)
        self._settle()

    def _put(self, item: Difference, want: Entry) -> None:
        self._stop.check()
        with self._inside(item.path) as folder:
            if want.kind is Kind.DIR:
                self._put_directory(folder, item, want)
            elif item.have is not None and (item.have.kind, item.have.digest) == (want.kind, want.digest):
                self._set_mode(item, want)
            else:
                self._replace(folder, item, want)

    def _put_directory(self, folder: int, item: Difference, want: Entry) -> None:
        last = name(item.path)
        if item.have is None or item.have.kind is not Kind.DIR:
            if item.have is not None:
                os.unlink(last, dir_fd=folder)
            os.mkdir(last, WRITABLE, dir_fd=folder)
        with self._target.directory(item.path) as fd:
            _set_mode(fd, want.mode | WRITABLE)
        if want.mode & WRITABLE != WRITABLE:
            self._modes[item.path] = want.mode

    def _set_mode(self, item: Difference, want: Entry) -> None:
        with self._target.file(item.path) as fd:
            _set_mode(fd, want.mode)
            os.fsync(fd)

    def _replace(self, folder: int, item: Difference, want: Entry) -> None:
        last, draft = name(item.path), temporary(self._label)
        try:
            if want.kind is Kind.SYMLINK:
                os.symlink(self._origin.link(item.path), draft, dir_fd=folder)
            else:
                self._copy(folder, draft, item.path, want)
            if item.have is not None and item.have.kind is Kind.DIR:
                self._make_way(folder, item.path)
            os.rename(draft, last, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):  # the next apply removes it; what went wrong is of more interest
                os.unlink(draft, dir_fd=folder)
            raise

    def _copy(self, folder: int, draft: str, path: str, want: Entry) -> None:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        with os.fdopen(fd, "wb", buffering=0) as file:
            for piece in self._origin.read(path):
                file.write(piece)
            os.fchmod(fd, want.mode)
            os.fsync(fd)

    def _make_way(self, folder: int, path: str) -> None:
        try:
            os.rmdir(name(path), dir_fd=folder)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            place = show_path(self._target.locate(path))
            raise SourceError(
                f"{place} is a directory, should not be one, and holds what is not to be removed; empty it, or set `prune: true`"
            ) from error
        self._forget(path)

    def _remove(self, item: Difference) -> None:
        self._stop.check()
        with self._inside(item.path) as folder:
            if item.kind is not Kind.DIR:
                os.unlink(name(item.path), dir_fd=folder)
                return
            try:
                os.rmdir(name(item.path), dir_fd=folder)
            except OSError as error:
                if error.errno == errno.ENOTEMPTY:  # by something that was not there before
                    raise ChangedError(str(self._target.locate(item.path))) from error
                raise
        self._forget(item.path)

    def _forget(self, path: str) -> None:
        """There is no directory at this path any more."""
        self._touched.discard(path)
        self._modes.pop(path, None)

    @contextlib.contextmanager
    def _inside(self, path: str) -> Iterator[int]:
        """Give the directory that holds `path`, ready to be written in."""
        folder, place = parent(path), self._target.locate(path)
        with writing(place, self._target.place), steady(place), self._target.directory(folder) as fd:
            status = os.fstat(fd)
            if status.st_mode & WRITABLE != WRITABLE and status.st_uid == os.geteuid() != 0:
                self._modes.setdefault(folder, status.st_mode)
                _set_mode(fd, status.st_mode | WRITABLE)
            self._touched.add(folder)
            yield fd

    def _settle(self) -> None:
        """Give directories their permissions, and make all that happened in them survive a power failure."""
        for path in sorted(self._touched | self._modes.keys(), reverse=True):
            with writing(self._target.locate(path), self._target.place), self._target.directory(path) as fd:
                if path in self._modes:
                    _set_mode(fd, self._modes[path])
                sync_directory(fd)


def _set_mode(fd: int, mode: int) -> None:
    """Set the permissions, and keep the set-gid or sticky bit that a directory has."""
    now, wanted = stat.S_IMODE(os.fstat(fd).st_mode), mode & PERMISSIONS
    kept = now & ~PERMISSIONS
    if now & PERMISSIONS == wanted:
        return
    try:
        os.fchmod(fd, kept | wanted)
    except PermissionError:
        if not kept & (stat.S_ISUID | stat.S_ISGID):
            raise
        os.fchmod(fd, kept & stat.S_ISVTX | wanted)  # RestrictSUIDSGID= of a unit forbids to set the other two


def sync_directory(fd: int) -> None:
    """Make the names in a directory durable."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # file systems that cannot, such as CIFS, do it at once or never
            raise


def _split(differences: Sequence[Difference]) -> tuple[list[Difference], list[Difference]]:
    """Part what goes away into what lies in a directory that becomes something else, and the rest."""
    replaced = {
        item.path
        for item in differences
        if item.have is not None
        and item.have.kind is Kind.DIR
        and item.want is not None
        and item.want.kind is not Kind.DIR
    }
    early: list[Difference] = []
    late: list[Difference] = []
    for item in differences:
        if item.want is None:
            (early if _below(item.path, replaced) else late).append(item)
    return early, late


def _below(path: str, folders: set[str]) -> bool:
    while path := parent(path):
        if path in folders:
            return True
    return False
