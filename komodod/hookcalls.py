"""Tell one plugin of one event, so that a plugin that raises, hangs or exits keeps up nobody but itself."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from komodod.blocking import blocking
from komodod.errors import PermanentError, PluginError, TemporaryError
from komodod.guard import contained
from komodod.hookspecs import EVENT_HOOKS
from komodod.redaction import one_line

if TYPE_CHECKING:
    from komodod.context import Context
    from komodod.model import Event

LANES: Final = 4
"""Calls of one plugin that may run at once; as many may hang for ever before it is left alone."""


@dataclass(frozen=True, slots=True)
class Implementation:
    """A plugin's function for one hook, and which of the hook's arguments it takes."""

    function: Callable[..., Any]
    arguments: tuple[str, ...]


@dataclass(slots=True)
class _Plugin:
    context: Context
    hooks: Mapping[str, Sequence[Implementation]]
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LANES))
    hanging: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def wedged(self) -> bool:
        return len(self.hanging) >= LANES

    def leave(self, call: asyncio.Task[Any]) -> None:
        """Free the lane of a call that has ended, at last or in time."""
        self.hanging.discard(call)
        self.free.release()
        if not call.cancelled():
            call.exception()  # looked at here, in case that nobody waits any more


class HookCaller:
    """Calls the `on_*` implementations of the loaded plugins.

    Functions run in threads (they cannot be ended, so they are bounded), coroutines on the loop. `timeout` is in
    seconds, bounds a whole call, and may be changed at any time. `mask` takes the secrets out of an error's text.
    """

    def __init__(
        self,
        implementations: Mapping[str, Mapping[str, Sequence[Implementation]]],
        contexts: Mapping[str, Context],
        *,
        timeout: float,
        mask: Callable[[str], str] = str,
    ) -> None:
        self.timeout = timeout
        self._mask = mask
        self._plugins = {name: _Plugin(contexts[name], hooks) for name, hooks in implementations.items()}

    @property
    def wedged(self) -> frozenset[str]:
        """The plugins whose every lane is taken by a call that never came back; a restart frees them."""
        return frozenset(name for name, plugin in self._plugins.items() if plugin.wedged)

    async def call(self, plugin: str, event: Event) -> None:
        """Call what the plugin has for the event, one after the other; nothing, if it no longer has anything.

        Raises:
            TemporaryError: it said so, did not answer in time (in doubt), hangs in every lane, or is not loaded.
            PermanentError: it said so.
            PluginError: it raised anything else.
        """
        target = self._plugins.get(plugin)
        if target is None:
            raise TemporaryError(f"plugin {plugin!r} is not loaded", doubtful=False)
        hook = EVENT_HOOKS[event.kind]
        deadline = asyncio.get_running_loop().time() + self.timeout
        for implementation in target.hooks.get(hook, ()):
            await self._enter(plugin, target, deadline)
            try:
                await self._tell(plugin, target, implementation, event, deadline)
            except (TemporaryError, PermanentError) as error:
                error.args = (self._clean(error),)
                raise
            except Exception as error:
                raise PluginError(plugin, f"{hook}() raised {type(error).__name__}: {self._clean(error)}") from error

    async def _enter(self, name: str, plugin: _Plugin, deadline: float) -> None:
        if plugin.wedged:
            raise TemporaryError(
                f"plugin {name!r} is wedged: {LANES} calls never came back; mend it and restart komodod", doubtful=False
            )
        try:
            async with asyncio.timeout_at(deadline):
                await plugin.free.acquire()
        except TimeoutError as error:
            busy = f"plugin {name!r} is busy: {LANES} calls of it were running for {self.timeout:g} s"
            raise TemporaryError(busy, doubtful=False) from error

    async def _tell(
        self, name: str, plugin: _Plugin, implementation: Implementation, event: Event, deadline: float
    ) -> None:
        given = {"event": event, "context": plugin.context}
        arguments = {argument: given[argument] for argument in implementation.arguments}
        task = asyncio.create_task(contained(_run(name, implementation.function, arguments)))
        task.add_done_callback(plugin.leave)
        try:
            await asyncio.wait({task}, timeout=deadline - asyncio.get_running_loop().time())
        finally:
            if not task.done():
                plugin.hanging.add(task)
                if inspect.iscoroutinefunction(implementation.function):
                    task.cancel()
        if not task.done():
            raise TemporaryError(f"plugin {name!r} did not come back within {self.timeout:g} s", doubtful=True)
        task.result()

    def _clean(self, error: Exception) -> str:
        return one_line(self._mask(str(error)))


async def _run(plugin: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Run a coroutine function here, any other in a thread, which nobody can end: its lane is free when it has ended."""
    if inspect.iscoroutinefunction(function):
        await function(**arguments)
        return
    context = contextvars.copy_context()

    def call() -> Any:
        threading.current_thread().name = f"komodod-plugin-{plugin}"
        return context.run(function, **arguments)

    result = await blocking(call)
    if inspect.isawaitable(result):
        await result  # a plain function around a coroutine function
