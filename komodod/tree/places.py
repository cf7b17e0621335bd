"""Which directories may be brought in step with which: never one with itself or a part of itself (ruling 7)."""

from __future__ import annotations

import os
from pathlib import Path

from komodod.errors import SourceError
from komodod.texts import show_path


def check_pair(origin: Path | None, target: Path) -> None:
    """Refuse a target by its name alone, for the moment when a configuration is validated.

    Raises:
        ValueError: it is `/`, or it and `origin` are the same or one inside the other.
    """
    complaint = _complain(None if origin is None else Path(os.path.normpath(origin)), Path(os.path.normpath(target)))
    if complaint:
        raise ValueError(complaint)


def check_places(origin: Path | None, target: Path, state_dir: Path) -> None:
    """Refuse a target by what it is on disk, symlinks resolved.

    Raises:
        SourceError: as `check_pair`; or the target holds komodod's own state, or lies in it.
    """
    real = Path(os.path.realpath(target))
    complaint = _complain(None if origin is None else Path(os.path.realpath(origin)), real)
    if complaint:
        raise SourceError(complaint)
    if _overlap(real, Path(os.path.realpath(state_dir))):
        raise SourceError(f"`to` is {show_path(real)}, where komodod keeps its own state; choose another directory")


def _complain(origin: Path | None, target: Path) -> str | None:
    if target == Path(target.root):
        return "`to` is the root directory; choose one below it"
    if origin == target:
        return f"`from` and `to` are the same directory, {show_path(target)}"
    if origin is not None and _overlap(origin, target):
        return f"`from` {show_path(origin)} and `to` {show_path(target)} are one inside the other; keep them apart"
    return None


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)
