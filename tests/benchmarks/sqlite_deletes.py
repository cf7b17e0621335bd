"""Durable deletes a second: the store with 64 in flight, against sqlite3 with one commit a delete.

Run it by hand: `python tests/benchmarks/sqlite_deletes.py [folder]`. The folder should be on the disk that matters;
the default is the system's temporary directory. Both sides run the same statements on databases with the same rows,
in turns, so that whatever else the machine does befalls both.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import structlog

from komodod.clock import SystemClock
from komodod.context import Context
from komodod.model import AlertKind
from komodod.storage import (
    AppendEvent,
    Batch,
    DeleteSync,
    NameFree,
    PutAlert,
    PutSync,
    QueueHookCall,
    SyncAt,
    Touch,
)
from komodod.testing.storage_contract.values import alert, call, event, resolved, showing, sync
from komodod_sqlite import SqliteConfig, SqliteStorage
from komodod_sqlite.commits import commit
from komodod_sqlite.connections import connect_writer
from komodod_sqlite.rows import stamp

IN_FLIGHT, SLICE, ROUNDS = 64, 320, 8


def create(name: str) -> Batch:
    """Return the batch that makes a sync with an open alert and its notification."""
    of = sync(name, conditions=frozenset({AlertKind.PENDING}))
    return Batch((NameFree(name),), (PutSync(of), PutAlert(alert(of)), showing(alert(of))))


def delete(name: str) -> Batch:
    """Return the batch that deletes it."""
    of = sync(name)
    last, told = resolved(of), event(f"deleted {name}", sync=of, alerts=(resolved(of),), hooks=("git",))
    writes = (PutAlert(last), Touch(last.id), DeleteSync(of.id), AppendEvent(told), QueueHookCall(call(told)))
    return Batch((SyncAt(of.id, 1),), writes)


def make(folder: Path) -> SqliteStorage:
    """Return a store in a folder of its own."""
    folder.mkdir()
    return SqliteStorage(
        SqliteConfig(), Context(name="sqlite", state_dir=folder, clock=SystemClock(), log=structlog.get_logger())
    )


async def pump(store: SqliteStorage, batches: list[Batch]) -> float:
    """Commit the batches, `IN_FLIGHT` at a time; return the seconds it took."""
    left = iter(batches)

    async def work() -> None:
        for batch in left:
            await store.commit(batch)

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - start


async def main(folder: Path) -> None:
    """Print what both sides do in a second, round by round, and how they compare."""
    names = [f"s{number}" for number in range(SLICE * ROUNDS)]
    store, other = make(folder / "store"), make(folder / "bare")
    for each in (store, other):
        await each.open()
        await pump(each, [create(name) for name in names])
    await other.close()
    bare, ratios = connect_writer(folder / "bare" / "komodod.db", 5.0), []
    for start in range(0, len(names), SLICE):
        batches = [delete(name) for name in names[start : start + SLICE]]
        ours = SLICE / await pump(store, batches)
        began = time.perf_counter()
        for batch in batches:
            bare.execute("BEGIN IMMEDIATE")
            commit(bare, batch, stamp(SystemClock().now()))
            bare.execute("COMMIT")
        theirs = SLICE / (time.perf_counter() - began)
        ratios.append(ours / theirs)
        print(f"store {ours:7.0f}/s   one by one {theirs:7.0f}/s   ratio {ratios[-1]:.2f}")  # noqa: T201  what it is run for
    print(f"median ratio {statistics.median(ratios):.2f}")  # noqa: T201  as above
    bare.close()
    await store.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        asyncio.run(main(Path(name)))
