"""Random batches over a few rows, so that they meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from komodod.model import AlertKind, Changes, HookCallState, Notification, Origin, Shown, SyncState
from komodod.storage import (
    AlertOpen,
    AppendEvent,
    Batch,
    Confess,
    DeleteSync,
    DropDoubt,
    DropHookCall,
    DropNotification,
    HookCallIn,
    LeaseHeld,
    Link,
    MarkDirty,
    NameFree,
    NotificationAt,
    PutAlert,
    PutChanges,
    PutDoubt,
    PutHookCall,
    PutNotification,
    PutSync,
    QueueHookCall,
    Release,
    RequestCheck,
    SyncAt,
    SyncGone,
    Touch,
    Unlink,
    Work,
    hook_call_id,
    notification_id,
)
from komodod.testing.storage_contract.values import after, alert, call, doubt, event, ident, resolved, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from random import Random

    from komodod.model import Alert, Doubt, Event, HookCall, Sync
    from komodod.storage import Expectation, Write

T = TypeVar("T")
NAMES = ("web", "w%b", "db")
KINDS = (AlertKind.PENDING, AlertKind.FAILED)
NOTIFIERS, KEYS, PLUGINS = ("ops", "pager"), ("k1", "k2"), ("git", "log")
GENERATIONS = (1, 2)
EVENTS = 4


class Chance:
    """Draws everything from one source of randomness, from small sets."""

    def __init__(self, random: Random) -> None:
        self.random = random

    # -- the outcomes

    def one(self, of: Sequence[T]) -> T:
        """Draw one."""
        return of[self.random.randrange(len(of))]

    def weighted(self, of: Mapping[T, int]) -> T:
        """Draw one, as often as its weight says."""
        return self.one([each for each, weight in of.items() for _ in range(weight)])

    def number(self, low: int, high: int) -> int:
        """Draw a whole number, both ends included."""
        return self.random.randint(low, high)

    def coin(self) -> bool:
        """Draw yes or no."""
        return self.one((False, True))

    def at(self) -> datetime:
        """Draw an instant, a few of which are equal."""
        return after(self.number(-2, 9) * 10)

    def due(self) -> datetime | None:
        """Draw an instant or none."""
        return self.weighted({self.at(): 3, None: 1})

    def worker(self) -> str:
        """Draw a worker."""
        return self.one(("a", "b"))

    # -- rows

    def sync(self) -> Sync:
        """Draw a sync; the name and the id are not bound to each other."""
        return sync(
            self.weighted(dict.fromkeys(NAMES, 4) | {"new": 1}),
            id=self.sync_id(),
            generation=self.one(GENERATIONS),
            conditions=frozenset(kind for kind in KINDS if self.coin()),
            origin=self.weighted({Origin.API: 5, Origin.BUILTIN: 1}),
            state=self.one(list(SyncState)),
            paused=self.weighted({False: 4, True: 1}),
            next_check_at=self.due(),
            requests_seen=self.number(0, 3),
        )

    def alert(self) -> Alert:
        """Draw an alert, open or resolved."""
        of, fields = sync(self.one(NAMES)), {"id": self.alert_id(), "opened_at": self.at()}
        if self.coin():
            return alert(of, self.one(KINDS), **fields)
        return resolved(of, self.one(KINDS), self.at(), **fields)

    def sync_id(self) -> str:
        """Draw the id of a sync."""
        return ident(self.one(NAMES))

    def alert_id(self) -> str:
        """Draw the id of an alert."""
        return ident(f"alert{self.number(0, 5)}")

    def group(self) -> tuple[str, str]:
        """Draw a notifier and a group."""
        return self.one(NOTIFIERS), self.sync_id()

    def notification(self) -> Notification:
        """Draw the result of a worker."""
        notifier, group = self.group()
        version = self.number(0, 6)
        return Notification(
            id=notification_id(notifier, group),
            notifier=notifier,
            group=group,
            title=self.one(NAMES),
            version=version,
            observed=self.one((version, 0)),
            state=self.one(list(Shown)),
            dead=self.weighted({None: 4, version: 1}),
            stranded=self.weighted({False: 5, True: 1}),
            due_at=self.due(),
        )

    def doubt(self) -> Doubt:
        """Draw a doubt."""
        return doubt(self.one(KEYS), self.number(0, 6), until=self.at(), receipt=self.number(0, 9))

    def event(self) -> Event:
        """Draw an event."""
        hooks = tuple(plugin for plugin in PLUGINS if self.coin())
        return event(str(self.number(0, EVENTS)), at=self.at(), hooks=hooks, sync=self.one((None, sync())))

    def call(self) -> HookCall:
        """Draw a hook call."""
        of = event(str(self.number(0, EVENTS)))
        state = self.weighted({HookCallState.WAITING: 3, HookCallState.DONE: 1, HookCallState.DEAD: 1})
        return call(of, self.one(PLUGINS), state=state, due_at=self.due(), created_at=self.at())

    def row(self) -> str:
        """Draw the id of a notification."""
        return notification_id(*self.group())

    def work(self) -> tuple[Work, str]:
        """Draw a row that can be leased."""
        hook = hook_call_id(ident(str(self.number(0, EVENTS))), self.one(PLUGINS))
        return self.one(((Work.CHECK, self.sync_id()), (Work.NOTIFICATION, self.row()), (Work.HOOK_CALL, hook)))

    # -- batches

    def batch(self, leases: Sequence[tuple[Work, str]]) -> Batch:
        """Draw a batch; a token that is a number stands for the lease of that number."""
        expect = [self.expectation(leases) for _ in range(self.weighted({0: 6, 1: 3, 2: 1}))]
        return Batch(tuple(expect), tuple(self.write() for _ in range(self.number(1, 6))))

    def expectation(self, leases: Sequence[tuple[Work, str]]) -> Expectation:
        """Draw an expectation; about half of them hold."""
        if leases and self.coin():
            number = self.number(max(0, len(leases) - 5), len(leases) - 1)
            return LeaseHeld(*leases[number], str(number))
        makers: tuple[Callable[[], Expectation], ...] = (
            lambda: SyncAt(self.sync_id(), self.one(GENERATIONS)),
            lambda: SyncGone(self.sync_id()),
            lambda: NameFree(self.one(NAMES)),
            lambda: AlertOpen(self.alert_id()),
            lambda: NotificationAt(self.row(), self.number(1, 4)),
            lambda: HookCallIn(self.call().id, self.one(list(HookCallState))),
        )
        return self.one(makers)()

    def write(self) -> Write:
        """Draw a write; those that make rows come more often than those that remove them."""
        makers: dict[Callable[[], Write], int] = {
            lambda: PutSync(self.sync()): 6,
            lambda: PutChanges(self.sync_id(), Changes(omitted=self.number(0, 9))): 1,
            lambda: RequestCheck(self.sync_id()): 2,
            lambda: DeleteSync(self.sync_id()): 1,
            lambda: PutAlert(self.alert()): 6,
            lambda: Link(self.alert_id(), *self.group(), self.one(NAMES)): 4,
            lambda: Unlink(self.alert_id(), self.row()): 1,
            lambda: Touch(self.alert_id()): 2,
            lambda: MarkDirty(self.row()): 2,
            lambda: PutNotification(self.notification()): 6,
            lambda: PutDoubt(self.row(), self.doubt()): 3,
            lambda: DropDoubt(self.row(), self.one(KEYS), self.number(0, 6)): 3,
            lambda: Confess(*self.group(), self.one(NAMES), self.doubt()): 2,
            lambda: DropNotification(self.row()): 1,
            lambda: AppendEvent(self.event()): 4,
            lambda: QueueHookCall(self.call()): 4,
            lambda: PutHookCall(self.call()): 3,
            lambda: DropHookCall(self.call().id): 1,
            lambda: Release(*self.work()): 2,
        }
        return self.weighted(makers)()
