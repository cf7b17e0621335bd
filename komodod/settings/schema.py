"""The JSON schema of a configuration, with the plugins' parts in it, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import models_json_schema

from komodod.errors import PluginError
from komodod.redaction import one_line
from komodod.settings.models import Configuration, NotifierSection, SourceSection, StorageSection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from komodod.settings.declarations import Configurable
    from komodod.settings.registry import Registry

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_VARIABLE: Final = r"\$\{"
"""A value with a variable in it may stand where anything else than a text is wanted, too."""

Schema = dict[str, Any]


def schema(registry: Registry) -> Schema:
    """Return the schema: what komodod wants, and for each `type` what its plugin wants.

    Raises:
        PluginError: the `Config` of a plugin has no JSON schema.
    """
    kinds: dict[str, tuple[type[BaseModel], Mapping[str, type[Configurable]]]] = {
        "storage": (StorageSection, registry.storages),
        "notifier": (NotifierSection, registry.notifiers),
        "source": (SourceSection, registry.sources),
    }
    models: list[type[BaseModel]] = [Configuration]
    for head, classes in kinds.values():
        models += [head, *(_examined(name, cls.Config) for name, cls in classes.items())]
    references, result = models_json_schema([(model, "validation") for model in dict.fromkeys(models)])
    definitions: Schema = result["$defs"]

    def definition(model: type[BaseModel]) -> Schema:
        found: Schema = definitions[references[model, "validation"]["$ref"].rpartition("/")[2]]
        return found

    choices = {
        what: _choice([_variant(name, definition(head), definition(cls.Config)) for name, cls in classes.items()])
        for what, (head, classes) in kinds.items()
    }
    return _assemble(definition(Configuration), definitions, choices)


def _examined(name: str, config: type[BaseModel]) -> type[BaseModel]:
    try:
        config.model_json_schema()
    except Exception as error:
        raise PluginError(name, f"its Config has no JSON schema: {one_line(str(error), 300)}") from error
    return config


def _choice(variants: list[Schema]) -> Schema:
    return {"oneOf": variants} if variants else {"not": {}}  # without plugins nothing is right


def _variant(name: str, head: Schema, part: Schema) -> Schema:
    """Return the schema of one type of storage, notifier or source: komodod's keys, then the plugin's."""
    kind = {**head["properties"]["type"], "const": name}
    properties = {**head["properties"], "type": kind, **part.get("properties", {})}
    return {
        "title": name,
        "description": part.get("description", head.get("description", "")),
        "type": "object",
        "properties": properties,
        "required": [*head.get("required", []), *part.get("required", [])],
        "additionalProperties": part.get("additionalProperties", False),
    }


def _assemble(top: Schema, definitions: Schema, choices: Mapping[str, Schema]) -> Schema:
    """Put the choices of the plugins where their types are named, and variables where no text is wanted."""
    properties, sync = top["properties"], definitions["SyncSection"]["properties"]
    properties["storage"] = {"description": properties["storage"]["description"], **choices["storage"]}
    properties["notifiers"]["items"] = choices["notifier"]
    sync["source"] = {"description": sync["source"]["description"], **choices["source"]}
    used = _used({**top, "$defs": {}}, definitions)
    return {
        "$schema": DIALECT,
        **_lenient(top),
        "patternProperties": {"^x-": {"description": "Yours: a place for anchors."}},
        "$defs": {name: _lenient(definition) for name, definition in definitions.items() if name in used},
    }


def _used(schema: Any, definitions: Schema) -> set[str]:
    """Return the names of all definitions that a schema leads to."""
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name in definitions and name not in found:
                found.add(name)
                waiting.append(definitions[name])
    return found


def _lenient(schema: Any) -> Any:
    """Let a value with a variable in it stand for a number, a truth, or a text of fixed form."""
    if isinstance(schema, list):
        return [_lenient(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "enum" in schema or "pattern" in schema or schema.get("type") in ("integer", "number", "boolean"):
        about = {key: schema[key] for key in ("title", "description", "default") if key in schema}
        rest = {key: value for key, value in schema.items() if key not in about}
        return {**about, "anyOf": [rest, {"type": "string", "pattern": _VARIABLE}]}
    return {key: _lenient_under(key, value) for key, value in schema.items()}


def _lenient_under(key: str, value: Any) -> Any:
    if key in {"properties", "patternProperties"}:
        return {name: _lenient(inner) for name, inner in value.items()}
    return (
        _lenient(value) if key in {"items", "prefixItems", "anyOf", "oneOf", "allOf", "additionalProperties"} else value
    )
