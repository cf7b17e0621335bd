"""`komodod plugin list`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from komodod.cli import options
from komodod.cli.output import Column
from komodod.cli.words import NOTHING, listed

if TYPE_CHECKING:
    from komodod.cli.session import Session


def registered(plugin: dict[str, Any]) -> str:
    """Return what a plugin offers, as `notifiers webhook, hooks on_sync_deleted`."""
    kinds = {**(plugin.get("registers") or {}), "hooks": plugin.get("hooks") or ()}
    return listed(f"{kind} {' '.join(names)}" for kind, names in kinds.items() if names)


COLUMNS: Final = (
    Column("NAME", lambda plugin: plugin["name"]),
    Column("STATE", lambda plugin: plugin.get("state") or NOTHING),
    Column("ORIGIN", lambda plugin: plugin.get("origin") or NOTHING),
    Column("OFFERS", registered),
    Column("ERROR", lambda plugin: plugin.get("error") or NOTHING),
)


@options.command("list", "komodod plugin list")
@options.client
def list_(session: Session) -> None:
    """List the plugins that the daemon found, and what each offers."""
    session.out.rows(session.api.get("/plugins")["items"], COLUMNS, "no plugins")
