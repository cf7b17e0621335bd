"""Whether the daemon lives, and whether it is ready; for supervisors."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Response

from komodod.api.answers import Health
from komodod.api.call import Caller
from komodod.errors import StorageError

router = APIRouter(tags=["health"])

PING_TIMEOUT: Final = 2.0
"""Seconds in which the store must answer."""

NOT_READY: Final[dict[int | str, dict[str, Any]]] = {503: {"model": Health, "description": "Not ready, and why."}}


@router.get("/healthz")
async def show_health() -> Health:
    """Say that the event loop turns: it does if this is answered."""
    return Health(status="ok")


@router.get("/readyz", responses=NOT_READY)
async def show_readiness(call: Caller, *, response: Response) -> Health:
    """Say whether the daemon does its work: it has started, and its store can write."""
    why = call.service.ready() or await ping(call)
    if why is None:
        return Health(status="ready")
    response.status_code = 503
    return Health(status="not ready", why=why)


async def ping(call: Caller) -> str | None:
    """Return None if the store can write, else why it cannot."""
    try:
        async with asyncio.timeout(PING_TIMEOUT):
            await call.storage.ping()
    except StorageError as error:
        return str(error)
    except TimeoutError:
        return f"the store does not answer within {PING_TIMEOUT:g} s"
    return None
