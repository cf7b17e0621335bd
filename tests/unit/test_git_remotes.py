"""Remote repositories that cannot be read, told apart, over every transport; and the rights to read them."""

from __future__ import annotations

import asyncio
import base64
import http.server
import os
import select
import shlex
import socket
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from komodod.errors import SourceError
from komodod.testing.sources import observe, source_context
from komodod_git import GitSource
from komodod_git.failures import Cause, judge, tell

if TYPE_CHECKING:
    from collections.abc import Iterator


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a repository as files, once the request has the right to it; or answers with a status."""

    status: int | None = None
    wanted: str | None = None
    seen: ClassVar[list[str]]

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization", ""))
        if self.status is not None:
            self.send_error(self.status)
        elif self.wanted is not None and self.headers.get("Authorization") != self.wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class calls it so
        """Keep quiet."""


@pytest.fixture
def web(remote: Any) -> Iterator[Any]:
    """The repository over http; the class of the handler, with `url` added."""
    remote.git("update-server-info")

    class Mine(Handler):
        seen: ClassVar[list[str]] = []
        url = ""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Mine, directory=str(remote.place)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    Mine.url = f"http://127.0.0.1:{server.server_port}/.git"
    yield Mine
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


# --- http


def test_a_repository_is_read_over_http(remote: Any, web: Any) -> None:
    remote.apply(url=web.url)
    assert remote.paths() == ["a", "deploy", "deploy/b"]
    remote.commit({"a": "new\n"})
    remote.git("update-server-info")
    assert remote.told(url=web.url) == ["update file a"]


def test_a_token_is_sent_and_never_shown(remote: Any, web: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cr3t-t0k3n\n")
    web.wanted = "Basic " + base64.b64encode(b"ada:s3cr3t-t0k3n").decode()
    url = web.url.replace("//", "//ada@")
    assert len(remote.told(url=url, token_file=str(tmp_path / "token"))) == 3
    assert web.wanted in web.seen


def test_without_a_token_we_are_refused_and_asked_nothing(remote: Any, web: Any) -> None:
    web.wanted = "Basic x"
    with pytest.raises(
        SourceError, match=r"^http://\S+ refuses to let us read it; see `token_file` and `ssh_key_file`: "
    ):
        remote.observe(url=web.url)


def test_a_wrong_token_is_refused_and_not_shown(remote: Any, web: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wr0ng-t0k3n")
    web.wanted = "Basic x"
    with pytest.raises(SourceError, match="refuses to let us read it") as caught:
        remote.observe(url=web.url, token_file=str(tmp_path / "token"))
    assert "wr0ng" not in str(caught.value)
    assert base64.b64encode(b"git:wr0ng-t0k3n").decode() not in str(caught.value)


def test_a_token_is_in_no_arguments(remote: Any, web: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "commands"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text(f'#!/bin/sh\necho "$@" >> {log}\nPATH={os.environ["PATH"]} exec git "$@"\n')
    (tmp_path / "bin/git").chmod(0o755)
    (tmp_path / "token").write_text("s3cr3t-t0k3n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    remote.observe(url=web.url, token_file=str(tmp_path / "token"))
    assert "s3cr3t" not in log.read_text()
    assert base64.b64encode(b"git:s3cr3t-t0k3n").decode() not in log.read_text()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "refuses to let us read it"),
        (404, "there is no git repository at http://"),
        (429, "cannot reach http://"),
        (500, "cannot reach http://"),
        (503, "cannot reach http://"),
    ],
)
def test_answers_are_told_apart(remote: Any, web: Any, status: int, said: str) -> None:
    web.status = status
    with pytest.raises(SourceError, match=said):
        remote.observe(url=web.url)


def test_a_page_that_is_no_repository_is_none(remote: Any, web: Any) -> None:
    (remote.place / ".git/info/refs").write_text("<html>\n")
    with pytest.raises(SourceError, match="there is no git repository at"):
        remote.observe(url=web.url)


@pytest.mark.parametrize("scheme", ["http", "https", "git"])
def test_nobody_there_is_unreachable(remote: Any, closed_port: int, scheme: str) -> None:
    with pytest.raises(SourceError, match=rf"^cannot reach {scheme}://127\.0\.0\.1:{closed_port}/x: .*[^.]$"):
        remote.observe(url=f"{scheme}://127.0.0.1:{closed_port}/x")


def test_a_name_that_does_not_exist_is_unreachable(remote: Any) -> None:
    with pytest.raises(SourceError, match=r"^cannot reach http://no-such-host\.invalid/x: "):
        remote.observe(url="http://no-such-host.invalid/x")


# --- a path


def test_a_path_that_does_not_exist_is_no_repository(remote: Any) -> None:
    with pytest.raises(SourceError, match=r"^there is no git repository at \S+/gone: "):
        remote.observe(url=str(remote.place.with_name("gone")))


def test_a_directory_that_is_no_repository_is_none(remote: Any) -> None:
    with pytest.raises(SourceError, match=r"^there is no git repository at "):
        remote.observe(url=str(remote.target))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_a_repository_of_somebody_else_is_told_with_the_way_out(remote: Any) -> None:
    os.chown(remote.place, 65534, 65534)
    os.chown(remote.place / ".git", 65534, 65534)
    with pytest.raises(
        SourceError, match=r"belongs to another user, .* git config --system --add safe\.directory /\S+$"
    ):
        remote.observe()


# --- ssh, with an ssh of our own on the path


@pytest.fixture
def ssh(remote: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Say what `ssh` does; it notes its arguments, and runs what it is asked for on this machine by default."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def become(script: str = 'while [ $# -gt 1 ]; do shift; done; eval "$1"') -> Path:
        (folder / "ssh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/asked\n{script}\n')
        (folder / "ssh").chmod(0o755)
        return tmp_path / "asked"

    del remote
    return become


def test_a_repository_is_read_over_ssh(remote: Any, ssh: Any, tmp_path: Path) -> None:
    asked = ssh()
    (tmp_path / "key").write_text("a key")
    keys = {"ssh_key_file": str(tmp_path / "key"), "known_hosts_file": str(tmp_path / "known hosts")}
    assert len(remote.told(url=f"git@example.org:{remote.place}", **keys)) == 3
    words = asked.read_text().splitlines()
    assert words[:4] == ["-oBatchMode=yes", "-oConnectTimeout=20", "-oControlMaster=no", "-oForwardAgent=no"]
    assert words[4:7] == ["-i", str(tmp_path / "key"), "-oIdentitiesOnly=yes"]
    assert words[7:9] == [f'-oUserKnownHostsFile="{tmp_path}/known hosts"', "-oStrictHostKeyChecking=yes"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("git@example.org: Permission denied (publickey).", r"refuses to let us read it; .*: .*Permission denied"),
        ("Host key verification failed.", "the host key of git@example.org:x is not the known one, or none is known"),
        ("ssh: Could not resolve hostname example.org: Name or service not known", "cannot reach git@example.org:x"),
        ("ssh: connect to host example.org port 22: Connection refused", "cannot reach git@example.org:x"),
        ("ssh: connect to host example.org port 22: Connection timed out", "cannot reach git@example.org:x"),
        ("fatal: 'x' does not appear to be a git repository", "there is no git repository at git@example.org:x"),
        ("ERROR: Repository not found.", "there is no git repository at git@example.org:x"),
    ],
)
def test_what_ssh_says_is_told_apart(remote: Any, ssh: Any, said: str, told: str) -> None:
    ssh(f"echo {shlex.quote(said)} >&2; exit 255")
    with pytest.raises(SourceError, match=told) as caught:
        remote.observe(url="git@example.org:x")
    assert "Please make sure" not in str(caught.value)


def test_an_ssh_that_hangs_ends_with_the_look(remote: Any, ssh: Any, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    ssh(f"echo $$ > {pid}; exec sleep 1000")

    async def main() -> None:
        config = remote.config(url="git@example.org:x")
        task = asyncio.create_task(observe(GitSource, config, source_context(remote.state)))
        while not (pid.exists() and pid.read_text()):  # noqa: ASYNC110  another process writes it
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended(int(pid.read_text()))


def ended(pid: int) -> bool:
    """Whether a process has ended, given a moment: the kernel kills in its own time."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 10)[0])
    finally:
        os.close(process)


# --- branches


def test_a_branch_that_never_was_is_told(remote: Any) -> None:
    with pytest.raises(SourceError, match=rf"^there is no branch 'live' at {remote.place}$"):
        remote.observe(branch="live")


def test_a_branch_that_vanished_is_told_with_what_it_was(remote: Any) -> None:
    remote.git("branch", "live")
    commit = remote.observe(branch="live").revision
    remote.git("branch", "-D", "live")
    with pytest.raises(
        SourceError, match=rf"^the branch 'live' no longer exists at \S+; it was last seen at {commit[:12]}$"
    ):
        remote.observe(branch="live")


def test_an_empty_repository_is_told(remote: Any, tmp_path: Path) -> None:
    empty = type(remote)(tmp_path / "empty", remote.target, remote.state)
    empty.place.mkdir()
    empty.git("init", "--quiet")
    with pytest.raises(SourceError, match=r"is empty, or its HEAD names no branch; set `branch`$"):
        empty.observe()


# --- git's words


@pytest.mark.parametrize(
    ("stderr", "cause"),
    [
        ("fatal: write error: No space left on device", Cause.DISK),
        ("fatal: Unable to create '/x/shallow.lock': File exists.", Cause.DAMAGED),
        ("error: RPC failed; curl 56 Recv failure: Connection reset by peer", Cause.UNREACHABLE),
        ("fatal: unable to access 'https://h/': SSL certificate problem: self-signed certificate", Cause.UNREACHABLE),
        ("fatal: something new", Cause.UNKNOWN),
    ],
)
def test_gits_words_are_understood(stderr: str, cause: Cause) -> None:
    assert judge(stderr) is cause
    assert "\n" not in tell(stderr, "https://h/")
    assert not tell(stderr, "https://h/").endswith(".")
