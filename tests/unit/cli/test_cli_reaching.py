"""Finding the daemon, and what is said where nobody is found."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from komodod.cli.client import Client
from komodod.cli.faults import UnreachableError
from komodod.cli.places import find_socket


def test_a_socket_that_is_not_there_is_named_with_the_way_out(komodod: Any, short: Path) -> None:
    result = komodod("sync", "list", "--socket", str(short / "none.sock"))
    assert (result.code, result.out) == (3, "")
    assert result.err == (
        f"error: no daemon at {short}/none.sock: there is no such file; start one with `komodod run`, or name another "
        "with --socket or --config\n"
    )


def test_a_socket_that_a_dead_daemon_left_behind_is_told_apart(komodod: Any, short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(short / "left.sock"))
    result = komodod("status", "--socket", str(short / "left.sock"))
    assert result.code == 3
    assert "nobody listens there; start one" in result.err


def test_a_file_that_is_no_socket_is_told_apart(komodod: Any, short: Path) -> None:
    (short / "file").touch()
    result = komodod("status", "--socket", str(short / "file"))
    assert result.code == 3
    assert "that is no socket" in result.err


def test_a_path_longer_than_the_kernel_takes_is_told_apart(komodod: Any) -> None:
    result = komodod("status", "--socket", "/" + "x" * 200)
    assert result.code == 3
    assert "longer than the 107 bytes" in result.err


def test_a_queue_that_is_full_is_waited_for_and_then_told_apart(
    komodod: Any, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("komodod.cli.client.QUEUE", 1)
    with socket.socket(socket.AF_UNIX) as frozen, socket.socket(socket.AF_UNIX) as first:
        frozen.bind(str(short / "frozen.sock"))
        frozen.listen(0)
        first.connect(str(short / "frozen.sock"))
        result = komodod("status", "--socket", str(short / "frozen.sock"))
    assert result.code == 3
    assert "takes no callers" in result.err


def test_a_place_in_a_full_queue_is_waited_for(komodod: Any, short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(str(short / "busy.sock"))
        busy.listen(0)
        busy.settimeout(10)
        first.connect(str(short / "busy.sock"))

        def take() -> None:
            for _ in range(2):
                busy.accept()[0].close()

        relief = threading.Timer(0.2, take)
        relief.start()
        result = komodod("status", "--socket", str(short / "busy.sock"))
        relief.join()
    assert "went away before it had answered" in result.err


def test_a_missing_right_names_the_group(daemon: Any) -> None:
    daemon.socket.parent.chmod(0o755)
    daemon.socket.chmod(0o600)
    subject = (
        "import os, sys\n"
        "from komodod.cli import main\n"
        "main(['status', '--socket', '/nowhere'])\n"  # imports all, for who gives up root's rights may not see the files
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "else: os.chmod(sys.argv[1], 0)\n"
        "sys.exit(main(['status', '--socket', sys.argv[1]]))"
    )
    command = [sys.executable, "-c", subject, str(daemon.socket)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 3, done.stderr
    assert "usermod -aG komodod NAME" in done.stderr


def test_an_answer_cut_short_leaves_open_what_was_done(komodod: Any, daemon: Any, raw: Any) -> None:
    daemon.answers["POST /syncs/website/pause"] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", head=False)
    result = komodod("sync", "pause", "website")
    assert result.code == 3
    op_id = daemon.asked[0].headers["X-Op-Id"]
    assert "went away before it had answered" in result.err
    assert f"what was asked may have been done, `komodod event list` shows it under op_id {op_id}" in result.err


def test_a_read_that_got_no_answer_left_nothing_open(komodod: Any, daemon: Any, raw: Any) -> None:
    daemon.answers["GET /status"] = raw(b"", head=False)
    result = komodod("status")
    assert result.code == 3
    assert "may have been done" not in result.err


def test_a_daemon_that_does_not_answer_in_time_is_given_up(short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(short / "mute.sock"))
        mute.listen()
        with pytest.raises(UnreachableError, match="did not answer in time"):
            Client(short / "mute.sock").send("GET", "/status", timeout=0.05)


def test_something_else_that_answers_is_recognised(komodod: Any, daemon: Any, raw: Any) -> None:
    daemon.answers["GET /status"] = raw(b"<html>", media_type="text/html")
    result = komodod("status")
    assert result.code == 3
    assert "no komodod: not JSON but b'<html>'" in result.err


def test_an_error_page_that_is_no_problem_document_is_shown_as_it_is(komodod: Any, daemon: Any) -> None:
    daemon.answers["GET /status"] = (502, "bad gateway")
    result = komodod("status")
    assert result.code == 2
    assert "the daemon answered 502" in result.err


# --- where it is looked for ------------------------------------------------------------------------------------------


def config(path: Path, name: str) -> Path:
    path.write_text(f"api: {{socket: {name}}}\n")
    return path


def test_the_option_wins_over_everything(tmp_path: Path) -> None:
    environ = {"KOMODOD_SOCKET": "/env.sock"}
    named = config(tmp_path / "komodod.yaml", "c.sock")
    assert find_socket(Path("/given.sock"), named, environ) == Path("/given.sock")


def test_a_configuration_that_is_named_wins_over_the_environment(tmp_path: Path) -> None:
    named = config(tmp_path / "other.yaml", "c.sock")
    assert find_socket(None, named, {"KOMODOD_SOCKET": "/env.sock"}) == tmp_path / "c.sock"


def test_the_environment_wins_over_a_configuration_that_is_only_found(tmp_path: Path) -> None:
    config(tmp_path / "komodod.yaml", "c.sock")
    assert find_socket(None, None, {"KOMODOD_SOCKET": "/env.sock"}) == Path("/env.sock")


def test_the_configuration_of_this_directory_is_found(tmp_path: Path) -> None:
    config(tmp_path / "komodod.yaml", "c.sock")
    assert find_socket(None, None, {"HOME": "/home/ada"}) == tmp_path / "c.sock"


@pytest.mark.skipif(Path("/etc/komodod/komodod.yaml").exists(), reason="komodod is installed on this machine")
def test_without_a_configuration_it_is_the_default_socket_of_this_user() -> None:
    found = find_socket(None, None, {"XDG_STATE_HOME": "/home/ada/state"})
    assert found in (Path("/home/ada/state/komodod/komodod.sock"), Path("/run/komodod/komodod.sock"))


def test_a_configuration_that_cannot_be_read_is_exit_78(komodod: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("api: {socket: ${NOT_SET}\n")
    result = komodod("sync", "list", "--config", "bad.yaml")
    assert result.code == 78
    assert "bad.yaml:1:" in result.err


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_options_may_stand_before_and_after_the_command(komodod: Any, daemon: Any, make: Any, place: str) -> None:
    daemon.answers["GET /syncs"] = make.page(make.sync())
    os.environ.pop("KOMODOD_SOCKET")
    where = ("--socket", str(daemon.socket), "-o", "json")
    result = komodod(*where, "sync", "list") if place == "before" else komodod("sync", "list", *where)
    assert result.json[0]["name"] == "website"


def test_options_after_the_command_win(komodod: Any, daemon: Any, make: Any, short: Path) -> None:
    daemon.answers["GET /syncs"] = make.page(make.sync())
    result = komodod(
        "--socket", str(short / "none"), "-o", "yaml", "sync", "list", "--socket", str(daemon.socket), "-o", "json"
    )
    assert result.json[0]["name"] == "website"


def test_options_before_a_command_that_has_no_use_for_them_are_refused(komodod: Any) -> None:
    result = komodod("--socket", "/x", "config", "check")
    assert result.code == 2
    assert "write --socket after 'config'" in result.err
