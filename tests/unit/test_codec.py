from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from komodod.codec import decode, dump, encode, load
from komodod.model import (
    Aggregate,
    Alert,
    AlertKind,
    Change,
    Changes,
    Event,
    HookCall,
    Json,
    Members,
    Notification,
    Severity,
    Spec,
    Sync,
)
from komodod.storage import Page
from komodod.testing.samples import HOSTILE, complete

KINDS: list[type[Any]] = [Sync, Spec, Changes, Alert, Notification, Event, HookCall, Aggregate, Members]


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_with_every_field_set_comes_back_equal(kind: type[Any]) -> None:
    value = complete(kind)
    assert load(kind, json.loads(json.dumps(dump(value)))) == value
    assert decode(kind, encode(kind, value)) == value


@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_to_write_say_the_same(kind: type[Any]) -> None:
    assert json.loads(encode(kind, complete(kind))) == dump(complete(kind))


def test_instants_are_in_utc_to_the_microsecond() -> None:
    at = datetime(2026, 3, 1, 1, 30, 0, 7, tzinfo=timezone(timedelta(hours=2)))
    assert dump(at) == "2026-02-28T23:30:00.000007Z"
    assert load(datetime, dump(at)) == at.astimezone(UTC)


def test_sets_are_sorted_and_enums_are_their_values() -> None:
    assert dump({AlertKind.PENDING, AlertKind.BRAKE, AlertKind.FAILED}) == ["brake", "failed", "pending"]
    assert dump({Severity.INFO: 1}) == {"info": 1}


def test_what_a_store_returns_has_a_json_too() -> None:
    change = Change(action="create", kind="file", name=HOSTILE)
    assert dump(Page((change,), "x"))["items"][0]["name"] == HOSTILE


def test_keys_of_another_version_are_ignored_and_absent_ones_default() -> None:
    changes = load(Changes, {"items": [{"action": "a", "kind": "k", "name": "n", "new": 1}]})
    assert changes == Changes(items=(Change(action="a", kind="k", name="n"),))


@pytest.mark.parametrize("wrong", [{"items": 5}, {"omitted": "many"}, [], None])
def test_what_is_no_such_thing_is_refused(wrong: Json) -> None:
    with pytest.raises(ValueError, match="validation error"):
        load(Changes, wrong)


def test_a_lone_surrogate_has_no_text() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        encode(Changes, Changes(items=(Change(action="a", kind="k", name="\udc80"),)))


def test_what_json_has_no_word_for_is_refused() -> None:
    with pytest.raises(TypeError, match="a bytes has no JSON"):
        dump({"token": b"x"})
