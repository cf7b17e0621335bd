"""Let synchronous code take part without blocking the event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def blocking(function: Callable[..., T], /, *args: object) -> T:
    """Run `function(*args)` in a daemon thread of its own and return what it returns, or raise what it raises.

    Not the default executor: its few threads also resolve names for everybody, and it keeps the process from ending
    while one of them hangs. A cancelled caller leaves the thread to end by itself; what it then says is dropped.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # without an error there is a result

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = function(*args)
        except StopIteration as raised:  # a future refuses this one
            error = RuntimeError(f"{function!r} raised StopIteration")
            error.__cause__ = raised
        except BaseException as raised:  # noqa: BLE001  SystemExit too must reach the caller, not end a thread silently
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    threading.Thread(target=run, name=f"komodod-{getattr(function, '__name__', 'call')}", daemon=True).start()
    return await future
