from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ConfigDict

from komodod.errors import PluginError
from komodod.settings.models import Configuration
from komodod.settings.registry import Registry
from komodod.settings.schema import DIALECT, schema

if TYPE_CHECKING:
    from collections.abc import Iterator


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping in a schema."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from mappings(inner)


def variants(made: dict[str, Any], what: str) -> dict[str, Any]:
    """Return the schemas of the types of storages, notifiers or sources, by type."""
    places = {
        "storage": made["properties"]["storage"],
        "notifier": made["properties"]["notifiers"]["items"],
        "source": made["$defs"]["SyncSection"]["properties"]["source"],
    }
    return {each["properties"]["type"]["const"]: each for each in places[what]["oneOf"]}


def test_it_says_which_dialect_it_is_and_has_all_keys(registry: Registry) -> None:
    made = schema(registry)
    assert made["$schema"] == DIALECT
    assert set(made["properties"]) == set(Configuration.model_fields)
    assert made["additionalProperties"] is False


def test_every_reference_leads_somewhere_and_no_definition_is_left_over(registry: Registry) -> None:
    made = schema(registry)
    named = {each["$ref"].removeprefix("#/$defs/") for each in mappings(made) if "$ref" in each}
    assert named == set(made["$defs"])


def test_each_plugin_has_its_part(registry: Registry) -> None:
    made = schema(registry)
    assert set(variants(made, "source")) == set(registry.sources)
    assert set(variants(made, "notifier")) == set(registry.notifiers)
    assert set(variants(made, "storage")) == set(registry.storages)
    directory = variants(made, "source")["directory"]
    assert set(directory["properties"]) == {"type", "from", "to", "prune"}
    assert directory["required"] == ["type", "from", "to"]
    assert directory["properties"]["from"]["description"] == "The directory as it should be."
    assert directory["additionalProperties"] is False
    assert variants(made, "notifier")["webhook"]["required"] == ["name", "type", "url"]


def test_every_key_of_komodod_has_a_description(registry: Registry) -> None:
    made = schema(replace(registry, sources={}, notifiers={}))
    bare = [
        name
        for each in mappings(made)
        for name, inner in each.get("properties", {}).items()
        if "description" not in inner
        and "description" not in made["$defs"].get(inner.get("$ref", "").rpartition("/")[2], {})
        and name != "path"  # of the storage plugin of these tests
    ]
    assert bare == []


def test_a_value_with_a_variable_may_stand_for_a_number_a_word_or_a_duration(registry: Registry) -> None:
    definitions = schema(registry)["$defs"]
    for section, key in (("LimitsSection", "checks"), ("LogSection", "level"), ("RetentionSection", "history")):
        branches = list(mappings(definitions[section]["properties"][key]))
        assert any(re.search(each["pattern"], "${X:-1}") for each in branches if "pattern" in each)


def test_a_name_that_is_a_word_of_json_schema_is_a_name(registry: Registry) -> None:
    class Odd(BaseModel):
        model_config = ConfigDict(extra="forbid")
        enum: str = ""
        pattern: str = ""
        items: list[str] = []

    odd = type("OddNotifier", (registry.notifiers["log"],), {"Config": Odd})
    made = schema(replace(registry, notifiers={"odd": odd}))
    assert variants(made, "notifier")["odd"]["properties"]["enum"] == {"default": "", "title": "Enum", "type": "string"}


def test_a_plugin_without_a_schema_is_named(registry: Registry) -> None:
    class Opaque(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        thing: re.Match[str]

    opaque = type("OpaqueNotifier", (registry.notifiers["log"],), {"Config": Opaque})
    with pytest.raises(PluginError, match="plugin 'opaque': its Config has no JSON schema"):
        schema(replace(registry, notifiers={"opaque": opaque}))


def test_without_plugins_no_type_is_right() -> None:
    assert schema(Registry())["properties"]["notifiers"]["items"] == {"not": {}}
