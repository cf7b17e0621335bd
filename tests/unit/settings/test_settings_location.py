from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from komodod.errors import ConfigError
from komodod.settings import location
from komodod.settings.location import find_config, find_socket

if TYPE_CHECKING:
    from tests.unit.settings.conftest import Load


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "komodod.yaml"


@pytest.mark.parametrize(
    ("environ", "state_dir", "name"),
    [
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "XDG_STATE_HOME": "/x"}, "/var/lib/a", "/var/lib/a"),
        ({"XDG_STATE_HOME": "/x"}, "/x/komodod", "/x/komodod"),
        ({"XDG_STATE_HOME": "relative"}, "/home/ada/.local/state/komodod", "/home/ada/.local/state/komodod"),
        ({}, "/home/ada/.local/state/komodod", "/home/ada/.local/state/komodod"),
        ({"RUNTIME_DIRECTORY": "/run/a:/run/b"}, "/home/ada/.local/state/komodod", "/run/a"),
    ],
)
def test_the_environment_decides_where_state_and_socket_are(
    load_text: Load, environ: dict[str, str], state_dir: str, name: str
) -> None:
    settings = load_text("{}", **environ)
    assert (str(settings.state_dir), str(settings.socket)) == (state_dir, f"{name}/komodod.sock")


@pytest.mark.parametrize("text", ['state_dir: "${STATE_DIRECTORY:-}"', "state_dir: ''", "state_dir:"])
def test_an_empty_state_directory_is_the_default(load_text: Load, text: str) -> None:
    assert str(load_text(text, HOME="/home/eve").state_dir) == "/home/eve/.local/state/komodod"


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "state_dir: state",
        "state_dir: /srv/${NAME}",
        "api: {socket: run/s}",
        "state_dir: ~/s\napi: {socket: '${KOMODOD_STATE_DIR}/${NAME}.sock'}",
        "api: {socket: ''}",
        "api:",
    ],
)
@pytest.mark.parametrize("environ", [{}, {"RUNTIME_DIRECTORY": "/run/komodod"}])
def test_a_client_finds_the_socket_of_the_daemon(
    load_text: Load, home: Path, text: str, environ: dict[str, str]
) -> None:
    variables = {"NAME": "x", "HOME": "/home/ada", **environ}
    settings = load_text(text, **variables)
    assert find_socket(home / "komodod.yaml", variables) == settings.socket


def test_a_client_finds_the_socket_in_a_configuration_that_is_wrong_elsewhere(config: Path) -> None:
    config.write_text("api: {socket: /run/s, tpc: 1}\nsyncs: [{name: ${UNSET}}]\n".replace("${UNSET}", "'${UNSET}'"))
    assert find_socket(config, {}) == Path("/run/s")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("api: {socket: [a]}", "1:15: a path is needed here"),
        ("api: {socket: '${UNSET}'}", "1:15: the variable UNSET is not set"),
        ("state_dir: '${UNSET}'", "1:12: the variable UNSET is not set"),
        ("[]", "1:1: a configuration is a mapping"),
        ("{", "not YAML"),
    ],
)
def test_a_socket_that_cannot_be_told_is_an_error(config: Path, text: str, complaint: str) -> None:
    config.write_text(text)
    with pytest.raises(ConfigError) as caught:
        find_socket(config, {"HOME": "/home/ada"})
    assert complaint in str(caught.value)


def test_a_client_of_the_systems_daemon_has_no_runtime_directory(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("{}")
    monkeypatch.setattr(location, "SYSTEM_CONFIG", config)
    monkeypatch.setattr(location, "SYSTEM_SOCKET", tmp_path / "s")
    own = Path("/home/ada/.local/state/komodod/komodod.sock")
    assert find_socket(config, {"HOME": "/home/ada"}) == own
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        assert find_socket(config, {"HOME": "/home/ada"}) == tmp_path / "s"
        monkeypatch.setattr(location, "SYSTEM_CONFIG", tmp_path / "another.yaml")
        assert find_socket(config, {"HOME": "/home/ada"}) == own


def test_the_configuration_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(location, "SYSTEM_CONFIG", tmp_path / "etc.yaml")
    with pytest.raises(ConfigError, match=r"there is no \./komodod\.yaml"):
        find_config(None, {"KOMODOD_CONFIG": ""})
    (tmp_path / "etc.yaml").touch()
    assert find_config(None, {}) == tmp_path / "etc.yaml"
    (tmp_path / "komodod.yaml").touch()
    assert find_config(None, {}) == Path("komodod.yaml")
    assert find_config(None, {"KOMODOD_CONFIG": "/a"}) == Path("/a")
    assert find_config(Path("b"), {"KOMODOD_CONFIG": "/a"}) == Path("b")


def test_finding_the_socket_costs_a_client_no_heavy_import() -> None:
    code = "import sys, komodod.settings.location; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "aiohttp", "structlog", "fastapi", "click", "pluggy"}.intersection(loaded)
