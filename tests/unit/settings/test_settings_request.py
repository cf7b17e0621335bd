"""A sync that somebody asks for over the API."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from komodod.errors import ConfigError
from komodod.model import Severity, Spec
from komodod.settings.request import parse_spec, targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from komodod.settings.registry import Registry

STATE_DIR = Path("/var/lib/komodod")
COMMAND = {"type": "command", "check": ["look"]}


@pytest.fixture
def parse(registry: Registry) -> Callable[..., Spec]:
    return partial(parse_spec, registry=registry, state_dir=STATE_DIR)


@pytest.fixture
def complaints(parse: Callable[..., Spec]) -> Callable[..., list[str]]:
    def told(name: str, raw: dict[str, Any], **keys: Any) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            parse(name, raw, **keys)
        return [str(problem) for problem in caught.value.problems]

    return told


def test_json_is_read_as_yaml_is(parse: Callable[..., Spec]) -> None:
    raw = {"source": COMMAND, "every": 90, "severity": "critical", "fail_after": "3", "labels": {"n": 1}, "cron": None}
    assert parse("site", raw) == Spec(
        source=COMMAND, every=90.0, severity=Severity.CRITICAL, fail_after=3, labels={"n": "1"}
    )


def test_all_mistakes_are_told_with_the_key_in_place_of_the_file(complaints: Callable[..., list[str]]) -> None:
    raw = {"source": {**COMMAND, "timout": 1}, "evry": "5m", "fail_after": 0, "labels": [1], "cron": "* *"}
    assert complaints("a b", raw) == [
        "name: a name starts with a letter or digit, goes on with those, '.', '_' and '-', up to 100 in all",
        "labels: a mapping is needed, not a list",
        "fail_after: must be greater than or equal to 1, not '0'",
        "sync: unknown key 'evry', did you mean 'every'?",
        "cron: '* *' has 2 fields; cron has five: minute hour day month weekday",
        "source: unknown key 'timout', did you mean 'timeout'?",
    ]


def test_a_relative_path_and_a_variable_are_not_looked_up(complaints: Callable[..., list[str]]) -> None:
    raw = {"source": {"type": "directory", "from": "${HOME}", "to": "/srv/www"}}
    assert complaints("site", raw) == [
        "source.from: '${HOME}' is relative, and there is no file that it could be relative to"
    ]


def test_relative_paths_start_where_the_caller_is(parse: Callable[..., Spec]) -> None:
    raw = {"source": {"type": "directory", "from": "a", "to": "/srv/www"}}
    assert parse("site", raw, base=Path("/home/ada")).source["from"] == "/home/ada/a"


@pytest.mark.parametrize("text", ["a\0b", "\x1b[31m", "\ud800"])
def test_control_characters_are_refused(complaints: Callable[..., list[str]], text: str) -> None:
    (told,) = complaints("site", {"source": {"type": "directory", "from": f"/{text}", "to": "/srv"}})
    assert told.startswith("source.from: the text holds the control character U+")


def test_what_is_too_deep_is_refused(complaints: Callable[..., list[str]]) -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    assert any("more than 50 lists" in line for line in complaints("site", {"source": COMMAND, "labels": deep}))


def test_targets_of_other_syncs_and_the_state_are_kept_away_from(
    parse: Callable[..., Spec], complaints: Callable[..., list[str]], registry: Registry
) -> None:
    def raw(target: str) -> dict[str, Any]:
        return {"source": {"type": "directory", "from": "/a", "to": target}}

    others = [("www", parse("www", raw("/srv/www"))), ("gone", Spec(source={"type": "gone"}))]
    assert targets(others[0][1], registry) == [Path("/srv/www")]
    for target in ("/srv", "/srv/www", "/srv/www/app"):
        assert complaints("site", raw(target), others=others) == [
            f"source: the target {target} touches the target of sync 'www'"
        ]
    assert parse("www", raw("/srv/www/app"), others=others).source["to"] == "/srv/www/app"
    assert "komodod's own state" in complaints("site", raw("/var"))[0]


def test_the_top_level_time_zone_counts(parse: Callable[..., Spec]) -> None:
    assert parse("site", {"source": COMMAND, "cron": "0 4 * * *"}, timezone="UTC").timezone == "UTC"
