"""Waiting until a check or an apply that was asked for is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from komodod.cli.client import Client, part
from komodod.cli.faults import AnswerError, StoppedError

if TYPE_CHECKING:
    from komodod.model import Json

WAIT: Final = 20
"""Seconds that the daemon is asked to wait before it answers."""
SHORTEST: Final = 0.05
LONGEST: Final = 1.0
"""Seconds between two looks after that, at first and in the end."""
RECENT: Final = 100
"""Events of a sync among which the outcome of an apply is looked for."""
OUTCOMES: Final = ("sync_applied", "apply_failed", "apply_discarded")

Sync = dict[str, Any]


def await_sync(client: Client, sync: Sync, done: Callable[[Sync], bool]) -> Sync:
    """Look at a sync, ever less often, until it is as wanted, and return it.

    Raises:
        StoppedError: it was deleted, or paused, so that nothing will happen to it.
    """
    distance = SHORTEST
    while not done(sync):
        if sync["paused"]:
            raise StoppedError(f"sync {sync['name']!r} was paused meanwhile; `komodod sync resume` lets it go on")
        time.sleep(distance)
        distance = min(2 * distance, LONGEST)
        sync = _look(client, sync)
    return sync


def _look(client: Client, sync: Sync) -> Sync:
    try:
        found: Sync = client.get(f"/syncs/{part(sync['id'])}")
    except AnswerError as error:
        if error.status == 404:
            raise StoppedError(f"sync {sync['name']!r} was deleted meanwhile") from error
        raise
    return found


def checked(wish: Sync) -> Callable[[Sync], bool]:
    """Return what tells whether the check that was asked for by this answer has been made."""
    return lambda sync: bool(sync["requests_seen"] >= wish["requests"])


def find_outcome(client: Client, name: str, op_id: str) -> Json:
    """Return the event that tells how the apply of this operation ended; None if there is none yet."""
    events = client.pages("/events", {"sync": name, "kind": list(OUTCOMES)}, RECENT)
    return next((event for event in events if event["op_id"] == op_id), None)


def looked_after(instant: str) -> Callable[[Sync], bool]:
    """Return what tells whether a sync was looked at after this instant of the API."""
    return lambda sync: bool(sync["checked_at"]) and _moment(sync["checked_at"]) >= _moment(instant)


def no_longer_asked(op_id: str) -> Callable[[Sync], bool]:
    """Return what tells whether the apply of this operation is no longer ahead."""
    return lambda sync: (sync["apply_request"] or {}).get("op_id") != op_id


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
