"""Who waits for whom, who stops when nobody waits any more, and what is left when a sync is gone."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import komodod_directory
from komodod.errors import TemporaryError
from komodod.testing.sources import SYNC_ID, apply, deleted, observe, source_context, validate
from komodod.tree import Patterns, Stop, Target, tidy
from komodod.tree.root import Root
from komodod.tree.scan import scan
from komodod.tree.work import StoppedError, perform
from komodod_directory import DirectorySource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEFTOVER = f".komodod-{SYNC_ID[:8]}-0123456789abcdef.tmp"
STRANGE = ".komodod-ffffffff-0123456789abcdef.tmp"


@contextmanager
def busy(place: Path) -> Iterator[int]:
    """Hold a target as an apply of somebody else does."""
    fd = os.open(place, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield fd
    finally:
        os.close(fd)


def test_an_apply_waits_for_another_one_on_the_same_target_and_the_loop_goes_on(site: Any) -> None:
    (site.origin / "a").write_text("a")

    async def main() -> None:
        with busy(site.target) as other:
            task = asyncio.create_task(apply(DirectorySource, site.config(), source_context(site.state)))
            done, _ = await asyncio.wait({task}, timeout=0.3)
            assert not done
            assert site.paths() == []
            fcntl.flock(other, fcntl.LOCK_UN)
            await task

    asyncio.run(main())
    assert site.paths() == ["a"]


def test_a_look_does_not_wait_for_an_apply(site: Any) -> None:
    with busy(site.target):
        assert site.told() == []


def test_a_cancelled_apply_that_waits_never_gets_its_turn(site: Any) -> None:
    (site.origin / "a").write_text("a")

    async def main() -> None:
        with busy(site.target):
            task = asyncio.create_task(apply(DirectorySource, site.config(), source_context(site.state)))
            await asyncio.wait({task}, timeout=0.2)
            task.cancel()
            await asyncio.wait({task})

    asyncio.run(main())
    for thread in threading.enumerate():
        if thread.name.startswith("komodod-"):
            thread.join(5)
    assert site.paths() == []


def test_a_cancelled_look_stops_its_thread(site: Any) -> None:
    with (site.origin / "huge").open("wb") as file:
        file.truncate(1 << 40)  # sparse; reading it all would take many minutes

    async def main() -> None:
        task = asyncio.create_task(observe(DirectorySource, site.config(), source_context(site.state)))
        await asyncio.wait({task}, timeout=0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    for thread in threading.enumerate():
        if thread.name.startswith("komodod-"):
            thread.join(5)
            assert not thread.is_alive()


def test_work_that_is_done_is_not_stopped() -> None:
    assert asyncio.run(perform(lambda stop: stop.is_set())) is False


def test_a_scan_that_is_stopped_ends(site: Any) -> None:
    stop = Stop()
    stop.set()
    with pytest.raises(StoppedError), Root.open(site.origin) as root:
        scan(root, Patterns(), stop)


# --- after the sync


def tidy_up(site: Any, patience: float = 1.0) -> None:
    context = source_context(site.state)
    tidy(Target(place=site.target, sync_id=SYNC_ID), patience, context.log)


def test_a_deleted_sync_leaves_no_temporary_files_in_its_target(site: Any) -> None:
    (site.target / "d").mkdir()
    for path in ("kept", LEFTOVER, f"d/{LEFTOVER}", STRANGE):
        (site.target / path).write_text("x")
    stored = validate(DirectorySource, site.config()).model_dump(mode="json", by_alias=True)
    komodod_directory.on_sync_deleted(deleted({"type": "directory", **stored}), source_context(site.state))
    assert site.paths() == [STRANGE, "d", "kept"]


def test_a_deleted_sync_of_another_type_is_nothing_to_this_plugin(site: Any) -> None:
    (site.target / LEFTOVER).write_text("x")
    komodod_directory.on_sync_deleted(deleted({"type": "git", "to": str(site.target)}), source_context(site.state))
    assert site.paths() == [LEFTOVER]


def test_tidying_waits_for_the_apply_of_the_deleted_sync_but_not_for_ever(site: Any) -> None:
    (site.target / LEFTOVER).write_text("x")
    started = time.monotonic()
    with (
        busy(site.target),
        pytest.raises(TemporaryError, match=r"/to is still in use by a check or apply; try again later$"),
    ):
        tidy_up(site, patience=0.2)
    assert time.monotonic() - started < 5
    assert site.paths() == [LEFTOVER]


def test_tidying_a_target_that_is_gone_is_done(site: Any) -> None:
    site.target.rmdir()
    tidy_up(site)
