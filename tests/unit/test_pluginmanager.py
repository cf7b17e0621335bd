from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from komodod.hookspecs import EVENT_HOOKS
from komodod.pluginmanager import HOOKS, Plugin, Plugins, State

NOTIFIER = """
    import komodod
    from komodod.notifier import Notifier
    from pydantic import BaseModel, ConfigDict

    class Pager(Notifier):
        class Config(BaseModel):
            model_config = ConfigDict(extra="forbid")
        traits = None
        async def show(self, message, receipt): ...
        async def withdraw(self, message, receipt): ...

    @komodod.hookimpl
    def register_notifiers():
        return {"pager": Pager}
"""

HOOK = """
    import komodod

    @komodod.hookimpl
    def on_sync_deleted(event): ...
"""


@pytest.fixture(autouse=True)
def _forget_modules(tmp_path: Path) -> Iterator[None]:
    yield
    ours = [name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]
    for name in ours:
        del sys.modules[name]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a distribution with one plugin on the path, as pip would."""

    def put(text: str, *, name: str = "tidy", distribution: str = "komodod-tidy", target: str | None = None) -> None:
        site = tmp_path / distribution
        module = distribution.replace("-", "_")
        info = site / f"{module}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[komodod]\n{name} = {target or module}\n")
        (site / f"{module}.py").write_text(dedent(text))
        monkeypatch.syspath_prepend(site)

    return put


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "plugins"
    path.mkdir(mode=0o755)
    return path


def load(name: str = "tidy", **options: Any) -> Plugin:
    return next(plugin for plugin in Plugins.load(**options).all if plugin.name == name)


def complaint(name: str = "tidy", **options: Any) -> str:
    plugin = load(name, **options)
    assert plugin.state is State.BROKEN
    assert plugin.error is not None
    assert "\n" not in plugin.error
    return plugin.error


# --- what loads ------------------------------------------------------------------------------------------------------


def test_an_installed_plugin_is_loaded_with_what_it_registers(install: Callable[..., None]) -> None:
    install(NOTIFIER)
    plugin = load()
    assert (plugin.state, plugin.origin) == (State.LOADED, "komodod-tidy 1.2")
    assert Plugins.load().registry().notifiers["pager"].__name__ == "Pager"


@pytest.mark.parametrize("disabled", [[], ["tidy"], ["komodod-tidy:tidy"]])
def test_a_configuration_may_name_every_plugin_that_is_there(install: Callable[..., None], disabled: list[str]) -> None:
    install(HOOK)
    assert {"tidy", "komodod-tidy:tidy"} <= Plugins.load(disabled=disabled).registry().plugins


def test_the_hooks_of_a_plugin_are_listed_and_callable(install: Callable[..., None]) -> None:
    install(HOOK)
    plugins = Plugins.load()
    assert plugins.hooks()["on_sync_deleted"].count("tidy") == 1
    assert "tidy" not in plugins.hooks()["on_sync_created"]
    (implementation,) = plugins.implementations()["tidy"]["on_sync_deleted"]
    assert implementation.arguments == ("event",)


def test_the_entry_point_may_name_an_object(install: Callable[..., None]) -> None:
    install(
        """
        import komodod

        class Tidy:
            @komodod.hookimpl
            async def on_sync_deleted(self, context, event): ...

        plugin = Tidy()
        """,
        target="komodod_tidy:plugin",
    )
    (implementation,) = load().hooks["on_sync_deleted"]
    assert sorted(implementation.arguments) == ["context", "event"]


def test_two_functions_of_one_plugin_may_serve_one_hook(install: Callable[..., None]) -> None:
    install("""
        import komodod

        @komodod.hookimpl(specname="on_sync_deleted")
        def clones(event): ...

        @komodod.hookimpl(specname="on_sync_deleted", tryfirst=True)
        def caches(event): ...
    """)
    assert [found.function.__name__ for found in load().hooks["on_sync_deleted"]] == ["caches", "clones"]


def test_an_invariant_is_registered_by_its_name(install: Callable[..., None]) -> None:
    install("""
        import komodod
        from komodod.invariant import Invariant

        class CloneHasSync(Invariant):
            name = "copy-has-sync"
            async def census(self, storage): ...
            async def findings(self, storage, after, limit): ...
            async def repair(self, finding, storage): ...

        @komodod.hookimpl
        def register_invariants():
            return {"copy-has-sync": CloneHasSync}
    """)
    assert "copy-has-sync" in Plugins.load().invariants()


def test_every_hook_of_the_specifications_is_known() -> None:
    assert set(EVENT_HOOKS.values()) < set(HOOKS)
    assert HOOKS["on_sync_deleted"] == ("event", "context")
    assert HOOKS["register_sources"] == ()


def test_a_disabled_plugin_is_not_imported(install: Callable[..., None]) -> None:
    install("raise AssertionError")
    plugin = load(disabled=["tidy"])
    assert (plugin.state, plugin.origin) == (State.DISABLED, "komodod-tidy 1.2")


def test_one_that_is_disabled_but_not_there_is_shown(install: Callable[..., None]) -> None:
    install(HOOK)
    assert load("tidi", disabled=["tidi"]).state is State.ABSENT
    assert load().state is State.LOADED


def test_the_bundled_plugins_load_as_a_strangers_do() -> None:
    plugins = [plugin for plugin in Plugins.load().all if plugin.origin.startswith("komodod ")]
    names = ["command", "directory", "git", "log", "postgres", "sqlite", "webhook"]
    assert [plugin.name for plugin in plugins] == names
    assert [plugin.error for plugin in plugins] == [None] * len(plugins)


# --- what does not, and leaves the others alone ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "raised"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("class Own(BaseException): ...\nraise Own('mine')", "Own: mine"),
    ],
)
def test_a_failed_import_names_plugin_distribution_error_and_way_out(
    install: Callable[..., None], text: str, raised: str
) -> None:
    install(text)
    told = complaint()
    assert told.startswith(f"plugin 'tidy': its import raised {raised}")
    assert "(from komodod-tidy 1.2); mend it, or add 'tidy' to plugins.disabled" in told


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("stuck", "threading.Event().wait()", "its import did not end within 0.2 s (from komodod-stuck 1.2)"),
        (
            "silent",
            "@komodod.hookimpl\ndef register_sources():\n    threading.Event().wait()",
            "register_sources() did not return within 0.2 s (from komodod-silent 1.2)",
        ),
    ],
)
def test_a_plugin_that_never_comes_back_does_not_hold_the_start(
    install: Callable[..., None], monkeypatch: pytest.MonkeyPatch, name: str, text: str, told: str
) -> None:
    monkeypatch.setattr("komodod.pluginmanager.LOADING", 0.2)
    install(f"import threading\nimport komodod\n{text}", name=name, distribution=f"komodod-{name}")
    assert told in complaint(name)


def test_a_broken_plugin_leaves_the_others_alone(install: Callable[..., None]) -> None:
    install("raise SystemExit")
    install(NOTIFIER, name="pager", distribution="komodod-pager")
    plugins = Plugins.load()
    assert "pager" in plugins.registry().notifiers
    assert "tidy" in plugins.registry().broken
    assert "tidy" not in plugins.implementations()


def test_an_entry_point_without_its_object_is_broken(install: Callable[..., None]) -> None:
    install(HOOK, target="komodod_tidy:plugin")
    assert "AttributeError" in complaint()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "@komodod.hookimpl\ndef on_sync_delete(event): ...",
            "there is no hook 'on_sync_delete'; did you mean 'on_sync_deleted'?",
        ),
        ("@komodod.hookimpl\ndef frobnicate(event): ...", "there is no hook 'frobnicate'; the hooks are register_"),
        (
            "@komodod.hookimpl\ndef on_sync_deleted(evnt): ...",
            "on_sync_deleted() takes 'evnt'; its arguments are event, context",
        ),
        ("@komodod.hookimpl\ndef on_sync_deleted(*, event): ...", "on_sync_deleted() takes 'event'"),
        ("@komodod.hookimpl\ndef register_sources(event): ...", "its arguments are none"),
        (
            "@komodod.hookimpl(wrapper=True)\ndef on_sync_deleted(event):\n    return (yield)",
            "on_sync_deleted() is a wrapper",
        ),
        (
            "@komodod.hookimpl(hookwrapper=True)\ndef register_sources():\n    yield",
            "register_sources() is a wrapper",
        ),
        ("@komodod.hookimpl\ndef on_sync_deleted(event):\n    yield", "is a generator"),
        ("@komodod.hookimpl\nasync def on_sync_deleted(event):\n    yield", "is a generator"),
        ("@komodod.hookimpl\nasync def register_sources(): ...", "is a coroutine function"),
        ("def on_sync_deleted(event): ...", "on_sync_deleted() is not marked with @komodod.hookimpl"),
        ("", "it implements no hook"),
    ],
)
def test_a_function_that_would_not_be_called_as_meant_is_refused(
    install: Callable[..., None], text: str, told: str
) -> None:
    install(f"import komodod\n{text}")
    assert told in complaint()


def test_a_hook_of_another_version_may_be_marked_as_optional(install: Callable[..., None]) -> None:
    install(dedent(HOOK) + "@komodod.hookimpl(optionalhook=True)\ndef on_comet(event): ...")
    assert load().state is State.LOADED


def test_an_argument_with_a_default_is_the_plugins_own(install: Callable[..., None]) -> None:
    install(HOOK.replace("(event)", "(event, retries=3, **rest)"))
    (implementation,) = load().hooks["on_sync_deleted"]
    assert implementation.arguments == ("event",)


def test_a_class_is_no_plugin(install: Callable[..., None]) -> None:
    install("class Tidy: ...", target="komodod_tidy:Tidy")
    assert "Tidy is a class; the entry point must name a module or an object" in complaint()


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("None", "register_notifiers() returned None; it must return Notifier classes by name"),
        ("[Pager]", "it must return Notifier classes by name"),
        ('{"": Pager}', "a name is a text that is not empty"),
        ("{5: Pager}", "a name is a text that is not empty"),
        ('{"pager": Pager({}, None)}', "it must be a subclass of komodod's Notifier"),
        ('{"pager": dict}', "it must be a subclass of komodod's Notifier"),
        ('{"pager": Notifier}', "it lacks show, traits, withdraw"),
        ('{"pager": type("Bare", (Pager,), {"Config": dict})}', "its Config must be a pydantic model"),
        ('{"pager": type("Lax", (Pager,), {"Config": BaseModel})}', "its Config must forbid unknown keys"),
        ("1 / 0", "register_notifiers() raised ZeroDivisionError: division by zero"),
        ("exit(3)", "register_notifiers() raised SystemExit: 3"),
    ],
)
def test_what_a_plugin_registers_is_examined(install: Callable[..., None], returned: str, told: str) -> None:
    install(NOTIFIER.replace('{"pager": Pager}', returned))
    assert told in complaint()


@pytest.mark.parametrize(
    ("name", "told"),
    [("other", "its name is 'copy-has-sync'"), ("no-expired-lease", "komodod has an invariant of this name")],
)
def test_an_invariant_must_have_the_name_it_is_registered_by(
    install: Callable[..., None], name: str, told: str
) -> None:
    own = name if "-" in name else "copy-has-sync"
    install(f"""
        import komodod
        from komodod.invariant import Invariant

        class Copy(Invariant):
            name = {own!r}
            census = findings = repair = None

        @komodod.hookimpl
        def register_invariants():
            return {{{name!r}: Copy}}
    """)
    assert told in complaint()


# --- duplicates ------------------------------------------------------------------------------------------------------


def test_a_name_that_two_distributions_claim_is_refused_for_both(install: Callable[..., None]) -> None:
    install(HOOK, distribution="komodod-one")
    install(HOOK, distribution="komodod-two")
    told = complaint()
    assert "komodod-one 1.2 and komodod-two 1.2 claim this name; remove all but one" in told
    assert "or add 'komodod-one:tidy' or 'komodod-two:tidy' to plugins.disabled" in told


def test_one_of_two_claims_may_be_disabled_by_its_distribution(install: Callable[..., None]) -> None:
    install(HOOK, distribution="komodod-one")
    install(HOOK, distribution="komodod-two")
    plugin = load(disabled=["komodod-one:tidy"])
    assert (plugin.state, plugin.origin) == (State.LOADED, "komodod-two 1.2")


def test_a_type_that_two_plugins_register_is_refused_for_both(install: Callable[..., None]) -> None:
    install(NOTIFIER, name="one", distribution="komodod-one")
    install(NOTIFIER, name="two", distribution="komodod-two")
    for name in ("one", "two"):
        assert "the notifier 'pager' is registered by 'one' and 'two'; add one of them to" in complaint(name)
    assert "pager" not in Plugins.load().registry().notifiers
    assert "pager" in Plugins.load(disabled=["two"]).registry().notifiers


def test_a_file_may_not_take_the_name_of_an_installed_plugin(install: Callable[..., None], folder: Path) -> None:
    install(HOOK)
    (folder / "tidy.py").write_text(dedent(HOOK))
    assert f"{folder}/tidy.py and komodod-tidy 1.2 claim this name" in complaint(paths=[folder])


# --- plain files -----------------------------------------------------------------------------------------------------


def test_the_files_of_a_folder_are_plugins(folder: Path) -> None:
    (folder / "tidy.py").write_text(dedent(NOTIFIER))
    (folder / "_helper.py").write_text("raise AssertionError")
    (folder / "notes.txt").write_text("not a plugin")
    plugins = Plugins.load(paths=[folder])
    assert load(paths=[folder]).origin == str(folder / "tidy.py")
    assert "pager" in plugins.registry().notifiers
    assert not list(folder.glob("*/")), "no compiled copy is written"


def test_the_traceback_of_a_file_shows_its_line(folder: Path) -> None:
    (folder / "tidy.py").write_text(dedent(HOOK).replace("...", "\n    raise OSError"))
    (implementation,) = load(paths=[folder]).hooks["on_sync_deleted"]
    assert implementation.function.__code__.co_filename == str(folder / "tidy.py")


def test_a_file_that_does_not_import_leaves_no_module(folder: Path) -> None:
    (folder / "tidy.py").write_text("import komodod\nraise OSError('no')")
    assert "its import raised OSError: no" in complaint(paths=[folder])
    assert "komodod_file_tidy" not in sys.modules


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_may_write_is_refused(folder: Path, mode: int) -> None:
    (folder / "tidy.py").write_text("raise AssertionError")
    (folder / "tidy.py").chmod(mode)
    assert f"(mode {mode:04o}) can be written to by others; run chmod go-w on it" in complaint(paths=[folder])


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_folder_that_others_may_write_is_refused(folder: Path, mode: int) -> None:
    (folder / "tidy.py").write_text(dedent(HOOK))
    folder.chmod(mode)
    plugins = Plugins.load(paths=[folder])
    assert "can be written to by others" in plugins.broken[str(folder)]
    assert "tidy" not in plugins.implementations()


def test_a_folder_whose_parent_others_may_write_is_refused(folder: Path) -> None:
    folder.parent.chmod(0o777)
    assert "can be written to by others" in Plugins.load(paths=[folder]).broken[str(folder)]


def test_a_link_into_a_folder_that_others_may_write_is_refused(folder: Path, tmp_path: Path) -> None:
    lax = tmp_path / "lax"
    lax.mkdir()
    (lax / "tidy.py").write_text("raise AssertionError")
    lax.chmod(0o777)
    (folder / "tidy.py").symlink_to(lax / "tidy.py")
    assert "can be written to by others" in complaint(paths=[folder])


@pytest.mark.parametrize("given", [".", "tidy.py"])
def test_what_belongs_to_somebody_else_is_refused(folder: Path, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "tidy.py").write_text("raise AssertionError")
    if os.geteuid() == 0:
        os.chown(folder / given, 12345, -1)
    else:  # nobody but root can give a file away, so we pretend to be somebody else
        monkeypatch.setattr("os.geteuid", lambda: 12345)
    broken = Plugins.load(paths=[folder]).broken
    assert any("belongs to uid" in error and "; make it root's or uid" in error for error in broken.values())


def test_a_folder_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    broken = Plugins.load(paths=[tmp_path / "none"]).broken
    assert "No such file or directory; or take it out of plugins.path" in broken[str(tmp_path / "none")]


def test_a_folder_that_is_a_file_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in Plugins.load(paths=[tmp_path / "file"]).broken


def test_a_pipe_in_the_folder_does_not_hold_the_start(folder: Path) -> None:
    os.mkfifo(folder / "tidy.py", 0o600)
    assert "is not a regular file" in complaint(paths=[folder])
