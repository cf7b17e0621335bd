"""No question walks through the history: its tables are searched, and lists come in the order of an index."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from komodod.model import AlertKind, EventKind, HookCallState, Severity
from komodod.storage import AlertFilter, EventFilter, HookCallFilter, NotificationFilter, Stored, SyncFilter
from komodod_sqlite import breaches, lists
from komodod_sqlite.queries import SQL
from komodod_sqlite.schema import MIGRATIONS, apply, connect_empty

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping

GROWING = "alerts|alert_notifications|links|events|hook_calls|due"
"""Tables that hold history, and what the statements call them. The others hold what is there now."""

ALLOWED = {
    "SCAN hook_calls USING COVERING INDEX hook_calls_unfinished",  # holds those that wait or are dead
    "SCAN events USING COVERING INDEX events_owed",  # this invariant looks at every event that owes a call,
    "SCAN events USING INDEX events_owed",  # but reads the event itself only where one is missing
}

LISTS: dict[str, Callable[..., object]] = {
    "alerts": partial(lists.list_alerts, match=AlertFilter(open=None), after=None, limit=5),
    "alerts of a sync": partial(lists.list_alerts, match=AlertFilter(open=None, sync_id="id"), after=None, limit=5),
    "alerts of a name": partial(lists.list_alerts, match=AlertFilter(open=None, sync="web"), after="5.x", limit=5),
    "alerts by glob": partial(lists.list_alerts, match=AlertFilter(open=None, sync="w*"), after="5.x", limit=5),
    "open alerts": partial(lists.list_alerts, match=AlertFilter(), after="5.x", limit=5),
    "some open alerts": partial(
        lists.list_alerts,
        match=AlertFilter(sync="w*", kind=AlertKind.PENDING, severity=Severity.INFO, labels={"team": "web"}),
        after=None,
        limit=5,
    ),
    "resolved alerts": partial(lists.list_alerts, match=AlertFilter(open=False), after=None, limit=5),
    "calls": partial(lists.list_hook_calls, match=HookCallFilter(), after=None, limit=5),
    "calls of a plugin": partial(lists.list_hook_calls, match=HookCallFilter(plugin="p"), after="5.x", limit=5),
    "waiting": partial(lists.list_hook_calls, match=HookCallFilter(state=HookCallState.WAITING), after=None, limit=5),
    "dead": partial(lists.list_hook_calls, match=HookCallFilter(state=HookCallState.DEAD), after=None, limit=5),
    "events": partial(lists.list_events, match=EventFilter(), after=7, limit=5),
    "events of a sync": partial(lists.list_events, match=EventFilter(sync_id="id"), after=7, limit=5),
    "events of a name": partial(lists.list_events, match=EventFilter(sync="web"), after=7, limit=5),
    "events of some kinds": partial(lists.list_events, match=EventFilter(kinds=frozenset(EventKind)), after=0, limit=5),
    "newest": partial(lists.list_recent_events, match=EventFilter(), before=None, limit=5),
    "newest of a sync": partial(lists.list_recent_events, match=EventFilter(sync_id="id"), before=None, limit=5),
    "syncs": partial(lists.list_syncs, match=SyncFilter(labels={"team": "web"}), after="web", limit=5),
    "syncs by name": partial(lists.list_syncs, match=SyncFilter(name="w*"), after=None, limit=5),
    "notifications": partial(lists.list_notifications, match=NotificationFilter(title="w*"), after="x", limit=5),
    "notifications of": partial(lists.list_notifications, match=NotificationFilter(alert_id="a"), after=None, limit=5),
    "attention": partial(lists.list_notifications, match=NotificationFilter(attention=True), after=None, limit=5),
}


class Planner:
    """Stands in for a connection: notes the plan of each statement, then executes it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.steps: list[str] = []

    def execute(self, sql: str, params: Mapping[str, Any] | tuple[()] = ()) -> sqlite3.Cursor:
        self.steps += [row[3] for row in self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", params)]
        return self._connection.execute(sql, params)

    def plan(self, name: str) -> list[str]:
        """Return the plan of a statement, whatever its parameters."""
        params: Any = defaultdict(lambda: None)
        return [row[3] for row in self._connection.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", params)]


@pytest.fixture
def planner() -> Iterator[Any]:
    """Plans on the newest schema; SQLite has no statistics, so rows would make no difference."""
    connection = connect_empty()
    for step in MIGRATIONS:
        apply(connection, step)
    connection.create_function("fnmatch", 2, lambda _text, _glob: True, deterministic=True)
    yield Planner(connection)
    connection.close()


def walks(steps: list[str]) -> list[str]:
    """Return the steps that read a growing table from end to end."""
    return [step for step in steps if re.match(rf"SCAN ({GROWING})\b", step) and step not in ALLOWED]


@pytest.mark.parametrize("name", [name for name, sql in SQL.items() if "{where}" not in sql])
def test_no_statement_walks_through_the_history(planner: Any, name: str) -> None:
    assert walks(planner.plan(name)) == []


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_searched_and_comes_in_its_order(planner: Any, name: str) -> None:
    LISTS[name](planner)
    assert planner.steps[0].startswith("SEARCH")
    assert walks(planner.steps) == []
    assert not any("TEMP B-TREE" in step for step in planner.steps)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("open alerts", "SEARCH alerts USING INDEX alerts_open ((opened_at,id)<(?,?))"),
        ("alerts of a name", "SEARCH alerts USING INDEX alerts_by_name (sync_name=? AND (opened_at,id)<(?,?))"),
        ("events of a sync", "SEARCH events USING INDEX events_by_sync (sync_id=? AND cursor>?)"),
        ("dead", "SEARCH hook_calls USING INDEX hook_calls_unfinished (state=? AND (created_at,id)<(?,?))"),
    ],
)
def test_a_filter_is_answered_by_its_index(planner: Any, name: str, step: str) -> None:
    LISTS[name](planner)
    assert planner.steps[0] == step


@pytest.mark.parametrize("invariant", Stored)
def test_an_invariant_is_asked_without_walking_through_the_history(planner: Any, invariant: Stored) -> None:
    breaches.census(planner, invariant, 5)
    breaches.breaches(planner, invariant, 5, None, 5)
    assert walks(planner.steps) == []


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("claim_checks", "SEARCH due USING INDEX syncs_due (due_at<?)"),
        ("due_notifications", "SEARCH due USING INDEX notifications_due (due_at<?)"),
        ("due_hook_calls", "SEARCH due USING INDEX hook_calls_due (plugin=? AND due_at<?)"),
        ("next_check", "SEARCH due USING INDEX syncs_due (due_at>?)"),
        ("next_notification", "SEARCH due USING COVERING INDEX notifications_due (due_at>?)"),
        ("next_hook_call", "SEARCH due USING INDEX hook_calls_due (plugin=? AND due_at>?)"),
        (
            "open_members",
            "SEARCH links USING COVERING INDEX alert_notifications_members (notification_id=? AND resolved_at=?)",
        ),
    ],
)
def test_what_is_due_is_found_by_its_index_and_in_its_order(planner: Any, name: str, step: str) -> None:
    plan = planner.plan(name)
    assert step in plan
    assert name == "open_members" or not any("TEMP B-TREE" in line for line in plan)


def test_the_test_itself_sees_a_walk(planner: Any) -> None:
    planner.execute("SELECT * FROM events WHERE reason = :reason", {"reason": "x"})
    assert walks(planner.steps) == ["SCAN events"]
