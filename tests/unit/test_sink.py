from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from komodod.errors import PermanentError, TemporaryError
from komodod.http import post, session
from komodod.testing.notifiers import message, withdrawal
from komodod.testing.sink import Fault, Sink
from komodod_webhook import events

if TYPE_CHECKING:
    from komodod.notifier import Message


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


def send(sink: Sink, *messages: Message) -> None:
    async def scene() -> None:
        async with session() as http:
            for each in messages:
                try:
                    await post(http, sink.url, body=events.encode(each, "ops"), headers={}, timeout=0.3)
                except (TemporaryError, PermanentError):
                    continue

    asyncio.run(scene())


def test_what_was_opened_stands_until_it_is_withdrawn(sink: Sink) -> None:
    send(sink, message("a"), message("b"), message("b", 2, "5 changes"))
    assert {key: data["sequence"] for key, data in sink.standing().items()} == {"a": 1, "b": 2}
    send(sink, withdrawal("a"), withdrawal("b", 3))
    assert sink.standing() == {}


def test_what_comes_late_or_twice_changes_nothing(sink: Sink) -> None:
    send(sink, withdrawal("a", 3), message("a", 1), message("a", 2), message("b", 2), message("b", 1))
    assert {key: data["sequence"] for key, data in sink.standing().items()} == {"b": 2}


def test_what_was_refused_does_not_stand(sink: Sink) -> None:
    sink.answer_next(503)
    send(sink, message("a"), message("b"))
    assert list(sink.standing()) == ["b"]


@pytest.mark.parametrize("fault", list(Fault))
def test_what_was_read_stands_although_the_answer_was_lost(sink: Sink, fault: Fault) -> None:
    sink.answer_next(fault=fault)
    send(sink, message("a"))
    assert list(sink.standing()) == ["a"]


def test_one_can_wait_for_something_to_come(sink: Sink) -> None:
    send(sink, message("a"))
    sink.wait(lambda it: it.standing(), 20)
    with pytest.raises(TimeoutError, match="1 requests"):
        sink.wait(lambda it: not it.standing(), 0.01)
