"""`komodod completion`: what makes a shell complete our words."""

from __future__ import annotations

import click

from komodod.cli import options
from komodod.cli.commands import VARIABLE
from komodod.errors import KomododError


@options.command("completion", 'eval "$(komodod completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that teaches a shell our words."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415  other commands need none of it

    complete = get_completion_class(shell)
    if complete is None:
        raise KomododError(f"click knows no completion for {shell}")
    click.echo(complete(ctx.find_root().command, {}, "komodod", VARIABLE).source())
