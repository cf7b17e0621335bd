"""Alerts, notifications and hook calls over the socket."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from komodod.model import Attempt, Doubt, HookCallState, Notification, Shown, Want
from komodod.storage import (
    Batch,
    HookCallFilter,
    NotificationFilter,
    PutDoubt,
    PutHookCall,
    PutNotification,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Play, Stage

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def items(stage: Stage, path: str, **params: Any) -> list[Any]:
    found: list[Any] = (await stage.get(path, **params))["items"]
    return found


async def row(stage: Stage, **fields: Any) -> Notification:
    """Return the only notification, with these fields from now on."""
    (found,) = (await stage.store.list_notifications(NotificationFilter())).items
    await stage.store.commit(Batch((), (PutNotification(dataclasses.replace(found, **fields)),)))
    after = await stage.store.get_notification(found.id)
    assert after is not None
    return after


# --- alerts


def test_alerts_are_those_that_are_open_unless_all_are_asked_for(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        await stage.pending("db")
        await stage.ask("DELETE", "/syncs/web")
        assert [(alert["sync"], alert["resolution"]) for alert in await items(stage, "/alerts")] == [("db", None)]
        everything = await items(stage, "/alerts", all="true")
        assert {(alert["sync"], alert["resolution"]) for alert in everything} == {("db", None), ("web", "deleted")}

    api(story)


def test_alerts_are_listed_by_filter(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web", severity="critical", labels={"team": "web"})
        await stage.pending("db")

        async def names(**params: str) -> list[str]:
            return [alert["sync"] for alert in await items(stage, "/alerts", **params)]

        assert await names(sync="w*") == ["web"]
        assert await names(severity="critical") == ["web"]
        assert await names(label="team=web") == ["web"]
        assert await names(kind="failed") == []
        assert sorted(await names(kind="pending")) == ["db", "web"]

    api(story)


def test_pages_of_alerts_join_into_all_of_them(api: Play) -> None:
    async def story(stage: Stage) -> None:
        for name in ("a", "b", "c"):
            await stage.pending(name)
        first = await stage.get("/alerts", limit="2")
        second = await stage.get("/alerts", limit="2", after=first["next"])
        assert [alert["sync"] for alert in first["items"] + second["items"]] == ["c", "b", "a"]
        assert second["next"] is None

    api(story)


def test_an_alert_is_shown_with_its_notifications(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        (alert,) = await items(stage, "/alerts")
        shown = await stage.get(f"/alerts/{alert['id']}")
        assert [(each["notifier"], each["sync"], each["wanted"]) for each in shown["notifications"]] == [
            ("console", "web", True)
        ]
        assert {key: value for key, value in shown.items() if key != "notifications"} == alert

    api(story)


@pytest.mark.parametrize(
    ("path", "noun"), [("/alerts/x", "alert"), ("/notifications/x", "notification"), ("/hook-calls/x", "hook call")]
)
def test_what_does_not_exist_is_not_found_by_its_name(api: Play, path: str, noun: str) -> None:
    async def story(stage: Stage) -> None:
        answer = await stage.ask("GET", path)
        assert (answer.status, answer.body["detail"]) == (404, f"there is no {noun} 'x'")

    api(story)


# --- notifications


def test_a_notification_tells_what_is_wanted_known_and_waited_for(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        attempt = Attempt(at=NOW, want=Want.SHOW, key="k", sequence=1, outcome="failed", error="status 500")
        stored = await row(
            stage, ledger=(attempt,), attempts=3, last_error="status 500", retry_at=NOW, waiting="the next attempt"
        )
        shown = await stage.get(f"/notifications/{stored.id}")
        assert (shown["wanted"], shown["state"], shown["dead"], shown["stranded"]) == (True, "absent", False, False)
        assert (shown["attempts"], shown["last_error"], shown["waiting"]) == (3, "status 500", "the next attempt")
        assert shown["retry_at"] == "2026-01-01T00:00:00Z"
        assert shown["ledger"] == [
            {
                "at": "2026-01-01T00:00:00Z",
                "want": "show",
                "key": "k",
                "sequence": 1,
                "outcome": "failed",
                "error": "status 500",
            }
        ]

    api(story)


def test_a_doubt_comes_before_what_is_settled(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        stored = await row(stage, state=Shown.SHOWN)
        assert (await stage.get(f"/notifications/{stored.id}"))["state"] == "shown"
        doubt = Doubt(key="k", version=stored.version, since=NOW, until=NOW + timedelta(seconds=60))
        await stage.store.commit(Batch((), (PutDoubt(stored.id, doubt),)))
        shown = await stage.get(f"/notifications/{stored.id}")
        assert shown["state"] == "in_doubt"
        assert shown["doubts"] == [{"key": "k", "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:01:00Z"}]

    api(story)


def test_notifications_are_listed_by_filter(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        stored = await row(stage, state=Shown.SHOWN)
        await stage.pending("db")
        doubt = Doubt(key="k", version=stored.version, since=NOW, until=NOW)

        async def names(**params: str) -> list[str]:
            return sorted(each["sync"] for each in await items(stage, "/notifications", **params))

        assert await names() == ["db", "web"]
        assert await names(state="shown") == ["web"]
        assert await names(state="absent") == ["db"]
        await stage.store.commit(Batch((), (PutDoubt(stored.id, doubt),)))
        assert await names(state="shown") == []
        assert await names(state="in_doubt") == await names(attention="true") == ["web"]
        assert await names(sync="d?") == ["db"]
        assert await names(notifier="pager") == []
        (alert,) = await items(stage, "/alerts", sync="web")
        assert await names(alert=alert["id"]) == ["web"]

    api(story)


def test_a_dead_notification_is_retried_at_once(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        stored = await row(stage, dead=1, attempts=12, due_at=None)
        assert [each["id"] for each in await items(stage, "/notifications", attention="true")] == [stored.id]
        dry = await stage.ask("POST", f"/notifications/{stored.id}/retry?dry_run=true")
        assert (dry.body["dry_run"], dry.body["notification"]["dead"]) == (True, False)
        assert await stage.store.get_notification(stored.id) == stored
        answer = await stage.ask("POST", f"/notifications/{stored.id}/retry")
        assert (answer.status, answer.body["notification"]["attempts"]) == (200, 0)
        (claim,) = await stage.store.claim_notifications("worker", 30.0, 1)
        assert claim.row.id == stored.id
        busy = await stage.ask("POST", f"/notifications/{stored.id}/retry")
        assert (busy.status, busy.body["title"]) == (409, "Conflict")

    api(story)


def test_a_dropped_notification_is_forgotten(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        stored = await row(stage)
        answer = await stage.ask("DELETE", f"/notifications/{stored.id}")
        assert (answer.status, answer.body["notification"]["wanted"]) == (200, True)
        assert await items(stage, "/notifications") == []
        assert (await stage.ask("DELETE", f"/notifications/{stored.id}")).status == 404

    api(story)


# --- hook calls


async def owe(stage: Stage) -> None:
    """Have a delete that two plugins are told of, one of them absent."""
    await stage.sync("web")
    await stage.ask("DELETE", "/syncs/web")


def test_hook_calls_say_whether_their_plugin_is_there(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await owe(stage)
        found = {call["plugin"]: call for call in await items(stage, "/hook-calls")}
        assert {name: call["present"] for name, call in found.items()} == {"cleaner": True, "absent": False}
        call = found["cleaner"]
        assert (call["hook"], call["sync"], call["state"], call["attempts"]) == ("on_sync_deleted", "web", "waiting", 0)
        assert await stage.get(f"/hook-calls/{call['id']}") == call

    api(story)


def test_hook_calls_are_listed_by_filter(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await owe(stage)
        assert [c["plugin"] for c in await items(stage, "/hook-calls", plugin="absent")] == ["absent"]
        assert await items(stage, "/hook-calls", state="dead") == []
        assert await items(stage, "/hook-calls", sync="db*") == []
        assert len(await items(stage, "/hook-calls", sync="w*")) == 2
        assert len(await items(stage, "/hook-calls", limit="1")) == 1

    api(story)


def test_a_dead_hook_call_is_retried_or_dropped(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await owe(stage)
        for call in (await stage.store.list_hook_calls(HookCallFilter())).items:
            dead = dataclasses.replace(call, state=HookCallState.DEAD, attempts=12, due_at=None)
            await stage.store.commit(Batch((), (PutHookCall(dead),)))
        first, second = await items(stage, "/hook-calls", state="dead")
        retried = await stage.ask("POST", f"/hook-calls/{first['id']}/retry")
        assert (retried.body["hook_call"]["state"], retried.body["hook_call"]["attempts"]) == ("waiting", 0)
        dropped = await stage.ask("DELETE", f"/hook-calls/{second['id']}")
        assert dropped.body["hook_call"]["id"] == second["id"]
        assert [(c["id"], c["state"]) for c in await items(stage, "/hook-calls")] == [(first["id"], "waiting")]

    api(story)


def test_dry_runs_leave_a_hook_call_as_it_is(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await owe(stage)
        before = await items(stage, "/hook-calls")
        for method, path in (("POST", "/retry"), ("DELETE", "")):
            answer = await stage.ask(method, f"/hook-calls/{before[0]['id']}{path}?dry_run=true")
            assert (answer.status, answer.body["dry_run"]) == (200, True)
        assert await items(stage, "/hook-calls") == before

    api(story)
