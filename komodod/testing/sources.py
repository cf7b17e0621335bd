"""The suite that proves a source, ours or a stranger's.

    class TestMySource(SourceContract):
        def world(self, folder):
            return MyWorld(folder)

`MyWorld` is a `World`: something small and real that the source can be pointed at, set up in `folder`.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pytest
from pydantic import ValidationError

from komodod.clock import SystemClock
from komodod.errors import SourceError
from komodod.model import Event, EventKind, Origin, Spec, Sync
from komodod.testing.fakes import fake_context

if TYPE_CHECKING:
    from pydantic import BaseModel

    from komodod.context import Context
    from komodod.model import Applied, Change, Json, Observation
    from komodod.source import Source

T = TypeVar("T")

SYNC_ID = "0e8b3c5e-5a0e-4a5b-9a53-7e0d3f0a9c11"
"""The id of the sync in the suite."""

PATIENCE = 30.0
"""Seconds within which anything in the suite must have happened."""


def source_context(state_dir: Path, sync_id: str = SYNC_ID) -> Context:
    """Return the surroundings of a source in a test; its state directory is made."""
    state_dir.mkdir(parents=True, exist_ok=True)
    return dataclasses.replace(fake_context("website", SystemClock(), state_dir), sync_id=sync_id)


def validate(source: type[Source], config: Json, base: Path | None = None) -> BaseModel:
    """Return the validated part of the YAML that a file in `base` would hold."""
    return source.Config.model_validate(config, context={"base": base})


@contextlib.asynccontextmanager
async def opened(source: type[Source], config: Json, context: Context) -> AsyncIterator[Source]:
    """Build a source as the engine does, from a configuration that was stored, and use it between open and close."""
    stored = json.loads(json.dumps(validate(source, config, context.state_dir).model_dump(mode="json", by_alias=True)))
    made = source(source.Config.model_validate(stored), context)
    try:
        await made.open()
        yield made
    finally:
        await made.close()


async def observe(source: type[Source], config: Json, context: Context) -> Observation:
    """Make one look, as the engine does."""
    async with opened(source, config, context) as made:
        return await made.observe()


async def apply(source: type[Source], config: Json, context: Context, *, force: bool = False) -> Applied:
    """Make one apply, as the engine does."""
    async with opened(source, config, context) as made:
        return await made.apply(force=force)


def deleted(source: Mapping[str, Json], sync_id: str = SYNC_ID) -> Event:
    """Return the event of a deleted sync; `source` is its mapping, with `type`."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    spec = Spec(source=source)
    sync = Sync(id=sync_id, name="website", origin=Origin.API, spec=spec, created_at=now, updated_at=now)
    return Event(id="e1", at=now, kind=EventKind.SYNC_DELETED, actor="somebody", op_id="o1", sync=sync)


class World(abc.ABC):
    """What a source under proof looks at. It is in step when it is made."""

    source: type[Source]

    @abc.abstractmethod
    def config(self) -> dict[str, Json]:
        """Return the source's part of the YAML for this world, without `type`, its paths absolute."""

    @abc.abstractmethod
    def drift(self) -> None:
        """Let it get out of step."""

    @abc.abstractmethod
    def spoil(self) -> None:
        """Make it impossible to look at."""

    @abc.abstractmethod
    def mend(self) -> None:
        """Take back what `spoil` did."""


class SourceContract(abc.ABC):
    """Plain tests over `run`; they ask pytest for `tmp_path` alone."""

    applies: ClassVar[bool] = True
    """Whether an apply of this source does something; one that never does is only asked to look."""

    @abc.abstractmethod
    def world(self, folder: Path) -> World:
        """Make a world in an empty directory."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, on real time, because the outside of a source is real."""
        return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))

    # -- configuration

    def test_an_unknown_key_is_refused(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        with pytest.raises(ValidationError, match="no_such_key"):
            validate(world.source, {**world.config(), "no_such_key": 1})

    def test_the_configuration_survives_being_stored(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        config = validate(world.source, world.config(), tmp_path)
        stored = json.loads(json.dumps(config.model_dump(mode="json", by_alias=True)))
        assert world.source.Config.model_validate(stored) == config

    def test_every_key_is_described(self, tmp_path: Path) -> None:
        schema = self.world(tmp_path).source.Config.model_json_schema()
        assert [key for key, value in schema["properties"].items() if not value.get("description")] == []

    def test_targets_are_absolute(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        assert all(
            path.is_absolute() for path in world.source.targets(validate(world.source, world.config(), tmp_path))
        )

    # -- life

    def test_what_was_opened_can_be_closed_without_being_used(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with self._opened(self.world(tmp_path), tmp_path):
                pass

        self.run(main())

    # -- looking

    def test_in_step_means_no_changes(self, tmp_path: Path) -> None:
        assert self._observe(self.world(tmp_path), tmp_path).changes == ()

    def test_out_of_step_means_changes(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        world.drift()
        assert self._observe(world, tmp_path).changes

    def test_changes_can_be_stored_and_shown(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        world.drift()
        seen = self._observe(world, tmp_path)
        for change in seen.changes:
            _check_change(change)
        assert seen.revision is None or seen.revision.isprintable()

    def test_looking_changes_nothing(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        world.drift()
        assert self._observe(world, tmp_path) == self._observe(world, tmp_path)

    def test_what_cannot_be_looked_at_is_an_error_for_the_reader(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        world.spoil()
        _check_error(self._fail(world, tmp_path))

    def test_a_failed_look_does_not_spoil_the_next(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        before = self._observe(world, tmp_path)
        world.spoil()
        self._fail(world, tmp_path)
        world.mend()
        assert self._observe(world, tmp_path) == before

    def test_a_cancelled_look_ends_and_does_not_spoil_the_next(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        self.run(_cancelled(lambda: observe(world.source, world.config(), self._context(tmp_path))))
        assert self._observe(world, tmp_path).changes == ()

    # -- applying

    def test_an_apply_brings_in_step(self, tmp_path: Path) -> None:
        world = self._drifted(tmp_path)
        self._apply(world, tmp_path)
        assert self._observe(world, tmp_path).changes == ()

    def test_an_apply_brings_about_the_revision_that_was_looked_at(self, tmp_path: Path) -> None:
        world = self._drifted(tmp_path)
        seen = self._observe(world, tmp_path)
        assert self._apply(world, tmp_path).revision in (None, seen.revision)

    def test_an_apply_can_be_repeated(self, tmp_path: Path) -> None:
        world = self._drifted(tmp_path)
        self._apply(world, tmp_path)
        self._apply(world, tmp_path)
        assert self._observe(world, tmp_path).changes == ()

    def test_an_apply_that_is_impossible_is_an_error_for_the_reader(self, tmp_path: Path) -> None:
        world = self._drifted(tmp_path)
        world.spoil()
        with pytest.raises(SourceError) as caught:
            self._apply(world, tmp_path)
        _check_error(caught.value)

    def test_a_cancelled_apply_can_be_carried_out_again(self, tmp_path: Path) -> None:
        world = self._drifted(tmp_path)
        self.run(_cancelled(lambda: apply(world.source, world.config(), self._context(tmp_path))))
        self._apply(world, tmp_path)
        assert self._observe(world, tmp_path).changes == ()

    # -- how

    def _context(self, folder: Path) -> Context:
        return source_context(folder / "komodod-state")

    def _opened(self, world: World, folder: Path) -> contextlib.AbstractAsyncContextManager[Source]:
        return opened(world.source, world.config(), self._context(folder))

    def _observe(self, world: World, folder: Path) -> Observation:
        return self.run(observe(world.source, world.config(), self._context(folder)))

    def _apply(self, world: World, folder: Path) -> Applied:
        return self.run(apply(world.source, world.config(), self._context(folder)))

    def _fail(self, world: World, folder: Path) -> SourceError:
        with pytest.raises(SourceError) as caught:
            self._observe(world, folder)
        return caught.value

    def _drifted(self, folder: Path) -> World:
        if not self.applies:
            pytest.skip("this source does not apply")
        world = self.world(folder)
        world.drift()
        return world


async def _cancelled(work: Any) -> None:
    """Start the work, cancel it when it is under way, and see that it ends."""
    task = asyncio.ensure_future(work())
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _check_change(change: Change) -> None:
    for text in (change.action, change.kind, change.name):
        assert text, change
        assert text.isprintable(), f"{text!r} is not one line of printable text"
    json.dumps(dataclasses.asdict(change), ensure_ascii=False).encode()  # lone surrogates have no UTF-8
    assert "\0" not in (change.diff or ""), "PostgreSQL has no NUL in its texts"


def _check_error(error: SourceError) -> None:
    text = str(error)
    assert text, "an error says what happened"
    assert text.isprintable(), f"{text!r} is not one line of printable text"
    assert not text[0].isupper(), f"{text!r} begins with a capital"
    assert not text.endswith("."), f"{text!r} ends with a full stop"
