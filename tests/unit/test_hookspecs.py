"""The hooks as plugin authors meet them: each says what it is for, and what it is told."""

from __future__ import annotations

import inspect

import pytest

from komodod import hookspecs
from komodod.pluginmanager import HOOKS


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_a_hook_says_what_it_is_for(hook: str) -> None:
    first = (inspect.getdoc(getattr(hookspecs, hook)) or "").partition("\n")[0]
    assert first.endswith(".")
    assert first.startswith("Return " if hook.startswith("register_") else "Take ")


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_a_hook_about_an_event_is_told_of_it_and_of_its_surroundings(hook: str) -> None:
    arguments = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert arguments == ([] if hook.startswith("register_") else ["event", "context"])


def test_every_hook_about_an_event_belongs_to_a_kind_of_event() -> None:
    assert set(hookspecs.EVENT_HOOKS.values()) == {hook for hook in HOOKS if hook.startswith("on_")}
