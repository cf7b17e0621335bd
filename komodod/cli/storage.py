"""`komodod storage backup`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from komodod.cli import options
from komodod.cli.progress import progress

if TYPE_CHECKING:
    from komodod.cli.session import Session


@options.command("backup", "komodod storage backup /var/backups/komodod.db")
@click.argument("file", type=options.PATH)
@options.client
def backup(session: Session, file: Path) -> None:
    """Copy the store to a new file, written by the daemon, while it goes on working."""
    with progress(f"copying the store to {file}"):
        body = {"path": str(file.absolute())}
        answer = session.change("POST", "/storage/backup", dry_run=False, body=body, timeout=None)
    session.out.show(answer, lambda: [f"copied the store to {answer['path']}"])
