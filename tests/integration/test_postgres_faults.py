"""PostgreSQL as it can be found: empty, newer, damaged, cut off, gone and back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from komodod.clock import SystemClock
from komodod.errors import StorageError, StorageRefusedError
from komodod.model import Spec
from komodod.storage import Batch, PutSync
from komodod.testing.fakes import fake_context
from komodod.testing.storage_contract.values import sync
from komodod_postgres import PostgresConfig, PostgresStorage
from komodod_postgres.config import SCHEMES
from komodod_postgres.connections import Lines
from komodod_postgres.schema import MIGRATIONS, Migration, prepare

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STARTS, ROUNDS = 8, 25


def _store(url: str, **keys: Any) -> PostgresStorage:
    config = PostgresConfig.model_validate({"url": url, "idle_connections": 1} | keys)
    return PostgresStorage(config, fake_context("store", SystemClock(), Path("/nonexistent")))


async def _open(url: str, story: Callable[[PostgresStorage], Awaitable[None]] | None = None, **keys: Any) -> None:
    store = _store(url, **keys)
    async with asyncio.timeout(60):
        await store.open()
        try:
            if story is not None:
                await story(store)
        finally:
            await store.close()


def _refusal(url: str) -> str:
    with pytest.raises(StorageRefusedError) as refused:
        asyncio.run(_open(url))
    return str(refused.value)


async def _migrate(url: str, steps: tuple[Migration, ...]) -> str:
    lines = Lines(PostgresConfig.model_validate({"url": url}))
    async with await lines.connect() as connection:
        return await prepare(connection, lines.place, steps)


NEXT = (*MIGRATIONS, Migration(len(MIGRATIONS) + 1, "ALTER TABLE komodod.syncs ADD COLUMN novelty text"))


# --- the schema ------------------------------------------------------------------------------------------------------


def test_however_many_start_at_once_on_an_empty_database_one_migrates(databases: Any) -> None:
    async def start(url: str) -> set[str]:
        return set(await asyncio.gather(*(_migrate(url, MIGRATIONS) for _ in range(STARTS))))

    for _ in range(ROUNDS):
        url = databases.create("template0")
        assert len(asyncio.run(start(url))) == 1, "all of them see one store"
        assert databases.execute(url, "SELECT count(*) FROM komodod.migrations") == [(len(MIGRATIONS),)]
        databases.drop()


def test_however_many_start_at_once_on_an_older_database_one_migrates(databases: Any) -> None:
    async def start(url: str) -> None:
        await asyncio.gather(*(_migrate(url, NEXT) for _ in range(STARTS)))

    url = databases.create()
    asyncio.run(start(url))
    assert databases.execute(url, "SELECT max(version), count(*) FROM komodod.migrations") == [(len(NEXT), len(NEXT))]


def test_a_migration_that_fails_leaves_everything_as_it_was(databases: Any) -> None:
    url = databases.create()
    broken = (*NEXT, Migration(len(NEXT) + 1, "SELECT 1/0"))
    with pytest.raises(Exception, match="division by zero"):
        asyncio.run(_migrate(url, broken))
    asyncio.run(_open(url))


def test_a_daemon_works_on_while_the_next_schema_is_made(databases: Any) -> None:
    url = databases.create()

    async def story(store: PostgresStorage) -> None:
        await store.commit(Batch(writes=(PutSync(sync()),)))
        await _migrate(url, NEXT)
        assert await store.find_sync("web") == sync()
        await store.commit(Batch(writes=(PutSync(sync(generation=2)),)))
        assert await store.find_sync("web") == sync(generation=2)

    asyncio.run(_open(url, story))


def test_a_newer_schema_is_refused_by_both_numbers(databases: Any) -> None:
    url = databases.create()
    asyncio.run(_migrate(url, NEXT))
    assert f"has schema {len(NEXT)} and this komodod knows {len(MIGRATIONS)}" in _refusal(url)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("DROP INDEX komodod.alerts_one_open", "index 'alerts_one_open'"),
        ("ALTER TABLE komodod.alerts DROP CONSTRAINT alerts_live_sync", "constraint 'alerts_live_sync of"),
        ("ALTER TABLE komodod.alerts DISABLE TRIGGER ALL", "constraint 'alert_notifications_alert_id_fkey of"),
        ("ALTER TABLE komodod.notifications DROP CONSTRAINT notifications_state", "'notifications_state of"),
        ("DROP FUNCTION komodod.purge", "function 'purge'"),
    ],
)
def test_a_store_without_one_of_its_guards_is_refused(databases: Any, damage: Any, named: str) -> None:
    url = databases.create()
    databases.execute(url, damage)
    assert named in _refusal(url)


def test_a_schema_of_another_program_is_left_alone(databases: Any) -> None:
    url = databases.create("template0")
    databases.execute(url, "CREATE SCHEMA komodod", "CREATE TABLE komodod.dragons ()")
    assert "of another program" in _refusal(url)


def test_a_schema_that_an_administrator_made_is_filled(databases: Any) -> None:
    url = databases.create("template0")
    databases.execute(url, "CREATE SCHEMA komodod")
    asyncio.run(_open(url))


def test_a_database_that_cannot_keep_every_name_is_refused(databases: Any) -> None:
    databases.execute(databases.url, "CREATE DATABASE komodod_latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    databases.made.append("komodod_latin")
    assert "keeps text as LATIN1" in _refusal(databases.locate("komodod_latin"))


def test_an_open_alert_cannot_be_orphaned_by_hand(databases: Any) -> None:
    url = databases.create()
    row = (
        "SELECT 'i', 'web', 'api', '{\"labels\": {}}', now(), now(), 1, 'ok', false, '{}', 0, '[]', 0, 0, 0, 0, 0, '{}'"
    )
    columns = (
        "id, name, origin, spec, created_at, updated_at, generation, state, paused, conditions, pending, headline, "
        "failures, requests, requests_seen, attempts, apply_rounds, notes"
    )
    databases.execute(
        url,
        f"INSERT INTO komodod.syncs ({columns}) {row}",
        "INSERT INTO komodod.alerts (id, sync_id, sync_name, kind, severity, summary, opened_at, updated_at, labels, "
        "changes, headline, paused) VALUES ('a', 'i', 'web', 'pending', 'info', '', now(), now(), '{}', 0, '[]', false)",
    )
    with pytest.raises(Exception, match="alerts_live_sync"):
        databases.execute(url, "DELETE FROM komodod.syncs")
    with pytest.raises(Exception, match="generated column"):
        databases.execute(url, "UPDATE komodod.alerts SET live_sync_id = NULL")


def test_a_restored_copy_has_an_epoch_of_its_own(databases: Any) -> None:
    url = databases.create()

    async def epoch(of: str) -> str:
        return await _migrate(of, MIGRATIONS)

    first = asyncio.run(epoch(url))
    assert asyncio.run(epoch(url)) == first
    copy = databases.create(databases.made[-1])
    assert asyncio.run(epoch(copy)) not in ("", first)


def test_every_child_column_of_a_foreign_key_is_indexed(databases: Any) -> None:
    bare = databases.execute(
        databases.create(),
        """
        SELECT conname FROM pg_constraint WHERE contype = 'f' AND connamespace = 'komodod'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = conrelid AND indkey[0] = conkey[1])
        """,
    )
    assert bare == []


# --- the way to it ---------------------------------------------------------------------------------------------------


def test_connections_that_the_server_ended_are_replaced(databases: Any) -> None:
    url = databases.create()

    async def story(store: PostgresStorage) -> None:
        await store.commit(Batch(writes=(PutSync(sync()),)))
        databases.execute(
            databases.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'komodod'",
        )
        assert await store.find_sync("web") == sync()
        with pytest.raises(StorageError):  # it went out on a line that was dead: what became of it is unknown
            await store.commit(Batch(writes=(PutSync(sync(generation=2)),)))
        await store.commit(Batch(writes=(PutSync(sync(generation=3)),)))
        await store.ping()

    asyncio.run(_open(url, story, idle_connections=3))


def test_who_listens_listens_again(databases: Any) -> None:
    url = databases.create()

    async def story(store: PostgresStorage) -> None:
        await _heard(store)
        databases.execute(
            databases.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN komodod'",
        )
        await _heard(store)  # whatever was told meanwhile is looked for at once

    asyncio.run(_open(url, story, poll="1h"))


async def _heard(store: PostgresStorage) -> None:
    seen = store.ticks()
    await store.changed(seen)


def test_a_database_that_is_away_is_an_error_without_the_password() -> None:
    with pytest.raises(StorageError) as error:
        asyncio.run(_open("postgresql://u:geheim@127.0.0.1:1/d"))
    assert "'d' at 127.0.0.1" in str(error.value)
    assert "geheim" not in str(error.value)
    assert not isinstance(error.value, StorageRefusedError)


def test_a_url_that_is_none_is_refused_without_its_password() -> None:
    said = _refusal("postgresql://u:geheim@[oops/d")
    assert said == "storage.url is no valid URL of a PostgreSQL database"


def test_a_text_that_cannot_be_kept_is_refused_for_its_batch_alone(databases: Any) -> None:
    async def story(store: PostgresStorage) -> None:
        rows = [
            sync(),
            sync("nul", name="a\0b"),
            sync("surrogate", name="a\ud800b"),
            sync("label", spec=_labelled("\0")),
        ]
        commits = (store.commit(Batch(writes=(PutSync(row),))) for row in rows)
        good, *bad = await asyncio.gather(*commits, return_exceptions=True)
        assert good is None
        assert [isinstance(outcome, ValueError) for outcome in bad] == [True] * 3
        assert await store.find_sync("web") == sync()
        await store.commit(Batch(writes=(PutSync(sync("a\\u0000b")),)))
        assert await store.find_sync("a\\u0000b") == sync("a\\u0000b")

    asyncio.run(_open(databases.create(), story))


def _labelled(label: str) -> Spec:
    return Spec(source={"type": "directory"}, labels={"label": label})


def test_behind_shared_connections_nothing_relies_on_a_session(databases: Any) -> None:
    url = databases.create()

    async def story(store: PostgresStorage) -> None:
        for number in range(9):  # psycopg would prepare what comes for the fifth time
            await store.commit(Batch(writes=(PutSync(sync(generation=number)),)))
        assert await store._opened().read(_count_prepared) == 0
        listening = databases.execute(url, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        assert listening == [(0,)]

    asyncio.run(_open(url, story, notify=False))


async def _count_prepared(connection: Any) -> int:
    return int((await (await connection.execute("SELECT count(*) FROM pg_prepared_statements")).fetchone())[0])


# --- the configuration -----------------------------------------------------------------------------------------------


def test_a_url_is_asked_for_by_its_scheme() -> None:
    for url in ("", "host=x", "http://x"):
        with pytest.raises(ValidationError, match=SCHEMES[0]):
            PostgresConfig.model_validate({"url": url})
    with pytest.raises(ValidationError, match="one of 'url' and 'url_file' is needed"):
        PostgresConfig.model_validate({})


def test_a_url_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://u:p@h/d\n")
    config = PostgresConfig.model_validate({"url_file": str(tmp_path / "url")})
    assert config.url is not None
    assert config.url.get_secret_value() == "postgresql://u:p@h/d"
    assert "u:p" not in repr(config)


def test_of_several_hosts_the_one_that_can_be_written_to_is_asked_for() -> None:
    lines = Lines(PostgresConfig.model_validate({"url": "postgresql://u:p@a,b:5433/d"}))
    assert "target_session_attrs=read-write" in lines._conninfo
    chosen = Lines(PostgresConfig.model_validate({"url": "postgresql://u:p@a/d?target_session_attrs=any"}))
    assert "target_session_attrs=any" in chosen._conninfo
