"""The invariant contract: a named rule of the consistency pass, with its breaches and their repair."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from komodod.context import Context
    from komodod.storage import Batch, Census, Page, Storage


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach: `id` for paging, `text` for people, `subject` for the repair."""

    id: str
    text: str
    subject: Any = None


class Invariant(abc.ABC):
    """A rule that the pass holds up.

    Any exception from `census` or `findings` means that it could not be told: nothing is repaired then (design D7).
    The pass brakes before the first repair if `census` found more than the brake allows and `sweeping` is true.
    """

    name: str
    sweeping: bool = True
    """Whether many repairs at once are a sign of a mistake rather than of a crash."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @abc.abstractmethod
    async def census(self, storage: Storage) -> Census:
        """Count what is looked at, and what breaks the rule, writing nothing anywhere."""

    @abc.abstractmethod
    async def findings(self, storage: Storage, after: str | None, limit: int) -> Page[Finding]:
        """Return breaches, writing nothing anywhere."""

    @abc.abstractmethod
    async def repair(self, finding: Finding, storage: Storage) -> Batch | None:
        """Return the batch that mends it (with expectations, so that it never overrides a change in between).

        An invariant about something outside the store mends it here, looks again before it does, and returns None.
        """
