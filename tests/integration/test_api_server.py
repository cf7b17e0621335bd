"""The server: how it starts and stops, who its clients are, what happens to every request."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

from komodod.api import stream
from komodod.api.gate import LARGEST
from komodod.api.peers import PeerProtocol
from komodod.api.server import ApiServer
from komodod.blocking import blocking
from komodod.errors import RefusedError, StorageError, StorageRefusedError
from komodod.model import EventKind
from komodod.storage import Batch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Answer, Play, Stage

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


# --- start and stop


def test_a_second_server_is_refused_and_the_first_goes_on(api: Play) -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(RefusedError, match="listens on"):
            await ApiServer(stage.daemon, stage.socket, stage.world.log).start()
        assert (await stage.get("/healthz"))["status"] == "ok"

    api(story)


def test_a_stopped_server_leaves_no_socket_and_can_be_followed_by_another(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.server.stop()
        await stage.server.stop()
        assert not stage.socket.exists()
        again = ApiServer(stage.daemon, stage.socket, stage.world.log)
        await again.start()
        assert (await stage.get("/healthz"))["status"] == "ok"
        await again.stop()

    api(story)


def test_a_start_that_is_cancelled_leaves_nothing(api: Play) -> None:
    async def story(stage: Stage) -> None:
        path = stage.socket.with_name("other")
        starting = asyncio.create_task(ApiServer(stage.daemon, path, stage.world.log).start())
        await asyncio.sleep(0)  # the socket is made, and nobody answers on it yet
        assert path.is_socket()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not path.exists()

    api(story)


def test_the_daemons_signals_stay_the_daemons(api: Play) -> None:
    def mine(*_: object) -> None:
        raise AssertionError

    async def story(stage: Stage) -> None:
        await stage.get("/healthz")
        assert signal.getsignal(signal.SIGTERM) is mine

    before = signal.signal(signal.SIGTERM, mine)
    try:
        api(story)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_stop_ends_streams_and_waits_at_once(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.sync("web")
        async with stage.client.get(stage.url("/events/stream")) as events:
            waiting = asyncio.create_task(stage.ask("POST", "/syncs/web/check", params={"wait": "3600"}))
            await stage.store.changed(stage.store.ticks())
            async with asyncio.timeout(2):
                await stage.server.stop()
            assert await events.content.read() == b""
            answer = await waiting
            assert (answer.status, answer.body["done"]) == (200, False)

    api(story)


def connections(stage: Stage) -> list[PeerProtocol]:
    assert stage.server._running is not None
    state = stage.server._running.server.server_state
    return [each for each in state.connections if isinstance(each, PeerProtocol)]


@contextlib.asynccontextmanager
async def deaf(stage: Stage) -> AsyncIterator[None]:
    """Ask for far more events than all buffers hold, and read none of them, until the server can send no more."""
    for number in range(1000):
        told = stage.world.act("tester").tell(EventKind.CONFIG_RELOADED, data={"pad": "x" * 1000, "n": number})
        await stage.store.commit(Batch((), told))
    _, writer = await asyncio.open_unix_connection(stage.socket, limit=1024)
    writer.write(b"GET /api/v1/events/stream?after=0 HTTP/1.1\r\nHost: komodod\r\n\r\n")
    while not any(connection.flow.write_paused for connection in connections(stage)):  # noqa: ASYNC110  only the transport knows
        await asyncio.sleep(0)
    yield
    writer.close()


def test_a_stop_does_not_wait_for_a_client_that_reads_nothing(api: Play) -> None:
    async def story(stage: Stage) -> None:
        async with deaf(stage), asyncio.timeout(3):
            await stage.server.stop()

    api(story)


def test_a_client_that_reads_nothing_is_cut_off(api: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PATIENCE", 0.2)

    async def story(stage: Stage) -> None:
        async with deaf(stage):
            await stage.log.find(path="/api/v1/events/stream")
            assert not stage.server._hub.streams

    api(story)


# --- who is there

DELETE_WEB = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
with socket.socket(socket.AF_UNIX) as client:
    client.connect(sys.argv[1])
    client.sendall(b"DELETE /api/v1/syncs/web HTTP/1.1\\r\\nHost: k\\r\\nX-Actor: root\\r\\nX-Forwarded-User: root\\r\\n"
                   b"Connection: close\\r\\n\\r\\n")
    print(client.recv(100).split()[1].decode())
"""
"""Becomes another user and deletes a sync, claiming in headers to be root."""


async def delete_as(uid: int, path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", DELETE_WEB, str(path), str(uid)]
    return await blocking(lambda: subprocess.run(command, capture_output=True, text=True, timeout=20, check=False))


async def deleter(stage: Stage) -> str:
    (event,) = (await stage.get("/events", kind="sync_deleted"))["items"]
    return str(event["actor"])


def test_the_actor_of_an_operation_is_the_user_who_connected(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.sync("web")
        assert (await stage.ask("DELETE", "/syncs/web", headers={"X-Actor": "mallory"})).status == 200
        assert await deleter(stage) == getpass.getuser()

    api(story)


@as_root
def test_another_user_is_known_by_the_uid_of_the_connection(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.sync("web")
        shutil.chown(stage.socket, group=65534)
        done = await delete_as(65534, stage.socket)
        assert (done.stdout.strip(), done.stderr) == ("200", "")
        assert await deleter(stage) == "nobody"
        assert (await stage.log.find(path="/api/v1/syncs/web"))["uid"] == 65534

    api(story)


@as_root
def test_a_user_without_a_name_is_known_by_number(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.sync("web")
        shutil.chown(stage.socket, group=54321)
        assert (await delete_as(54321, stage.socket)).stdout.strip() == "200"
        assert await deleter(stage) == "uid:54321"

    api(story)


@as_root
def test_a_user_outside_the_group_cannot_connect(api: Play) -> None:
    async def story(stage: Stage) -> None:
        sync = await stage.sync("web")
        assert "PermissionError" in (await delete_as(65534, stage.socket)).stderr
        assert await stage.store.get_sync(sync.id) == sync

    api(story)


# --- every request


def test_an_op_id_is_made_where_none_is_proposed(api: Play) -> None:
    async def story(stage: Stage) -> None:
        first, second = await stage.ask("GET", "/healthz"), await stage.ask("GET", "/nowhere")
        assert uuid.UUID(first.headers["x-op-id"]) != uuid.UUID(second.headers["x-op-id"])

    api(story)


def test_a_proposed_op_id_runs_through_answer_event_and_log(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.sync("web")
        op_id = str(uuid.uuid4())
        answer = await stage.ask("DELETE", "/syncs/web", headers={"X-Op-Id": op_id})
        assert answer.headers["x-op-id"] == answer.body["op_id"] == op_id
        assert (await stage.get("/events", limit="1"))["items"][0]["op_id"] == op_id
        line = await stage.log.find(event="api_request", op_id=op_id)
        assert (line["level"], line["method"], line["status"]) == ("debug", "DELETE", 200)

    api(story)


def test_an_op_id_that_is_none_is_refused(api: Play) -> None:
    async def story(stage: Stage) -> None:
        sync = await stage.sync("web")
        answer = await stage.ask("DELETE", "/syncs/web", headers={"X-Op-Id": "1; drop"})
        assert (answer.status, answer.body["detail"]) == (400, "the header X-Op-Id must be a UUID")
        assert await stage.store.get_sync(sync.id) == sync

    api(story)


def check_problem(answer: Answer, status: int) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status == status
    assert (answer.body["type"], answer.body["status"]) == ("about:blank", status)
    assert answer.body["title"]
    assert answer.body["detail"]


@pytest.mark.parametrize("path", ["/nothing", "/syncs/", "/alerts/x/y"])
def test_an_unknown_path_is_a_problem(api: Play, path: str) -> None:
    async def story(stage: Stage) -> None:
        check_problem(await stage.ask("GET", path), 404)

    api(story)


def test_an_unknown_method_is_a_problem_that_names_the_known_ones(api: Play) -> None:
    async def story(stage: Stage) -> None:
        answer = await stage.ask("PUT", "/status")
        check_problem(answer, 405)
        assert answer.headers["allow"] == "GET"

    api(story)


def test_a_body_that_says_it_is_too_large_is_not_read(api: Play) -> None:
    async def story(stage: Stage) -> None:
        reader, writer = await asyncio.open_unix_connection(stage.socket)
        head = f"POST /api/v1/syncs HTTP/1.1\r\nHost: k\r\nContent-Length: {LARGEST + 1}\r\n\r\n"
        writer.write(head.encode())  # and nothing more
        assert (await reader.readline()).split()[1] == b"413"
        writer.close()

    api(story)


async def flood() -> AsyncIterator[bytes]:
    for _ in range(LARGEST // 65536 + 1):
        yield b" " * 65536


def test_a_body_that_grows_too_large_is_refused(api: Play) -> None:
    async def story(stage: Stage) -> None:
        headers = {"content-type": "application/json"}
        check_problem(await stage.ask("POST", "/syncs", data=flood(), headers=headers), 413)
        assert (await stage.get("/healthz"))["status"] == "ok"

    api(story)


def broken(error: Exception) -> Any:
    async def read(*_: object) -> None:
        raise error

    return read


def test_a_fault_of_ours_is_logged_and_not_shown(api: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.store.list_syncs = broken(KeyError("/etc/internals"))  # type: ignore[method-assign]  # a fault to find
        answer = await stage.ask("GET", "/syncs")
        check_problem(answer, 500)
        assert "internals" not in str(answer.body)
        line = await stage.log.find(event="api_request_failed")
        assert line["op_id"] == answer.headers["x-op-id"]
        assert line["op_id"] in answer.body["detail"]
        assert (line["level"], line["exc_info"]) == ("error", True)

    api(story)


@pytest.mark.parametrize(
    ("error", "retry_after"), [(StorageError("disk I/O error"), "5"), (StorageRefusedError("newer schema"), None)]
)
def test_a_store_that_does_not_answer_is_temporary_unless_waiting_is_vain(
    api: Play, error: Exception, retry_after: str | None
) -> None:
    async def story(stage: Stage) -> None:
        stage.store.list_alerts = broken(error)  # type: ignore[method-assign]  # a store in trouble
        answer = await stage.ask("GET", "/alerts")
        check_problem(answer, 503)
        assert (answer.body["detail"], answer.headers.get("retry-after")) == (str(error), retry_after)

    api(story)


def test_a_cursor_that_no_page_gave_is_refused(api: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.store.list_alerts = broken(ValueError("no cursor"))  # type: ignore[method-assign]  # as a store may
        answer = await stage.ask("GET", "/alerts?after=x")
        check_problem(answer, 422)
        assert answer.body["problems"][0]["where"] == "query.after"

    api(story)
