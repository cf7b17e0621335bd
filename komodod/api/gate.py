"""The first and last thing that happens to a request: its op_id, its size, its line in the log, its last resort."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException

from komodod.api.peers import PEER
from komodod.api.problems import answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from structlog.typing import FilteringBoundLogger

LARGEST: Final = 1024 * 1024
"""Bytes of the largest body."""

OP_ID: Final = "op_id"
"""The key of `scope["state"]` under which a request finds its op_id."""

HEADER: Final = b"x-op-id"


class Gate:
    """ASGI middleware in its plain form: the framework's base class starts tasks and streams for each request."""

    def __init__(self, app: ASGIApp, log: FilteringBoundLogger) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        headers = dict(scope["headers"])
        proposed = _parse(headers.get(HEADER))
        op_id = proposed or str(uuid.uuid4())
        scope.setdefault("state", {})[OP_ID] = op_id
        began, status = time.perf_counter(), 0

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (HEADER, op_id.encode())]
            await send(message)

        try:
            if proposed is None and HEADER in headers:
                await answer(400, "the header X-Op-Id must be a UUID")(scope, receive, reply)
            elif _size(headers) > LARGEST:
                await _too_large()(scope, receive, reply)
            else:
                await self._app(scope, _limited(receive), reply)
        except Exception:
            self._log.exception("api_request_failed", op_id=op_id, method=scope["method"], path=scope["path"])
            if status:
                raise  # half an answer is out; the server cuts the connection
            await answer(500, f"an unexpected error; the daemon's log has it under op_id {op_id}")(
                scope, receive, reply
            )
        finally:
            self._log.debug(
                "api_request",
                op_id=op_id,
                method=scope["method"],
                path=scope["path"],
                status=status,
                uid=_uid(scope),
                seconds=round(time.perf_counter() - began, 6),
            )


def _parse(header: bytes | None) -> str | None:
    try:
        return str(uuid.UUID(header.decode("ascii"))) if header else None
    except ValueError:
        return None


def _size(headers: dict[bytes, bytes]) -> int:
    """Return what the body's length is said to be; it is counted all the same."""
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


def _limited(receive: Receive) -> Receive:
    """Return the same stream of messages, ended by an error where the body grows too large."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > LARGEST:
            raise HTTPException(413, _TOO_LARGE)
        return message

    return counted


_TOO_LARGE: Final = f"the body is larger than {LARGEST} bytes"


def _too_large() -> ASGIApp:
    return answer(413, _TOO_LARGE)


def _uid(scope: Scope) -> int | None:
    peer = scope["state"].get(PEER)
    return None if peer is None else peer.uid
