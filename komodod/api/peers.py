"""Who is at the other end of a connection: the kernel is asked, and no header believed."""

from __future__ import annotations

import pwd
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from komodod.blocking import blocking

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

PEER: Final = "peer"
"""The key of `scope["state"]` under which a request finds its `Peer`."""

_UCRED: Final = struct.Struct("=iII")
"""The kernel's answer to SO_PEERCRED: pid, uid, gid."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The far side of one connection: the user it connected as, and a way to drop it without waiting for it."""

    uid: int
    abort: Callable[[], None]


class PeerProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which tells every request of its peer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        peer = Peer(peer_of(transport.get_extra_info("socket"))[1], transport.abort)
        # Each request's scope["state"] is a copy of this, and this object belongs to one connection.
        self.app_state = {**self.app_state, PEER: peer}


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Return pid and uid of the process that connected, or, on the connecting side, of the one that listens."""
    answer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _ = _UCRED.unpack(answer)
    return pid, uid


class Names:
    """Turns user ids into names, asking the system once for each."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    async def of(self, uid: int) -> str:
        """Return the user's name, `uid:1000` if there is none.

        The look-up may go over the network (LDAP), so it is made in a thread.
        """
        if uid in self._known:
            return self._known[uid]
        name = cast("str | None", await blocking(_look_up, uid))
        if name is None:
            return f"uid:{uid}"
        return self._known.setdefault(uid, name)


def _look_up(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
