"""Decide what a notification says: a pure function of its alerts, so that the same facts make the same bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from komodod.model import Alert, Members, Notification, Resolution, Severity
from komodod.notifier import Message

if TYPE_CHECKING:
    from komodod.notifier import Traits

_LOUDNESS = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message before it has a key and a number.

    `digest` identifies what it says; the edition and the mark of a repetition do not count, as they tell how it came
    to be said.
    """

    edition: str
    title: str
    body: str
    severity: Severity
    at: datetime
    alerts: tuple[Alert, ...]
    reason: str | None = None
    repetition: bool = False

    @property
    def digest(self) -> str:
        """Equal for messages that show the same, or withdraw with the same words."""
        said = (self.edition == "withdrawn", self.title, self.body, self.severity, self.at, self.alerts, self.reason)
        return _hash(said)[:32]

    def message(self, row: Notification, key: str, sequence: int) -> Message:
        """Return the message of this key and number."""
        return Message(
            id=f"{key}-{sequence}-{_hash((self.digest, self.edition, self.repetition))[:8]}",
            key=key,
            sequence=sequence,
            edition=self.edition,
            group=row.group,
            title=self.title,
            body=f"{REPEATED}{self.body}" if self.repetition else self.body,
            severity=self.severity,
            at=self.at,
            alerts=self.alerts,
            reason=self.reason,
            repetition=self.repetition,
        )


REPEATED = "(possibly shown before)\n"


def raising(row: Notification, members: Members, traits: Traits, *, repetition: bool = False) -> Draft:
    """Word what a channel should show for the open alerts of a group."""
    alerts = members.open or ((members.last,) if members.last else ())
    severity = max((alert.severity for alert in alerts), key=_LOUDNESS.index, default=Severity.INFO)
    title = f"[{severity}] {row.title}: {_headline(alerts)}"
    body = "\n".join(line for alert in alerts for line in _lines(alert))
    title, body = fit(title, body, None if traits.max_bytes is None else traits.max_bytes - len(REPEATED))
    return Draft(
        edition="opened" if row.shown_since is None else "updated",
        title=title,
        body=body,
        severity=severity,
        at=max((alert.updated_at for alert in alerts), default=_EPOCH),
        alerts=alerts,
        repetition=repetition,
    )


def withdrawing(row: Notification, members: Members, traits: Traits) -> Draft:
    """Word what a channel that follows up says when nothing of the group is open any more."""
    last = members.last
    reason = _reason(last)
    title, body = fit(f"[resolved] {row.title}: {reason}", last.summary if last else "", traits.max_bytes)
    return Draft(
        edition="withdrawn",
        title=title,
        body=body,
        severity=last.severity if last else Severity.INFO,
        at=(last.resolved_at if last else None) or _EPOCH,
        alerts=(last,) if last else (),
        reason=reason,
    )


def fit(title: str, body: str, most: int | None) -> tuple[str, str]:
    """Cut title and body to `most` bytes of UTF-8 together, saying how much is left out; None means no limit."""
    if most is None or _size(title) + _size(body) <= most:
        return title, body
    title = _cut(title, most // 2)
    return title, _cut(body, most - _size(title))


def _hash(facts: object) -> str:
    return hashlib.sha256(repr(facts).encode(errors="surrogatepass")).hexdigest()


def _size(text: str) -> int:
    return len(text.encode(errors="replace"))


def _cut(text: str, most: int) -> str:
    if _size(text) <= most:
        return text
    mark = " […]"
    kept = text.encode(errors="replace")[: max(0, most - _size(mark))].decode(errors="ignore")
    return kept + mark if most >= _size(mark) else kept


def _headline(alerts: tuple[Alert, ...]) -> str:
    if not alerts:
        return "nothing open"
    first = alerts[0].summary.partition("\n")[0]
    more = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
    return ("paused; " if alerts[0].paused else "") + first + more


def _lines(alert: Alert) -> list[str]:
    paused = " (paused: no checks until it is resumed)" if alert.paused else ""
    head = f"{alert.kind} since {alert.opened_at:%Y-%m-%d %H:%M:%S} UTC{paused}: {alert.summary}"
    changes = [f"  {change.action} {change.kind} {change.name}" for change in alert.headline]
    more = alert.changes - len(alert.headline)
    return [head, *changes, *([f"  and {more} more"] if more > 0 else [])]


def _reason(last: Alert | None) -> str:
    match last.resolution if last else None:
        case Resolution.DELETED:
            return f"the sync was deleted{_by(last)}"
        case Resolution.APPLIED:
            return "the sync was applied"
        case Resolution.IN_STEP:
            return "the sync is in step again"
        case Resolution.ORPHANED:
            return "its sync no longer exists"
        case _:
            return "no longer open"


def _by(last: Alert | None) -> str:
    return f" ({last.reason})" if last and last.reason else ""
