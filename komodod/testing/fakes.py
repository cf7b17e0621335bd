"""Sources, channels and plugins that do as they are told: the outside of a simulated komodod."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import BaseModel

from komodod.context import Context
from komodod.errors import GoneError, PermanentError, SourceError, TemporaryError
from komodod.model import Applied, Change, Event, Json, Observation, Sync
from komodod.notifier import Message, Notifier, ReceiptClass, Traits
from komodod.source import Source

if TYPE_CHECKING:
    from komodod.clock import Clock

Gate = Callable[[], Awaitable[None]]
"""Awaited before and after every effect: where a simulated process can be paused, and others get their turn."""


async def open_gate() -> None:
    """Let everything through at once."""


class NoConfig(BaseModel, extra="allow"):
    """A configuration that nobody reads."""


def fake_context(name: str, clock: Clock, state_dir: Path | None = None) -> Context:
    """Return a context for a plugin object in a test; it logs nowhere."""
    silent = structlog.wrap_logger(None, processors=[structlog.dev.set_exc_info, _drop])
    return Context(name=name, state_dir=state_dir or Path("/nonexistent"), clock=clock, log=silent)


def _drop(_logger: object, _method: str, _event: Any) -> Any:
    raise structlog.DropEvent


# --- sources ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Place:
    """What a fake source looks at. An apply leaves `stubborn` changes standing; `error` makes looks fail."""

    changes: tuple[Change, ...] = ()
    stubborn: tuple[Change, ...] = ()
    revision: str | None = "r1"
    error: str | None = None
    apply_error: str | None = None
    seconds: float = 0.0
    looks: int = 0
    applies: int = 0


def change(name: str, action: str = "update") -> Change:
    """Return a change of a file."""
    return Change(action=action, kind="file", name=name)


class FakeSource(Source):
    """Looks at a `Place`."""

    Config = NoConfig

    def __init__(self, place: Place, context: Context, gate: Gate = open_gate) -> None:
        super().__init__(NoConfig(), context)
        self._place, self._gate = place, gate

    async def observe(self) -> Observation:
        self._place.looks += 1
        await self._gate()
        await asyncio.sleep(self._place.seconds)
        await self._gate()
        if self._place.error is not None:
            raise SourceError(self._place.error)
        return Observation(revision=self._place.revision, changes=self._place.changes)

    async def apply(self, *, force: bool) -> Applied:  # noqa: ARG002  a fake has no guards to force
        self._place.applies += 1
        await self._gate()
        await asyncio.sleep(self._place.seconds)
        if self._place.apply_error is not None:
            raise SourceError(self._place.apply_error)
        self._place.changes = self._place.stubborn
        await self._gate()
        return Applied(revision=self._place.revision, summary="done")


class Places:
    """The places of all syncs, by the sync's name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at: dict[str, Place] = {}

    def source_of(self, gate: Gate) -> Callable[[Sync], Source]:
        """Return what builds the source of a sync."""

        def build(sync: Sync) -> Source:
            place = self.at.setdefault(sync.name, Place())
            return FakeSource(place, fake_context(sync.name, self._clock), gate)

        return build


# --- channels --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Standing:
    """One message that stands in a fake channel."""

    key: str
    message: Message


@dataclass
class Outside:
    """The far side of a fake channel; it outlives every process that speaks to it.

    `fate` decides about each request: `ok`; `lost` (it lands, the answer does not); `late` (it lands up to `lag`
    seconds later, unanswered); `never` (it does not land, unanswered); `down` (refused, certainly without effect);
    `broken` (a permanent error); `gone` (410).
    """

    receipt_class: ReceiptClass = ReceiptClass.A
    fate: Callable[[], str] = lambda: "ok"
    lag: float = 20.0
    delay: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311  a simulation, not a secret
    standing: dict[str, Standing] = field(default_factory=dict)
    requests: list[Message] = field(default_factory=list)
    raised: int = 0
    transactions: dict[str, str] = field(default_factory=dict)
    landing: set[asyncio.Task[None]] = field(default_factory=set)

    def keys(self) -> set[str]:
        """Return the keys of what stands; a key that stands twice counts once."""
        return {standing.key for standing in self.standing.values()}

    async def request(self, message: Message, receipt: Json, effect: Callable[[], Json]) -> Json:
        """Let one request meet its fate."""
        del receipt
        self.requests.append(message)
        fate = self.fate()
        await asyncio.sleep(self.delay)
        match fate:
            case "ok":
                return effect()
            case "lost":
                effect()
            case "late":
                self._later(effect)
            case "down":
                raise TemporaryError("connection refused", doubtful=False)
            case "broken":
                raise PermanentError("status 400")
            case "gone":
                raise GoneError("status 410")
            case _:
                pass
        await asyncio.sleep(self.rng.uniform(0.0, 2.0))
        raise TemporaryError("no answer")

    def _later(self, effect: Callable[[], Json]) -> None:
        async def land() -> None:
            await asyncio.sleep(self.rng.uniform(0.0, self.lag))
            effect()

        task = asyncio.get_running_loop().create_task(land())
        self.landing.add(task)
        task.add_done_callback(self.landing.discard)


class FakeChannel(Notifier):
    """Speaks to an `Outside` of any receipt class."""

    Config = NoConfig

    def __init__(self, outside: Outside, context: Context, gate: Gate = open_gate) -> None:
        super().__init__(NoConfig(), context)
        self._outside, self._gate = outside, gate

    @property
    def traits(self) -> Traits:
        return Traits(receipt_class=self._outside.receipt_class, withdrawal="is removed", timeout=20.0, window=3600.0)

    async def show(self, message: Message, receipt: Json | None) -> Json | None:
        await self._gate()
        answer = await self._outside.request(message, receipt, lambda: self._raise(message, receipt))
        await self._gate()
        return answer

    def _raise(self, message: Message, receipt: Json | None) -> Json | None:
        """Let it stand: under our key (A), under the receipt where one is named, else as a new message."""
        outside = self._outside
        outside.raised += 1
        if outside.receipt_class is ReceiptClass.A:
            outside.standing[message.key] = Standing(message.key, message)
            return None
        if receipt is None and outside.receipt_class is ReceiptClass.B and message.key in outside.transactions:
            return outside.transactions[message.key]  # a repeat: the first message's name, be it deleted by now
        name = str(receipt or f"m{outside.raised}")
        outside.transactions[message.key] = name
        if receipt is None or name in outside.standing:
            outside.standing[name] = Standing(message.key, message)
        return None if outside.receipt_class is ReceiptClass.E else name

    async def withdraw(self, message: Message, receipt: Json | None) -> None:
        await self._gate()
        await self._outside.request(message, receipt, lambda: self._clear(message, receipt))
        await self._gate()

    def _clear(self, message: Message, receipt: Json | None) -> None:
        standing = self._outside.standing
        if self._outside.receipt_class is ReceiptClass.E:  # a follow-up says that all of this key is over
            for name in [name for name, there in standing.items() if there.key == message.key]:
                del standing[name]
            return
        standing.pop(message.key if self._outside.receipt_class is ReceiptClass.A else str(receipt), None)

    async def find(self, key: str) -> Json | None:
        await self._gate()
        return next((name for name, there in self._outside.standing.items() if there.key == key), None)

    async def shown(self) -> Mapping[str, Json] | None:
        return {there.key: name for name, there in self._outside.standing.items()}


# --- hooks -----------------------------------------------------------------------------------------------------------


@dataclass
class FakePlugins:
    """Plugins that note what they are told; `faults` names what a plugin raises, `seconds` how long it takes."""

    gate: Gate = open_gate
    told: list[tuple[str, Event]] = field(default_factory=list)
    faults: dict[str, Callable[[], Exception]] = field(default_factory=dict)
    seconds: float = 0.0

    async def call(self, plugin: str, event: Event) -> None:
        """Take note of the event, or fail as told."""
        await self.gate()
        await asyncio.sleep(self.seconds)
        if plugin in self.faults:
            fault = self.faults[plugin]()
            raise fault
        self.told.append((plugin, event))
        await self.gate()

    def heard(self, plugin: str) -> list[str]:
        """Return the ids of the events that the plugin took note of, in order, repeats included."""
        return [event.id for name, event in self.told if name == plugin]
