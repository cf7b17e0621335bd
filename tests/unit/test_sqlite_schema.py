from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from komodod.errors import StorageRefusedError
from komodod.storage import Batch
from komodod.testing.storage_contract.values import pending
from komodod_sqlite.commits import commit
from komodod_sqlite.connections import connect_writer, require
from komodod_sqlite.schema import MIGRATIONS, Migration, check, migrate, read_version

if TYPE_CHECKING:
    from collections.abc import Iterator

NEXT = (*MIGRATIONS, Migration(len(MIGRATIONS) + 1, "CREATE TABLE extras (id TEXT) STRICT;"))
BROKEN = (
    *MIGRATIONS,
    Migration(len(MIGRATIONS) + 1, "CREATE TABLE extras (id TEXT) STRICT; SELECT absent FROM extras;"),
)
LOOSEN = """
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (live_sync_id = sync_id)', 'CHECK (true)') WHERE name = 'alerts';
    PRAGMA writable_schema = OFF;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An empty file."""
    file = tmp_path / "komodod.db"
    file.touch()
    return file


@pytest.fixture
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """A database with the newest schema."""
    connection = connect_writer(path, 1.0)
    migrate(connection, path, never)
    yield connection
    connection.close()


def never(version: int) -> None:
    raise AssertionError(f"schema {version} was copied")


def test_a_new_database_gets_the_newest_schema_and_passes_the_check(database: sqlite3.Connection, path: Path) -> None:
    assert read_version(database) == len(MIGRATIONS)
    check(database, path)


def test_migrating_twice_changes_nothing(database: sqlite3.Connection, path: Path) -> None:
    before = list(database.execute("SELECT * FROM sqlite_schema"))
    migrate(database, path, never)
    assert list(database.execute("SELECT * FROM sqlite_schema")) == before


def test_an_older_store_is_copied_before_it_is_migrated(database: sqlite3.Connection, path: Path) -> None:
    copied = []
    migrate(database, path, lambda version: copied.append((version, read_version(database))), NEXT)
    assert copied == [(len(MIGRATIONS), len(MIGRATIONS))]
    assert read_version(database) == len(NEXT)
    check(database, path, NEXT)


def test_a_migration_that_fails_leaves_what_was_there(database: sqlite3.Connection, path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        migrate(database, path, lambda _: None, BROKEN)
    assert read_version(database) == len(MIGRATIONS)
    check(database, path)
    migrate(database, path, lambda _: None, NEXT)


def test_a_newer_schema_is_refused_by_both_numbers(database: sqlite3.Connection, path: Path) -> None:
    database.execute("PRAGMA user_version = 99")
    with pytest.raises(
        StorageRefusedError, match=rf"komodod.db has schema 99 and this komodod knows {len(MIGRATIONS)};"
    ):
        migrate(database, path, never)


def test_the_database_of_another_program_is_refused(path: Path) -> None:
    with closing(connect_writer(path, 1.0)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
        with pytest.raises(StorageRefusedError, match="is the database of another program"):
            migrate(connection, path, never)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("DROP INDEX alerts_one_open", "index 'alerts_one_open' is missing"),
        ("DROP TRIGGER syncs_with_open_alert", "trigger 'syncs_with_open_alert' is missing"),
        (
            "DROP INDEX alerts_one_open; CREATE INDEX alerts_one_open ON alerts (live_sync_id)",
            "index 'alerts_one_open' is not as komodod made it",
        ),
        (
            LOOSEN,
            "table 'alerts' is not as komodod made it",
        ),
    ],
)
def test_what_the_schema_forbids_with_must_be_there(
    database: sqlite3.Connection, path: Path, damage: str, message: str
) -> None:
    database.executescript(damage)
    with pytest.raises(StorageRefusedError, match=message):
        check(database, path)


def test_what_a_person_added_and_other_spacing_is_left_alone(database: sqlite3.Connection, path: Path) -> None:
    [[sql]] = database.execute("SELECT sql FROM sqlite_schema WHERE name = 'alerts_open'")
    spaced = sql.replace(" ON ", "   -- by hand\n  ON ")
    database.executescript(f"DROP INDEX alerts_open; {spaced}")
    database.execute("CREATE INDEX mine ON alerts (severity)")
    check(database, path)


def test_an_sqlite_that_is_too_old_is_refused_by_both_numbers() -> None:
    with pytest.raises(StorageRefusedError, match=r"this Python uses SQLite 3.34.1, and komodod needs 3.37.0 or newer"):
        require((3, 34, 1))
    require((3, 37, 0))


def test_every_child_of_a_foreign_key_has_an_index_of_its_own(database: sqlite3.Connection) -> None:
    tables = [name for [name] in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    children = [(table, row[3]) for table in tables for row in database.execute(f"PRAGMA foreign_key_list({table})")]
    assert len(children) == 6
    for table, column in children:
        indexes = [row[1] for row in database.execute(f"PRAGMA index_list({table})")]
        firsts = [next(iter(database.execute(f"PRAGMA index_info({index})")))[2] for index in indexes]
        assert column in firsts, (table, column)


def test_nobody_can_make_an_orphan_with_foreign_keys_off(database: sqlite3.Connection) -> None:
    commit(database, Batch(writes=pending()), 0)
    database.execute("PRAGMA foreign_keys = OFF")
    with pytest.raises(sqlite3.IntegrityError, match="an alert of this sync is open"):
        database.execute("DELETE FROM syncs")


def test_an_open_alert_cannot_lose_its_tie_to_the_live_sync(database: sqlite3.Connection) -> None:
    commit(database, Batch(writes=pending()), 0)
    for change in (
        "UPDATE alerts SET live_sync_id = NULL",
        "UPDATE alerts SET resolved_at = 5",
        "UPDATE alerts SET live_sync_id = 'other'",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
            database.execute(change)
