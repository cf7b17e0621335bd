"""What a client command works with: the daemon, found when it is first spoken to, and its output."""

from __future__ import annotations

import functools
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from komodod.cli.client import PATIENCE, Client, Query
from komodod.cli.exits import Exit
from komodod.cli.faults import AnswerError, DeclinedError, StoppedError
from komodod.cli.places import find_socket
from komodod.cli.words import printable

if TYPE_CHECKING:
    from komodod.cli.output import Line, Output
    from komodod.model import Json

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Session:
    """One run of a client command."""

    socket: Path | None
    config: Path | None
    out: Output

    @functools.cached_property
    def api(self) -> Client:
        """The daemon's API."""
        return Client(find_socket(self.socket, self.config, os.environ))

    def change(
        self,
        method: str,
        path: str,
        *,
        dry_run: bool,
        query: Query | None = None,
        body: Json = None,
        timeout: float | None = PATIENCE,
    ) -> Json:
        """Make a request that changes something, under an operation id of its own, and return the answer."""
        asked = {**(query or {}), "dry_run": dry_run or None}
        return self.api.send(method, path, asked, body, timeout=timeout, op_id=None if dry_run else new_op_id())

    def report(self, answers: Sequence[Json], describe: Callable[[Json], Iterable[Line]], *, several: bool) -> None:
        """Print the answers to a command about one thing or several; a program that asked about one gets one."""
        if several and not self.out.people:
            self.out.value(list(answers))
            return
        for answer in answers:
            self.out.show(answer, functools.partial(describe, answer))


def new_op_id() -> str:
    """Return an id for an operation, so that its trace can be found even if the answer is lost."""
    return str(uuid.uuid4())


def each(names: Iterable[T], act: Callable[[T], R]) -> tuple[list[R], Exit]:
    """Carry something out for each of several; what is refused for one does not keep it from the others.

    Returns:
        The answers, and whether there were refusals (which are printed).
    """
    answers, code = [], Exit.FINE
    for name in names:
        try:
            answers.append(act(name))
        except (AnswerError, StoppedError) as error:
            complain(error)
            code = Exit.ERROR
    return answers, code


def complain(error: object) -> None:
    """Print an error for people."""
    click.secho(f"error: {printable(error, keep=chr(10))}", fg="red", err=True)


def require_person() -> None:
    """Refuse to go on where there is nobody to ask.

    Raises:
        UsageError: standard input or standard error is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("this asks before it destroys, and there is no terminal to ask on; say --yes")


def confirm(question: str) -> None:
    """Ask before something is destroyed.

    Raises:
        UsageError: there is nobody to ask.
        DeclinedError: the answer is no.
    """
    require_person()
    if not click.confirm(question, err=True):
        raise DeclinedError("nothing was changed")
