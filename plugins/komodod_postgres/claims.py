"""Work under leases: who gets what is due, when something will be, and who leads a duty."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final, TypeVar

from komodod import codec
from komodod.model import HookCall, Notification, Sync
from komodod.storage import Claim, Due, Lead
from komodod_postgres.queries import SQL
from komodod_postgres.rows import fetch, utc

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Sequence
    from datetime import datetime

    from komodod_postgres.connections import Connection

T = TypeVar("T")

REMEMBERED: Final = 1000
"""Lost claims whose leases are kept from being renewed; older ones have ended long ago."""


class Claimant:
    """A worker that takes leases of `lease` seconds; `now` is None where the server's clock rules.

    Each claim has a name of its own, which begins the tokens of its leases. `lost` holds the names of those whose answer
    never came: the leases they may have taken are nobody's, so they are not renewed.
    """

    def __init__(
        self, connection: Connection, worker: str, now: datetime | None, lease: float, lost: deque[str]
    ) -> None:
        self._connection, self._lost = connection, lost
        self._params = {"worker": worker, "now": now, "lease": float(lease)}

    async def claim_checks(self, limit: int) -> tuple[Claim[Sync], ...]:
        """Lease syncs that are due, longest due first, and count an attempt in each."""
        return await self._claim(Sync, "claim_checks", limit=limit)

    async def claim_notifications(self, limit: int) -> tuple[Claim[Notification], ...]:
        """Lease notifications that are due, longest due first."""
        return await self._claim(Notification, "claim_notifications", limit=limit)

    async def claim_hook_calls(self, limit: int, plugins: Sequence[str]) -> tuple[Claim[HookCall], ...]:
        """Lease waiting calls of these plugins that are due, longest due first, and count an attempt in each."""
        return await self._claim(HookCall, "claim_hook_calls", limit=limit, plugins=sorted(set(plugins)))

    async def renew(self) -> None:
        """Let all leases of the worker run as long as one taken now."""
        await fetch(self._connection, SQL["renew"], self._params | {"lost": list(self._lost)})

    async def _claim(self, kind: type[T], name: str, **params: Any) -> tuple[Claim[T], ...]:
        claim = str(uuid.uuid4())
        try:
            found = await fetch(self._connection, SQL[name], self._params | params | {"claim": claim})
        except BaseException:  # also where the caller was cancelled: whether it was carried out is unknown
            self._lost.append(claim)
            raise
        return tuple(Claim(codec.decode(kind, row), token, utc(at)) for row, token, at in found)


async def lead(connection: Connection, now: datetime | None, duty: str, holder: str, ttl: float) -> Lead | None:
    """Take or keep the lead of a duty; None if somebody else has it."""
    found = await fetch(connection, SQL["lead"], {"duty": duty, "holder": holder, "ttl": float(ttl), "now": now})
    return Lead(duty, found[0][0]) if found else None


async def next_due(connection: Connection, now: datetime | None, plugins: Sequence[str]) -> Due:
    """Return when each kind of work can first be claimed."""
    [row] = await fetch(connection, SQL["next_due"], {"now": now, "plugins": sorted(set(plugins))})
    at, *due = row
    return Due(utc(at), *(each and utc(each) for each in due))
