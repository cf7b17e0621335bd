from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import komodod_sqlite
from komodod.model import Sync
from komodod.testing.samples import complete
from komodod_sqlite.queries import SQL, parse
from komodod_sqlite.rows import ALERTS, DOUBTS, EVENTS, HOOK_CALLS, NOTIFICATIONS, SYNCS, Table, instant, stamp
from komodod_sqlite.schema import MIGRATIONS, apply, connect_empty

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

TABLES: dict[str, Table[Any]] = {
    "syncs": SYNCS,
    "alerts": ALERTS,
    "notifications": NOTIFICATIONS,
    "doubts": DOUBTS,
    "events": EVENTS,
    "hook_calls": HOOK_CALLS,
}


@pytest.fixture
def empty() -> Iterator[sqlite3.Connection]:
    """A database in memory with the newest schema."""
    connection = connect_empty()
    for step in MIGRATIONS:
        apply(connection, step)
    yield connection
    connection.close()


def test_statements_are_found_by_name() -> None:
    text = "-- a file\n\n-- name: one\n-- What it is for.\nSELECT 1;\n\n-- name: two\n-- And this.\nSELECT\n    2;\n"
    assert parse(text) == {"one": "SELECT 1;", "two": "SELECT\n    2;"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- name: one\nSELECT 1;\n", "lacks its name or the line that says what it is for"),
        ("-- name: one\n-- A.\nSELECT 1;\n-- name: one\n-- B.\nSELECT 2;\n", "stands twice"),
    ],
)
def test_a_file_that_breaks_the_form_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_every_statement_is_used_and_every_name_used_is_there() -> None:
    folder = Path(komodod_sqlite.__file__).parent
    code = "".join(file.read_text() for file in folder.glob("*.py"))
    named = {name for name in re.findall(r'"([a-z]+(?:_[a-z]+)*)"', code) if name in SQL}
    built = {name for name in SQL if name.startswith(("checked_", "breaches_"))}
    assert named | built == set(SQL)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_a_column_for_every_field_of_its_type(empty: sqlite3.Connection, name: str) -> None:
    columns = {row[1] for row in empty.execute(f"PRAGMA table_info({name})")}
    assert set(TABLES[name].columns) <= columns


@pytest.mark.parametrize(
    ("statement", "table", "apart"),
    [
        ("put_sync", SYNCS, ()),
        ("put_alert", ALERTS, ()),
        ("change_alert", ALERTS, ()),
        ("put_notification", NOTIFICATIONS, ()),
        ("put_doubt", DOUBTS, ()),
        ("append_event", EVENTS, ("cursor",)),
        ("queue_hook_call", HOOK_CALLS, ()),
        ("put_hook_call", HOOK_CALLS, ()),
    ],
)
def test_a_put_writes_every_field(statement: str, table: Table[Any], apart: tuple[str, ...]) -> None:
    written = set(re.findall(r":(\w+)", SQL[statement]))
    assert set(table.columns) - set(apart) <= written


@pytest.mark.parametrize("statement", ["put_sync", "put_alert", "put_doubt"])
def test_a_replacing_put_replaces_every_field_it_inserts(statement: str) -> None:
    head, _, tail = SQL[statement].partition("DO UPDATE SET")
    columns = set(re.findall(r"[\w\"]+", head[head.index("(") + 1 : head.index(")")]))
    kept = {"put_sync": {"id", "requests"}, "put_alert": {"id"}, "put_doubt": {"notification_id", '"key"'}}
    assert set(re.findall(r"^ +(\w+) = excluded", tail, re.MULTILINE)) == columns - kept[statement]


def test_instants_keep_their_microseconds() -> None:
    at = complete(Sync).created_at
    assert at.microsecond
    assert instant(stamp(at)) == at
