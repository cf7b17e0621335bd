"""Plugins that are plain `.py` files in a folder, loaded only if nobody else could have written them."""

from __future__ import annotations

import importlib.util
import os
import stat
import sys
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

LARGEST: Final = 1024 * 1024
"""Bytes of one plugin's source."""

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class UnsafeError(Exception):
    """A file or folder that somebody else may write to, or that cannot be read; says which and what to do."""


def find(folder: Path) -> list[Path]:
    """Return the plugin files of a folder: every `*.py` whose name starts with neither `_` nor `.`, sorted by name.

    Raises:
        UnsafeError: the folder cannot be read, or it or a folder above it can be written to by somebody else.
    """
    try:
        _check_folders(folder.resolve(strict=True))
        files = sorted(file for file in folder.iterdir() if file.suffix == ".py")
    except OSError as error:
        raise UnsafeError(f"cannot read the folder {str(folder)!r}: {error.strerror}") from error
    except RuntimeError as error:  # a loop of symbolic links, before Python 3.13
        raise UnsafeError(f"cannot read the folder {str(folder)!r}: {error}") from error
    return [file for file in files if not file.name.startswith(("_", "."))]


def load(path: Path) -> ModuleType:
    """Import the file as the module `komodod_file_<stem>`, from the very bytes whose owner was looked at.

    No compiled copy is written or trusted.

    Raises:
        UnsafeError: it, or a folder above it, can be written to by somebody else, or it cannot be read.
        BaseException: whatever the module raises.
    """
    source = _read(path)
    name = f"komodod_file_{path.stem}"
    loader = _Loader(path, source)
    module = importlib.util.module_from_spec(ModuleSpec(name, loader, origin=str(path)))
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and pydantic look their module up there
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


class _Loader(InspectLoader):
    def __init__(self, path: Path, source: bytes) -> None:
        self._path, self._source = path, source

    def get_source(self, fullname: str) -> str:  # noqa: ARG002  as the base has it
        """Return the text, for tracebacks too."""
        return importlib.util.decode_source(self._source)

    def get_code(self, fullname: str) -> CodeType:
        """Compile under the file's name."""
        return self.source_to_code(self.get_source(fullname), str(self._path))


def _read(path: Path) -> bytes:
    try:
        _check_folders(path.resolve(strict=True).parent)
        with open(path, "rb", opener=_open) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnsafeError(f"{str(path)!r} is not a regular file")
            _check(path, status)
            source = file.read(LARGEST + 1)
    except OSError as error:
        raise UnsafeError(f"cannot read {str(path)!r}: {error.strerror}") from error
    if len(source) > LARGEST:
        raise UnsafeError(f"{str(path)!r} is larger than {LARGEST} bytes")
    return source


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a named pipe must not hold us


def _check_folders(folder: Path) -> None:
    """Look at the folder and at all above it: who may write to one of these may put another in its place."""
    for each in (folder, *folder.parents):
        status = each.stat()
        # In a folder like /tmp, the sticky bit leaves to each what is theirs.
        shared = each != folder and status.st_mode & stat.S_ISVTX
        _check(each, status, forbidden=0 if shared else _OTHERS_WRITE)


def _check(path: Path, status: os.stat_result, forbidden: int = _OTHERS_WRITE) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise UnsafeError(f"{str(path)!r} belongs to uid {status.st_uid}; make it root's or uid {os.geteuid()}'s")
    if status.st_mode & forbidden:
        mode = stat.S_IMODE(status.st_mode)
        raise UnsafeError(f"{str(path)!r} (mode {mode:04o}) can be written to by others; run chmod go-w on it")
