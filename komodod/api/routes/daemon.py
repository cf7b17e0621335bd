"""The daemon itself: its status, plugins, configuration and store."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, Field

import komodod
from komodod.api.answers import (
    BackupDone,
    ConfigStatus,
    CountsView,
    DueView,
    NotifierStatus,
    PluginsStatus,
    ReloadDone,
    StatusView,
    StorageStatus,
)
from komodod.api.call import Call, Caller
from komodod.api.inputs import DryRun, Force, Text
from komodod.api.routes.health import ping
from komodod.api.routes.passes import MATCH, told_view
from komodod.api.views import Listing
from komodod.blocking import blocking
from komodod.errors import RefusedError, StorageError

if TYPE_CHECKING:
    from komodod.engine.channels import Channel

router = APIRouter(tags=["daemon"])

STORE_TIMEOUT: Final = 2.0
"""Seconds that the store has to answer before the status is told without it."""


def _absolute(value: str) -> str:
    if not value.startswith("/") or value.endswith("/"):
        raise ValueError("must be the absolute path of a file")
    return value


class BackupTarget(BaseModel):
    """Where a copy of the store is to be written."""

    path: Annotated[Text, AfterValidator(_absolute)] = Field(
        description="A file that does not exist yet, as the daemon sees the file system."
    )


@router.get("/status")
async def show_status(call: Caller) -> StatusView:
    """Show the daemon at a glance; also where the store does not answer."""
    known, why, told = call.service.status(), call.service.ready(), await _ask_store(call)
    return StatusView(
        version=komodod.__version__,
        pid=os.getpid(),
        started_at=known.started_at,
        socket=str(call.hub.socket),
        ready=why is None and told["error"] is None,
        why=why or told["error"],
        config=ConfigStatus(
            file=known.config_file,
            loaded_at=known.loaded_at,
            error=known.reload_error,
            restart_needed=list(known.restart_needed),
        ),
        counts=told.get("counts"),
        next_due=told.get("next_due"),
        last_pass=told.get("last_pass"),
        notifiers=[_notifier(channel) for channel in known.channels],
        plugins=PluginsStatus(broken=dict(known.broken), wedged=sorted(known.wedged)),
        storage=StorageStatus(type=known.storage_type, error=told["error"]),
    )


async def _ask_store(call: Call) -> dict[str, Any]:
    """Return what the store knows, or why it does not say."""
    try:
        async with asyncio.timeout(STORE_TIMEOUT):
            passes = await call.storage.list_recent_events(MATCH, None, 1)
            return {
                "counts": CountsView.model_validate(await call.storage.counts()),
                "next_due": DueView.model_validate(await call.storage.next_due(sorted(call.service.present_plugins()))),
                "last_pass": told_view(passes[0]) if passes else None,
                "error": await ping(call),  # it may be read, and take nothing any more
            }
    except StorageError as error:
        return {"error": str(error)}
    except TimeoutError:
        return {"error": f"the store does not answer within {STORE_TIMEOUT:g} s"}


def _notifier(channel: Channel) -> NotifierStatus:
    traits = channel.notifier.traits
    return NotifierStatus(
        name=channel.name,
        type=channel.type,
        receipt_class=traits.receipt_class,
        withdrawal=traits.withdrawal,
        parked=channel.parked,
        failures=channel.failures,
    )


@router.get("/plugins")
async def list_plugins(call: Caller) -> Listing[dict[str, Any]]:
    """List every plugin that was found, whether it works or not."""
    return Listing(items=[dict(plugin) for plugin in call.service.plugins()])


@router.post("/config/reload")
async def reload_config(call: Caller, *, force: Force = False, dry_run: DryRun = False) -> ReloadDone:
    """Read the configuration again: valid as a whole, or the old one stays."""
    done = await call.service.reload(call.act(), dry_run=dry_run, force=force)
    return ReloadDone(
        dry_run=dry_run, op_id=call.op_id, changed=dict(done.changed), restart_needed=list(done.restart_needed)
    )


@router.post("/storage/backup")
async def backup_storage(call: Caller, *, target: BackupTarget, dry_run: DryRun = False) -> BackupDone:
    """Write a consistent copy of the store to a file, while work goes on."""
    path = Path(target.path)
    await blocking(_check_target, path)
    if not dry_run:
        await call.storage.backup(path)
    return BackupDone(dry_run=dry_run, op_id=call.op_id, path=str(path))


def _check_target(path: Path) -> None:
    """Refuse a target that cannot be one; the store itself makes sure of it once more."""
    if os.path.lexists(path):
        raise RefusedError(f"'{path}' exists already; name a file that does not")
    if not path.parent.is_dir():
        raise RefusedError(f"there is no directory '{path.parent}'")
