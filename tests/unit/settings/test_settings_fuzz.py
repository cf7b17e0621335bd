"""Whatever a file holds, it becomes settings or problems with places."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from komodod.errors import ConfigError, Problem
from komodod.settings.document import compose
from komodod.settings.loading import load, load_plugins_section
from komodod.settings.location import find_socket
from komodod.settings.request import parse_spec
from komodod.settings.substitution import fill

if TYPE_CHECKING:
    from collections.abc import Callable

    from komodod.settings.registry import Registry

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

WORDS = [
    "state_dir",
    "storage",
    "api",
    "socket",
    "log",
    "level",
    "plugins",
    "path",
    "disabled",
    "consistency",
    "every",
    "cron",
    "brake",
    "fraction",
    "limits",
    "checks",
    "retention",
    "timezone",
    "include",
    "glob",
    "optional",
    "notifiers",
    "routes",
    "syncs",
    "name",
    "type",
    "source",
    "match",
    "severity",
    "notify",
    "continue",
    "labels",
    "directory",
    "command",
    "strict",
    "faulty",
    "webhook",
    "log",
    "sqlite",
    "from",
    "to",
    "check",
    "apply",
    "number",
    "url",
    "secret",
    "secret_file",
    "steps",
    "run",
    "env",
    "5m",
    "0",
    "-1",
    "1.5",
    "yes",
    "off",
    "null",
    "~",
    "~nobody/x",
    "../..",
    "/",
    "a*",
    "**",
    "[",
    "${HOME}",
    "${UNSET}",
    "${",
    "$${X}",
    "<<",
]
"""What the configuration is made of, and what is likely to trip it."""

TEXTS = st.sampled_from(WORDS) | st.text(max_size=8)
TREES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=25,
)
PIECES = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\t",
        "&a ",
        "*a",
        "<<: *a",
        "!!str ",
        "!x ",
        "? ",
        "| \n",
        '"',
        "'",
        "#",
        "\\u0000",
    ]
)
SOUP = st.lists(PIECES | st.sampled_from(WORDS) | st.text(max_size=3), max_size=30).map("".join)


def problems_of(attempt: Callable[[], object]) -> list[Problem]:
    """Return the problems that an attempt ends with; any other exception is a failure of the test."""
    try:
        attempt()
    except ConfigError as error:
        return list(error.problems) or [Problem("an error without a problem")]
    return []


def check(path: Path, registry: Registry) -> None:
    environ = {"HOME": "/home/ada"}
    for problem in problems_of(lambda: load(path, registry, environ)):
        assert problem.message.isprintable()
        assert problem.file == path
        assert problem.line > 0
        assert problem.column > 0
    load_plugins_section(path, environ)
    problems_of(lambda: find_socket(path, environ))


@FUZZ
@given(SOUP | st.text())
@example('syncs: [{name: a, source: {type: directory, from: "a\\0b", to: "\\ud800"}}]')
@example('{"\\0": {"\\0": }}')
@example("? {a: b}\n: c")
@example("&a [*a]")
@example("a: &a\nb: *a")
@example("%YAML 9.9\n---\n")
@example("\ufeff\ufeff")
def test_any_text(tmp_path: Path, registry: Registry, text: str) -> None:
    path = tmp_path / "komodod.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    check(path, registry)


@FUZZ
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, registry: Registry, data: bytes) -> None:
    path = tmp_path / "komodod.yaml"
    path.write_bytes(data)
    check(path, registry)


@FUZZ
@given(st.dictionaries(st.sampled_from(WORDS[:25]), TREES, max_size=8) | TREES)
def test_any_tree(tmp_path: Path, registry: Registry, tree: Any) -> None:
    path = tmp_path / "komodod.yaml"
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8", errors="surrogatepass")
    check(path, registry)


@FUZZ
@given(TREES)
def test_any_sync_that_somebody_asks_for(registry: Registry, tree: Any) -> None:
    raw = tree if isinstance(tree, dict) else {"source": tree}
    for problem in problems_of(lambda: parse_spec("site", raw, registry, state_dir=Path("/var/lib/komodod"))):
        assert problem.message.isprintable()
        assert problem.file is not None


@FUZZ
@given(SOUP | st.text())
@example('"\\UFFFFFFFF"')
def test_any_text_without_libyaml(text: str) -> None:
    document = compose(text, Path("komodod.yaml"), yaml.SafeLoader)
    assert (document.root is None) <= bool(document.problems)


@FUZZ
@given(st.text(alphabet="$${}:-AB_1 \n"), st.dictionaries(st.sampled_from(["A", "B", "AB"]), st.text()))
def test_any_template(text: str, variables: dict[str, str]) -> None:
    try:
        filled, used = fill(text, variables)
    except ValueError:
        return
    assert "$" in text or filled == text
    assert set(used) <= {"A", "B", "AB"} | {name for name in used if ":-" in text}


def test_ten_thousand_syncs_are_read_in_time(tmp_path: Path, registry: Registry) -> None:
    path = tmp_path / "komodod.yaml"
    path.write_text(
        "syncs:\n"
        + "".join(
            f"  - name: sync-{number}\n    source: {{type: directory, from: ./from, to: /srv/www{number}}}\n"
            f"    every: 5m\n    severity: warning\n    labels: {{team: web, tier: '{number}'}}\n"
            for number in range(10_000)
        )
    )
    started = time.perf_counter()
    assert len(load(path, registry, {"HOME": "/home/ada"}).syncs) == 10_000
    assert time.perf_counter() - started < 15  # 1.5 s on a desk; a shared machine may be slow
