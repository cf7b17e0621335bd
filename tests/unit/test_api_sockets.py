from __future__ import annotations

import fcntl
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from komodod.api.sockets import LONGEST, bind
from komodod.errors import ConfigError, RefusedError


@pytest.fixture
def place() -> Iterator[Path]:
    """A path for a socket, short enough."""
    with tempfile.TemporaryDirectory(prefix="kd-") as folder:
        yield Path(folder) / "s"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_owner_and_group_may_use_the_socket_whatever_the_umask(place: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        bound = bind(place)
    finally:
        os.umask(before)
    with bound.socket:
        assert stat.S_IMODE(place.stat().st_mode) == 0o660


def test_nobody_else_can_connect_before_the_mode_is_set(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Path, "chmod", lambda path, _mode: seen.append(stat.S_IMODE(path.stat().st_mode)))
    before = os.umask(0)
    try:
        bind(place).socket.close()
    finally:
        os.umask(before)
    assert seen == [0o660]


def test_a_path_that_the_kernel_cannot_take_is_named_with_its_length(place: Path) -> None:
    path = place.with_name("x" * 108)
    length = len(os.fsencode(path))
    with pytest.raises(ConfigError, match=rf"too long: {length} bytes, at most 107: '{path}'; set api.socket to"):
        bind(path)


def test_the_longest_path_that_the_kernel_takes_works(place: Path) -> None:
    path = place.with_name("x" * (LONGEST - len(os.fsencode(place.parent)) - 1))
    with bind(path).socket:
        assert path.is_socket()


def test_a_socket_that_nobody_listens_on_is_replaced(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place))
    with bind(place).socket, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place))


def test_a_socket_that_somebody_listens_on_is_left_to_them(place: Path) -> None:
    with bind(place).socket, pytest.raises(RefusedError, match=rf"process {os.getpid()} listens on '{place}' already"):
        bind(place)
    assert place.is_socket()


def test_a_listener_whose_queue_is_full_is_alive(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(place))
        busy.listen(0)
        waiting.connect(str(place))
        with pytest.raises(RefusedError, match="another process listens on"):
            bind(place)


def test_a_file_that_is_no_socket_is_not_removed(place: Path) -> None:
    place.write_text("precious")
    with pytest.raises(ConfigError, match=r"exists and is no socket; remove it; set api\.socket to"):
        bind(place)
    assert place.read_text() == "precious"


def test_a_directory_that_is_not_there_is_named(place: Path) -> None:
    with pytest.raises(ConfigError, match=rf"cannot listen on '{place}/s': No such file or directory"):
        bind(place / "s")


def test_two_daemons_do_not_look_for_a_dead_socket_at_the_same_time(place: Path) -> None:
    folder = os.open(place.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with pytest.raises(RefusedError, match="another process makes a socket"):
        bind(place)
    os.close(folder)
    bind(place).socket.close()


def test_a_socket_that_another_process_took_over_is_not_removed(place: Path) -> None:
    bound = bind(place)
    bound.socket.close()
    with bind(place).socket:
        bound.remove()
        assert place.is_socket()


def test_a_socket_is_removed_once_it_is_closed_and_what_is_gone_is_fine(place: Path) -> None:
    bound = bind(place)
    bound.remove()
    assert not place.exists()
    bound.remove()
