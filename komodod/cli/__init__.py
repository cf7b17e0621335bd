"""The command line: `komodod <noun> <verb>`, a client of the daemon's API, and `komodod run`, the daemon."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import click

from komodod.cli.commands import VARIABLE, root
from komodod.cli.exits import Exit
from komodod.cli.faults import UnreachableError
from komodod.cli.session import complain
from komodod.errors import ConfigError, KomododError

CODES: Final[Mapping[type[KomododError], Exit]] = {
    ConfigError: Exit.BAD_CONFIG,
    UnreachableError: Exit.UNREACHABLE,
}
"""The exit codes of errors that have one of their own."""

UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a file or disk says that takes no more of our output."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line (the process's own, if none is given) and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the locale cannot spell is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        instruction = os.environ.get(VARIABLE)
        code = _complete(instruction) if instruction else _carry_out(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()  # who read it has seen enough
        return Exit.PIPE_CLOSED
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        _drop_output()
        complain(f"the output cannot be written: {error.strerror}")
        return Exit.ERROR
    return code


def _drop_output() -> None:
    """Let the rest of our output go nowhere: Python would complain once more when it flushes at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complete(instruction: str) -> int:
    """Answer a shell that asks for words."""
    from click.shell_completion import shell_complete  # noqa: PLC0415  commands need none of it

    return shell_complete(root, {}, "komodod", VARIABLE, instruction)


def _carry_out(arguments: Sequence[str] | None) -> int:
    """Run the command, and turn what goes wrong into an exit code and a line that says so."""
    try:
        return _invoke(sys.argv[1:] if arguments is None else list(arguments))
    except BrokenPipeError:
        raise
    except (click.Abort, KeyboardInterrupt, EOFError):
        click.echo(err=True)
        return Exit.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return Exit.ERROR
    except KomododError as error:
        complain(error)
        return next((code for kind, code in CODES.items() if isinstance(error, kind)), Exit.ERROR)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in UNWRITABLE and error.filename is None:
            raise
        import traceback  # noqa: PLC0415  7 ms that should never be needed

        traceback.print_exc()
        complain(f"this is a fault of komodod's: {error!r}")
        return Exit.ERROR


def _invoke(arguments: list[str]) -> int:
    """Run the command as click's own `main` does, which would give 1 to a closed pipe and to most errors."""
    try:
        with root.make_context("komodod", arguments, color=_colour()) as context:
            return int(root.invoke(context) or Exit.FINE)
    except click.exceptions.Exit as end:
        return end.exit_code


def _colour() -> bool | None:
    """Return False where the terminal or the person wants no colours; click finds out whether there is a terminal."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None
