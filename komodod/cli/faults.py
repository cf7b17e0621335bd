"""What can go wrong between the command line and the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from komodod.errors import KomododError

if TYPE_CHECKING:
    from komodod.model import Json


class UnreachableError(KomododError):
    """The daemon was not reached, or went away before it answered."""


class AnswerError(KomododError):
    """The daemon answered that it did not do what it was asked (RFC 9457).

    Args:
        status: the HTTP status.
        detail: what is wrong, in one line.
        problems: all that is wrong, each a mapping with `message` and `where`, where that can be several things.
    """

    def __init__(self, status: int, detail: str, problems: Sequence[Json] = ()) -> None:
        self.status, self.detail, self.problems = status, detail, tuple(problems)
        super().__init__("\n".join(spell(problem) for problem in self.problems) or detail)


class StoppedError(KomododError):
    """What was waited for will not come."""


class DeclinedError(KomododError):
    """The person who was asked said no."""


def spell(problem: dict[str, Any]) -> str:
    """Return a problem as `where: message`; where is `file:line:column`, or the part of what was sent."""
    return f"{problem['where']}: {problem['message']}" if problem.get("where") else str(problem["message"])
