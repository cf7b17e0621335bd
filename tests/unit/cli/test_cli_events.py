"""`komodod event list`, and its live end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from komodod.cli import stream
from komodod.cli.client import Client
from komodod.cli.faults import UnreachableError

WHEN = "2026-01-02 04:04:05+01:00"


def sent(*events: Any) -> bytes:
    """Return events as the stream spells them, heartbeats between them."""
    parts = [f"id: {event['cursor']}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n" for event in events]
    return (": ping\n\n" + ": ping\n\n".join(parts)).encode()


def test_a_table_has_the_last_fifty_oldest_first(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /events"] = make.page(make.event(2, "sync_deleted"), make.event(1), after="-1")
    lines = komodod("event", "list", "--limit", "2").out.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["sync_created", "sync_deleted"]
    daemon.answers["GET /events"] = make.page()
    komodod("event", "list")
    assert [request.query["limit"] for request in daemon.asked] == [["2"], ["50"]]


def test_an_event_is_told_with_its_reason_and_data(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /events"] = make.page(make.event(1, reason="by ada", data={"pending": 3, "revision": None}))
    assert (
        komodod("event", "list").out.splitlines()[1].endswith("sync_created  website  ada    op1    by ada; pending=3")
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"trigger": "start", "braked": [], "invariants": [{"found": 3, "repaired": 2}]}, "start: 3 found, 2 repaired"),
        (
            {"changed": {"routes": "changed", "syncs": {"delete": ["a", "b"]}}, "restart_needed": []},
            "routes=changed delete=a,b",
        ),
    ],
)
def test_data_that_nests_is_told_in_a_line(komodod: Any, daemon: Any, make: Any, data: Any, said: str) -> None:
    daemon.answers["GET /events"] = make.page(make.event(1, data=data))
    assert komodod("event", "list").out.splitlines()[1].endswith(f"  {said}")


def test_an_event_about_alerts_tells_which(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /events"] = make.page(make.event(1, "alert_opened", alerts=[make.alert()]))
    assert komodod("event", "list").out.splitlines()[1].endswith("  pending: 3 changes pending")


def test_programs_get_all_events_from_the_first(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /events"] = [make.page(make.event(1), after="1"), make.page(make.event(2))]
    result = komodod("event", "list", "-o", "json", "--kind", "sync_created", "--kind", "sync_deleted", "--sync", "w*")
    assert [event["cursor"] for event in result.json] == [1, 2]
    assert daemon.asked[0].query == {
        "order": ["asc"],
        "kind": ["sync_created", "sync_deleted"],
        "sync": ["w*"],
        "limit": ["500"],
    }
    assert daemon.asked[1].query["after"] == ["1"]


# --- the live end ----------------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Following does not wait; the fourth loss is Ctrl-C."""
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(stream.follow, "__defaults__", (pause,))
    return pauses


def test_following_goes_on_from_the_past_without_a_gap_or_a_repetition(
    komodod: Any, daemon: Any, make: Any, raw: Any, impatient: list[float]
) -> None:
    newest, past = make.page(make.event(2)), make.page(make.event(3), make.event(2), make.event(1))
    daemon.answers["GET /events"] = [newest, past]
    daemon.answers["GET /events/stream"] = [raw(sent(make.event(3))), raw(sent(make.event(4)))]
    result = komodod("event", "list", "--follow", "-o", "json")
    assert result.code == 130
    assert [json.loads(line)["cursor"] for line in result.out.splitlines()] == [1, 2, 3, 4, 4, 4]
    assert [request.headers.get("Last-Event-ID") for request in daemon.asked] == [None, None, "2", "3", "4", "4"]
    assert impatient == [1.0] * 4


def test_followed_events_are_lines_for_people(komodod: Any, daemon: Any, make: Any, raw: Any, impatient: Any) -> None:
    daemon.answers["GET /events"] = make.page()
    daemon.answers["GET /events/stream"] = raw(sent(make.event(1, "pass_finished", sync=None, actor="komodod")))
    assert impatient == []
    result = komodod("event", "list", "--follow", "--sync", "w*")
    assert result.out.splitlines()[0] == f"{WHEN} pass_finished by komodod"
    assert daemon.asked[-1].query["sync"] == ["w*"]


def test_followed_events_are_documents_in_yaml(komodod: Any, daemon: Any, make: Any, raw: Any, impatient: Any) -> None:
    daemon.answers["GET /events"] = make.page()
    daemon.answers["GET /events/stream"] = raw(sent(make.event(1)))
    assert impatient == []
    assert komodod("event", "list", "--follow", "-o", "yaml").out.startswith("---\nid: e1\ncursor: 1\n")


def test_a_connection_that_is_lost_is_made_again_and_each_outage_told_once(
    komodod: Any, daemon: Any, make: Any, raw: Any, impatient: list[float]
) -> None:
    daemon.answers["GET /events"] = make.page()
    daemon.answers["GET /events/stream"] = [
        raw(sent(make.event(1))),
        *[raw(b"", head=False)] * 2,
        raw(sent(make.event(2))),
    ]
    result = komodod("event", "list", "--follow", "-o", "json")
    assert [json.loads(line)["cursor"] for line in result.out.splitlines()] == [1, 2]
    assert result.err.count("trying to connect again") == 1
    assert len(impatient) == 4


def test_a_daemon_that_never_gave_the_stream_is_not_followed(daemon: Any, raw: Any) -> None:
    daemon.answers["GET /events/stream"] = raw(b"", head=False)
    with pytest.raises(UnreachableError):
        next(stream.follow(Client(daemon.socket), {}, 0, lambda error: pytest.fail(str(error))))


def test_a_stream_that_is_refused_is_an_error(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /events"] = make.page()
    daemon.refuse("GET /events/stream", 422, "no such kind")
    assert komodod("event", "list", "--follow").code == 2


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id: 1\ndata: a\n\n", [("1", "a")]),
        ("id:1\ndata:a\ndata: b\n\n", [("1", "a\nb")]),
        (": comment\n\nevent: x\n\n", []),
        ("id: 1\ndata: a\n\ndata: b\n\n", [("1", "a"), ("1", "b")]),
        ("id: 1\ndata: a\n\nid: 2\ndata: cut off\n", [("1", "a")]),
        ("retry: 5\nid: 1\nunknown: x\ndata: a: b\n\n", [("1", "a: b")]),
    ],
)
def test_a_stream_is_read_as_the_standard_says(text: str, found: list[tuple[str, str]]) -> None:
    assert [(message.cursor, message.data) for message in stream.parse(text.splitlines())] == found
