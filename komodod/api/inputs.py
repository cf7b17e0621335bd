"""The parts of requests that many routes share, and what they may be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from komodod.api.problems import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEEPEST: Final = 32
"""Levels of nesting in a source."""


def _storable(value: str) -> str:
    """Refuse what a store need not take."""
    if "\0" in value:
        raise ValueError("must not hold a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("must be valid Unicode") from error
    return value


def _plain(value: Any, depth: int = 0) -> Any:
    """Refuse what is no JSON, or none that can be kept: NaN, half a character, very deep nesting."""
    if depth > DEEPEST:
        raise ValueError(f"must not be nested deeper than {DEEPEST} levels")
    match value:
        case str():
            _storable(value)
        case float() if not math.isfinite(value):
            raise ValueError("numbers must be finite")
        case dict():
            for key, inner in value.items():
                _storable(key)
                _plain(inner, depth + 1)
        case list():
            for inner in value:
                _plain(inner, depth + 1)
    return value


Text = Annotated[str, AfterValidator(_storable)]

Id = Annotated[Text, Path(description="The id.")]
SyncRef = Annotated[Text, Path(description="The name or the id of a sync.")]

After = Annotated[Text | None, Query(description="The `next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=500, description="How many items at most.")]
Glob = Annotated[Text | None, Query(description="A glob over the sync's name: `*`, `?`, `[...]`; case matters.")]
Labels = Annotated[list[Text], Query(alias="label", description="`key=value`; all of them must match.")]
DryRun = Annotated[bool, Query(description="Say what would be done, and do nothing.")]
Force = Annotated[bool, Query(description="Go through the guards against sweeping mistakes.")]
Wait = Annotated[
    float | None, Query(ge=0, le=3600, allow_inf_nan=False, description="Seconds to wait for it to be carried out.")
]

NO_LABELS: Final[list[str]] = []


def labels_of(pairs: Iterable[str]) -> Mapping[str, str]:
    """Return the labels that `key=value` texts ask for.

    Raises:
        InvalidError: one of them is no such text.
    """
    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidError("query.label", f"must be key=value, not {pair!r}")
        labels[key] = value
    return labels


Anything = Annotated[Any, BeforeValidator(_plain)]


class SyncChange(BaseModel):
    """What is to be different about a sync; what is left out stays, null is the default.

    The words of the configuration's `syncs:` are valid here, durations such as `5m` too.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Anything]

    source: Annotated[dict[str, Any] | None, BeforeValidator(_plain)] = Field(
        None, description="How it is looked at and applied: `type` and that source's own keys."
    )
    every: float | Text | None = Field(None, description="The time between two checks.")
    cron: Text | None = Field(None, description="Instead of every: five fields of cron.")
    timezone: Text | None = Field(None, description="The time zone of cron.")
    apply: Text | None = Field(None, description="manual or auto.")
    severity: Text | None = Field(None, description="info, warning or critical.")
    labels: Annotated[dict[str, Any] | None, BeforeValidator(_plain)] = Field(
        None, description="For routes and filters."
    )
    fail_after: int | None = Field(None, description="Failed checks in a row that open an alert.")
    timeout: float | Text | None = Field(None, description="How long one check or apply may take.")
    diff: Text | None = Field(None, description="text or none: whether the diffs of changes are stored.")

    def given(self) -> dict[str, Any]:
        """Return what was sent, unknown keys too: the configuration's own check has the better words for them."""
        return self.model_dump(exclude_unset=True)


class NewSync(SyncChange):
    """A sync to be made."""

    name: Text
    source: Annotated[dict[str, Any], BeforeValidator(_plain)] = Field(
        description="How it is looked at and applied: `type` and that source's own keys."
    )
