"""What the engine is given: the store, time, randomness and the rules of the moment."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from komodod.engine.decisions.acting import Act, Rules
from komodod.errors import KomododError
from komodod.redaction import one_line

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from komodod.clock import Clock
    from komodod.storage import Storage


def new_id() -> str:
    """Return a random UUID as text."""
    return str(uuid.uuid4())


@dataclass(slots=True)
class World:
    """The surroundings of every operation. Only `rules` changes, as a whole, when the configuration is reloaded.

    `mask` takes the secrets out of a text that somebody else wrote.
    """

    storage: Storage
    clock: Clock
    log: FilteringBoundLogger
    rules: Rules = field(default_factory=Rules)
    new_id: Callable[[], str] = new_id
    rng: random.Random = field(default_factory=random.SystemRandom)
    mask: Callable[[str], str] = str

    def words(self, error: Exception) -> str:
        """Return what to tell people of an error: its text, with its type where nobody meant it for people."""
        known = isinstance(error, KomododError)
        return one_line(self.mask(str(error) if known else f"{type(error).__name__}: {error}"))

    def act(self, actor: str, op_id: str | None = None, reason: str | None = None) -> Act:
        """Begin an operation, now."""
        return Act(
            now=self.clock.now(),
            op_id=op_id or self.new_id(),
            actor=actor,
            rules=self.rules,
            new_id=self.new_id,
            rng=self.rng,
            reason=reason,
        )
