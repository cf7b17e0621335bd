"""Events over the socket, page by page and live."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

from komodod.api import stream
from komodod.errors import StorageError
from komodod.model import EventKind
from komodod.storage import Batch, EventFilter

if TYPE_CHECKING:
    import aiohttp

    from tests.integration.conftest import Play, Stage


async def tell(stage: Stage, number: int, kind: EventKind = EventKind.CONFIG_RELOADED) -> None:
    """Let something happen that is about no sync."""
    await stage.store.commit(Batch((), stage.world.act("tester").tell(kind, data={"n": number})))


async def numbers(stage: Stage, **params: Any) -> tuple[list[int], str | None]:
    page = await stage.get("/events", **params)
    return [event["data"]["n"] for event in page["items"]], page["next"]


# --- pages


def test_an_event_has_the_alerts_of_its_moment(api: Play) -> None:
    async def story(stage: Stage) -> None:
        sync = await stage.pending("web")
        await stage.ask("DELETE", "/syncs/web")
        (event,) = (await stage.get("/events", kind="sync_deleted"))["items"]
        assert (event["sync"], event["sync_id"], event["reason"]) == ("web", sync.id, f"by {event['actor']}")
        assert [(alert["kind"], alert["resolution"]) for alert in event["alerts"]] == [("pending", "deleted")]

    api(story)


def test_events_are_newest_first_and_pages_go_on_to_older_ones(api: Play) -> None:
    async def story(stage: Stage) -> None:
        for number in range(5):
            await tell(stage, number)
        first, after = await numbers(stage, limit=2)
        await tell(stage, 99)
        second, after = await numbers(stage, limit=2, after=after)
        third, after = await numbers(stage, limit=2, after=after)
        assert (first, second, third, after) == ([4, 3], [2, 1], [0], None)

    api(story)


def test_events_after_a_cursor_are_oldest_first(api: Play) -> None:
    async def story(stage: Stage) -> None:
        for number in range(5):
            await tell(stage, number)
        cursor = (await stage.get("/events"))["items"][3]["cursor"]
        first, after = await numbers(stage, limit=2, after=cursor)
        second, after = await numbers(stage, limit=2, after=after)
        assert (first, second, after) == ([2, 3], [4], None)
        assert (await numbers(stage, order="asc", limit=1))[0] == [0]
        assert (await numbers(stage, order="desc", after=cursor))[0] == [0]

    api(story)


def test_events_are_listed_by_kind_and_sync(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        await stage.pending("db")
        page = await stage.get("/events", kind=["sync_created", "sync_pending"], sync="w*")
        assert [event["kind"] for event in page["items"]] == ["sync_pending", "sync_created"]

    api(story)


@pytest.mark.parametrize("query", ["after=x", "after=-1&order=asc", "kind=party", "after=9999999999999999999"])
def test_a_question_that_means_nothing_is_refused(api: Play, query: str) -> None:
    async def story(stage: Stage) -> None:
        assert (await stage.ask("GET", f"/events?{query}")).status == 422

    api(story)


# --- the stream


class Reader:
    """Reads server-sent events."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    async def next(self) -> dict[str, Any]:
        """Return the fields of the next message; a comment stands under an empty name."""
        fields = {}
        while line := (await self._content.readline()).decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name.rstrip(":")] = value
        return {**fields, **({"data": json.loads(fields["data"])} if "data" in fields else {})}


@contextlib.asynccontextmanager
async def following(stage: Stage, query: str = "", **options: Any) -> AsyncIterator[Reader]:
    async with stage.client.get(stage.url(f"/events/stream{query}"), **options) as response:
        assert (response.status, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        yield Reader(response.content)


def test_another_clients_stream_sees_a_delete_and_its_alerts_go_within_a_second(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        async with following(stage) as events, asyncio.timeout(1):
            await stage.ask("DELETE", "/syncs/web")
            resolved, deleted = await events.next(), await events.next()
        assert (resolved["event"], resolved["data"]["alerts"][0]["resolution"]) == ("alert_resolved", "deleted")
        assert (deleted["event"], deleted["data"]["sync"]) == ("sync_deleted", "web")
        assert deleted["id"] == str(deleted["data"]["cursor"])
        assert deleted["data"] == (await stage.get("/events"))["items"][0]

    api(story)


def test_a_stream_without_a_cursor_starts_now(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await tell(stage, 1)
        async with following(stage) as events:
            await tell(stage, 2)
            assert (await events.next())["data"]["data"] == {"n": 2}

    api(story)


def test_a_stream_goes_on_after_the_cursor_it_is_given(api: Play) -> None:
    async def story(stage: Stage) -> None:
        for number in range(4):
            await tell(stage, number)
        async with following(stage, "?after=2") as events:
            assert [(await events.next())["id"] for _ in range(2)] == ["3", "4"]
        async with following(stage, "?after=0", headers={"Last-Event-ID": "3"}) as events:
            assert (await events.next())["id"] == "4"

    api(story)


def test_a_stream_that_lags_far_behind_misses_nothing(api: Play) -> None:
    async def story(stage: Stage) -> None:
        for number in range(3 * stream.STEP + 1):
            await tell(stage, number)
        async with following(stage, "?after=0") as events:
            seen = [(await events.next())["data"]["data"]["n"] for _ in range(3 * stream.STEP + 1)]
        assert seen == list(range(3 * stream.STEP + 1))

    api(story)


def test_a_stream_has_only_the_kinds_and_syncs_asked_for(api: Play) -> None:
    async def story(stage: Stage) -> None:
        async with following(stage, "?kind=sync_created&kind=sync_deleted&sync=w*") as events:
            await stage.sync("db")
            await stage.pending("web")
            await stage.ask("DELETE", "/syncs/web")
            assert [(await events.next())["event"] for _ in range(2)] == ["sync_created", "sync_deleted"]

    api(story)


def test_what_does_not_match_is_looked_at_once(api: Play) -> None:
    async def story(stage: Stage) -> None:
        asked: asyncio.Queue[int] = asyncio.Queue()
        read = stage.store.list_events

        async def noted(match: EventFilter, after: int = 0, limit: int = 100) -> Any:
            asked.put_nowait(after)
            return await read(match, after, limit)

        stage.store.list_events = noted  # type: ignore[method-assign]  # a store that is watched
        async with following(stage, "?sync=nobody"), asyncio.timeout(5):
            while await asked.get() < 3:
                await tell(stage, 0)

    api(story)


def test_a_quiet_stream_gives_signs_of_life(api: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT", 0.15)

    async def story(stage: Stage) -> None:
        async with following(stage) as events:
            assert await events.next() == {"": "alive"}

    api(story)


def test_a_stream_that_has_nothing_to_say_in_a_busy_store_gives_signs_of_life(
    api: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT", 0.15)

    async def story(stage: Stage) -> None:
        async def bustle() -> None:
            for number in range(1_000_000):
                await tell(stage, number)
                await asyncio.sleep(0.01)

        busy = asyncio.create_task(bustle())
        async with following(stage, "?kind=sync_deleted") as events:
            assert await events.next() == {"": "alive"}
        busy.cancel()

    api(story)


def test_streams_are_bounded(api: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STREAMS", 1)

    async def story(stage: Stage) -> None:
        async with following(stage):
            refused = await stage.ask("GET", "/events/stream")
            assert (refused.status, refused.headers["retry-after"]) == (503, "60")
        await stage.log.find(path="/api/v1/events/stream", status=200)
        async with following(stage):
            pass

    api(story)


def test_a_stream_whose_client_left_is_over(api: Play) -> None:
    async def story(stage: Stage) -> None:
        async with following(stage):
            assert len(stage.server._hub.streams) == 1
        await stage.log.find(path="/api/v1/events/stream")
        assert not stage.server._hub.streams

    api(story)


def test_a_stream_ends_properly_when_the_store_does_not_answer(api: Play) -> None:
    async def story(stage: Stage) -> None:
        async def fail(*_: object) -> Any:
            raise StorageError("disk I/O error")

        async with stage.client.get(stage.url("/events/stream")) as response:
            stage.store.list_events = fail  # type: ignore[assignment,method-assign]  # a store in trouble
            stage.store.announce()
            assert await response.content.read() == b""
        assert (await stage.log.find(event="event_stream_ended"))["error"] == "disk I/O error"

    api(story)


@pytest.mark.parametrize("last", ["x", "-1"])
def test_a_last_event_id_that_is_no_cursor_is_refused(api: Play, last: str) -> None:
    async def story(stage: Stage) -> None:
        answer = await stage.ask("GET", "/events/stream", headers={"Last-Event-ID": last})
        assert (answer.status, answer.body["problems"][0]["where"]) == (422, "header.last-event-id")

    api(story)
