"""No question walks through the history: with 20,000 rows of it, indexes find what is asked for, in its order."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from komodod.model import AlertKind, EventKind, HookCallState, Severity
from komodod.storage import AlertFilter, EventFilter, HookCallFilter, Stored, SyncFilter
from komodod_postgres import breaches, lists
from komodod_postgres.conditions import place
from komodod_postgres.queries import SQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

GROWING = {"alerts", "alert_notifications", "events", "hook_calls"}
AFTER = place(datetime(2026, 1, 1, tzinfo=UTC), "x")

HISTORY = """
    INSERT INTO komodod.syncs (id, name, origin, spec, created_at, updated_at, generation, state, paused, conditions,
        pending, headline, failures, requests, requests_seen, attempts, apply_rounds, notes, next_check_at)
    SELECT 's' || n, 's' || n, 'api', '{"labels": {}}', now(), now(), 1, 'ok', false,
        CASE WHEN n % 20 = 0 THEN '{pending}' ELSE '{}' END::text[], 0, '[]', 0, 0, 0, 0, 0, '{}',
        now() + make_interval(secs => n - 10)
    FROM generate_series(1, 2000) AS n;
    INSERT INTO komodod.alerts (id, sync_id, sync_name, kind, severity, summary, opened_at, updated_at, labels, changes,
        headline, paused, resolved_at)
    SELECT 'a' || n, 's' || n % 2000, 's' || n % 2000, 'pending', 'info', '', now() - make_interval(secs => n), now(),
        '{}', 0, '[]', false, CASE WHEN n > 2000 OR n % 20 > 0 OR n = 2000 THEN now() END
    FROM generate_series(1, 20000) AS n;
    INSERT INTO komodod.notifications (id, notifier, "group", title, version, observed, state, sequence, attempts,
        ledger, repeats, abandoned, stranded, due_at)
    SELECT 'n' || n, 'ops', 's' || n, 's' || n, 1, 1, 'absent', 0, 0, '[]', 0, 0, false,
        CASE WHEN n % 50 = 0 THEN now() END
    FROM generate_series(0, 1999) AS n;
    INSERT INTO komodod.alert_notifications (alert_id, notification_id, resolved_at)
    SELECT id, 'n' || substr(sync_id, 2), resolved_at FROM komodod.alerts;
    INSERT INTO komodod.events (id, at, kind, actor, op_id, sync, alerts, data, hooks)
    SELECT 'e' || n, now() - make_interval(secs => n), 'sync_deleted', '', '',
        json_build_object('id', 's' || n % 2000, 'name', 's' || n % 2000), '[]', '{}', '{git}'
    FROM generate_series(1, 20000) AS n;
    INSERT INTO komodod.hook_calls (id, event_id, plugin, hook, created_at, state, attempts, excused, due_at)
    SELECT 'h' || n, 'e' || n, 'git', '', now() - make_interval(secs => n),
        CASE WHEN n % 400 = 0 THEN 'waiting' WHEN n % 401 = 0 THEN 'dead' ELSE 'done' END, 0, 0, now()
    FROM generate_series(1, 20000) AS n;
"""

LISTS: dict[str, Callable[..., Any]] = {
    "alerts": partial(lists.list_alerts, match=AlertFilter(open=None), after=None, limit=5),
    "alerts of a sync": partial(lists.list_alerts, match=AlertFilter(open=None, sync_id="s7"), after=None, limit=5),
    "alerts of a name": partial(lists.list_alerts, match=AlertFilter(open=None, sync="s7"), after=AFTER, limit=5),
    "alerts by glob": partial(lists.list_alerts, match=AlertFilter(open=None, sync="s*"), after=AFTER, limit=5),
    "open alerts": partial(lists.list_alerts, match=AlertFilter(), after=AFTER, limit=5),
    "some open alerts": partial(
        lists.list_alerts,
        match=AlertFilter(sync="s*", kind=AlertKind.PENDING, severity=Severity.INFO, labels={"team": "web"}),
        after=None,
        limit=5,
    ),
    "resolved alerts": partial(lists.list_alerts, match=AlertFilter(open=False), after=None, limit=5),
    "calls": partial(lists.list_hook_calls, match=HookCallFilter(), after=None, limit=5),
    "calls of a plugin": partial(lists.list_hook_calls, match=HookCallFilter(plugin="git"), after=AFTER, limit=5),
    "waiting": partial(lists.list_hook_calls, match=HookCallFilter(state=HookCallState.WAITING), after=None, limit=5),
    "dead": partial(lists.list_hook_calls, match=HookCallFilter(state=HookCallState.DEAD), after=None, limit=5),
    "events": partial(lists.list_events, match=EventFilter(), after=7, limit=5),
    "events of a sync": partial(lists.list_events, match=EventFilter(sync_id="s7"), after=7, limit=5),
    "events of a name": partial(lists.list_events, match=EventFilter(sync="s7"), after=7, limit=5),
    "events of some kinds": partial(lists.list_events, match=EventFilter(kinds=frozenset(EventKind)), after=0, limit=5),
    "newest": partial(lists.list_recent_events, match=EventFilter(), before=None, limit=5),
    "newest of a sync": partial(lists.list_recent_events, match=EventFilter(sync_id="s7"), before=None, limit=5),
    "syncs": partial(lists.list_syncs, match=SyncFilter(), after="s5", limit=5),
    "syncs by name": partial(lists.list_syncs, match=SyncFilter(name="s*"), after=None, limit=5),
}

PARAMS: Mapping[str, Any] = {
    "now": None, "limit": 5, "worker": "w", "lease": 30.0, "claim": "c", "lost": [], "plugins": ["git"],
    "id": "s7", "name": "s7", "ids": ["n0", "n7"], "after": "", "work": "", "row_id": "", "ttl": 5.0,
    "duty": "d", "holder": "h", "before": datetime(2026, 1, 1, tzinfo=UTC), "batches": [], "sender": None,
}  # fmt: skip

OPEN_OR_UNFINISHED = (
    "alerts_one_open",
    "alerts_open",
    "hook_calls_unfinished",
    "hook_calls_due",
    "hook_calls_leased",
    "events_owed",
)
"""Indexes that hold what is there now, or what the question is about."""


class Planner:
    """Stands in for a connection: notes the plan of each statement, and finds nothing."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self.nodes: list[dict[str, Any]] = []

    async def execute(self, statement: bytes, params: Any = None) -> Any:
        async with psycopg.AsyncClientCursor(self._connection) as cursor:
            await cursor.execute(b"EXPLAIN (FORMAT JSON) " + statement, params)
            [[plans]] = await cursor.fetchall()
        self.nodes += [node for plan in plans for node in _nodes(plan["Plan"])]
        return await self._connection.execute("SELECT WHERE false")

    def walks(self) -> list[str]:
        """Return the tables of history that are read from end to end."""
        return [
            json.dumps(node)
            for node in self.nodes
            if node.get("Relation Name") in GROWING and (node["Node Type"] == "Seq Scan" or _whole(node))
        ]


def _whole(node: dict[str, Any]) -> bool:
    """Tell whether an index is read that holds all of the history, from end to end."""
    if not node["Node Type"].startswith(("Index", "Bitmap Heap")) or "Index Cond" in node or "Recheck Cond" in node:
        return False
    return node.get("Index Name") not in OPEN_OR_UNFINISHED


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


@pytest.fixture(scope="module")
def history(postgres_server: Any) -> Iterator[str]:
    url = postgres_server.create()
    postgres_server.execute(url, HISTORY, "VACUUM ANALYZE")
    yield url
    postgres_server.drop()


def _plan(url: str, ask: Callable[[Any], Any]) -> Planner:
    async def main() -> Planner:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            planner = Planner(connection)
            await ask(planner)
            await connection.rollback()
            return planner

    return asyncio.run(main())


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_found_and_comes_in_its_order(history: str, name: str) -> None:
    planner = _plan(history, LISTS[name])
    first_page = {"alerts", "calls", "newest", "resolved alerts", "calls of a plugin", "syncs by name"}
    assert name in first_page or planner.walks() == []
    assert [node for node in planner.nodes if node["Node Type"] in ("Sort", "Seq Scan")] == []


@pytest.mark.parametrize(
    "name", ["claim_checks", "claim_hook_calls", "next_due", "load_members", "load_aggregate", "get_event", "counts"]
)
def test_what_is_asked_all_the_time_never_walks_through_the_history(history: str, name: str) -> None:
    planner = _plan(history, lambda planner: planner.execute(SQL[name].encode(), PARAMS))
    assert planner.walks() == []


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("claim_checks", "syncs_due"),
        ("claim_hook_calls", "hook_calls_due"),
        ("next_due", "syncs_leased"),
        ("next_due", "notifications_due"),
        ("load_members", "alert_notifications_members"),
        ("load_aggregate", "alerts_one_open"),
    ],
)
def test_a_question_is_answered_by_its_index(history: str, name: str, index: str) -> None:
    planner = _plan(history, lambda planner: planner.execute(SQL[name].encode(), PARAMS))
    assert index in {node.get("Index Name") for node in planner.nodes}


@pytest.mark.parametrize("invariant", Stored)
def test_an_invariant_looks_at_each_row_once(history: str, invariant: Stored) -> None:
    planner = _plan(history, lambda planner: breaches.breaches(planner, invariant, None, None, 5))
    allowed = {Stored.EVENT_HAS_HOOK_CALLS, Stored.NOTIFICATION_MATCHES_ALERTS}  # these are about all of theirs
    assert invariant in allowed or planner.walks() == []
    inner = [node for node in planner.nodes if node.get("Parent Relationship") == "Inner"]
    assert not [node for node in inner if node["Node Type"] == "Seq Scan" and node.get("Relation Name") in GROWING]
