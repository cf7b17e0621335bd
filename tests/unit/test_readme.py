"""README's code runs, and its table of hooks is whole."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

from komodod.clock import SystemClock
from komodod.hookcalls import HookCaller
from komodod.model import Event, EventKind, Origin, Spec, Sync
from komodod.pluginmanager import HOOKS, Plugins
from komodod.testing.fakes import fake_context
from komodod.testing.notifiers import FarSide, NotifierContract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from komodod.model import Json

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def load(folder: Path, code: str) -> Plugins:
    name = re.match(r'"""(\w+\.py)', code)
    assert name is not None
    folder.chmod(0o755)
    (folder / name[1]).write_text(code)
    plugins = Plugins.load(paths=[folder])
    assert plugins.broken == {}
    return plugins


def test_every_hook_stands_in_the_table() -> None:
    section = README.read_text().partition("## Write a plugin")[2]
    missing = [hook for hook in HOOKS if f"`{hook}`" not in section]
    assert missing == []


def test_the_first_plugin_writes_down_a_delete(tmp_path: Path) -> None:
    plugins = load(tmp_path, BLOCKS[0])
    context = fake_context("farewell", SystemClock(), tmp_path)
    now = context.clock.now()
    sync = Sync(id="1", name="docs", origin=Origin.API, spec=Spec(source={}), created_at=now, updated_at=now)
    event = Event(id="e", at=now, kind=EventKind.SYNC_DELETED, actor="ada", op_id="o", reason="by ada", sync=sync)
    contexts = dict.fromkeys(plugins.implementations(), context)
    caller = HookCaller(plugins.implementations(), contexts, timeout=5.0)
    asyncio.run(caller.call("farewell", event))
    assert (tmp_path / "deleted.txt").read_text().endswith("docs: by ada\n")


class Board(FarSide):
    """The folder of the notifier in README."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "board"
        self.folder.mkdir()
        self.notifier = load(folder, BLOCKS[1]).registry().notifiers["board"]  # type: ignore[misc]  # loaded from a page

    def config(self) -> dict[str, Json]:
        return {"folder": str(self.folder)}

    def standing(self) -> Mapping[str, str]:
        return {file.name: file.read_text() for file in self.folder.iterdir()}

    def count(self) -> int:
        return len(self.standing())


class TestTheNotifierOfTheReadme(NotifierContract):
    def far_side(self, folder: Path) -> FarSide:
        return Board(folder)
