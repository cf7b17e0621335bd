"""Passes of the consistency check: those that were, and one more."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from komodod import codec
from komodod.api.answers import PassDone
from komodod.api.call import Caller
from komodod.api.inputs import DryRun, Force, Limit
from komodod.api.views import Listing, ReportView, report_view
from komodod.engine.reports import Report
from komodod.model import Event, EventKind
from komodod.storage import EventFilter

router = APIRouter(prefix="/passes", tags=["passes"])

MATCH = EventFilter(kinds=frozenset({EventKind.PASS_FINISHED}))
"""A pass is kept as the event that tells of it."""


@router.get("")
async def list_passes(
    call: Caller,
    *,
    after: Annotated[str | None, Query(pattern=r"^\d{1,18}$", description="The `next` of the page before.")] = None,
    limit: Limit = 50,
) -> Listing[ReportView]:
    """List the reports of past passes, newest first."""
    found = await call.storage.list_recent_events(MATCH, None if after is None else int(after), limit + 1)
    shown = found[:limit]
    more = str(shown[-1].cursor) if len(found) > limit else None
    return Listing(items=[told_view(event) for event in shown], next=more)


@router.post("")
async def run_pass(call: Caller, *, force: Force = False, dry_run: DryRun = False) -> PassDone:
    """Run a pass and answer with its report."""
    report = await call.service.reconcile(call.act(), dry_run=dry_run, force=force)
    return PassDone(op_id=call.op_id, **dict(report_view(report)))


def told_view(event: Event) -> ReportView:
    """Return the report that an event of a pass holds."""
    return report_view(codec.load(Report, event.data))
