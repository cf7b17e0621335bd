"""Carry out the next step of a claimed notification: the protocol of design D5 with its effects."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from structlog.contextvars import bound_contextvars

from komodod.engine import own
from komodod.engine.decisions import outcomes
from komodod.engine.decisions.notifying import Abandon, Rest, Say, Search, Settle, Wait, decide
from komodod.engine.leases import MARGIN
from komodod.errors import Conflict, GoneError, PermanentError, TemporaryError
from komodod.guard import GRACE, guarded
from komodod.model import EventKind, Json, Members, Notification, Want
from komodod.storage import AppendEvent, Batch
from komodod.texts import clean

if TYPE_CHECKING:
    from komodod.engine.channels import Channel, Channels
    from komodod.engine.leases import Leases
    from komodod.engine.world import World
    from komodod.storage import Claim

ACTOR = "komodod"


class Speaker:
    """Speaks to channels, one claim at a time.

    `share` is how many messages one channel may have under way, so that one that hangs leaves room for the others.
    """

    def __init__(self, world: World, channels: Channels, leases: Leases, share: int = 48) -> None:
        self._world = world
        self._channels = channels
        self._leases = leases
        self.share = share

    async def run(self, claim: Claim[Notification], claimed: float, members: Members) -> None:
        """Take one step with a notification and commit what came of it.

        Args:
            claim: the row, its version read before the members.
            claimed: our monotonic clock before the claim was asked for.
            members: the alerts of its group.

        Raises:
            StorageError: what came of it could not be stored; the lease ends, and the intent keeps it in doubt.
        """
        step = _Step(self._world, self._leases, claim, claimed)
        channel = self._channels.get(claim.row.notifier)
        if channel is None:
            await step.commit(outcomes.stranded(claim.row, claim.token))
            return
        step.row = replace(claim.row, stranded=False)
        with bound_contextvars(op_id=_cause(members)):
            await self._take(step, channel, members)

    async def _take(self, step: _Step, channel: Channel, members: Members) -> None:
        row, token, now = step.row, step.token, step.now()
        decision = decide(row, members, channel.notifier.traits, now, self._new_key)
        bar = channel.barred(self._world.clock.monotonic(), self.share)
        if isinstance(decision, Say | Search) and bar is not None:
            decision = Wait(now + timedelta(seconds=bar[0]), bar[1])
        match decision:
            case Say():
                with channel.occupied():
                    await self._say(step, channel, decision)
            case Search(doubt):
                with channel.occupied():
                    await self._search(step, channel, decision)
            case Abandon(doubt):
                await step.commit(outcomes.abandoned(row, token, doubt, now))
            case Settle(doubt):
                await step.commit(outcomes.lingered(row, token, doubt, now))
            case Wait():
                await step.commit(outcomes.waited(row, token, decision))
            case Rest():
                await step.commit(outcomes.rested(row, token))

    def _new_key(self) -> str:
        """Return a key for a new incarnation: ours by its prefix, and never used before, not even by a backup."""
        return f"kmd-{self._world.storage.epoch}-{self._world.new_id().replace('-', '')}"

    async def _say(self, step: _Step, channel: Channel, say: Say) -> None:
        timeout = self._timeout(channel)
        lifetime = self._lifetime(channel)
        step.row, intent = outcomes.intend(step.row, say, step.token, step.now(), lifetime)
        if not await step.commit(intent):
            return
        if step.reach() < timeout + GRACE + MARGIN:
            error = "the lease would have ended before an answer was sure"
            batch = outcomes.unanswered(step.row, say, step.token, step.now(), error, doubtful=False, lifted=True)
            await step.commit(batch)
            return
        sent = self._world.clock.monotonic()
        try:
            receipt = await guarded(_speak(channel, say), timeout, grace=GRACE)
        except Exception as error:  # noqa: BLE001  whatever a notifier raises is judged, stored and shown
            await self._judge(step, channel, say, error, sent)
            return
        channel.worked()
        self._world.log.info(
            "notification_sent", notifier=channel.name, sync=step.row.title, edition=say.message.edition, key=say.key
        )
        if not await step.commit(outcomes.answered(step.row, say, step.token, step.now(), receipt)):
            await self._confess(step, say, lifetime, receipt)

    async def _judge(self, step: _Step, channel: Channel, say: Say, error: Exception, sent: float) -> None:
        """Commit what an error means of what was sent then: retry for ever, retry up to the limit, or dead."""
        row, now, words = step.row, step.now(), self._world.words(error)
        doubtful = not isinstance(error, PermanentError)
        if isinstance(error, GoneError):
            channel.parked = words
        if isinstance(error, TemporaryError):
            doubtful = error.doubtful
            retry_at = self._retry_at(now, row.attempts, error.retry_after)
            pause = self._wait(channel.failures + 1, error.retry_after)
            channel.failed(sent, self._world.clock.monotonic(), pause)
            batch = outcomes.unanswered(row, say, step.token, retry_at, words, doubtful=doubtful)
        elif isinstance(error, PermanentError) or row.attempts >= self._world.rules.attempts:
            batch = outcomes.refused(row, say, step.token, words, doubtful=doubtful)
            batch += Batch((), self._world.act(ACTOR).tell(EventKind.NOTIFICATION_DEAD, data=_dead(row, words)))
        else:
            retry_at = self._retry_at(now, row.attempts, None)
            batch = outcomes.unanswered(row, say, step.token, retry_at, words, doubtful=True)
        self._world.log.warning("notification_failed", notifier=channel.name, sync=row.title, error=words)
        stored = await step.commit(batch)
        if not stored and doubtful:
            await self._confess(step, say, self._lifetime(channel), None)
        if stored and any(isinstance(write, AppendEvent) for write in batch.writes):
            await own.count_dead(self._world, self._world.act(ACTOR))

    async def _confess(self, step: _Step, say: Say, lifetime: timedelta, receipt: Json) -> None:
        """Leave word of a request that was sent although the row is somebody else's by now."""
        self._world.log.warning("notification_overtaken", sync=step.row.title, notifier=step.row.notifier, key=say.key)
        await self._world.storage.commit(outcomes.confessed(step.row, say, step.now(), lifetime, receipt))

    async def _search(self, step: _Step, channel: Channel, search: Search) -> None:
        row, doubt = step.row, search.doubt
        try:
            receipt = _storable(await guarded(channel.notifier.find(doubt.key), self._timeout(channel), grace=GRACE))
        except Exception as error:  # noqa: BLE001  unknown is not absent: it is searched for again
            retry_at = self._retry_at(step.now(), row.attempts + 1, getattr(error, "retry_after", None))
            await step.commit(outcomes.search_failed(row, step.token, retry_at, self._world.words(error)))
            return
        if receipt is None:
            await step.commit(outcomes.missed(row, step.token, doubt, step.now()))
        else:
            await step.commit(outcomes.found(row, step.token, doubt, receipt, step.now()))

    def _timeout(self, channel: Channel) -> float:
        """Return the time-out of a call in seconds: the channel's, as far as a fresh lease covers it."""
        return min(channel.notifier.traits.timeout, self._leases.length - GRACE - 2 * MARGIN)

    def _lifetime(self, channel: Channel) -> timedelta:
        """Return after how long a request to the channel can no longer land."""
        return timedelta(seconds=self._leases.lifetime(self._timeout(channel) + GRACE))

    def _retry_at(self, now: datetime, attempts: int, retry_after: float | None) -> datetime:
        """Return the next moment to try."""
        return now + timedelta(seconds=self._wait(attempts, retry_after))

    def _wait(self, attempts: int, retry_after: float | None) -> float:
        """Return seconds to wait: what the far side asked for, or full jitter under a capped doubling."""
        return self._world.act(ACTOR).backoff(max(attempts, 1)) if retry_after is None else retry_after


class _Step:
    """One claimed notification on its way: the row as last committed, the lease, and the store's time."""

    def __init__(self, world: World, leases: Leases, claim: Claim[Notification], claimed: float) -> None:
        self.row = claim.row
        self.token = claim.token
        self._world = world
        self._leases = leases
        self._at = claim.at
        self._claimed = claimed

    def now(self) -> datetime:
        """Return the store's time: its clock at the claim, and what ours has counted since."""
        return self._at + timedelta(seconds=self._world.clock.monotonic() - self._claimed)

    def reach(self) -> float:
        """Return seconds for which the lease certainly holds."""
        return self._leases.reach(self._claimed)

    async def commit(self, batch: Batch) -> bool:
        """Commit under the lease; False if it is somebody else's by now, and nothing was written."""
        try:
            await self._world.storage.commit(batch)
        except Conflict:
            return False
        return True


def _cause(members: Members) -> str | None:
    """Return the operation that the newest of the group's facts comes from."""
    alerts = (*members.open, *((members.last,) if members.last else ()))
    return max(alerts, key=lambda alert: alert.updated_at).op_id if alerts else None


async def _speak(channel: Channel, say: Say) -> Json:
    if say.want is Want.SHOW:
        return _storable(await channel.notifier.show(say.message, say.receipt))
    await channel.notifier.withdraw(say.message, say.receipt)
    return None


def _storable(receipt: Json) -> Json:
    """Return a receipt that every store can keep.

    Raises:
        TypeError: a plugin made it of something else; unstored, its message would be sent again and again.
    """
    try:
        plain = json.dumps(receipt, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the receipt is no JSON: {error}") from error
    if clean(plain) != plain:
        raise TypeError("the receipt holds a character that is no text")
    return receipt


def _dead(row: Notification, error: str) -> dict[str, str]:
    return {"notification": row.id, "notifier": row.notifier, "title": row.title, "error": error}
