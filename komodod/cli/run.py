"""`komodod run`."""

from __future__ import annotations

from pathlib import Path

import click

from komodod.cli import options


@options.command("run", "komodod run --config /etc/komodod/komodod.yaml")
@click.option(
    "--config",
    type=options.PATH,
    help="Default: $KOMODOD_CONFIG, else ./komodod.yaml, else /etc/komodod/komodod.yaml.",
)
def run(config: Path | None) -> int:
    """Run the daemon until it gets SIGTERM or Ctrl-C."""
    from komodod import daemon  # noqa: PLC0415  everything that a daemon needs, and a client does not

    return daemon.run(config)
