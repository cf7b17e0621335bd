"""Syncs over the socket."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from komodod.engine import own, syncs
from komodod.model import AlertKind, Origin, Resolution
from komodod.storage import AlertFilter, SyncFilter

if TYPE_CHECKING:
    from tests.integration.conftest import Play, Stage

DIRECTORY = {"type": "directory", "from": "/a", "to": "/b"}


def new(**fields: Any) -> dict[str, Any]:
    return {"name": "web", "source": DIRECTORY, **fields}


def test_a_created_sync_is_due_for_a_check_and_carries_its_makers_op_id(api: Play) -> None:
    async def story(stage: Stage) -> None:
        answer = await stage.ask("POST", "/syncs", json=new(labels={"team": "web"}, severity="critical"))
        assert answer.status == 201
        sync = answer.body["sync"]
        assert (sync["name"], sync["origin"], sync["labels"]) == ("web", "api", {"team": "web"})
        (claim,) = await stage.store.claim_checks("worker", 30.0, 1)
        assert claim.row.id == sync["id"]
        (event,) = (await stage.get("/events"))["items"]
        assert (event["kind"], event["op_id"]) == ("sync_created", answer.body["op_id"])

    api(story)


def test_a_dry_run_of_a_create_makes_nothing(api: Play) -> None:
    async def story(stage: Stage) -> None:
        answer = await stage.ask("POST", "/syncs?dry_run=true", json=new())
        assert (answer.status, answer.body["dry_run"], answer.body["sync"]["name"]) == (200, True, "web")
        assert (await stage.get("/syncs"))["items"] == []

    api(story)


def test_a_name_that_is_taken_is_a_conflict(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.sync("web")
        answer = await stage.ask("POST", "/syncs", json=new())
        assert (answer.status, answer.body["title"]) == (409, "Conflict")
        assert answer.body["detail"] == "a sync named 'web' exists"

    api(story)


def test_all_that_is_wrong_with_a_new_sync_is_told_at_once(api: Play) -> None:
    async def story(stage: Stage) -> None:
        answer = await stage.ask("POST", "/syncs", json=new(colour="red", source={"type": "svn"}))
        assert answer.status == 422
        assert [problem["message"] for problem in answer.body["problems"]] == [
            "unknown key 'colour'",
            "unknown source type of 'web'",
        ]
        assert answer.headers["content-type"] == "application/problem+json"

    api(story)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"source": DIRECTORY}, "body.name"),
        ({"name": "web"}, "body.source"),
        ({"name": "web", "source": "directory"}, "body.source"),
        ({"name": "a\0b", "source": DIRECTORY}, "body.name"),
        ({"name": "web", "source": {"type": "git", "url": "\ud800"}}, "body.source"),
        ({"name": "web", "source": DIRECTORY, "extra": ["\0"]}, "body.extra"),
    ],
)
def test_what_is_no_sync_is_refused_with_its_place(api: Play, body: dict[str, Any], where: str) -> None:
    async def story(stage: Stage) -> None:
        answer = await stage.ask("POST", "/syncs", json=body)
        assert (answer.status, [problem["where"] for problem in answer.body["problems"]]) == (422, [where])

    api(story)


@pytest.mark.parametrize(
    "text", ['{"name": "web", "source": {"a": NaN}}', "{", '{"name": "w", "source": ' + "[" * 99000]
)
def test_a_body_that_is_no_plain_json_is_refused(api: Play, text: str) -> None:
    async def story(stage: Stage) -> None:
        answer = await stage.ask("POST", "/syncs", data=text, headers={"content-type": "application/json"})
        assert answer.status in (400, 422)
        assert answer.headers["content-type"] == "application/problem+json"

    api(story)


def test_a_sync_that_runs_commands_is_made_only_where_the_configuration_says_so(api: Play) -> None:
    async def story(stage: Stage) -> None:
        body = new(source={"type": "command", "check": ["true"]})
        refused = await stage.ask("POST", "/syncs", json=body)
        assert refused.status == 403
        assert "api.allow_sources" in refused.body["detail"]
        stage.daemon.allowed = ("command",)
        assert (await stage.ask("POST", "/syncs", json=body)).status == 201

    api(story)


def test_an_edit_cannot_turn_a_sync_into_one_that_runs_commands(api: Play) -> None:
    async def story(stage: Stage) -> None:
        before = await stage.sync("web")
        answer = await stage.ask("PATCH", "/syncs/web", json={"source": {"type": "command", "check": ["true"]}})
        assert answer.status == 403
        assert await stage.store.get_sync(before.id) == before

    api(story)


def test_an_edit_of_anything_about_a_sync_that_runs_commands_is_refused_too(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.sync("web", source={"type": "command", "check": ["true"]})
        assert (await stage.ask("PATCH", "/syncs/web", json={"apply": "auto"})).status == 403

    api(story)


def test_a_sync_is_found_by_name_and_by_id_with_its_open_alerts(api: Play) -> None:
    async def story(stage: Stage) -> None:
        sync = await stage.pending("web")
        by_name, by_id = await stage.get("/syncs/web"), await stage.get(f"/syncs/{sync.id}")
        assert by_name == by_id
        assert [alert["kind"] for alert in by_name["alerts"]] == ["pending"]
        missing = await stage.ask("GET", "/syncs/nobody")
        assert (missing.status, missing.body["detail"][:26]) == (404, "there is no sync 'nobody';")

    api(story)


def test_the_changes_of_a_sync_are_shown_with_their_diffs(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.look(await stage.sync("web"), "a", diff="-1\n+2\n")
        assert await stage.get("/syncs/web/changes") == {
            "items": [{"action": "update", "kind": "file", "name": "a", "diff": "-1\n+2\n"}],
            "omitted": 0,
        }

    api(story)


def test_syncs_are_listed_by_filter(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web-1", labels={"team": "web", "tier": "1"})
        await stage.sync("web-2", labels={"team": "web"})
        await stage.sync("db")

        async def names(**params: Any) -> list[str]:
            return [sync["name"] for sync in (await stage.get("/syncs", **params))["items"]]

        assert await names(name="web-*") == ["web-1", "web-2"]
        assert await names(state="pending") == ["web-1"]
        assert await names(label=["team=web", "tier=1"]) == ["web-1"]
        assert await names(paused="true") == []
        assert await names(origin="config") == []

    api(story)


@pytest.mark.parametrize(
    "query", ["state=sleepy", "label=team", "limit=0", "limit=501", "name=%00", "limit=x", "paused=perhaps"]
)
def test_a_filter_that_means_nothing_is_refused(api: Play, query: str) -> None:
    async def story(stage: Stage) -> None:
        answer = await stage.ask("GET", f"/syncs?{query}")
        assert answer.status == 422
        assert [p["where"].split(".")[1] for p in answer.body["problems"]] == [query.partition("=")[0]]

    api(story)


def test_pages_of_syncs_join_into_all_of_them(api: Play) -> None:
    async def story(stage: Stage) -> None:
        for number in range(5):
            await stage.sync(f"s{number}")
        found, params = [], {"limit": "2"}
        while True:
            page = await stage.get("/syncs", **params)
            found += [sync["name"] for sync in page["items"]]
            if page["next"] is None:
                break
            params["after"] = page["next"]
        assert found == ["s0", "s1", "s2", "s3", "s4"]

    api(story)


def test_an_edit_changes_what_it_names_and_has_the_sync_checked(api: Play) -> None:
    async def story(stage: Stage) -> None:
        before = await stage.pending("web", labels={"team": "web"})
        answer = await stage.ask("PATCH", "/syncs/web", json={"severity": "critical", "every": 60})
        assert (answer.status, answer.body["changed"]) == (200, True)
        after = await stage.store.get_sync(before.id)
        assert after is not None
        assert after.spec == dataclasses.replace(before.spec, severity=after.spec.severity, every=60)
        assert after.spec.severity == "critical"
        assert [claim.row.id for claim in await stage.store.claim_checks("worker", 30.0, 1)] == [before.id]

    api(story)


def test_a_cron_line_takes_the_place_of_an_interval_and_the_other_way_round(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.sync("web")
        cron = await stage.ask("PATCH", "/syncs/web", json={"cron": "0 4 * * *", "timezone": "Europe/Vienna"})
        sync = cron.body["sync"]
        assert (sync["every"], sync["cron"], sync["timezone"]) == (None, "0 4 * * *", "Europe/Vienna")
        every = await stage.ask("PATCH", "/syncs/web", json={"every": 60})
        sync = every.body["sync"]
        assert (sync["every"], sync["cron"], sync["timezone"]) == (60, None, None)

    api(story)


def test_null_is_the_default(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.sync("web", fail_after=9, labels={"a": "b"})
        answer = await stage.ask("PATCH", "/syncs/web", json={"fail_after": None, "labels": None})
        assert (answer.body["sync"]["fail_after"], answer.body["sync"]["labels"]) == (2, {})

    api(story)


def test_an_edit_that_changes_nothing_says_so_and_writes_nothing(api: Play) -> None:
    async def story(stage: Stage) -> None:
        before = await stage.sync("web")
        answer = await stage.ask("PATCH", "/syncs/web", json={"severity": "warning", "name": "web"})
        assert (answer.status, answer.body["changed"]) == (200, False)
        assert await stage.store.get_sync(before.id) == before

    api(story)


def test_a_sync_cannot_be_renamed(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.sync("web")
        answer = await stage.ask("PATCH", "/syncs/web", json={"name": "www"})
        assert (answer.status, answer.body["problems"][0]["where"]) == (422, "body.name")

    api(story)


def test_a_source_is_shown_without_its_secrets(api: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.daemon.redactor.add("hunter2")
        source = {"type": "git", "url": "https://me:pw@host/x", "token": "t", "deep": [{"k": "see hunter2"}]}
        await stage.sync("web", source=source)
        shown = (await stage.get("/syncs/web"))["source"]
        assert shown == {"type": "git", "url": "https://***@host/x", "token": "***", "deep": [{"k": "see ***"}]}

    api(story)


def test_a_source_that_comes_back_as_it_was_shown_is_the_same_source(api: Play) -> None:
    async def story(stage: Stage) -> None:
        sync = await stage.sync("web", source={"type": "git", "url": "https://me:pw@host/x"})
        shown = (await stage.get("/syncs/web"))["source"]
        answer = await stage.ask("PATCH", "/syncs/web", json={"source": shown, "severity": "info"})
        assert answer.body["changed"] is True
        after = await stage.store.get_sync(sync.id)
        assert after is not None
        assert after.spec.source["url"] == "https://me:pw@host/x"

    api(story)


def test_a_mask_does_not_carry_a_secret_to_another_place(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.sync("web", source={"type": "git", "url": "https://host/x", "token": "t"})
        moved = {"type": "git", "url": "https://elsewhere/x", "token": "***"}
        answer = await stage.ask("PATCH", "/syncs/web", json={"source": moved})
        assert (answer.status, answer.body["problems"][0]["where"]) == (422, "body.source")

    api(story)


@pytest.mark.parametrize(("method", "verb"), [("PATCH", "edit"), ("DELETE", "delete")])
def test_what_a_file_declares_is_changed_there(api: Play, method: str, verb: str) -> None:
    async def story(stage: Stage) -> None:
        spec = (await stage.sync("other")).spec
        act = stage.world.act("komodod")
        await syncs.create(stage.world, act, "web", spec, origin=Origin.CONFIG, declared="/etc/k.yaml:7")
        answer = await stage.ask(method, "/syncs/web", json={} if method == "PATCH" else None)
        assert answer.status == 409
        assert answer.body["detail"].startswith(f"sync 'web' is declared in /etc/k.yaml:7; {verb} it there")

    api(story)


def test_a_delete_tells_what_it_took_along(api: Play) -> None:
    async def story(stage: Stage) -> None:
        sync = await stage.pending("web")
        answer = await stage.ask("DELETE", "/syncs/web")
        assert answer.status == 200
        assert answer.body["sync"]["id"] == sync.id
        assert [alert["kind"] for alert in answer.body["alerts"]] == ["pending"]
        assert [(row["notifier"], row["wanted"]) for row in answer.body["notifications"]] == [("console", False)]
        assert await stage.store.get_sync(sync.id) is None
        (alert,) = (await stage.store.list_alerts(AlertFilter(open=None))).items
        assert (alert.kind, alert.resolution) == (AlertKind.PENDING, Resolution.DELETED)
        assert alert.reason == f"by {(await stage.get('/events'))['items'][0]['actor']}"
        assert (await stage.ask("DELETE", "/syncs/web")).status == 404

    api(story)


def test_a_dry_run_of_a_delete_leaves_everything(api: Play) -> None:
    async def story(stage: Stage) -> None:
        sync = await stage.pending("web")
        answer = await stage.ask("DELETE", "/syncs/web?dry_run=true")
        assert (answer.body["dry_run"], len(answer.body["alerts"]), len(answer.body["notifications"])) == (True, 1, 1)
        assert await stage.store.get_sync(sync.id) == sync

    api(story)


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", ""), ("PATCH", ""), ("POST", "/check"), ("POST", "/apply"), ("POST", "/pause")]
)
def test_komodods_own_sync_is_nobodys_to_change(api: Play, method: str, path: str) -> None:
    async def story(stage: Stage) -> None:
        await own.ensure(stage.world)
        answer = await stage.ask(method, f"/syncs/komodod{path}", json={} if method == "PATCH" else None)
        assert answer.status == 409
        (sync,) = (await stage.store.list_syncs(SyncFilter())).items
        assert sync.generation == 1

    api(story)


def test_a_check_is_asked_for_and_answered_at_once(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        answer = await stage.ask("POST", "/syncs/web/check")
        assert (answer.status, answer.body["done"], answer.body["sync"]["requests"]) == (202, None, 1)

    api(story)


def test_a_check_that_is_waited_for_is_answered_when_it_was_made(api: Play) -> None:
    async def story(stage: Stage) -> None:
        sync = await stage.pending("web")
        waiting = asyncio.create_task(stage.ask("POST", "/syncs/web/check", params={"wait": "20"}))
        await asked(stage)
        await stage.look(sync)
        answer = await waiting
        assert (answer.status, answer.body["done"], answer.body["sync"]["state"]) == (200, True, "ok")

    api(story)


async def asked(stage: Stage) -> None:
    """Wait until a sync is due for a check that somebody asked for."""
    while True:
        ticks = stage.store.ticks()
        found = (await stage.store.list_syncs(SyncFilter())).items
        if any(sync.requests > sync.requests_seen or sync.apply_request for sync in found):
            return
        await stage.store.changed(ticks)


@pytest.mark.parametrize("wait", ["0", "0.05"])
def test_a_check_that_nobody_makes_in_time_is_answered_as_not_done(api: Play, wait: str) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        answer = await stage.ask("POST", "/syncs/web/check", params={"wait": wait})
        assert (answer.status, answer.body["done"], answer.body["sync"]["state"]) == (200, False, "pending")

    api(story)


def test_a_wait_ends_when_the_sync_is_deleted(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        waiting = asyncio.create_task(stage.ask("POST", "/syncs/web/check", params={"wait": "20"}))
        await asked(stage)
        await stage.ask("DELETE", "/syncs/web")
        answer = await waiting
        assert (answer.status, answer.body["detail"]) == (404, "sync 'web' was deleted meanwhile")

    api(story)


def test_an_apply_is_waited_for_until_its_result_was_looked_at(api: Play) -> None:
    async def story(stage: Stage) -> None:
        sync = await stage.pending("web")
        waiting = asyncio.create_task(stage.ask("POST", "/syncs/web/apply", params={"wait": "20", "force": "true"}))
        await asked(stage)
        applied = await stage.apply(sync)
        assert not syncs.seen(applied, applied.requests)
        await stage.look(applied)
        answer = await waiting
        assert (answer.status, answer.body["done"], answer.body["sync"]["state"]) == (200, True, "ok")
        assert stage.forced == [True]

    api(story)


def test_dry_runs_of_a_check_and_an_apply_ask_for_nothing(api: Play) -> None:
    async def story(stage: Stage) -> None:
        before = await stage.pending("web")
        for verb in ("check", "apply"):
            answer = await stage.ask("POST", f"/syncs/web/{verb}?dry_run=true&wait=5")
            assert (answer.status, answer.body["dry_run"]) == (202, True)
        assert await stage.store.get_sync(before.id) == before

    api(story)


def test_a_paused_sync_is_not_checked_until_it_is_resumed(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        assert (await stage.ask("POST", "/syncs/web/pause")).body["changed"] is True
        assert (await stage.ask("POST", "/syncs/web/pause")).body["changed"] is False
        refused = await stage.ask("POST", "/syncs/web/check")
        assert (refused.status, refused.body["title"]) == (409, "Conflict")
        resumed = await stage.ask("POST", "/syncs/web/resume")
        assert (resumed.body["changed"], resumed.body["sync"]["paused"]) == (True, False)
        assert (await stage.ask("POST", "/syncs/web/check")).status == 202

    api(story)


def test_a_client_that_leaves_while_it_waits_leaves_nothing_behind(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        waiting = asyncio.create_task(stage.ask("POST", "/syncs/web/check", params={"wait": "3600"}))
        await asked(stage)
        waiting.cancel()
        assert (await stage.log.find(path="/api/v1/syncs/web/check"))["seconds"] < 20

    api(story)
