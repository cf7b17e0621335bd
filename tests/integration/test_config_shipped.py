"""The configurations that komodod is shipped with, against the plugins that it is shipped with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from komodod.errors import ConfigError
from komodod.pluginmanager import Plugins
from komodod.settings.document import compose
from komodod.settings.loading import load
from komodod.settings.nodes import Map, Node, Scalar, Seq
from komodod.settings.schema import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from komodod.settings.registry import Registry

CONFIG: Final = Path(__file__).parents[2] / "config"
SHIPPED: Final = CONFIG / "komodod.yaml"
EXAMPLES: Final = [path for path in sorted((CONFIG / "examples").rglob("*.yaml")) if path.parent.name != "teams.d"]


@pytest.fixture(scope="module")
def registry() -> Registry:
    plugins = Plugins.load()
    assert not plugins.broken
    return plugins.registry()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment as systemd makes it, with the credentials that the examples name."""
    for name in ("hook-url", "hook-secret", "git-token", "deploy-key"):
        (tmp_path / name).write_text("https://hooks.example.org/x")
    return {"STATE_DIRECTORY": "/var/lib/komodod", "CREDENTIALS_DIRECTORY": str(tmp_path)}


def test_the_shipped_configuration_runs_as_it_is(registry: Registry, environ: dict[str, str]) -> None:
    settings = load(SHIPPED, registry, environ)
    (sync,) = settings.syncs
    assert (settings.storage.type, [each.type for each in settings.notifiers]) == ("sqlite", ["log"])
    assert sync.spec.source["from"] == str(CONFIG / "quickstart")
    assert sync.spec.source["to"] == "/var/lib/komodod/quickstart"


def test_the_quick_start_writes_nothing_into_the_clone(registry: Registry) -> None:
    settings = load(SHIPPED, registry, {"HOME": "/home/ada"})
    assert settings.syncs[0].spec.source["to"] == "/home/ada/.local/state/komodod/quickstart"


def test_the_shipped_configuration_says_what_is_the_default_anyway(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("{}")
    shipped = load(SHIPPED, registry, {"HOME": "/home/ada"})
    default = load(tmp_path / "empty.yaml", registry, {"HOME": "/home/ada"})
    for section in ("state_dir", "socket", "api", "log", "plugins", "consistency", "limits", "retention", "timezone"):
        assert getattr(shipped, section) == getattr(default, section)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(CONFIG)))
def test_the_examples_are_valid(path: Path, registry: Registry, environ: dict[str, str]) -> None:
    assert load(path, registry, environ).syncs


def test_the_example_that_readme_installs_needs_no_secret_and_no_drop_in(registry: Registry) -> None:
    settings = load(CONFIG / "examples" / "systemd.yaml", registry, {"STATE_DIRECTORY": "/var/lib/komodod"})
    assert [each.type for each in settings.notifiers] == ["log"]
    assert [sync.spec.source["type"] for sync in settings.syncs] == ["command"]


# --- no key without a word on it, no word on a key that is not there -------------------------------------------------


def uncommented() -> str:
    """The shipped file with every key in it taken for set: a `#` straight before a text is taken away."""
    return re.sub(r"^( *)#(?=[^ #])", r"\1", SHIPPED.read_text(), flags=re.MULTILINE)


def documented(node: Node, path: str = "") -> Iterator[tuple[str, Scalar]]:
    """Yield every key of a document with its path; the parts of plugins go by their type."""
    if isinstance(node, Seq):
        for item in node.items:
            yield from documented(item, f"{path}[]")
    elif isinstance(node, Map):
        kind = node.get("type")
        here = f"{path}({kind.text})" if isinstance(kind, Scalar) else path
        for name, (key, value) in node.entries.items():
            yield f"{here}.{name}", key
            yield from documented(value, f"{here}.{name}")


def declared(root: dict[str, Any], part: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield every key of a schema with its path."""
    if "$ref" in part:
        part = root["$defs"][part["$ref"].rpartition("/")[2]]
    kind = part.get("properties", {}).get("type", {}).get("const")
    here = f"{path}({kind})" if kind else path
    for name, inner in part.get("properties", {}).items():
        yield f"{here}.{name}"
        yield from declared(root, inner, f"{here}.{name}")
    for inner in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        yield from declared(root, inner, path)
    if "items" in part:
        yield from declared(root, part["items"], f"{path}[]")


COMMON: Final = re.compile(r"\(\w+\)(?=\.(?:name|type)$)")
"""The type, where a key is the same for all of them."""
OTHER: Final = re.compile(r"^\.x-(?=storage)")
"""A section that the file can hold only once, under another name for its other type."""
FREE: Final = re.compile(r"\.(labels|env|headers)\.")
"""Mappings with keys of the writer's own."""


def test_every_key_is_in_the_shipped_file_and_no_other(registry: Registry) -> None:
    root = compose(uncommented(), SHIPPED).root
    assert root is not None
    there = {OTHER.sub(".", path) for path, _ in documented(root) if not FREE.search(path)}
    wanted = schema(registry)
    assert there == set(declared(wanted, wanted))


def test_every_key_in_the_shipped_file_has_a_comment_at_least_once() -> None:
    root = compose(uncommented(), SHIPPED).root
    assert root is not None
    lines = uncommented().splitlines()
    keys = [(COMMON.sub("", path), key.line) for path, key in documented(root) if not FREE.search(path)]
    explained = {path for path, line in keys if "# " in lines[line - 1] or lines[line - 2].lstrip().startswith("# ")}
    assert {path for path, _ in keys} - explained == set()


def test_what_is_commented_out_in_the_shipped_file_is_right_too(
    registry: Registry, environ: dict[str, str], tmp_path: Path
) -> None:
    for name in ("conf.d/a.yaml", "quickstart/index.html"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("{}")
    (tmp_path / "komodod.yaml").write_text(uncommented())
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "komodod.yaml", registry, {**environ, "HOOK_SECRET": "x"})
    told = {problem.message for problem in caught.value.problems}
    assert told == {
        "'every' and 'cron' are both given; keep one",
        "both 'url' and 'url_file' are given; keep one",
    }
