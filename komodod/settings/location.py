"""Where things are: the configuration, the state directory, the socket.

For the client side of the command line, which must start fast: no pydantic, no aiohttp, no structlog here.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from komodod.errors import ConfigError, Problem
from komodod.settings import document
from komodod.settings.nodes import Map, Node, Problems, Scalar, shorten
from komodod.settings.substitution import STATE_DIR, substitute

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL_CONFIG: Final = Path("komodod.yaml")
SYSTEM_CONFIG: Final = Path("/etc/komodod/komodod.yaml")
SYSTEM_SOCKET: Final = Path("/run/komodod/komodod.sock")
"""Where the daemon that systemd started listens; its clients do not have `$RUNTIME_DIRECTORY`."""


def find_config(given: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the configuration to use: the given one, `$KOMODOD_CONFIG`, `./komodod.yaml`, `/etc/komodod/komodod.yaml`.

    Raises:
        ConfigError: none is named, and none is there.
    """
    named = given or (Path(environ["KOMODOD_CONFIG"]) if environ.get("KOMODOD_CONFIG") else None)
    if named is not None:
        return named
    for candidate in (LOCAL_CONFIG, SYSTEM_CONFIG):
        if candidate.exists():
            return candidate
    message = f"no configuration: there is no ./{LOCAL_CONFIG} and no {SYSTEM_CONFIG}"
    raise ConfigError([Problem(f"{message}; name one with --config or $KOMODOD_CONFIG")])


def find_socket(path: Path, environ: Mapping[str, str]) -> Path:
    """Return the socket of the daemon that runs with this configuration, looking at nothing else in it.

    Raises:
        ConfigError: the file cannot be read, or where the socket is depends on a variable that is not set here.
    """
    read, problems = document.load(path, only={"state_dir", "api"}), Problems()
    if not isinstance(read.root, Map):
        raise ConfigError(read.problems or [Problem("a configuration is a mapping", path, 1, 1)])
    state_dir = settle_state_dir(read.root, environ, problems)
    api = read.root.get("api")
    node = api.get("socket") if isinstance(api, Map) else None
    if isinstance(node, Scalar):
        substitute([node], {**environ, STATE_DIR: str(state_dir)}, problems)
    given = _given(node, problems)
    if problems.found:
        raise ConfigError(problems.found)
    socket = given or default_socket(state_dir, environ)
    if not given and path.absolute() == SYSTEM_CONFIG and not _is_socket(socket) and _is_socket(SYSTEM_SOCKET):
        return SYSTEM_SOCKET
    return socket


def settle_state_dir(root: Map, environ: Mapping[str, str], problems: Problems) -> Path:
    """Return the state directory, after filling in its variables; some directory if there are problems."""
    node = root.get("state_dir")
    if isinstance(node, Scalar):
        substitute([node], environ, problems)
    given = _given(node, problems)
    if given:
        return given
    try:
        return default_state_dir(environ)
    except ValueError as error:
        problems.at(root, str(error))
    return SYSTEM_SOCKET.parent


def default_socket(state_dir: Path, environ: Mapping[str, str]) -> Path:
    """Return the socket of a daemon whose configuration does not name one."""
    runtime = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return (Path(runtime) if runtime else state_dir) / "komodod.sock"


def default_state_dir(environ: Mapping[str, str]) -> Path:
    """Return systemd's state directory (the first of several), else komodod's in the home directory.

    Raises:
        ValueError: there is no home directory.
    """
    system = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if system:
        return Path(system)
    home = Path(environ.get("XDG_STATE_HOME", ""))
    if not home.is_absolute():  # the XDG specification: a relative one is to be ignored
        try:
            home = Path(environ.get("HOME") or Path.home()) / ".local/state"
        except RuntimeError as error:
            raise ValueError("there is no home directory to keep the state in; set state_dir") from error
    return home.absolute() / "komodod"


def _given(node: Node | None, problems: Problems) -> Path | None:
    """Return the absolute path that stands there; None for nothing, and for what is no path, which is a problem now."""
    if not isinstance(node, Scalar):
        if node is not None:
            problems.at(node, "a path is needed here")
        return None
    if node.spoilt or not node.text:
        return None
    try:
        return node.file.absolute().parent / Path(node.text).expanduser()
    except RuntimeError:
        problems.at(node, f"cannot tell whose home directory {shorten(node.text)} means")
        return None


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False
