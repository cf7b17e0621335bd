"""Find, load and examine plugins. The only importer of pluggy's manager and of `importlib.metadata`.

Each plugin is loaded alone, with a manager of its own: one that does not load is recorded with its error, and the
others never notice. Nothing is loaded when a name is claimed twice, since which one wins would be a matter of the path.
"""

from __future__ import annotations

import importlib.metadata
import inspect
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pluggy

from komodod import hookspecs, pluginclasses, pluginfiles
from komodod.errors import PluginError
from komodod.hookcalls import Implementation
from komodod.hookspecs import EVENT_HOOKS, PROJECT
from komodod.pluginclasses import CONTRACTS
from komodod.redaction import one_line
from komodod.settings.registry import Registry

if TYPE_CHECKING:
    from komodod.invariant import Invariant

T = TypeVar("T")

LOADING: Final = 20.0
"""Seconds that a plugin's import may take, and each of its `register_*` functions."""

HOOKS: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(inspect.signature(getattr(hookspecs, name)).parameters)
    for name in (*(f"register_{kind}" for kind in CONTRACTS), *EVENT_HOOKS.values())
}
"""The arguments of each hook."""


class State(StrEnum):
    """Where a plugin stands."""

    LOADED = "loaded"
    BROKEN = "broken"
    DISABLED = "disabled"
    ABSENT = "absent"
    """Disabled in the configuration, but not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One plugin: `origin` is its distribution with version, or its file; `registers` its classes by kind and name.

    `known_as` is what `plugins.disabled` may call it.
    """

    name: str
    state: State
    origin: str = ""
    known_as: tuple[str, ...] = ()
    error: str | None = None
    registers: Mapping[str, Mapping[str, type]] = field(default_factory=dict)
    hooks: Mapping[str, tuple[Implementation, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    origin: str
    distribution: str | None
    load: Callable[[], object]

    def matches(self, disabled: Collection[str]) -> bool:
        return self.name in disabled or f"{self.distribution}:{self.name}" in disabled

    def refuse(self, what: str, way_out: str = "") -> PluginError:
        """Return the error that says what is wrong, where it came from, and what to do."""
        way_out = way_out or f"mend it, or add {self.name!r} to plugins.disabled"
        return PluginError(self.name, f"{one_line(what)} (from {self.origin}); {way_out}")


class Plugins:
    """All plugins that were found, whether they work or not."""

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.all = tuple(sorted(plugins, key=lambda plugin: plugin.name))

    @classmethod
    def load(cls, disabled: Collection[str] = (), paths: Iterable[Path] = ()) -> Plugins:
        """Load what is installed with an entry point in the group `komodod`, and the files in the folders `paths`.

        `disabled` holds names of plugins, or `distribution:name` where two distributions claim one name. A folder that
        is refused counts as a broken plugin of its own, named by its path.
        """
        plugins: list[Plugin] = []
        candidates, refused = _files(paths)
        for claims in _by_name([*_entry_points(), *candidates]).values():
            wanted = [claim for claim in claims if not claim.matches(disabled)]
            plugin = _load(wanted) if wanted else _disabled(claims[0])
            plugins.append(replace(plugin, known_as=_spellings(claims)))
        names = {plugin.name for plugin in plugins}
        absent = [Plugin(name=name, state=State.ABSENT) for name in disabled if name.rpartition(":")[2] not in names]
        return cls([*_settle(plugins), *refused, *absent])

    @property
    def broken(self) -> Mapping[str, str]:
        """The error of each plugin that does not work."""
        return {plugin.name: plugin.error for plugin in self.all if plugin.error is not None}

    def registry(self) -> Registry:
        """Return what a configuration can name."""
        return Registry(
            storages=self._registered("storages"),
            notifiers=self._registered("notifiers"),
            sources=self._registered("sources"),
            plugins=frozenset(name for plugin in self.all for name in plugin.known_as),
            broken=self.broken,
        )

    def invariants(self) -> Mapping[str, type[Invariant]]:
        """Return the plugins' invariants by name."""
        return self._registered("invariants")

    def hooks(self) -> Mapping[str, tuple[str, ...]]:
        """Return, for each `on_*` hook, the names of the plugins that implement it."""
        return {
            hook: tuple(plugin.name for plugin in self._loaded() if hook in plugin.hooks)
            for hook in EVENT_HOOKS.values()
        }

    def implementations(self) -> Mapping[str, Mapping[str, Sequence[Implementation]]]:
        """Return each loaded plugin's functions by hook, for `HookCaller`."""
        return {plugin.name: plugin.hooks for plugin in self._loaded()}

    def _loaded(self) -> Iterator[Plugin]:
        return (plugin for plugin in self.all if plugin.state is State.LOADED)

    def _registered(self, kind: str) -> dict[str, Any]:
        return {name: cls for plugin in self._loaded() for name, cls in plugin.registers.get(kind, {}).items()}


# --- finding ---------------------------------------------------------------------------------------------------------


def _entry_points() -> Iterator[_Candidate]:
    for point in importlib.metadata.entry_points(group=PROJECT):
        name = point.dist.name if point.dist else "an unknown distribution"
        origin = f"{name} {point.dist.version}" if point.dist else name
        yield _Candidate(point.name, origin, name, point.load)


def _files(folders: Iterable[Path]) -> tuple[list[_Candidate], list[Plugin]]:
    candidates: list[_Candidate] = []
    refused: list[Plugin] = []
    for folder in folders:
        try:
            files = pluginfiles.find(folder)
        except pluginfiles.UnsafeError as error:
            refused.append(_broken(PluginError(str(folder), f"{error}; or take it out of plugins.path"), str(folder)))
            continue
        candidates += [_Candidate(file.stem, str(file), None, _loader(file)) for file in files]
    return candidates, refused


def _loader(file: Path) -> Callable[[], object]:
    return lambda: pluginfiles.load(file)


def _by_name(candidates: Iterable[_Candidate]) -> Mapping[str, list[_Candidate]]:
    groups: dict[str, list[_Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.name].append(candidate)
    return groups


def _spellings(claims: Iterable[_Candidate]) -> tuple[str, ...]:
    exact = {f"{claim.distribution}:{claim.name}" for claim in claims if claim.distribution}
    return tuple(sorted(exact | {claim.name for claim in claims}))


def _disabled(candidate: _Candidate) -> Plugin:
    return Plugin(name=candidate.name, state=State.DISABLED, origin=candidate.origin)


def _broken(error: PluginError, origin: str) -> Plugin:
    return Plugin(name=error.plugin, state=State.BROKEN, origin=origin, error=str(error))


# --- loading one -----------------------------------------------------------------------------------------------------


def _load(claims: Sequence[_Candidate]) -> Plugin:
    """Return the plugin of this name, broken if it does not load or more than one claims to be it."""
    first = claims[0]
    try:
        if len(claims) > 1:
            raise _ambiguous(claims)
        implementations = _implementations(first, _import(first))
        return Plugin(
            name=first.name,
            state=State.LOADED,
            origin=first.origin,
            registers={kind: _register(first, kind, implementations[f"register_{kind}"]) for kind in CONTRACTS},
            hooks={hook: implementations[hook] for hook in EVENT_HOOKS.values() if implementations[hook]},
        )
    except PluginError as error:
        return _broken(error, ", ".join(claim.origin for claim in claims))


def _ambiguous(claims: Sequence[_Candidate]) -> PluginError:
    origins = " and ".join(sorted(claim.origin for claim in claims))
    exact = " or ".join(sorted(repr(f"{claim.distribution}:{claim.name}") for claim in claims if claim.distribution))
    way_out = f", or add {exact} to plugins.disabled" if exact else ""
    return PluginError(claims[0].name, f"{origins} claim this name; remove all but one{way_out}")


def _import(candidate: _Candidate) -> object:
    try:
        return _in_time(candidate.load)
    except KeyboardInterrupt:
        raise
    except _LateError as error:
        raise candidate.refuse(f"its import did not end within {LOADING:g} s") from error
    except pluginfiles.UnsafeError as error:
        raise candidate.refuse(str(error)) from error
    except BaseException as error:  # also SystemExit: an import must not end the daemon
        raise candidate.refuse(f"its import raised {type(error).__name__}: {error}") from error


class _LateError(Exception):
    """A plugin's code did not come back."""


def _in_time(call: Callable[[], T]) -> T:
    """Return what a plugin's code returns, or raise what it raises.

    It runs in a thread that nobody can end: one that never returns must not keep the daemon from starting.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001  SystemExit too is for whoever waits
            future.set_exception(error)

    Thread(target=run, name="komodod-plugin-load", daemon=True).start()
    done, _ = wait([future], LOADING)
    if not done:
        raise _LateError
    return future.result()


def _implementations(candidate: _Candidate, plugin: object) -> Mapping[str, tuple[Implementation, ...]]:
    """Return the plugin's functions by hook, in the order in which pluggy calls them."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        fault = _fault(manager, plugin)
        if fault:
            raise candidate.refuse(fault)
        manager.register(plugin, candidate.name)
        manager.check_pending()
    except PluginError:
        raise
    except Exception as error:
        raise candidate.refuse(f"its hooks cannot be read: {error}") from error
    return {
        hook: tuple(
            Implementation(found.function, tuple(found.argnames))
            for found in reversed(getattr(manager.hook, hook).get_hookimpls())
        )
        for hook in HOOKS
    }


def _register(candidate: _Candidate, kind: str, implementations: Sequence[Implementation]) -> Mapping[str, type]:
    """Return what the plugin registers of this kind."""
    registered: dict[str, type] = {}
    for implementation in implementations:
        try:
            returned = _in_time(implementation.function)
        except KeyboardInterrupt:
            raise
        except _LateError as error:
            raise candidate.refuse(f"register_{kind}() did not return within {LOADING:g} s") from error
        except BaseException as error:  # as for an import
            raise candidate.refuse(f"register_{kind}() raised {type(error).__name__}: {error}") from error
        try:
            classes = pluginclasses.check(kind, returned)
        except TypeError as error:
            raise candidate.refuse(str(error)) from error
        twice = registered.keys() & classes.keys()
        if twice:
            raise candidate.refuse(f"register_{kind}() returned {min(twice)!r} twice")
        registered.update(classes)
    return registered


# --- what is wrong with a plugin's functions -------------------------------------------------------------------------


def _fault(manager: pluggy.PluginManager, plugin: object) -> str | None:
    if inspect.isclass(plugin):
        return f"{plugin.__name__} is a class; the entry point must name a module or an object"
    marked = [(name, options) for name in dir(plugin) if (options := manager.parse_hookimpl_opts(plugin, name))]
    for name, options in marked:
        fault = _hook_fault(options.get("specname") or name, getattr(plugin, name), options)
        if fault:
            return fault
    named = {name for name, _ in marked}
    unmarked = [hook for hook in HOOKS if hook not in named and inspect.isroutine(getattr(plugin, hook, None))]
    if unmarked:
        return f"{unmarked[0]}() is not marked with @komodod.hookimpl, so it would never be called"
    return None if marked else "it implements no hook; mark its functions with @komodod.hookimpl"


def _hook_fault(hook: str, function: Callable[..., object], options: Mapping[str, Any]) -> str | None:
    if hook not in HOOKS:
        near = get_close_matches(hook, HOOKS, 1)
        return None if options.get("optionalhook") else f"there is no hook {hook!r}" + _hint(near)
    if options.get("wrapper") or options.get("hookwrapper"):
        return f"{hook}() is a wrapper; hooks are called one plugin at a time, so there is nothing to wrap"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return f"{hook}() is a generator: calling it would do nothing; take out the yield"
    if hook.startswith("register_") and inspect.iscoroutinefunction(function):
        return f"{hook}() is a coroutine function; make it a plain one"
    return _argument_fault(hook, function)


def _argument_fault(hook: str, function: Callable[..., object]) -> str | None:
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        required = parameter.default is parameter.empty
        if required and (name not in HOOKS[hook] or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD):
            return f"{hook}() takes {name!r}; its arguments are {', '.join(HOOKS[hook]) or 'none'}, by name"
    return None


def _hint(near: Sequence[str]) -> str:
    return f"; did you mean {near[0]!r}?" if near else f"; the hooks are {', '.join(HOOKS)}"


# --- all together ----------------------------------------------------------------------------------------------------


def _settle(plugins: Sequence[Plugin]) -> list[Plugin]:
    """Return the plugins, those broken that register a name which another one registers too."""
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    for plugin in plugins:
        for kind, classes in plugin.registers.items():
            for name in classes:
                owners[kind, name].append(plugin.name)
    rivals = {key: names for key, names in owners.items() if len(names) > 1}
    return [_without_rival(plugin, rivals) for plugin in plugins]


def _without_rival(plugin: Plugin, rivals: Mapping[tuple[str, str], Sequence[str]]) -> Plugin:
    for (kind, name), names in rivals.items():
        if plugin.name in names:
            what = f"the {kind.removesuffix('s')} {name!r} is registered by {' and '.join(map(repr, sorted(names)))}"
            error = PluginError(plugin.name, f"{what}; add one of them to plugins.disabled")
            return replace(plugin, state=State.BROKEN, error=str(error), registers={}, hooks={})
    return plugin
