"""Several processes over one PostgreSQL database: who gets what, who hears of what, who leads, what nobody may see."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from komodod.clock import SystemClock
from komodod.errors import Conflict, StorageError
from komodod.storage import (
    AppendEvent,
    Batch,
    EventFilter,
    Leading,
    PutSync,
    Release,
    RequestCheck,
    SyncFilter,
    SyncGone,
    Work,
)
from komodod.testing.fakes import fake_context
from komodod.testing.storage_contract.values import event, ident, sync
from komodod_postgres import PostgresConfig, PostgresStorage
from komodod_postgres.commits import encode
from komodod_postgres.rows import fetch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import LiteralString

    Story = Callable[..., Awaitable[None]]


DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.fixture
def play(databases: Any) -> Callable[[Story, int], None]:
    """Play a story with so many stores over one new database."""
    url = databases.create()

    async def open_all(story: Story, count: int, **keys: Any) -> None:
        async with asyncio.timeout(60), AsyncExitStack() as stack:
            stores = [_store(url, **keys) for _ in range(count)]
            for store in stores:
                await store.open()
                stack.push_async_callback(store.close)
            await story(*stores)

    return lambda story, count, **keys: asyncio.run(open_all(story, count, **keys))


def _store(url: str, **keys: Any) -> PostgresStorage:
    config = PostgresConfig.model_validate({"url": url, "poll": "1h", "idle_connections": 1} | keys)
    return PostgresStorage(config, fake_context("store", SystemClock(), Path("/nonexistent")))


async def _refused(store: PostgresStorage, batch: Batch) -> object:
    try:
        await store.commit(batch)
    except Conflict as conflict:
        return conflict.expectation
    return None


def test_a_commit_of_one_wakes_the_other(play: Any) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        while other.ticks() == 0:  # it announces once as soon as it listens
            await other.changed(0)
        seen = other.ticks()
        await one.commit(Batch(writes=(PutSync(sync()),)))
        await other.changed(seen)
        assert await other.find_sync("web") is not None

    play(story, 2)


def test_without_notifications_a_look_now_and_then_wakes(play: Any) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        seen = other.ticks()
        await one.commit(Batch(writes=(PutSync(sync()),)))
        await other.changed(seen)

    play(story, 2, notify=False, poll="0.05s")


def test_all_that_is_due_is_claimed_once_whoever_claims(play: Any) -> None:
    async def story(*stores: PostgresStorage) -> None:
        names = [str(number) for number in range(60)]
        await stores[0].commit(Batch(writes=tuple(PutSync(sync(name)) for name in names)))
        for _ in range(5):
            await stores[0].commit(Batch(writes=tuple(RequestCheck(ident(name)) for name in names)))
            claims = await asyncio.gather(*(store.claim_checks("w", 30, 5) for store in stores for _ in range(4)))
            taken = [claim for each in claims for claim in each]
            assert sorted(claim.row.name for claim in taken) == sorted(names)
            await stores[0].commit(Batch(writes=tuple(Release(Work.CHECK, claim.row.id) for claim in taken)))

    play(story, 3, idle_connections=4)


def test_a_claim_passes_over_what_somebody_changes_at_this_moment(play: Any) -> None:
    async def story(store: PostgresStorage) -> None:
        await store.commit(Batch(writes=(PutSync(sync()), PutSync(sync("db")))))
        await store.commit(Batch(writes=(RequestCheck(sync().id), RequestCheck(ident("db")))))
        async with await psycopg.AsyncConnection.connect(_url(store)) as other:
            await other.execute("UPDATE komodod.syncs SET attempts = 5 WHERE name = 'web'")
            [claim] = await store.claim_checks("w", 30, 2)
        assert claim.row.name == "db"
        [late] = await store.claim_checks("w", 30, 2)
        assert late.row.attempts == 6

    play(story, 1)


def test_a_commit_waits_for_its_turn_so_that_cursors_come_in_order(play: Any) -> None:
    async def story(store: PostgresStorage) -> None:
        async with await psycopg.AsyncConnection.connect(_url(store)) as other:
            first = encode(Batch(writes=(AppendEvent(event("first")),)), None)
            await other.execute("SELECT komodod.commit(%s, NULL)", ([first],))  # and not committed yet
            second = asyncio.ensure_future(store.commit(Batch(writes=(AppendEvent(event("second")),))))
            while not await _ask(store, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
                assert not second.done()
            assert await store.list_events(EventFilter()) == ()
            await other.commit()
            await second
        found = await store.list_events(EventFilter())
        assert [row.id for row in found] == [ident("first"), ident("second")]

    play(story, 1)


def test_a_start_leaves_the_leases_of_others_alone(play: Any) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        await one.commit(Batch(writes=(PutSync(sync()), RequestCheck(sync().id))))
        [claim] = await one.claim_checks("w", 30, 1)
        await other.close()
        await other.open()
        [lease] = (await other.list_leases()).items
        assert lease.token == claim.token
        assert await other.claim_checks("v", 30, 1) == ()

    play(story, 2)


def test_of_those_who_expect_that_nothing_is_there_one_is_first(play: Any) -> None:
    async def story(*stores: PostgresStorage) -> None:
        batch = Batch((SyncGone(sync().id),), (PutSync(sync()),))
        outcomes = await asyncio.gather(*(_refused(store, batch) for store in stores for _ in range(5)))
        assert outcomes.count(None) == 1
        assert set(outcomes) == {None, SyncGone(sync().id)}

    play(story, 3)


def test_who_follows_the_cursors_misses_nothing_that_others_commit(play: Any) -> None:
    async def story(reader: PostgresStorage, *writers: PostgresStorage) -> None:
        seen: list[int] = []

        async def follow() -> None:
            while len(seen) < 300:
                found = await reader.list_events(EventFilter(), seen[-1] if seen else 0, 7)
                seen.extend(row.cursor for row in found)

        def write(number: int) -> Awaitable[None]:
            return writers[number % len(writers)].commit(Batch(writes=(AppendEvent(event(str(number))),)))

        await asyncio.gather(follow(), *map(write, range(300)))
        assert seen == [row.cursor for row in await reader.list_events(EventFilter(), 0, 1000)]

    play(story, 4)


def test_a_duty_has_one_leader_who_can_keep_it_and_give_it_up(play: Any) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        lead = await one.lead("pass", "a", 60)
        assert lead is not None
        assert await other.lead("pass", "b", 60) is None
        assert await one.lead("pass", "a", 0) == lead
        assert await other.lead("pass", "b", 60) is not None

    play(story, 2)


def test_who_no_longer_leads_commits_nothing(play: Any) -> None:
    async def story(one: PostgresStorage, other: PostgresStorage) -> None:
        lead = await one.lead("pass", "a", 0)
        assert lead is not None
        assert lead.token is not None
        fence = Leading("pass", lead.token)
        assert await _refused(one, Batch((fence,), (PutSync(sync()),))) is None  # nobody took over yet
        await other.lead("pass", "b", 60)
        assert await _refused(one, Batch((fence,), (PutSync(sync("late")),))) == fence
        assert await one.find_sync("late") is None

    play(story, 2)


def test_writes_in_every_order_never_wait_for_each_other_in_a_circle(play: Any) -> None:
    async def story(*stores: PostgresStorage) -> None:
        rows = [sync(str(number)) for number in range(20)]
        await stores[0].commit(Batch(writes=tuple(map(PutSync, rows))))
        forth = Batch(writes=tuple(map(RequestCheck, (row.id for row in rows))))
        back = Batch(writes=forth.writes[::-1])
        work: list[Awaitable[Any]] = [
            store.commit(batch)
            for number, store in enumerate(stores)
            for batch in ([forth, back] if number % 2 else [back, forth]) * 10
        ]
        work += [store.claim_checks(f"w{number}", 0.01, 9) for number, store in enumerate(stores) for _ in range(10)]
        work += [store.renew(f"w{number}", 0.01) for number, store in enumerate(stores) for _ in range(10)]
        await asyncio.gather(*work)
        found = await stores[0].list_syncs(SyncFilter())
        assert {row.requests for row in found.items} == {20 * len(stores)}
        assert await _ask(stores[0], DEADLOCKS) == 0

    play(story, 3)


async def _ask(store: PostgresStorage, question: LiteralString) -> int:
    async def ask(connection: Any) -> int:
        return int((await (await connection.execute(question)).fetchone())[0])

    return await store._opened().read(ask)


def _url(store: PostgresStorage) -> str:
    assert store._settings.url is not None
    return store._settings.url.get_secret_value()


def test_leases_of_a_claim_whose_answer_was_lost_end_though_their_worker_lives(
    play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(*args: Any) -> Any:
        await fetch(*args)  # it was carried out, and nobody hears of it
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    async def story(store: PostgresStorage) -> None:
        await store.commit(Batch(writes=(PutSync(sync()), PutSync(sync("db")), RequestCheck(sync().id))))
        with monkeypatch.context() as patch:
            patch.setattr("komodod_postgres.claims.fetch", cut)
            with pytest.raises(StorageError):
                await store.claim_checks("w", 0.3, 1)
        await store.commit(Batch(writes=(RequestCheck(ident("db")),)))
        [kept] = await store.claim_checks("w", 0.3, 1)
        await store.renew("w", 30)
        until = {lease.row_id: lease.until for lease in (await store.list_leases()).items}
        assert (until[kept.row.id] - kept.at).total_seconds() > 20
        assert (until[sync().id] - kept.at).total_seconds() < 1

    play(story, 1)
