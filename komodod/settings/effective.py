"""The configuration in effect as plain data, in the shape of the YAML, every default filled in and secrets masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, BeforeValidator

from komodod import durations
from komodod.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

    from komodod.engine.decisions.routing import Route
    from komodod.settings.registry import Registry
    from komodod.settings.values import DeclaredSync, Settings


def effective(settings: Settings, registry: Registry, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what the settings say, as a person would write it.

    `environ` is for its secrets: what a variable holds whose name says that it is one is masked everywhere.
    """
    consistency = {key: value for key, value in dump(settings.consistency).items() if value is not None}
    tree = {
        "state_dir": str(settings.state_dir),
        "storage": {"type": settings.storage.type, **dump(settings.storage.config)},
        "api": {**dump(settings.api), "socket": str(settings.socket)},
        "log": dump(settings.log),
        "plugins": dump(settings.plugins),
        "consistency": consistency,
        "limits": dump(settings.limits),
        "retention": dump(settings.retention),
        "timezone": settings.timezone,
        "notifiers": [{"name": each.name, "type": each.type, **dump(each.config)} for each in settings.notifiers],
        "routes": [_route(each) for each in settings.routes],
        "syncs": [_sync(each, registry) for each in settings.syncs],
    }
    masked: dict[str, Any] = _redactor(environ).value(tree)
    return masked


def dump(model: BaseModel) -> dict[str, Any]:
    """Return a model as JSON data under the keys of the YAML; durations as people write them, `SecretStr` as stars."""
    found = model.model_dump(mode="json", by_alias=True)
    for key in [key for key in found if found.get(f"{key}_file") is not None]:
        del found[key]  # it was read from the file: the way to write it is the file's name
    for name, field in type(model).model_fields.items():
        value, key = getattr(model, name), field.alias or name
        if isinstance(value, BaseModel):
            found[key] = dump(value)
        elif isinstance(value, float) and _is_duration(field):
            found[key] = durations.spell(value)
    return found


def _is_duration(field: FieldInfo) -> bool:
    """Tell whether a field is a `Duration`, or one or nothing."""
    inner = [entry for part in get_args(field.annotation) for entry in getattr(part, "__metadata__", ())]
    return any(isinstance(each, BeforeValidator) and each.func is durations.parse for each in (*field.metadata, *inner))


def _route(route: Route) -> dict[str, Any]:
    return {
        "name": route.name,
        "match": {
            "severity": sorted(route.severities),
            "kind": sorted(route.kinds),
            "sync": route.sync,
            "labels": dict(route.labels),
        },
        "notify": list(route.notify),
        "continue": route.go_on,
    }


def _sync(declared: DeclaredSync, registry: Registry) -> dict[str, Any]:
    spec = declared.spec
    kind, own = spec.source["type"], {key: value for key, value in spec.source.items() if key != "type"}
    schedule = (
        {"cron": spec.cron, "timezone": spec.timezone} if spec.cron else {"every": durations.spell(spec.every or 0)}
    )
    return {
        "name": declared.name,
        "source": {"type": kind, **dump(registry.sources[kind].Config.model_validate(own))},
        **schedule,
        "apply": spec.apply.value,
        "severity": spec.severity.value,
        "labels": dict(spec.labels),
        "fail_after": spec.fail_after,
        "timeout": durations.spell(spec.timeout),
        "diff": spec.diff.value,
    }


def _redactor(environ: Mapping[str, str]) -> Redactor:
    """Return a redactor that knows the values of the variables whose names say that they are secret."""
    plain = Redactor()
    return Redactor(value for name, value in environ.items() if plain.value(value, name) != plain.value(value))
