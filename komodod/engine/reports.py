"""What a consistency pass says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One invariant in a pass: rows looked at, breaches found, repaired, skipped and why; `seconds` it took.

    `error` is set where it could not be told what is broken: then nothing was repaired.
    """

    name: str
    checked: int = 0
    found: int = 0
    repaired: int = 0
    skipped: int = 0
    why: str | None = None
    error: str | None = None
    findings: tuple[str, ...] = ()
    """The first few breaches, in words."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run of the consistency check. `braked` names the invariants that would have repaired too much."""

    dry_run: bool
    forced: bool
    trigger: str
    """`start`, `schedule`, `reload` or `hand`."""
    started_at: datetime
    seconds: float = 0.0
    braked: tuple[str, ...] = ()
    invariants: tuple[Checked, ...] = ()

    @property
    def found(self) -> int:
        """How many breaches there were."""
        return sum(line.found for line in self.invariants)
