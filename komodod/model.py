"""The nouns of komodod as values. Nothing here does anything.

Instants are aware datetimes in UTC; durations are seconds as float; identifiers are UUIDs as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

Json = Any
"""A value that `json.dumps` takes: what a plugin keeps in komodod's care."""

BUILTIN_SYNC: Final = "komodod"
"""The name of the one sync that komodod's own alerts hang on. It is never checked and cannot be deleted."""


class Severity(StrEnum):
    """How loud an alert is; declared on the sync."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Origin(StrEnum):
    """Who declared a sync, and so who may delete it."""

    CONFIG = "config"
    API = "api"
    BUILTIN = "builtin"


class SyncState(StrEnum):
    """What the last check of a sync said."""

    UNKNOWN = "unknown"
    OK = "ok"
    PENDING = "pending"
    FAILED = "failed"


class ApplyMode(StrEnum):
    """Whether komodod brings a sync in step by itself."""

    MANUAL = "manual"
    AUTO = "auto"


class DiffMode(StrEnum):
    """Whether the texts of changes are stored; they can hold secrets."""

    TEXT = "text"
    NONE = "none"


class AlertKind(StrEnum):
    """The condition an alert stands for. The last three are komodod's own, on the built-in sync."""

    PENDING = "pending"
    FAILED = "failed"
    UNCONVERGED = "unconverged"
    BRAKE = "brake"
    DEAD_LETTER = "dead_letter"
    RELOAD_FAILED = "reload_failed"


class Resolution(StrEnum):
    """Why an alert is no longer open."""

    IN_STEP = "in_step"
    """The condition was gone when the sync was looked at."""
    APPLIED = "applied"
    """The condition was gone after an apply."""
    DELETED = "deleted"
    """Its sync was deleted."""
    ORPHANED = "orphaned"
    """The consistency pass found it open without a live sync."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One pending update: `create`, `update` or `delete` (or the source's own word) of a thing.

    `kind` says what it is (`file`, `symlink`, `resource`); `name` which one (a path); `diff` is a text for people.
    """

    action: str
    kind: str
    name: str
    diff: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a source saw in one successful look.

    `revision` names the desired state (a commit, a digest) if the source has such a thing. `changes` is everything that
    an apply would do now; empty means in step.
    """

    revision: str | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What an apply did: the revision it brought about and a line for people."""

    revision: str | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A sync as a person declares it, validated, with every path absolute.

    `source` holds `type` and the source plugin's own keys. Either `every` (seconds) or `cron` (five fields) is set;
    `timezone` belongs to `cron`. `timeout` bounds one check or apply, in seconds.
    """

    source: Mapping[str, Json]
    every: float | None = 300.0
    cron: str | None = None
    timezone: str | None = None
    apply: ApplyMode = ApplyMode.MANUAL
    severity: Severity = Severity.WARNING
    labels: Mapping[str, str] = field(default_factory=dict)
    fail_after: int = 2
    timeout: float = 300.0
    diff: DiffMode = DiffMode.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyRequest:
    """A wish to have a sync applied, kept until it is carried out.

    `force` goes through the source's own guards. `started_at` is set, durably, before the source is called: one that
    is found set by a later claim belongs to an apply that did not live to tell. `starts` counts them.
    """

    op_id: str
    actor: str
    at: datetime
    force: bool = False
    started_at: datetime | None = None
    starts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """A named thing to keep in step; the root of everything below it.

    `generation` is the fence: every write under a sync expects the one it read and bumps it (design D2). `declared` is
    `file:line` for origin config. `pending` counts the changes of the last successful look, `digest` identifies them,
    `headline` holds the first few without diffs; all of them with diffs are kept apart (`Storage.get_changes`).
    `failures` counts failed checks in a row and `error` is the last one's. `conditions` are the kinds of alert that
    should be open, as decided by the write that stored them. `requests` counts the wishes to be checked at once;
    the sync is due while `requests > requests_seen` or `next_check_at` has come, unless it is paused.
    `attempts` counts claims since the last result, so a check that kills the daemon is noticed.
    """

    id: str
    name: str
    origin: Origin
    spec: Spec
    created_at: datetime
    updated_at: datetime
    generation: int = 1
    declared: str | None = None
    state: SyncState = SyncState.UNKNOWN
    paused: bool = False
    conditions: frozenset[AlertKind] = frozenset()
    revision: str | None = None
    pending: int = 0
    digest: str | None = None
    headline: tuple[Change, ...] = ()
    failures: int = 0
    error: str | None = None
    checked_at: datetime | None = None
    next_check_at: datetime | None = None
    requests: int = 0
    requests_seen: int = 0
    attempts: int = 0
    apply_request: ApplyRequest | None = None
    applied_at: datetime | None = None
    applied_digest: str | None = None
    """The digest that the last apply was to do away with, until the check after it has spoken."""
    apply_error: str | None = None
    apply_rounds: int = 0
    """Applies in a row after which the sync was not in step."""
    auto_apply_at: datetime | None = None
    """When `apply: auto` may try again."""
    notes: Mapping[AlertKind, str] = field(default_factory=dict)
    """On the built-in sync: what each of its conditions is about, in words."""
    cause: str | None = None
    """The operation that the next check belongs to: a create, an edit, an apply. None for those of the schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The stored changes of a sync: at most 1,000 and 256 KiB of them; `omitted` counts the rest."""

    items: tuple[Change, ...] = ()
    omitted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Open while a condition holds on a sync.

    `sync_name`, `severity` and `labels` are as they were when it was last written. Open means `resolved_at` is None;
    an open alert points at its live sync, and the store forbids that it does not.
    """

    id: str
    sync_id: str
    sync_name: str
    kind: AlertKind
    severity: Severity
    summary: str
    opened_at: datetime
    updated_at: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    changes: int = 0
    headline: tuple[Change, ...] = ()
    paused: bool = False
    resolved_at: datetime | None = None
    resolution: Resolution | None = None
    reason: str | None = None
    """For people: who or what resolved it."""
    op_id: str | None = None
    """The operation that wrote it last, so that the log of its messages can be followed from there."""

    @property
    def open(self) -> bool:
        """Whether the condition still holds."""
        return self.resolved_at is None


class Shown(StrEnum):
    """What is settled about a notification in its channel; doubts are kept beside it."""

    ABSENT = "absent"
    SHOWN = "shown"


class Want(StrEnum):
    """The two things that can be said to a channel."""

    SHOW = "show"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A key about which the channel may still change its mind (design D5).

    `version` is the notification's version when the doubt arose; a result claimed at an earlier version cannot erase
    it. A request of this key, the first of which was sent at `since`, may land until `until`. `sequence` and `digest`
    identify what was last said under it; `answered` is set once the channel has answered that, while an older request
    may still land. `alike`: all that may still land says the same, so it can do no harm to what it repeats.
    `receipt` is the far side's name for the message, if one is known. `searched` counts fruitless searches after
    `until` (class C).
    """

    key: str
    version: int
    since: datetime
    until: datetime
    sequence: int = 0
    digest: str | None = None
    answered: Want | None = None
    alike: bool = True
    receipt: Json = None
    searched: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One line of a notification's ledger. `outcome` is `sent`, `unanswered`, `refused` or `failed`."""

    at: datetime
    want: Want
    key: str
    sequence: int
    outcome: str
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """The one message that stands in one channel for a group of open alerts, and what we know of it (design D5).

    It is dirty while `version != observed` or `doubts` is not empty. `key` names the current incarnation, from first
    raise to settled withdrawal; `sequence` and `digest` identify what was last said under it (same sequence, same
    bytes). `attempts` counts sends since the last success. `dead` is the version for which we gave up. `due_at` is
    when a worker should look again, None for never.
    """

    id: str
    notifier: str
    group: str
    title: str
    """For people and filters: the name of the sync, as it was."""
    version: int = 0
    observed: int = 0
    state: Shown = Shown.ABSENT
    key: str | None = None
    receipt: Json = None
    sequence: int = 0
    digest: str | None = None
    shown_digest: str | None = None
    """What is settled to be standing, as `digest` names it."""
    shown_since: datetime | None = None
    attempts: int = 0
    ledger: tuple[Attempt, ...] = ()
    """The last attempts, oldest first."""
    last_error: str | None = None
    retry_at: datetime | None = None
    waiting: str | None = None
    """For people: what `retry_at` waits for."""
    dead: int | None = None
    repeats: int = 0
    """Messages sent again although the first may stand (classes D and E)."""
    abandoned: int = 0
    """Messages that may stand for ever because nothing can find them (class D)."""
    stranded: bool = False
    """Its notifier is no longer configured."""
    doubts: tuple[Doubt, ...] = ()
    due_at: datetime | None = None

    @property
    def dirty(self) -> bool:
        """Whether there is anything left to find out or to say."""
        return self.version != self.observed or bool(self.doubts)

    @property
    def settled_dead(self) -> bool:
        """Whether we gave up on what should be shown now."""
        return self.dead == self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The open alerts of a notification's group at one moment, oldest first, and the one resolved last."""

    open: tuple[Alert, ...] = ()
    last: Alert | None = None


class EventKind(StrEnum):
    """The facts that are told. Those with a hook are told to plugins as `on_<kind>`."""

    SYNC_CREATED = "sync_created"
    SYNC_UPDATED = "sync_updated"
    SYNC_PENDING = "sync_pending"
    SYNC_APPLIED = "sync_applied"
    SYNC_FAILED = "sync_failed"
    SYNC_DELETED = "sync_deleted"
    ALERT_OPENED = "alert_opened"
    ALERT_RESOLVED = "alert_resolved"
    PASS_FINISHED = "pass_finished"  # noqa: S105  a pass of the consistency check
    # The audit log's own; no hook.
    SYNC_IN_STEP = "sync_in_step"
    SYNC_PAUSED = "sync_paused"
    SYNC_RESUMED = "sync_resumed"
    APPLY_FAILED = "apply_failed"
    APPLY_REQUESTED = "apply_requested"
    APPLY_DISCARDED = "apply_discarded"
    CONFIG_RELOADED = "config_reloaded"
    NOTIFICATION_DEAD = "notification_dead"
    NOTIFICATION_RETRIED = "notification_retried"
    NOTIFICATION_DROPPED = "notification_dropped"
    HOOK_CALL_DEAD = "hook_call_dead"
    HOOK_CALL_RETRIED = "hook_call_retried"
    HOOK_CALL_DROPPED = "hook_call_dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact, appended in the same commit as the change it tells of.

    `id` is the idempotency key for whoever acts on it. `sync` and `alerts` are frozen snapshots (no diffs);
    `event.sync.name` is what it was. `hooks` names the plugins that are owed a hook call. `cursor` is the store's, in
    commit order: once a reader has seen cursor c, none smaller ever appears; it is 0 until the event is stored.
    """

    id: str
    at: datetime
    kind: EventKind
    actor: str
    op_id: str
    reason: str | None = None
    sync: Sync | None = None
    alerts: tuple[Alert, ...] = ()
    data: Mapping[str, Json] = field(default_factory=dict)
    hooks: tuple[str, ...] = ()
    cursor: int = 0


class HookCallState(StrEnum):
    """Where a hook call stands."""

    WAITING = "waiting"
    DONE = "done"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCall:
    """The durable duty to tell one plugin of one event.

    `attempts` is counted when it is claimed, not when it ends, so that a call that ends the daemon counts too.
    `excused` counts those of them that met a temporary error; only the others lead to `dead`.
    """

    id: str
    event_id: str
    plugin: str
    hook: str
    sync_name: str | None
    created_at: datetime
    state: HookCallState = HookCallState.WAITING
    attempts: int = 0
    excused: int = 0
    last_error: str | None = None
    due_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """A sync and its open alerts, of one moment."""

    sync: Sync
    alerts: tuple[Alert, ...] = ()
