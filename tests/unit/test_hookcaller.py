from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from komodod.clock import SystemClock
from komodod.context import Context
from komodod.errors import GoneError, PermanentError, PluginError, TemporaryError
from komodod.hookcalls import LANES, HookCaller, Implementation
from komodod.model import Event, EventKind

EVENT = Event(id="e1", at=datetime(2026, 1, 1, tzinfo=UTC), kind=EventKind.SYNC_DELETED, actor="ann", op_id="op1")

SOON = 0.05
"""Seconds; the time-out where one is meant to pass."""


def caller(*functions: Callable[..., Any], timeout: float = 20.0, mask: Callable[[str], str] = str) -> HookCaller:
    context = Context(name="tidy", state_dir=Path("/nowhere"), clock=SystemClock(), log=structlog.get_logger())
    implementations = [Implementation(function, _arguments(function)) for function in functions]
    hooks = {"tidy": {"on_sync_deleted": implementations}}
    return HookCaller(hooks, {"tidy": context}, timeout=timeout, mask=mask)


def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    return function.__code__.co_varnames[: function.__code__.co_argcount]


def tell(*functions: Callable[..., Any], **options: Any) -> None:
    asyncio.run(caller(*functions, **options).call("tidy", EVENT))


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a hanging function waits for; opened at the end so that no thread is left."""
    opened = threading.Event()
    yield opened
    opened.set()


def test_a_function_is_called_in_a_thread_of_its_plugin() -> None:
    seen: list[object] = []
    tell(lambda event: seen.extend([event, threading.current_thread().name, threading.current_thread().daemon]))
    assert seen == [EVENT, "komodod-plugin-tidy", True]


def test_a_coroutine_function_is_called_on_the_loop() -> None:
    seen: list[object] = []

    async def on_sync_deleted(event: Event) -> None:
        await asyncio.sleep(0)
        seen.extend([event, threading.current_thread() is threading.main_thread()])

    tell(on_sync_deleted)
    assert seen == [EVENT, True]


def test_a_function_that_returns_a_coroutine_has_it_awaited() -> None:
    seen: list[str] = []

    async def later() -> None:
        seen.append("awaited")

    tell(lambda: later())  # noqa: PLW0108  a plain function around a coroutine function is the point
    assert seen == ["awaited"]


def test_only_the_arguments_that_are_named_are_passed() -> None:
    seen: list[object] = []
    tell(
        lambda: seen.append("none"),
        lambda context: seen.append(context.name),
        lambda context, event: seen.append((context.name, event.id)),
    )
    assert seen == ["none", "tidy", ("tidy", "e1")]


def test_a_plugin_that_no_longer_has_the_hook_is_told_nothing() -> None:
    tell()


def test_a_plugin_that_is_not_loaded_is_tried_again_later() -> None:
    with pytest.raises(TemporaryError, match="plugin 'gone' is not loaded") as raised:
        asyncio.run(caller().call("gone", EVENT))
    assert not raised.value.doubtful


@pytest.mark.parametrize(
    "error", [TemporaryError("later", retry_after=7), PermanentError("never"), GoneError("no more")]
)
def test_what_the_plugin_says_about_trying_again_passes(error: Exception) -> None:
    def on_sync_deleted() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        tell(on_sync_deleted)
    assert raised.value is error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("no\nspace"), "plugin 'tidy': on_sync_deleted() raised OSError: no space"),
        (SystemExit(3), "plugin 'tidy': on_sync_deleted() raised RuntimeError: it raised SystemExit: 3"),
        (KeyboardInterrupt(), "plugin 'tidy': on_sync_deleted() raised RuntimeError: it raised KeyboardInterrupt: "),
        (StopIteration(), "RuntimeError"),
    ],
)
@pytest.mark.parametrize("colour", ["thread", "loop"])
def test_anything_else_it_raises_is_an_ordinary_error_with_its_type(
    error: BaseException, told: str, colour: str
) -> None:
    def plain() -> None:
        raise error

    async def coloured() -> None:
        raise error

    with pytest.raises(PluginError) as raised:
        tell(plain if colour == "thread" else coloured)
    assert told.strip() in str(raised.value)


@pytest.mark.parametrize("kind", [OSError, PermanentError])
def test_secrets_are_masked_in_what_it_raises(kind: type[Exception]) -> None:
    def on_sync_deleted() -> None:
        raise kind("refused for hunter2")

    with pytest.raises((PluginError, PermanentError), match=r"refused for \*\*\*$"):
        tell(on_sync_deleted, mask=lambda text: text.replace("hunter2", "***"))


def test_the_implementations_of_one_plugin_end_at_the_first_that_raises() -> None:
    seen: list[str] = []

    def fail() -> None:
        raise OSError("no space")

    with pytest.raises(PluginError):
        tell(lambda: seen.append("first"), fail, lambda: seen.append("third"))
    assert seen == ["first"]


def test_a_coroutine_that_hangs_is_cancelled_at_the_time_out() -> None:
    seen: list[str] = []

    async def on_sync_deleted() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("cancelled")

    with pytest.raises(TemporaryError, match=r"plugin 'tidy' did not come back within 0.05 s") as raised:
        tell(on_sync_deleted, timeout=SOON)
    assert raised.value.doubtful
    assert seen == ["cancelled"]


def test_a_function_that_hangs_is_left_behind_at_the_time_out(gate: threading.Event) -> None:
    with pytest.raises(TemporaryError, match="did not come back") as raised:
        tell(lambda: gate.wait(60), timeout=SOON)
    assert raised.value.doubtful


async def wedge(subject: HookCaller) -> None:
    calls = [subject.call("tidy", EVENT) for _ in range(LANES)]
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in errors] == [TemporaryError] * LANES


def test_a_plugin_whose_every_call_hangs_is_wedged_and_says_so_at_once(gate: threading.Event) -> None:
    async def scene() -> None:
        subject = caller(lambda: gate.wait(60), timeout=SOON)
        await wedge(subject)
        subject.timeout = 60
        with pytest.raises(TemporaryError, match="wedged: 4 calls never came back; mend it and restart komodod"):
            await subject.call("tidy", EVENT)
        assert subject.wedged == {"tidy"}

    asyncio.run(scene())


def test_a_coroutine_that_swallows_its_cancellation_wedges_its_plugin_too() -> None:
    async def scene() -> None:
        release = asyncio.Event()

        async def on_sync_deleted() -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        subject = caller(on_sync_deleted, timeout=SOON)
        await wedge(subject)
        assert subject.wedged == {"tidy"}
        release.set()

    asyncio.run(scene())


def test_a_wedged_plugin_whose_calls_come_back_after_all_is_called_again(gate: threading.Event) -> None:
    async def scene() -> None:
        subject = caller(lambda: gate.wait(60), timeout=SOON)
        await wedge(subject)
        gate.set()
        await asyncio.gather(*subject._plugins["tidy"].hanging)
        assert not subject.wedged
        subject.timeout = 20
        await subject.call("tidy", EVENT)

    asyncio.run(scene())


def test_no_more_than_a_few_calls_of_a_plugin_run_at_once() -> None:
    running, most = 0, 0

    async def on_sync_deleted() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    async def scene() -> None:
        subject = caller(on_sync_deleted)
        await asyncio.gather(*(subject.call("tidy", EVENT) for _ in range(5 * LANES)))

    asyncio.run(scene())
    assert most == LANES


def test_one_that_waits_for_its_turn_until_the_time_out_has_done_nothing() -> None:
    async def scene() -> None:
        release = asyncio.Event()

        async def on_sync_deleted() -> None:
            await release.wait()

        subject = caller(on_sync_deleted, timeout=60)
        running = [asyncio.create_task(subject.call("tidy", EVENT)) for _ in range(LANES)]
        await asyncio.sleep(0)
        subject.timeout = SOON
        with pytest.raises(TemporaryError, match="is busy") as raised:
            await subject.call("tidy", EVENT)
        assert not raised.value.doubtful
        release.set()
        await asyncio.gather(*running)

    asyncio.run(scene())
