"""Call a plugin's coroutine so that, whatever it does, only its caller hears of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

from komodod.errors import TemporaryError

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

GRACE: Final = 5.0
"""Seconds that a cancelled coroutine gets for cleaning up before nobody waits for it any more."""


async def guarded(coroutine: Coroutine[Any, Any, T], timeout: float, *, grace: float = GRACE) -> T:  # noqa: ASYNC109  a coroutine that swallows the cancellation must not hold its caller
    """Return what the coroutine returns, or raise what it raises, after `timeout` seconds at most (and `grace`).

    It runs in a task of its own, which is cancelled when time is up or the caller is cancelled. What it answers while
    it is being cancelled still counts.

    Raises:
        TemporaryError: time was up, so whether it had its effect is in doubt.
        RuntimeError: it raised something that would end the event loop or look like a cancellation of the caller.
    """
    task = asyncio.create_task(contained(coroutine))
    try:
        await asyncio.wait({task}, timeout=timeout)
    finally:
        if not task.done():
            await _cancel(task, grace)
    if not task.done():
        raise TemporaryError(f"no answer within {timeout:g} s, and it cannot be cancelled", doubtful=True)
    if task.cancelled():
        raise TemporaryError(f"no answer within {timeout:g} s", doubtful=True)
    return task.result()


async def contained(coroutine: Coroutine[Any, Any, T]) -> T:
    """Await the coroutine inside its task; what it raises is an `Exception`, or the task's own cancellation.

    A `SystemExit` that leaves a task ends the event loop, and with it everybody else.
    """
    try:
        return await coroutine
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise RuntimeError("it raised CancelledError although nobody cancelled it") from error
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(f"it raised {type(error).__name__}: {error}") from error


async def _cancel(task: asyncio.Task[Any], grace: float) -> None:
    task.cancel()
    # Nobody may be left to look at what it ends with; asyncio would complain of an error never retrieved.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({task}, timeout=grace)
