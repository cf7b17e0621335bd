"""What a valid configuration turns into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from komodod.engine.decisions.routing import Route
from komodod.model import AlertKind, ApplyMode, DiffMode, Severity, Spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.settings.conftest import Load

WHOLE = """
state_dir: state
api: {socket: run/s, allow_sources: [command]}
log: {level: debug, format: json}
plugins: {path: [more], disabled: [pager]}
consistency: {cron: "0 4 * * *", brake: {at_least: 3, fraction: 0.5}}
limits: {checks: 1, notifications: 2, hook_timeout: 3s, attempts: 4, backoff_max: 5m}
retention: {history: 30d}
timezone: Europe/Berlin
"""


def test_everything_has_a_default(load_text: Load, home: Path) -> None:
    settings = load_text("{}")
    assert (settings.storage.type, settings.storage.declared) == ("sqlite", None)
    assert (settings.consistency.every, settings.consistency.cron) == (900.0, None)
    assert (settings.limits.hook_timeout, settings.limits.backoff_max) == (30.0, 900.0)
    assert settings.retention.history == 90 * 86400.0
    assert (settings.notifiers, settings.routes, settings.syncs) == ((), (), ())
    assert settings.files == (home / "komodod.yaml",)


def test_everything_can_be_said(load_text: Load, home: Path) -> None:
    settings = load_text(WHOLE)
    assert (settings.state_dir, settings.socket) == (home / "state", home / "run/s")
    assert (settings.log.level, settings.log.format) == ("debug", "json")
    assert (settings.plugins.path, settings.plugins.disabled) == ([home / "more"], ["pager"])
    assert (settings.consistency.every, settings.consistency.cron) == (None, "0 4 * * *")
    assert (settings.consistency.brake.at_least, settings.consistency.brake.fraction) == (3, 0.5)
    assert settings.limits.model_dump() == {
        "checks": 1, "notifications": 2, "hook_timeout": 3.0, "attempts": 4, "backoff_max": 300.0
    }  # fmt: skip
    assert (settings.retention.history, settings.timezone) == (30 * 86400.0, "Europe/Berlin")


@pytest.mark.parametrize("text", ["log:\n", "log: {level: , format: ~}", "syncs:\nroutes: null\napi: {socket: null}"])
def test_a_key_without_a_value_is_as_if_it_were_not_there(load_text: Load, text: str) -> None:
    assert load_text(text) == load_text("x: &y 1".replace("x", "x-nothing"))


def test_a_sync_has_defaults(sync_of: Callable[..., Any]) -> None:
    assert sync_of() == Spec(source={"type": "command", "check": ["look"]})


def test_a_sync_can_say_everything(sync_of: Callable[..., Any]) -> None:
    spec = sync_of(
        'cron: "0 4 * * *"', "timezone: UTC", "apply: auto", "severity: critical", "labels: {team: web, n: 010}",
        "fail_after: 3", "timeout: 1h", "diff: none"
    )  # fmt: skip
    assert spec == Spec(
        source={"type": "command", "check": ["look"]},
        every=None,
        cron="0 4 * * *",
        timezone="UTC",
        apply=ApplyMode.AUTO,
        severity=Severity.CRITICAL,
        labels={"team": "web", "n": "010"},
        fail_after=3,
        timeout=3600.0,
        diff=DiffMode.NONE,
    )


def test_a_cron_goes_by_the_top_level_time_zone(load_text: Load) -> None:
    text = "syncs: [{name: site, cron: 0 4 * * *, source: {type: command, check: [look]}}]"
    assert load_text("timezone: Asia/Tokyo\n" + text).syncs[0].spec.timezone == "Asia/Tokyo"
    assert load_text(text).syncs[0].spec.timezone is None
    every = "timezone: UTC\nsyncs: [{name: site, source: {type: command, check: [look]}}]"
    assert load_text(every).syncs[0].spec.timezone is None


def test_texts_in_a_plugins_part_are_texts_as_they_were_written(load_text: Load) -> None:
    text = "syncs: [{name: s, source: {type: command, check: [sleep, 010, yes, 1:30], env: {A: off}, timeout: 90}}]"
    assert load_text(text).syncs[0].spec.source == {
        "type": "command",
        "check": ["sleep", "010", "yes", "1:30"],
        "env": {"A": "off"},
        "timeout": 90.0,
    }


def test_a_plugin_that_wants_real_numbers_gets_them(load_text: Load) -> None:
    text = "syncs: [{name: s, source: {type: strict, number: 5, flag: true, text: 7}}]"
    assert load_text(text).syncs[0].spec.source == {"type": "strict", "number": 5, "flag": True, "text": "7"}


def test_paths_of_a_source_are_absolute_and_its_defaults_are_left_out(load_text: Load, home: Path) -> None:
    spec = load_text("syncs: [{name: s, source: {type: directory, from: ./a, to: ../b}}]").syncs[0].spec
    assert spec.source == {"type": "directory", "from": str(home / "a"), "to": str(home / "../b")}


def test_a_default_that_depends_on_the_file_is_kept_and_any_other_is_not(load_text: Load, home: Path) -> None:
    spec = load_text("syncs: [{name: s, source: {type: placed, prune: false}}]").syncs[0].spec
    assert spec.source == {"type": "placed", "cwd": str(home)}


def test_a_sync_knows_where_it_was_declared(load_text: Load, home: Path) -> None:
    text = "syncs:\n  - name: a\n    source: {type: command, check: [x]}\n  - {name: b, source: {type: command, check: [x]}}"
    assert [sync.declared for sync in load_text(text).syncs] == [f"{home}/komodod.yaml:{line}" for line in (2, 4)]


def test_a_notifier_has_its_plugins_configuration(load_text: Load, home: Path) -> None:
    (home / "hook").write_text("hunter2\n")
    text = "notifiers: [{name: ops, type: webhook, url: http://127.0.0.1/, secret_file: hook, tries: 3}]"
    (notifier,) = load_text(text).notifiers
    assert (notifier.name, notifier.type, notifier.declared) == ("ops", "webhook", f"{home}/komodod.yaml:1")
    assert notifier.config.model_dump() == {
        "url": SecretStr("http://127.0.0.1/"),
        "secret": SecretStr("hunter2"),
        "secret_file": home / "hook",
        "tries": 3,
    }


def test_a_secret_is_looked_for_among_the_credentials_first(load_text: Load, home: Path, tmp_path: Path) -> None:
    (home / "hook").write_text("from the folder")
    (tmp_path / "hook").write_text("from systemd")
    text = "notifiers: [{name: ops, type: webhook, url: http://127.0.0.1/, secret_file: hook}]"
    config = load_text(text, CREDENTIALS_DIRECTORY=str(tmp_path)).notifiers[0].config
    assert config.model_dump()["secret"] == SecretStr("from systemd")


def test_a_route_can_say_everything(load_text: Load) -> None:
    text = """
notifiers: [{name: ops, type: log}]
routes:
  - name: urgent
    match: {severity: [warning, critical], kind: failed, sync: "web-*", labels: {team: web}}
    notify: ops
    continue: yes
  - {name: quiet, notify: []}
"""
    assert load_text(text).routes == (
        Route(
            name="urgent",
            notify=("ops",),
            severities=frozenset({Severity.WARNING, Severity.CRITICAL}),
            kinds=frozenset({AlertKind.FAILED}),
            sync="web-*",
            labels={"team": "web"},
            go_on=True,
        ),
        Route(name="quiet", notify=()),
    )


def test_defaults_can_be_shared_by_an_anchor(load_text: Load) -> None:
    text = """
x-defaults: &defaults
  source: {type: command, check: [look]}
  fail_after: 7
syncs:
  - {<<: *defaults, name: a}
  - {<<: *defaults, name: b, fail_after: 1}
"""
    assert [(sync.name, sync.spec.fail_after) for sync in load_text(text).syncs] == [("a", 7), ("b", 1)]


def test_targets_side_by_side_are_no_overlap(load_text: Load) -> None:
    text = "".join(f"  - {{name: s{n}, source: {{type: directory, from: a, to: /srv/www{n}}}}}\n" for n in range(20))
    assert len(load_text(f"syncs:\n{text}").syncs) == 20


def test_targets_that_a_link_makes_one_overlap(complaints: Callable[..., list[str]], home: Path) -> None:
    (home / "link").symlink_to("www")
    text = "syncs:\n  - {name: a, source: {type: directory, from: a, to: www}}\n"
    text += "  - {name: b, source: {type: directory, from: b, to: link/app}}\n"
    (told,) = complaints(text)
    assert "sync 'b' is inside the target of sync 'a'" in told


def test_of_many_targets_every_one_that_overlaps_is_told(complaints: Callable[..., list[str]]) -> None:
    targets = ["/srv", "/srv/a", "/srv/a-b", "/srv/a/b", "/srv/a-b/c", "/var"]
    text = "".join(
        f"  - {{name: s{n}, source: {{type: directory, from: x, to: {to}}}}}\n" for n, to in enumerate(targets)
    )
    told = [line.partition(", /")[0].partition(": ")[2] for line in complaints(f"syncs:\n{text}")]
    assert told == [
        f"the target of sync {inner!r} is inside the target of sync {outer!r}"
        for inner, outer in (("s1", "s0"), ("s2", "s0"), ("s3", "s1"), ("s4", "s2"))
    ]
