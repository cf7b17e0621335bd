from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from komodod.processes import Ended, run

if TYPE_CHECKING:
    from collections.abc import Callable

ENV = {"PATH": os.environ["PATH"]}


def shell(
    script: str, *, seconds: float | None = 20.0, max_output: int = 1000, grace: float = 5.0, **env: str
) -> Ended:
    return asyncio.run(start(script, seconds=seconds, max_output=max_output, grace=grace, **env))


async def start(
    script: str,
    *,
    seconds: float | None = 20.0,
    max_output: int = 1000,
    grace: float = 5.0,
    **env: str,
) -> Ended:
    argv = ["/bin/sh", "-c", script]
    return await run(argv, cwd=Path("/"), env=ENV | env, seconds=seconds, max_output=max_output, grace=grace)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait for what another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


async def written(path: Path) -> None:
    while not (path.exists() and path.read_text()):  # noqa: ASYNC110, ASYNC240  another process writes it
        await asyncio.sleep(0.01)


def read_pid(path: Path) -> int:
    assert until(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


def test_status_and_both_outputs_are_told() -> None:
    assert shell("echo out; echo err >&2; exit 3") == Ended(3, b"out\n", b"err\n", 0)


def test_a_signal_is_a_negative_status() -> None:
    assert shell("kill -SEGV $$").status == -signal.SIGSEGV


def test_the_environment_is_what_was_given_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3")
    lines = shell("env", GIVEN="1").stdout.decode().splitlines()
    assert "GIVEN=1" in lines
    assert not [line for line in lines if line.startswith("SECRET")]


def test_standard_input_is_empty() -> None:
    assert shell("cat; echo end").stdout == b"end\n"


def test_a_command_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-command"):
        asyncio.run(run(["no-such-command"], cwd=Path("/"), env=ENV, seconds=5, max_output=10))


def test_a_file_that_cannot_be_executed_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\n")
    with pytest.raises(FileNotFoundError):
        asyncio.run(run(["./script"], cwd=tmp_path, env=ENV, seconds=5, max_output=10))


def test_a_relative_command_is_relative_to_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("#!/bin/sh\npwd\n")
    (tmp_path / "script").chmod(0o755)
    ended = asyncio.run(run(["./script"], cwd=tmp_path, env=ENV, seconds=5, max_output=1000))
    assert ended.stdout.decode().strip() == str(tmp_path)


def test_output_beyond_the_limit_is_counted_not_kept() -> None:
    ended = shell("printf 'begin'; head -c 100000000 /dev/zero; printf 'end' >&2", max_output=5)
    assert (ended.stdout, ended.dropped, ended.stderr) == (b"begin", 100_000_000, b"end")


def test_a_hundred_megabytes_of_output_take_no_memory() -> None:
    script = (
        "import asyncio, resource\n"
        "from pathlib import Path\n"
        "from komodod.processes import run\n"
        "flood = ['/bin/sh', '-c', 'head -c 100000000 /dev/zero; head -c 100000000 /dev/zero >&2']\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "asyncio.run(run(flood, cwd=Path('/'), env={}, seconds=60, max_output=1 << 20))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16_000  # KiB


def test_of_standard_error_the_end_is_kept() -> None:
    ended = shell("head -c 1000000 /dev/zero >&2; printf end >&2")
    assert ended.stderr.endswith(b"\0end")
    assert len(ended.stderr) < 100_000


def test_a_command_that_hangs_is_ended_when_its_time_is_up(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        shell(f"echo $$ > {tmp_path}/pid; sleep 1000", seconds=0.3)
    assert not alive(read_pid(tmp_path / "pid"))


def test_a_command_may_clean_up_when_its_time_is_up(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        shell(f"trap 'touch {tmp_path}/clean; exit' TERM; while :; do sleep 0.05; done", seconds=0.3)
    assert (tmp_path / "clean").exists()


def test_children_that_ignore_sigterm_are_killed_after_the_grace(tmp_path: Path) -> None:
    stubborn = f"trap '' TERM; (echo $(exec sh -c 'echo $PPID') > {tmp_path}/pid; while :; do sleep 1; done) & wait"
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        shell(stubborn, seconds=0.5, grace=0.3)
    assert time.monotonic() - started < 5
    pid = read_pid(tmp_path / "pid")
    assert until(lambda: not alive(pid))


def test_a_child_that_holds_the_output_open_does_not_hold_us(tmp_path: Path) -> None:
    started = time.monotonic()
    ended = shell(f"sleep 1000 & echo $! > {tmp_path}/pid; echo said; exit 2")
    assert time.monotonic() - started < 10
    assert (ended.status, ended.stdout) == (2, b"said\n")
    pid = read_pid(tmp_path / "pid")
    assert until(lambda: not alive(pid))


def test_a_child_that_left_the_group_and_holds_the_output_does_not_hold_us(tmp_path: Path) -> None:
    ended = shell(f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 1000' & exit 2")
    assert ended.status == 2
    os.kill(read_pid(tmp_path / "pid"), signal.SIGKILL)


def test_what_runs_on_quietly_after_the_end_is_killed(tmp_path: Path) -> None:
    ended = shell(f"sleep 1000 > /dev/null 2>&1 & echo $! > {tmp_path}/pid; exit 0")
    assert ended.status == 0
    pid = read_pid(tmp_path / "pid")
    assert until(lambda: not alive(pid))


def test_a_crowd_of_children_is_ended(tmp_path: Path) -> None:
    crowd = f"for i in $(seq 40); do (trap '' TERM; sleep 1000) & echo $! >> {tmp_path}/pids; done; touch {tmp_path}/all; wait"
    with pytest.raises(TimeoutError):
        shell(crowd, seconds=1.5, grace=0.2)
    assert (tmp_path / "all").exists()
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert until(lambda: not any(map(alive, pids)))


def test_a_cancelled_caller_leaves_nothing_running(tmp_path: Path) -> None:
    async def main() -> None:
        task = asyncio.create_task(start(f"sleep 1000 & echo $! > {tmp_path}/pid; wait"))
        await written(tmp_path / "pid")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    pid = read_pid(tmp_path / "pid")
    assert until(lambda: not alive(pid))


def test_a_caller_that_is_cancelled_twice_leaves_nothing_running(tmp_path: Path) -> None:
    async def main() -> None:
        task = asyncio.create_task(
            start(f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 1; done", grace=60)
        )
        await written(tmp_path / "pid")
        for _ in range(2):
            task.cancel()
            await asyncio.wait({task}, timeout=0.1)
        assert task.done()

    asyncio.run(main())
    pid = read_pid(tmp_path / "pid")
    assert until(lambda: not alive(pid))


def test_a_command_ends_with_a_daemon_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from komodod.processes import run\n"
        "sleeper = ['/bin/sh', '-c', f'echo $$ > {sys.argv[1]}; exec sleep 1000']\n"
        "asyncio.run(run(sleeper, cwd=Path('/'), env=dict(os.environ), seconds=None, max_output=10))\n"
    )
    daemon = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "pid")])
    try:
        pid = read_pid(tmp_path / "pid")
        assert alive(pid)
    finally:
        daemon.kill()
        daemon.wait()
    assert until(lambda: not alive(pid))


def test_nothing_of_ours_is_open_in_a_command() -> None:
    assert shell("ls /proc/self/fd").stdout.split() == [b"0", b"1", b"2", b"3"]  # 3 is the listing's own


def test_no_descriptor_is_left_open() -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def main() -> tuple[int, int]:
        before = count()
        await start("echo x")
        with pytest.raises(TimeoutError):
            await start("sleep 10", seconds=0.1)
        return before, count()

    before, after = asyncio.run(main())
    assert before == after


def test_many_commands_run_at_once() -> None:
    async def main() -> list[Any]:
        return await asyncio.gather(*(start(f"exit {number}") for number in range(20)))

    assert [ended.status for ended in asyncio.run(main())] == list(range(20))
