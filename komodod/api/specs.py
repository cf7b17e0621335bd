"""What a client sends of a sync, made a spec: merged, allowed, and without masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from komodod import codec
from komodod.api.problems import ForbiddenError, InvalidError
from komodod.redaction import MASK

if TYPE_CHECKING:
    from komodod.api.service import Service
    from komodod.model import Json, Spec

GUARDED_SOURCES: Final = frozenset({"command"})
"""Source types that run what they are told; whoever may use the socket could run anything as the daemon's user."""


Named = tuple[str, "Spec"]
"""A sync by its name, as far as its target matters to others."""


def specify(service: Service, name: str, given: Mapping[str, Json], others: Sequence[Named] = ()) -> Spec:
    """Return the spec of a new sync. Its target must keep away from those of `others`.

    Raises:
        ConfigError: it is not valid.
        ForbiddenError: its source may not be used over the API.
    """
    _allow(service, given.get("source"))
    return service.parse_spec(name, {key: value for key, value in given.items() if value is not None}, others)


def amend(service: Service, name: str, spec: Spec, given: Mapping[str, Json], others: Sequence[Named] = ()) -> Spec:
    """Return the spec with what is given instead; null is the default. The target must keep away from those of `others`.

    Raises:
        ConfigError: it would not be valid.
        ForbiddenError: its source may not be used over the API.
        InvalidError: a mask stands where a secret should.
    """
    raw = _merged(spec, given)
    if "source" in given:
        raw["source"] = _unmasked(service, spec.source, given["source"])
    _allow(service, raw.get("source"))
    new = service.parse_spec(name, {key: value for key, value in raw.items() if value is not None}, others)
    return new if "source" in given else dataclasses.replace(new, source=spec.source)


def _merged(spec: Spec, given: Mapping[str, Json]) -> dict[str, Json]:
    """Lay what is given over the spec; a new `every` ends a `cron`, and the other way round."""
    raw: dict[str, Json] = codec.dump(spec)
    if given.get("cron") is not None:
        raw["every"] = None
    if given.get("every") is not None:
        raw["cron"] = None
    raw.update(given)
    if raw["cron"] is None and "timezone" not in given:
        raw["timezone"] = None
    return raw


def _unmasked(service: Service, stored: Mapping[str, Json], sent: Json) -> Json:
    """Return the source that is meant: the stored one, if it came back as it was shown.

    A mask in any other source is refused: to fill in the old secret would let it be sent to a place of the client's
    choosing.
    """
    shown = service.redactor.value(stored)
    if sent == shown:
        return dict(stored)
    if shown != stored and _holds_mask(sent):
        raise InvalidError("body.source", f"holds {MASK!r}, which stands for a secret that is not shown; give it anew")
    return sent


def _holds_mask(value: Any) -> bool:
    match value:
        case str():
            return MASK in value
        case Mapping():
            return any(_holds_mask(inner) for inner in value.values())
        case list():
            return any(_holds_mask(inner) for inner in value)
    return False


def _allow(service: Service, source: Json) -> None:
    kind = str(source.get("type")) if isinstance(source, Mapping) else ""
    if kind in GUARDED_SOURCES and kind not in service.allow_sources():
        raise ForbiddenError(
            f"a source of type {kind!r} runs any command as the daemon's user, so it may not be used over the API; "
            f"declare the sync in the configuration, or add {kind!r} to api.allow_sources there"
        )
