from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from komodod.settings.substitution import fill

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.settings.conftest import Load


@pytest.mark.parametrize(
    ("written", "filled"),
    [
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("${EMPTY}", ""),
        ("${EMPTY:-default}", "default"),
        ("${ABSENT:-}", ""),
        ("${ABSENT:-a b:-c$}", "a b:-c$"),
        ("${A:-default}", "1"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A $ $$ {A}", "$A $ $$ {A}"),
        ("${TWICE}", "${A}"),
    ],
)
def test_variables_are_filled_in_once(written: str, filled: str) -> None:
    assert fill(written, {"A": "1", "EMPTY": "", "TWICE": "${A}"})[0] == filled


def test_the_variables_that_had_a_say_are_named() -> None:
    assert fill("${A}${B:-x}$${C}${A}", {"A": "1"})[1] == ("A", "B")


@pytest.mark.parametrize("written", ["${}", "${1A}", "${A-x}", "${A B}", "${A:x}", "${A", "${A:-{}}", "${A:-${B}}"])
def test_what_is_no_variable_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"is no variable|without its '}'"):
        fill(written, {"A": "1", "B": "2"})


@pytest.mark.parametrize("value", ["a\0b", "\x1b[31m", "\udcff"])
def test_a_variable_with_a_control_character_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(ValueError, match=r"the variable A holds the control character U\+") as caught:
        fill("${A}", {"A": value})
    assert value not in str(caught.value)


def test_a_variable_cannot_change_the_shape_of_the_document(sync_of: Callable[..., Any]) -> None:
    spec = sync_of('labels: {team: "${TEAM}"}', TEAM='web, tier: "1"}\n    every: 1s')
    assert spec.labels == {"team": 'web, tier: "1"}\n    every: 1s'}
    assert spec.every == 300


def test_a_number_may_come_from_a_variable(load_text: Load) -> None:
    assert load_text("limits: {checks: '${CHECKS:-3}'}").limits.checks == 3


def test_an_empty_variable_is_an_empty_text_and_not_nothing(sync_of: Callable[..., Any]) -> None:
    assert sync_of("labels:", "  team: ${ABSENT:-}").labels == {"team": ""}


def test_keys_are_left_alone(complaints: Callable[..., list[str]]) -> None:
    assert complaints("'${KEY}': 1", KEY="syncs")[0].startswith("1:1: unknown key '${KEY}'")


def test_the_state_directory_can_be_named_in_values(load_text: Load) -> None:
    settings = load_text("state_dir: /srv/state\napi: {socket: '${KOMODOD_STATE_DIR}/s'}", KOMODOD_STATE_DIR="/wrong")
    assert str(settings.socket) == "/srv/state/s"


def test_a_value_that_is_used_twice_is_filled_in_once(load_text: Load, home: Path) -> None:
    settings = load_text(
        "x-dir: &dir ${DIR}\nstate_dir: *dir\nplugins: {path: [*dir]}", DIR="${HOME}", HOME="/somewhere/else"
    )
    assert (settings.state_dir, settings.plugins.path) == (home / "${HOME}", [home / "${HOME}"])


def test_what_follows_from_an_unset_variable_is_not_told(complaints: Callable[..., list[str]]) -> None:
    assert complaints("limits:\n  checks: ${CHECKS}\n  attempts: no") == [
        "2:11: the variable CHECKS is not set; set it, or write ${CHECKS:-default}",
        "3:13: a whole number is needed, not 'no'",
    ]
