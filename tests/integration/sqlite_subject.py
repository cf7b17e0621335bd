"""What the tests of faults run in a process of its own: `python sqlite_subject.py <what> <folder>`.

It says what it saw in lines of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

from komodod.clock import SystemClock
from komodod.errors import StorageError
from komodod.storage import AppendEvent, Batch, EventFilter
from komodod.testing.fakes import fake_context
from komodod.testing.storage_contract.values import event, ident
from komodod_sqlite import SqliteConfig, SqliteStorage

NOBODY = 65534


def say(**what: object) -> None:
    """Write a line that is out when this returns, whatever happens to the process then."""
    os.write(1, json.dumps(what).encode() + b"\n")


def make(folder: Path) -> SqliteStorage:
    """Return the store in the folder."""
    return SqliteStorage(SqliteConfig(), fake_context("sqlite", SystemClock(), folder))


async def attempt(folder: Path) -> None:
    """Open the store, say how that went, and close it again."""
    store = make(folder)
    try:
        await store.open()
    except StorageError as error:
        say(error=str(error), kind=type(error).__name__)
        return
    say(opened=True)
    await store.close()


async def hold(folder: Path) -> None:
    """Open the store and keep it until standard input ends."""
    store = make(folder)
    await store.open()
    say(pid=os.getpid())
    await asyncio.to_thread(sys.stdin.read)
    await store.close()


async def churn(folder: Path) -> None:
    """Commit pairs of events for ever, eight at a time, and say the name of each pair once it is durable."""
    store = make(folder)
    await store.open()

    async def work(worker: int) -> None:
        for number in range(1_000_000):
            name = f"{os.getpid()}.{worker}.{number}"
            await store.commit(Batch(writes=tuple(AppendEvent(event(f"{name}.{side}")) for side in "ab")))
            say(pair=name)

    await asyncio.gather(*(work(worker) for worker in range(8)))


async def fill(folder: Path) -> None:
    """Commit large events until the disk is full, make room, and go on; say what was acknowledged and what is there."""
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * 4_000_000)
    store = make(folder)
    await store.open()
    acknowledged = await _push(store, "before")
    refused = await _refusal(store)
    read = len(await store.list_events(EventFilter(), limit=10_000))
    ballast.unlink()
    await store.ping()
    acknowledged += await _push(store, "after", most=3)
    await store.close()
    await store.open()
    there = [row.id for row in await store.list_events(EventFilter(), limit=10_000)]
    await store.close()
    say(refused=refused, read=read, acknowledged=acknowledged, there=there)


async def cram(folder: Path) -> None:
    """Fill the disk to its last byte, then try to open a store on it."""
    with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as ballast:
        while ballast.write(b"x" * 4096):
            pass  # until there is no space left on the device
    await attempt(folder)


async def _push(store: SqliteStorage, name: str, most: int = 1000) -> list[str]:
    """Append events of 100 KB until one is refused; return the ids of those that were acknowledged."""
    done: list[str] = []
    for number in range(most):
        large = event(f"{name} {number}", reason="x" * 100_000)
        try:
            await store.commit(Batch(writes=(AppendEvent(large),)))
        except StorageError:
            return done
        done.append(ident(f"{name} {number}"))
    return done


async def _refusal(store: SqliteStorage) -> str | None:
    try:
        await store.commit(Batch(writes=(AppendEvent(event("one more", reason="x" * 500_000)),)))
    except StorageError as error:
        return str(error)
    return None


WHATS = {"attempt": attempt, "cram": cram, "hold": hold, "churn": churn, "fill": fill}


if __name__ == "__main__":
    if os.geteuid() == 0 and "--nobody" in sys.argv:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    asyncio.run(WHATS[sys.argv[1]](Path(sys.argv[2])))
