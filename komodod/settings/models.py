"""What may stand where in a configuration. The descriptions are the JSON schema's.

A key without a value is as if it were not there. Every model is frozen and forbids unknown keys.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from komodod import cron
from komodod.durations import Duration
from komodod.model import BUILTIN_SYNC, AlertKind, ApplyMode, DiffMode, Severity
from komodod.source import AnchoredPath

T = TypeVar("T")

SHORTEST: Final = 1.0
"""Seconds between two checks or passes at least: what comes more often than that runs in circles."""

NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
LABEL: Final = r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}"
LABEL_LONGEST: Final = 1000
"""Characters of a label's value."""


def _seldom_enough(seconds: float) -> float:
    if seconds < SHORTEST:
        raise ValueError(f"{seconds:g} s is too often; at least {SHORTEST:g} s")
    return seconds


Interval = Annotated[Duration, AfterValidator(_seldom_enough)]
"""The time from one run of a duty to its next, in seconds."""


def _check_name(value: str) -> str:
    if not re.fullmatch(NAME, value):
        raise ValueError("a name starts with a letter or digit, goes on with those, '.', '_' and '-', up to 100 in all")
    return value


def _check_sync_name(value: str) -> str:
    if _check_name(value) == BUILTIN_SYNC:
        raise ValueError(f"the name {BUILTIN_SYNC!r} is komodod's own, for alerts about itself; choose another")
    return value


def _check_label(value: str) -> str:
    if not re.fullmatch(LABEL, value):
        raise ValueError("a label starts with a letter or digit, goes on with those, '.', '_', '/' and '-', up to 100")
    return value


def _check_zone(value: str) -> str:
    cron.zone(value)
    return value


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


Name = Annotated[str, AfterValidator(_check_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME}$"})]
SyncName = Annotated[
    str,
    AfterValidator(_check_sync_name),
    WithJsonSchema({"type": "string", "pattern": f"^{NAME}$", "not": {"const": BUILTIN_SYNC}}),
]
Labels = dict[Annotated[str, AfterValidator(_check_label)], Annotated[str, Field(max_length=LABEL_LONGEST)]]
Zone = Annotated[str, AfterValidator(_check_zone)]
OneOrMore = Annotated[list[T], BeforeValidator(_listed, json_schema_input_type=T | list[T])]
"""A list that may be written without brackets where it has one item."""


class Section(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict) or None not in value.values():
            return {} if value is None else value
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {key: inner for key, inner in value.items() if inner is not None or key not in known}


class ApiSection(Section):
    """How clients reach the daemon."""

    socket: Annotated[AnchoredPath | None, BeforeValidator(lambda value: value or None)] = Field(
        None,
        description="The Unix socket. Default: komodod.sock in $RUNTIME_DIRECTORY, else in the state directory.",
    )
    allow_sources: list[str] = Field(
        [],
        description="Source types that run what their configuration says (command) and may be used over the API all "
        "the same. Whoever may use the socket can then run code as the daemon's user.",
    )


class LogSection(Section):
    """What the daemon says of itself."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least urgent level to show.")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="console is for people, json one object a line; auto is console on a terminal, else json."
    )


class PluginsSection(Section):
    """Which plugins are loaded beside the installed ones, and which are not."""

    path: list[AnchoredPath] = Field([], description="Folders of .py files to load as plugins.")
    disabled: list[str] = Field([], description="Names of plugins not to load.")


class BrakeSection(Section):
    """When a consistency pass stops before it repairs or deletes: above the larger of the two."""

    at_least: int = Field(10, ge=0, le=1_000_000_000, description="This many repairs are never too many.")
    fraction: float = Field(
        0.2, ge=0, le=1, allow_inf_nan=False, description="Of what was looked at, more than this part is too much."
    )


class ConsistencySection(Section):
    """When the consistency pass runs (beside at start, after a reload and by hand)."""

    every: Interval | None = Field(None, description="The time between two passes. Default: 15m.")
    cron: str | None = Field(None, description="Instead of every: five fields of cron, in the time zone of timezone.")
    brake: BrakeSection = Field(BrakeSection(), description="What stops a pass that would change too much.")


class LimitsSection(Section):
    """How much at once, how long, how often."""

    checks: int = Field(8, ge=1, le=1000, description="Checks and applies at the same time.")
    notifications: int = Field(64, ge=1, le=10_000, description="Messages to channels at the same time.")
    hook_timeout: Duration = Field(30.0, description="How long one hook of a plugin may take.")
    attempts: int = Field(
        12,
        ge=1,
        le=1000,
        description="Attempts after which a message or hook call that fails for no known reason is given up.",
    )
    backoff_max: Duration = Field(900.0, description="The longest wait between two attempts.")


class RetentionSection(Section):
    """How long the past is kept."""

    history: Duration = Field(
        90 * 86400.0,
        description="Resolved alerts, events and finished hook calls older than this go; never anything unfinished.",
    )


class IncludeEntry(Section):
    """Files to read as well."""

    glob: str = Field(description="A path with *, ? and [...], relative to this file; ** stands for any folders.")
    optional: bool = Field(False, description="Whether the glob may match nothing.")


class StorageSection(Section):
    """Where komodod keeps everything; the other keys are the storage plugin's."""

    type: str = Field("sqlite", description="The storage plugin.")


class NotifierSection(Section):
    """One channel; the other keys are the notifier plugin's."""

    name: Name = Field(description="What routes call it.")
    type: str = Field(description="The notifier plugin.")


class MatchSection(Section):
    """What an alert must be like: all that is given must hold."""

    severity: OneOrMore[Severity] = Field([], description="One of these.")
    kind: OneOrMore[AlertKind] = Field([], description="One of these.")
    sync: str | None = Field(None, description="A glob over the name of the sync.")
    labels: Labels = Field({}, description="Labels of the sync, each with exactly this value.")


class RouteSection(Section):
    """Whom to notify of what. The first route that matches an alert decides, unless it says continue."""

    name: Name = Field(description="What people call it.")
    match: MatchSection = Field(MatchSection(), description="Which alerts; all of them if it is left out.")
    notify: OneOrMore[str] = Field(description="Names of notifiers; an empty list keeps an alert quiet.")
    go_on: bool = Field(False, alias="continue", description="Whether the routes after this one are looked at too.")


class SourceSection(Section):
    """How a sync is looked at and applied; the other keys are the source plugin's."""

    type: str = Field(description="The source plugin.")


class SyncSection(Section):
    """One thing to keep in step."""

    name: SyncName = Field(description="What it is called everywhere.")
    source: dict[str, Any] = Field(description="How it is looked at and applied.")
    every: Interval | None = Field(None, description="The time between two checks. Default: 5m.")
    cron: str | None = Field(None, description="Instead of every: five fields of cron.")
    timezone: Zone | None = Field(None, description="The time zone of cron. Default: the top-level timezone.")
    apply: ApplyMode = Field(ApplyMode.MANUAL, description="manual: when a person says so. auto: when it is pending.")
    severity: Severity = Field(Severity.WARNING, description="How loud its alerts are.")
    labels: Labels = Field({}, description="For routes, filters and messages.")
    fail_after: int = Field(2, ge=1, le=1000, description="Failed checks in a row that open an alert.")
    timeout: Duration = Field(300.0, description="How long one check or apply may take.")
    diff: DiffMode = Field(
        DiffMode.TEXT, description="text: the diffs of changes are stored. none: they are not; they can hold secrets."
    )


class Configuration(Section):
    """A komodod configuration."""

    state_dir: str | None = Field(
        None,
        description="Where komodod keeps its data. Default: $STATE_DIRECTORY (systemd sets it), else "
        "$XDG_STATE_HOME/komodod, else ~/.local/state/komodod. Values elsewhere may say ${KOMODOD_STATE_DIR} for it.",
    )
    storage: StorageSection = Field(StorageSection(), description="The store.")
    api: ApiSection = Field(ApiSection(), description="How clients reach the daemon.")
    log: LogSection = Field(LogSection(), description="What the daemon says of itself.")
    plugins: PluginsSection = Field(PluginsSection(), description="Which plugins are loaded.")
    consistency: ConsistencySection = Field(ConsistencySection(), description="When the consistency pass runs.")
    limits: LimitsSection = Field(LimitsSection(), description="How much at once, how long, how often.")
    retention: RetentionSection = Field(RetentionSection(), description="How long the past is kept.")
    timezone: Zone | None = Field(None, description="The time zone of every cron. Default: the system's.")
    include: list[str | IncludeEntry] = Field([], description="More files, with notifiers, routes and syncs.")
    notifiers: list[NotifierSection] = Field([], description="The channels.")
    routes: list[RouteSection] = Field([], description="Whom to notify of what; the first that matches decides.")
    syncs: list[SyncSection] = Field([], description="What to keep in step.")


INCLUDED: Final = frozenset({"notifiers", "routes", "syncs"})
"""The keys of an included file."""
