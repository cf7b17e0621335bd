from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from komodod.systemd import LoopWatch, Supervisor, Watchdog
from komodod.testing.simulation import run


class Manager:
    """A service manager's end of the notify socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": address.replace("\0", "@")}

    def heard(self) -> list[str]:
        messages: list[str] = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.socket.close()


# --- messages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("say", "heard"),
    [
        (lambda it: it.ready("12 syncs"), "READY=1\nSTATUS=12 syncs"),
        (lambda it: it.ready(), "READY=1"),
        (lambda it: it.stopping(), "STOPPING=1"),
        (lambda it: it.status("12 syncs\n1 pending"), "STATUS=12 syncs 1 pending"),
        (lambda it: it.extend(90.5), "EXTEND_TIMEOUT_USEC=90500000"),
        (lambda it: it.alive(), "WATCHDOG=1"),
    ],
)
def test_the_service_manager_hears(say: Callable[[Supervisor], bool], heard: str, manager: Manager) -> None:
    assert say(Supervisor(manager.environ))
    assert manager.heard() == [heard]


def test_a_reload_says_when_it_began_by_the_monotonic_clock(manager: Manager) -> None:
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    assert Supervisor(manager.environ).reloading()
    first, second = manager.heard()[0].split("\n")
    began = int(second.removeprefix("MONOTONIC_USEC=")) / 1e6
    assert first == "RELOADING=1"
    assert before - 0.001 <= began <= time.clock_gettime(time.CLOCK_MONOTONIC)


def test_an_abstract_socket_is_told_too(tmp_path: Path) -> None:
    name = f"komodod-test-{os.getpid()}-{tmp_path.name}"
    manager = Manager(f"\0{name}")
    assert Supervisor(manager.environ).stopping()
    assert manager.heard() == ["STOPPING=1"]
    manager.socket.close()


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@nobody-listens-here", "vsock:2:1234", "/" + "x" * 200])
def test_a_manager_that_is_not_there_is_told_nothing(address: str) -> None:
    assert not Supervisor({"NOTIFY_SOCKET": address}).ready()


def test_without_a_service_manager_nobody_is_told() -> None:
    assert not Supervisor({}).ready()


def test_a_manager_that_does_not_listen_holds_nobody_up(manager: Manager) -> None:
    supervisor = Supervisor(manager.environ)
    began, sent = time.monotonic(), 0
    while supervisor.alive():
        sent += 1
    assert len(manager.heard()) == sent
    assert time.monotonic() - began < 0.5


# --- the watchdog ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_interval_is_for_us_if_the_process_is(environ: dict[str, str], interval: float | None) -> None:
    assert Supervisor(environ).watchdog_interval == interval


class Signs(Supervisor):
    """A supervisor that notes when it was given a sign of life, on simulated time."""

    def __init__(self, interval: float | None = 30.0) -> None:
        super().__init__({})
        self.watchdog_interval = interval
        self.at: list[float] = []

    def alive(self) -> bool:
        self.at.append(asyncio.get_running_loop().time())
        return True


def watch(probe: Callable[[], Awaitable[object]], seconds: float) -> tuple[list[float], list[str]]:
    signs, log = Signs(), structlog.testing.CapturingLogger()

    async def scene() -> None:
        task = asyncio.create_task(Watchdog(signs, probe, log).run())
        await asyncio.sleep(seconds)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(scene())
    return signs.at, [call.args[0] for call in log.calls]


async def respond() -> None:
    await asyncio.sleep(1)


def test_signs_of_life_come_twice_in_an_interval() -> None:
    assert watch(respond, 50) == ([1, 16, 31, 46], [])


def test_a_store_that_responds_with_errors_is_alive() -> None:
    async def fail() -> None:
        await respond()
        raise OSError("no space left on device")

    assert watch(fail, 20)[0] == [1, 16]


def test_a_slow_store_is_alive_when_it_responds() -> None:
    async def slow() -> None:
        await asyncio.sleep(20)

    assert watch(slow, 50) == ([20, 40], ["store_unresponsive", "store_unresponsive"])


def test_no_sign_comes_while_the_store_does_not_respond_and_the_log_says_why() -> None:
    async def hang() -> None:
        await asyncio.sleep(10_000)

    assert watch(hang, 1000) == ([], ["store_unresponsive"])


def test_nobody_is_probed_for_a_manager_that_does_not_wait() -> None:
    async def probe() -> None:
        raise AssertionError

    run(Watchdog(Signs(interval=None), probe, structlog.testing.CapturingLogger()).run())


# --- the loop's watch ------------------------------------------------------------------------------------------------


class Listener:
    """A logger that lets a test wait for its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.blocked, self.repeated, self.freed = threading.Event(), threading.Event(), threading.Event()

    def error(self, event: str, **keys: Any) -> None:
        self.lines.append((event, keys))
        if self.blocked.is_set():
            self.repeated.set()
        self.blocked.set()

    def warning(self, event: str, **keys: Any) -> None:
        self.lines.append((event, keys))
        self.freed.set()


def test_a_call_that_blocks_the_loop_is_named_once_and_its_end_is_told() -> None:
    log = Listener()

    async def on_sync_deleted() -> None:
        log.blocked.wait(20)  # as a plugin would that forgot to be asynchronous
        log.repeated.wait(0.1)

    async def scene() -> None:
        watch = LoopWatch(log, limit=0.05)  # type: ignore[arg-type]
        watch.start()
        await on_sync_deleted()
        await asyncio.to_thread(log.freed.wait, 20)
        watch.stop()

    asyncio.run(scene())
    (blocked, keys), (freed, _) = log.lines
    assert (blocked, freed) == ("event_loop_blocked", "event_loop_goes_on")
    assert keys["seconds"] >= 0.05
    assert "in wait" in keys["call"]
    assert any(f"{__file__}:" in place and place.endswith("in on_sync_deleted") for place in keys["stack"])


def test_a_watch_that_was_stopped_lets_go_of_the_loop() -> None:
    async def scene() -> None:
        before = set(threading.enumerate())
        watch = LoopWatch(Listener(), limit=0.02)  # type: ignore[arg-type]
        watch.start()
        (thread,) = set(threading.enumerate()) - before
        await asyncio.to_thread(watch.stop)
        await asyncio.to_thread(thread.join, 20)
        assert not thread.is_alive()

    asyncio.run(scene())


def test_a_loop_that_only_waits_is_not_blocked() -> None:
    log = Listener()

    async def scene() -> None:
        watch = LoopWatch(log, limit=0.02)  # type: ignore[arg-type]
        watch._beat = lambda loop: None  # type: ignore[method-assign]  # noqa: ARG005  as if the process had been stopped: no beat, but idle
        watch.start()
        await asyncio.to_thread(log.blocked.wait, 0.2)
        watch.stop()

    asyncio.run(scene())
    assert log.lines == []
