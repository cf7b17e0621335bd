"""A store seen through a process that can be paused, killed and refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from komodod.errors import StorageError
from komodod.testing.fakes import Gate, open_gate
from komodod.testing.simulation import outside

if TYPE_CHECKING:
    from komodod.storage import Storage

PLAIN = frozenset({"ticks", "announce", "epoch", "changed"})
"""What is passed through as it is: these neither read nor write rows."""


def watched(store: Storage, gate: Gate = open_gate, fault: Callable[[str], Exception | None] | None = None) -> Storage:
    """Return a store whose calls pass `gate` before and after, and fail where `fault(method name)` says so.

    A gate that yields gives every other task its turn at each call: without that, a store in memory has no races. A
    call that fails has had its effect or not, as `fault` is asked before and after it.
    """
    return _Watched(store, gate, fault)  # type: ignore[return-value]  # it quacks: every call is passed on


class _Watched:
    def __init__(self, store: Storage, gate: Gate, fault: Callable[[str], Exception | None] | None) -> None:
        self._store, self._gate, self._fault = store, gate, fault

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name in PLAIN or not inspect.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._gate()
            self._check(name)
            with outside():
                answer = await found(*args, **kwargs)
            self._check(name)
            await self._gate()
            return answer

        return call

    def _check(self, name: str) -> None:
        if self._fault is not None and (error := self._fault(name)) is not None:
            raise error


class KilledError(StorageError):
    """The process that asks is dead."""
