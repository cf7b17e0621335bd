"""The configuration in effect, as a person is shown it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from komodod.settings.effective import effective
from komodod.settings.loading import load, read_parts
from komodod.settings.nodes import Problems
from komodod.settings.origins import trace
from komodod.settings.rendering import flow, render

if TYPE_CHECKING:
    from collections.abc import Callable

    from komodod.settings.registry import Registry

ENVIRON = {"HOME": "/home/ada", "HOOK_TOKEN": "hunter2hunter2"}

TEXT = """
state_dir: ~/state
log: {level: "${LEVEL:-debug}"}
timezone: Europe/Berlin
notifiers:
  - {name: ops, type: webhook, url: "http://ada:hunter2@127.0.0.1/", secret_file: hook, tries: 2}
routes:
  - {name: all, notify: [ops], match: {severity: [warning]}}
syncs:
  - name: site
    source: {type: directory, from: ./site, to: "/srv/${HOME}"}
    labels: {team: "off", text: "a: 'b' $${HOME}"}
  - name: nightly
    source: {type: command, check: [look, "https://ada:hunter2@example.org", "x=${HOOK_TOKEN}"], env: {PASSWORD: hunter2}}
    cron: "0 4 * * *"
    timeout: 90
"""


@pytest.fixture
def shown(home: Path, registry: Registry) -> Callable[..., tuple[dict[str, Any], dict[Any, str]]]:
    """Returns what is in effect, and the origins, for a text and an environment."""
    (home / "hook").write_text("hunter2")
    path = home / "komodod.yaml"

    def show(text: str, **environ: str) -> tuple[dict[str, Any], dict[Any, str]]:
        path.write_text(text)
        variables = {**ENVIRON, **environ}
        tree = effective(load(path, registry, variables), registry, variables)
        parts = read_parts(path, variables, Problems())
        assert parts is not None
        origins = {".".join(map(str, place)): origin for place, origin in trace(tree, parts, variables).items()}
        return tree, {place: origin.replace(str(path), "FILE") for place, origin in origins.items()}

    return show


def test_every_default_is_filled_in(shown: Callable[..., Any]) -> None:
    tree, origins = shown("{}")
    assert tree["limits"] == {
        "checks": 8, "notifications": 64, "hook_timeout": "30s", "attempts": 12, "backoff_max": "15m"
    }  # fmt: skip
    assert tree["consistency"] == {"every": "15m", "brake": {"at_least": 10, "fraction": 0.2}}
    assert (tree["state_dir"], tree["api"]["socket"]) == (
        "/home/ada/.local/state/komodod",
        "/home/ada/.local/state/komodod/komodod.sock",
    )
    assert set(origins.values()) == {"default", "state_dir"}


def test_durations_and_paths_are_as_a_person_would_write_them(shown: Callable[..., Any], home: Path) -> None:
    first, second = shown(TEXT)[0]["syncs"]
    assert (first["every"], second["timeout"], second["source"]["timeout"]) == ("5m", "1m30s", "1m")
    assert (second["cron"], second["timezone"], "every" in second) == ("0 4 * * *", "Europe/Berlin", False)
    assert first["source"] == {"type": "directory", "from": f"{home}/site", "to": "/srv/home/ada", "prune": False}


def test_no_secret_is_shown(shown: Callable[..., Any], home: Path) -> None:
    tree, origins = shown(TEXT)
    assert "hunter2" not in render(tree, {}) + str(origins)
    assert tree["notifiers"][0] == {
        "name": "ops", "type": "webhook", "url": "**********", "secret_file": f"{home}/hook", "tries": 2
    }  # fmt: skip
    assert tree["syncs"][1]["source"]["check"] == ["look", "https://***@example.org", "x=***"]


@pytest.mark.parametrize(
    ("place", "origin"),
    [
        ("state_dir", "FILE:2"),
        ("storage.type", "default"),
        ("api.socket", "state_dir"),
        ("log.level", "FILE:3 $LEVEL"),
        ("timezone", "FILE:4"),
        ("notifiers.0.secret_file", "FILE:6"),
        ("notifiers.0.url", "FILE:6"),
        ("routes.0.match.severity", "FILE:8"),
        ("routes.0.match.kind", "default"),
        ("routes.0.continue", "default"),
        ("syncs.0.name", "FILE:10"),
        ("syncs.0.source.to", "FILE:11 $HOME"),
        ("syncs.0.source.prune", "default"),
        ("syncs.0.every", "default"),
        ("syncs.1.source.check", "FILE:14 $HOOK_TOKEN"),
        ("syncs.1.timezone", "FILE:4"),
        ("syncs.1.timeout", "FILE:16"),
    ],
)
def test_every_value_says_where_it_came_from(shown: Callable[..., Any], place: str, origin: str) -> None:
    assert shown(TEXT)[1][place] == origin


def test_a_value_that_systemd_gave_says_so(shown: Callable[..., Any]) -> None:
    origins = shown("{}", STATE_DIRECTORY="/var/lib/komodod", RUNTIME_DIRECTORY="/run/komodod")[1]
    assert (origins["state_dir"], origins["api.socket"]) == ("$STATE_DIRECTORY", "$RUNTIME_DIRECTORY")


def test_what_an_included_file_says_is_traced_to_it(shown: Callable[..., Any], home: Path) -> None:
    (home / "more.yaml").write_text("\nroutes: [{name: quiet, notify: []}]")
    origins = shown("include: [more.yaml]\nroutes: [{name: first, notify: []}]")[1]
    assert (origins["routes.0.name"], origins["routes.1.name"]) == ("FILE:2", f"{home}/more.yaml:2")


def test_what_is_shown_can_be_loaded_again(shown: Callable[..., Any]) -> None:
    tree = shown(TEXT.replace("hunter2", "x").replace("${HOOK_TOKEN}", "y").replace("PASSWORD", "WORD"))[0]
    assert tree["routes"]
    again = shown(render(tree, {("state_dir",): "a comment"}))[0]
    assert {**again, "notifiers": None} == {**tree, "notifiers": None}


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_any_value_on_one_line_is_read_as_the_same_value(value: Any) -> None:
    text = flow(value)
    assert len(text.splitlines()) == 1
    assert repr(yaml.safe_load(text.replace("$${", "${"))) == repr(value)
