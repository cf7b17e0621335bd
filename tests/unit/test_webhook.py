from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from komodod.clock import SystemClock
from komodod.errors import GoneError, PermanentError, TemporaryError
from komodod.http import session
from komodod.model import Severity
from komodod.testing.fakes import fake_context
from komodod.testing.notifiers import HOSTILE, START, message, withdrawal
from komodod.testing.sink import Fault, Sink
from komodod_webhook import WebhookConfig, WebhookNotifier, events

if TYPE_CHECKING:
    from komodod.notifier import Message

KEY = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER = base64.b64encode(b"another key that is long enough!").decode()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


def notifier(config: dict[str, Any], name: str = "ops", **changes: Any) -> WebhookNotifier:
    context = dataclasses.replace(fake_context(name, SystemClock()), **changes)
    return WebhookNotifier(WebhookConfig.model_validate(config), context)


def send(sink: Sink, *messages: Message, **config: Any) -> None:
    async def scene() -> None:
        async with session() as http:
            subject = notifier({"url": sink.url, **config}, http=http)
            for each in messages:
                await (subject.withdraw(each, None) if each.edition == "withdrawn" else subject.show(each, None))

    asyncio.run(scene())


# --- the event -------------------------------------------------------------------------------------------------------


def test_a_message_is_posted_as_a_structured_cloud_event(sink: Sink) -> None:
    send(sink, message(text="3 changes"))
    (request,) = sink.requests
    event = request.json()
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert {name: event[name] for name in event if name != "data"} == {
        "specversion": "1.0",
        "type": "dev.komodod.alert.opened",
        "source": "/komodod/ops",
        "id": message(text="3 changes").id,
        "time": "2026-01-01T12:01:00.123456Z",
        "subject": "website",
        "datacontenttype": "application/json",
    }


def test_its_data_says_what_is_shown_and_of_which_alerts(sink: Sink) -> None:
    send(sink, message(text="3 changes", severity=Severity.CRITICAL))
    data = sink.requests[0].json()["data"]
    (alert,) = data.pop("alerts")
    assert data == {
        "key": "kmd-1-a",
        "sequence": 1,
        "group": "sync-website",
        "title": "[warning] website: 3 changes",
        "body": "pending since 12:00: 3 changes",
        "severity": "critical",
        "reason": None,
    }
    assert (alert["id"], alert["sync"], alert["kind"], alert["labels"]) == (
        "alert-website",
        "website",
        "pending",
        {"team": "web"},
    )
    assert alert["headline"] == [{"action": "create", "kind": "file", "name": "index.html"}]


def test_the_texts_of_changes_are_not_sent(sink: Sink) -> None:
    send(sink, message())
    assert b"a secret" not in sink.requests[0].body


def test_the_edition_is_the_type_and_the_reason_is_told(sink: Sink) -> None:
    send(sink, message(), message(sequence=2), withdrawal(sequence=3))
    types = [request.json()["type"] for request in sink.requests]
    assert types == [f"dev.komodod.alert.{edition}" for edition in ("opened", "updated", "withdrawn")]
    last = sink.requests[2].json()["data"]
    assert last["reason"] == "the sync was deleted"
    assert last["alerts"][0]["resolved_at"] == "2026-01-01T13:00:00.123456Z"
    assert last["alerts"][0]["resolution"] == "deleted"


def test_without_alerts_the_subject_is_the_group() -> None:
    event = json.loads(events.encode(message(alerts=()), "ops"))
    assert (event["subject"], event["data"]["alerts"]) == ("sync-website", [])


def test_the_source_is_a_uri_whatever_the_notifier_is_called() -> None:
    assert json.loads(events.encode(message(), "ops / zoë"))["source"] == "/komodod/ops%20%2F%20zo%C3%AB"


def test_any_text_makes_valid_json(sink: Sink) -> None:
    send(sink, message(body=HOSTILE))
    assert sink.requests[0].json()["data"]["body"] == HOSTILE.replace("\udcff", "?")


def test_instants_are_utc_in_rfc_3339() -> None:
    at = START.astimezone(timezone(timedelta(hours=2))) + timedelta(seconds=1)
    event = json.loads(events.encode(message(at=at), "ops"))
    assert event["time"] == "2026-01-01T12:00:01.123456Z"
    assert datetime.fromisoformat(event["time"]) == at


# --- repetitions and signatures --------------------------------------------------------------------------------------


def test_a_repetition_has_the_same_id_and_the_same_bytes(sink: Sink) -> None:
    send(sink, message(), message(sequence=2))
    send(sink, message(), secret=f"whsec_{KEY}")
    first, second, again = sink.requests
    assert first.headers["webhook-id"] == message().id == again.headers["webhook-id"]
    assert first.body == again.body
    assert second.headers["webhook-id"] != first.headers["webhook-id"]


@pytest.mark.parametrize("secret", [f"whsec_{KEY}", f"  whsec_{KEY}\n"])
def test_an_independent_verifier_accepts_the_signature(sink: Sink, secret: str) -> None:
    send(sink, message(text="zoë"), secret=secret)
    (request,) = sink.requests
    verified = Webhook(f"whsec_{KEY}").verify(request.body.decode(), dict(request.headers))
    assert verified["id"] == message(text="zoë").id


def test_any_other_secret_is_the_key_itself(sink: Sink) -> None:
    send(sink, message(), secret="correct horse battery staple")
    Webhook(b"correct horse battery staple").verify(sink.requests[0].body.decode(), dict(sink.requests[0].headers))


@pytest.mark.parametrize("spoil", ["webhook-id", "webhook-timestamp", "body"])
def test_an_independent_verifier_refuses_what_was_changed(sink: Sink, spoil: str) -> None:
    send(sink, message(), secret=f"whsec_{KEY}")
    (request,) = sink.requests
    headers, body = dict(request.headers), request.body.decode()
    if spoil == "body":
        body += " "
    elif spoil == "webhook-timestamp":
        headers[spoil] = str(int(headers[spoil]) + 1)
    else:
        headers[spoil] += "x"
    with pytest.raises(WebhookVerificationError):
        Webhook(f"whsec_{KEY}").verify(body, headers)


def test_while_a_secret_is_replaced_both_sign(sink: Sink, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"whsec_{KEY}\nwhsec_{OTHER}\n")
    send(sink, message(), secret_file=str(tmp_path / "secret"))
    for key in (KEY, OTHER):
        Webhook(f"whsec_{key}").verify(sink.requests[0].body.decode(), dict(sink.requests[0].headers))


def test_the_time_stamp_is_that_of_the_attempt(sink: Sink) -> None:
    send(sink, message(), secret=f"whsec_{KEY}")
    now = SystemClock().now().timestamp()
    assert abs(int(sink.requests[0].headers["webhook-timestamp"]) - now) < 60


def test_without_a_secret_nothing_is_signed_but_the_id_is_there(sink: Sink) -> None:
    send(sink, message())
    assert "webhook-signature" not in sink.requests[0].headers
    assert "webhook-id" in sink.requests[0].headers


# --- answers ---------------------------------------------------------------------------------------------------------


def refusal(sink: Sink, **config: Any) -> Exception:
    with pytest.raises((TemporaryError, PermanentError)) as raised:
        send(sink, message(), **config)
    return raised.value


def test_410_parks_the_notifier(sink: Sink) -> None:
    sink.answer(410)
    assert isinstance(refusal(sink), GoneError)


def test_a_redirect_is_not_followed(sink: Sink) -> None:
    sink.answer(307, location=sink.url)
    assert type(refusal(sink)) is PermanentError
    assert len(sink.requests) == 1


def test_retry_after_is_passed_on(sink: Sink) -> None:
    sink.answer(429, retry_after="42")
    error = refusal(sink)
    assert isinstance(error, TemporaryError)
    assert error.retry_after == 42


def test_the_configured_time_out_holds_and_is_shorter_than_the_engines(sink: Sink) -> None:
    sink.answer(fault=Fault.HANG)
    assert "did not answer within 0.2 s" in str(refusal(sink, timeout="0.2s"))
    assert notifier({"url": sink.url, "timeout": 20}).traits.timeout > 20


def test_more_headers_are_sent(sink: Sink) -> None:
    send(sink, message(), headers={"Authorization": "Bearer hunter2"})
    assert sink.requests[0].headers["authorization"] == "Bearer hunter2"


# --- the configuration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({}, "the URL is missing: give 'url' or 'url_file'"),
        ({"url": "hunter2"}, "the URL must start with http:// or https:// and name a host"),
        ({"url": "ftp://h/hunter2"}, "the URL must start with"),
        ({"url": "http:///hunter2"}, "the URL must start with"),
        ({"url": "http://[h/hunter2"}, "the URL must start with"),
        ({"url": "http://h:99999/hunter2"}, "the URL must start with"),
        ({"url": "http://h/hunter2\n"}, "the URL must start with"),
        ({"url": "http://h", "secret": "whsec_hunter2!"}, "is not base64 after it"),
        ({"url": "http://h", "secret": "whsec_"}, "nothing after 'whsec_'"),
        ({"url": "http://h", "secret": " "}, "the secret is empty"),
        ({"url": "http://h", "headers": {"X Y": "hunter2"}}, "'X Y' is no name of a header"),
        ({"url": "http://h", "headers": {"": "hunter2"}}, "'' is no name of a header"),
        ({"url": "http://h", "headers": {"Content-Type": "hunter2"}}, "'Content-Type' is set by komodod"),
        ({"url": "http://h", "headers": {"Webhook-Id": "hunter2"}}, "'Webhook-Id' is set by komodod"),
        ({"url": "http://h", "headers": {"X": "hunter2\r\nY: z"}}, "characters that cannot be sent"),
        ({"url": "http://h", "timeout": "31s"}, "31 s is too long to wait for an answer; at most 30 s"),
        ({"url": "http://h", "timeout": 0}, "out of range"),
    ],
)
def test_a_wrong_configuration_is_refused_without_showing_secrets(config: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError) as raised:
        WebhookConfig.model_validate(config)
    (error,) = raised.value.errors()
    assert complaint in error["msg"]
    assert "hunter2" not in error["msg"]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [("url_file", "ftp://h", "the URL must start with"), ("secret_file", "whsec_!", "is not base64")],
)
def test_what_a_file_holds_is_looked_at_as_closely(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(ValidationError, match=complaint):
        WebhookConfig.model_validate({"url": "http://h"} | {name: str(tmp_path / "file")} | _no_url(name))


def _no_url(name: str) -> dict[str, Any]:
    return {"url": None} if name == "url_file" else {}


def test_the_url_may_stand_in_a_file(sink: Sink, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{sink.url}\n")
    send(sink, message(), url=None, url_file=str(tmp_path / "url"))
    assert len(sink.requests) == 1


def test_where_there_is_no_network_nothing_is_sent() -> None:
    with pytest.raises(RuntimeError, match="no network"):
        asyncio.run(notifier({"url": "http://h"}).show(message(), None))
