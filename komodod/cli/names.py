"""Completion of names in a shell, by asking the daemon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from komodod.cli.client import Client
from komodod.cli.places import find_socket
from komodod.errors import KomododError

if TYPE_CHECKING:
    import click

MOST: Final = 200
"""Names offered at once."""


def complete_sync(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of syncs that begin like this; none where the daemon does not answer."""
    try:
        client = Client(find_socket(ctx.params.get("socket"), ctx.params.get("config"), os.environ))
        return [sync["name"] for sync in client.pages("/syncs", {"name": _glob(incomplete)}, MOST)]
    except KomododError:  # a shell that completes a word has nowhere to show what is wrong
        return []


def _glob(beginning: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in beginning) + "*"
