"""Imports point down, and each dependency has its one place. The tables are the rule; the rest reads the source.

Every import counts: absolute or relative, for types only, or inside a function.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

FLOORS: Final = (
    # From the roof to the ground, numbered as in the design. A line imports from the lines below it and nothing
    # imports its neighbour, but a package may import itself. `komodod` alone, the front door, is on the ground.
    (5, "cli testing"),
    (5, "daemon"),
    (4, "pluginmanager"),  # hands what plugins registered to the settings
    (4, "api logs pluginfiles scheduler settings systemd"),
    (3, "engine"),
    (3, "engine.decisions"),
    (2, "hookcalls pluginclasses"),
    (2, "hookspecs"),
    (1, "invariant"),
    (1, "guard http notifier source storage tree"),
    (1, "context"),
    (0, "codec texts"),
    (0, "blocking clock cron durations errors model processes redaction secrets"),
)

FOR_PLUGINS: Final = 2
"""The highest floor that a plugin imports; its tests may use `komodod.testing`, it may not."""

UPWARD: Final = {
    ("komodod", "hookspecs"): "plugins say `komodod.hookimpl`; it is imported when somebody asks for it",
}
"""Importer and imported: the reason why this one import points up."""

PLACES: Final = {
    "aiohttp": "http context daemon",  # http opens the session; context and daemon name its type
    "apscheduler": "scheduler",
    "click": "cli",
    "fastapi": "api",
    "importlib.import_module": "cli.commands",  # a command's own module, only when it is called
    "importlib.metadata": "pluginmanager",
    "importlib.util": "pluginfiles",  # makes a module of a plugin's file
    "komodod.clock.SystemClock": "daemon http testing",  # http: to read a date for callers without a clock
    "pluggy": "hookspecs pluginmanager",  # hookspecs: the two markers
    "pluggy.PluginManager": "pluginmanager",
    "rich": "cli",
    "sqlite3": "komodod_sqlite",
    "starlette": "api",
    "uvicorn": "api",
    "yaml": "settings cli.output cli.declarations",  # cli: writes it, for `-o yaml` and for an editor
}
"""What may be imported or named only here; of two names that fit, the longer decides."""

BARRED: Final = {
    # Time and the outside are arguments (D10).
    "engine": """
        aiohttp apscheduler http komodod.clock.SystemClock komodod.http komodod.processes os pathlib socket sqlite3
        subprocess threading time urllib
        datetime.date.today datetime.datetime.now datetime.datetime.today datetime.datetime.utcnow
    """,
    # Values in, values out (D1).
    "engine.decisions": "asyncio contextvars structlog uuid",
}
"""What a package neither imports nor names."""


@dataclass(frozen=True)
class Home:
    """Where a module belongs: the name in the table, its floor, and its line counted from the roof."""

    name: str
    floor: int
    line: int


HOMES: Final = {
    name: Home(name, floor, line) for line, (floor, names) in enumerate(FLOORS) for name in names.split()
} | {"komodod": Home("komodod", 0, len(FLOORS))}


@dataclass(frozen=True)
class Use:
    """A dotted name as one module uses it: `komodod.model.Sync` where `Sync` was imported from there."""

    importer: str
    place: str
    name: str


def check(packages: Iterable[Path]) -> list[str]:
    """Return what breaks the rules in these packages, `komodod` and plugins: module, line and fault."""
    modules = dict(found for package in packages for found in _modules(package))
    homeless = [f"{module} is on no floor" for module in modules if _own(module) and not _home(module)]
    uses = (use for module, path in modules.items() for use in _uses(module, path))
    faults = (f"{use.place}: {use.name} {fault}" for use in uses for fault in _judge(use, modules))
    return sorted({*homeless, *faults})


def _modules(package: Path) -> Iterator[tuple[str, Path]]:
    for path in package.rglob("*.py"):
        parts = path.relative_to(package.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _uses(module: str, path: Path) -> Iterator[Use]:
    """Yield what a module imports, and what it names through that: `pluggy.PluginManager` after `import pluggy`."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    bound: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for local, name in _imports(node, package):
                bound[local] = name
                yield Use(module, f"{module}:{node.lineno}", name)
    for node in nodes:
        if isinstance(node, ast.Attribute) and (words := _words(node)) and words[0] in bound:
            yield Use(module, f"{module}:{node.lineno}", ".".join([bound[words[0]], *words[1:]]))


def _imports(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, str]]:
    """Yield each name that an import binds, with what it stands for."""
    if isinstance(node, ast.ImportFrom):
        above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
        origin = ".".join([*above, *filter(None, [node.module])])
        yield from ((one.asname or one.name, f"{origin}.{one.name}") for one in node.names)
        return
    for one in node.names:
        yield one.asname or one.name, one.name
        if not one.asname:  # `import a.b` binds `a`
            top = one.name.partition(".")[0]
            yield top, top


def _words(node: ast.expr) -> list[str]:
    """Return the words of `a.b.c`; none if it hangs on something else than a name."""
    if isinstance(node, ast.Attribute):
        words = _words(node.value)
        return [*words, node.attr] if words else []
    return [node.id] if isinstance(node, ast.Name) else []


def _judge(use: Use, modules: Collection[str]) -> Iterator[str]:
    """Yield the faults of one use."""
    yield from _direction(use.importer, _longest(use.name, modules) or use.name)
    place = _longest(use.name, PLACES)
    if place and not _within(_short(use.importer), PLACES[place].split()):
        yield f"belongs to {PLACES[place]} only"
    for package, names in BARRED.items():
        if _within(_short(use.importer), [package]) and _within(use.name, names.split()):
            yield f"is barred from {package}"


def _direction(importer: str, imported: str) -> Iterator[str]:
    """Yield the fault of one import between our own modules, if it has one."""
    if imported.startswith("komodod_"):
        if _top(importer) != _top(imported):
            yield "is a plugin's, which nobody else imports"
    elif _own(imported) and (target := _home(imported)):
        home = _home(importer) if _own(importer) else None
        if not _own(importer) and target.floor > FOR_PLUGINS:
            yield f"is on floor {target.floor}, and plugins import from {FOR_PLUGINS} down"
        elif home and home.name != target.name and target.line <= home.line and (home.name, target.name) not in UPWARD:
            yield f"is on floor {target.floor}, not below {home.name} on floor {home.floor}"


def _home(module: str) -> Home | None:
    """Return where a module of ours belongs; of `engine` and `engine.decisions` the longer name that fits."""
    name = _longest(_short(module), HOMES)
    return HOMES[name] if name else None


def _own(module: str) -> bool:
    return _top(module) == "komodod"


def _top(module: str) -> str:
    return module.partition(".")[0]


def _short(module: str) -> str:
    return module.removeprefix("komodod.")


def _within(name: str, places: Iterable[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def _longest(name: str, candidates: Collection[str]) -> str | None:
    """Return the longest candidate that is this name or a package around it."""
    words = name.split(".")
    around = (".".join(words[:count]) for count in range(len(words), 0, -1))
    return next((one for one in around if one in candidates), None)


def _installed() -> list[Path]:
    """Return the folders of `komodod` and of the plugins that come with it, wherever they are installed."""
    plugins = [point.value for point in distribution("komodod").entry_points if point.group == "komodod"]
    specs = [find_spec(name) for name in ["komodod", *plugins]]
    return [Path(place) for spec in specs if spec for place in spec.submodule_search_locations or ()]


def test_imports_point_down_and_each_dependency_is_in_its_place() -> None:
    assert check(_installed()) == []


def test_the_tables_name_nothing_that_is_gone() -> None:
    sources = dict(found for package in _installed() for found in _modules(package))
    assert set(HOMES) <= {_short(module) for module in sources}
    uses = [(_short(use.importer), use.name) for module, path in sources.items() for use in _uses(module, path)]
    idle = [
        (name, place)
        for name, places in PLACES.items()
        for place in places.split()
        if not any(_within(importer, [place]) and _within(used, [name]) for importer, used in uses)
    ]
    assert idle == []


@pytest.mark.parametrize("edge", UPWARD)
def test_each_exception_is_needed(edge: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(UPWARD, edge)
    assert check(_installed())


Check = Callable[[dict[str, str]], list[str]]


@pytest.fixture
def checked(tmp_path: Path) -> Check:
    """Check a small tree: what it holds where nothing is said, and the files that a test adds or replaces."""
    sound = {
        "komodod/__init__.py": "",
        "komodod/model.py": "import datetime",
        "komodod/clock.py": "class SystemClock: ...",
        "komodod/http.py": "import aiohttp\nfrom komodod.clock import SystemClock",
        "komodod/storage/__init__.py": "from komodod.storage.rows import Row",
        "komodod/storage/rows.py": "from ..model import Sync",
        "komodod/source.py": "",
        "komodod/engine/__init__.py": "",
        "komodod/engine/pump.py": "from datetime import datetime\nfrom komodod.engine.decisions.acting import Act",
        "komodod/engine/decisions/acting.py": "from komodod import model",
        "komodod/api/__init__.py": "import fastapi\nfrom komodod.engine import pump",
        "komodod/settings/__init__.py": "",
        "komodod/testing/__init__.py": "",
        "plugins/komodod_log/__init__.py": "import komodod\nfrom komodod_log.lines import Line",
        "plugins/komodod_log/lines.py": "from komodod.model import Sync",
        "plugins/komodod_git/__init__.py": "",
    }

    def run(files: dict[str, str]) -> list[str]:
        for name, text in {**sound, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return check([tmp_path / "komodod", *(tmp_path / "plugins").iterdir()])

    return run


def test_a_sound_tree_has_no_fault(checked: Check) -> None:
    assert checked({}) == []


@pytest.mark.parametrize(
    "text",
    [
        "from komodod.api import app",
        "import komodod.api",
        "import komodod.api as faces",
        "from komodod import api",
        "import komodod\nkomodod.api.app()",
        "from ..api import app",
        "from .. import api",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from komodod.api import app",
        "def late():\n    from komodod.api import app",
    ],
)
def test_an_import_that_points_up_is_a_fault(checked: Check, text: str) -> None:
    faults = checked({"komodod/engine/pump.py": text})
    assert faults
    assert all(fault.endswith("is on floor 4, not below engine on floor 3") for fault in faults)


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        ("komodod/novel.py", "", "komodod.novel is on no floor"),
        (
            "komodod/source.py",
            "from komodod.storage import Row",
            "komodod.source:1: komodod.storage.Row is on floor 1, not below source on floor 1",
        ),
        (
            "komodod/engine/decisions/acting.py",
            "from komodod.engine.pump import Pump",
            "komodod.engine.decisions.acting:1: komodod.engine.pump.Pump is on floor 3, not below engine.decisions on floor 3",
        ),
        (
            "plugins/komodod_log/__init__.py",
            "from komodod.engine.pump import Pump",
            "komodod_log:1: komodod.engine.pump.Pump is on floor 3, and plugins import from 2 down",
        ),
        (
            "plugins/komodod_log/lines.py",
            "def prove():\n    import komodod.testing",
            "komodod_log.lines:2: komodod.testing is on floor 5, and plugins import from 2 down",
        ),
        (
            "plugins/komodod_log/lines.py",
            "from komodod_git import clone",
            "komodod_log.lines:1: komodod_git.clone is a plugin's, which nobody else imports",
        ),
        (
            "komodod/api/__init__.py",
            "import komodod_elsewhere",
            "komodod.api:1: komodod_elsewhere is a plugin's, which nobody else imports",
        ),
    ],
)
def test_what_crosses_a_border_is_a_fault(checked: Check, path: str, text: str, fault: str) -> None:
    assert checked({path: text}) == [fault]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("komodod/api/__init__.py", "import pluggy"),
        ("komodod/hookspecs.py", "import pluggy\npluggy.PluginManager('komodod')"),
        ("komodod/hookspecs.py", "from pluggy import PluginManager as Manager"),
        ("komodod/settings/__init__.py", "from importlib import metadata"),
        ("komodod/settings/__init__.py", "import importlib\nimportlib.import_module('komodod.api')"),
        ("komodod/api/__init__.py", "from apscheduler.triggers.cron import CronTrigger"),
        ("komodod/api/__init__.py", "def dump():\n    import yaml"),
        ("komodod/settings/__init__.py", "from fastapi import FastAPI"),
        ("komodod/settings/__init__.py", "import uvicorn.config"),
        ("plugins/komodod_log/__init__.py", "import aiohttp"),
        ("plugins/komodod_log/__init__.py", "from komodod.clock import SystemClock"),
    ],
)
def test_a_dependency_outside_its_place_is_a_fault(checked: Check, path: str, text: str) -> None:
    assert any(" belongs to " in fault for fault in checked({path: text}))


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "import os.path",
        "from komodod.http import Session",
        "from komodod.clock import SystemClock",
        "import datetime as dt\nnow = dt.datetime.now()",
        "from datetime import datetime\nnow = datetime.now",
        "from urllib.request import urlopen",
    ],
)
def test_the_engine_asks_nobody_for_the_time_or_the_outside(checked: Check, text: str) -> None:
    assert any(fault.endswith("is barred from engine") for fault in checked({"komodod/engine/pump.py": text}))


def test_a_decision_waits_for_nothing(checked: Check) -> None:
    (fault,) = checked({"komodod/engine/decisions/acting.py": "import asyncio"})
    assert fault == "komodod.engine.decisions.acting:1: asyncio is barred from engine.decisions"
