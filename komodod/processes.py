"""Commands of the outside world: bounded in time and output, and nothing of them is left running.

A command leads a process group (and session) of its own. When it has ended, when its time is up and when its caller is
cancelled, what still runs in that group is killed: at once in the first case, else SIGTERM and, after a grace, SIGKILL.
So a command cannot leave a daemon behind by accident; one that means to has `setsid`, or the service manager.

The leader is reaped only after the group was killed: until then its number cannot be given to somebody else's group.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

GRACE: Final = 3.0
"""Seconds between SIGTERM and SIGKILL; less than a cancelled source is waited for (`komodod.guard`)."""

LINGER: Final = 1.0
"""Seconds that a command's children may hold its output open after it has ended."""

TAIL: Final = 16 * 1024
"""Bytes of standard error that are kept, the last ones."""

_PIECE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. `status` is its exit status, or minus the number of the signal that killed it.

    `stdout` is the beginning of its output; `dropped` counts the bytes after that. `stderr` is the end of the other.
    """

    status: int
    stdout: bytes
    stderr: bytes
    dropped: int


async def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    seconds: float | None,
    max_output: int,
    grace: float = GRACE,
) -> Ended:
    """Run a command with this environment and nothing else of ours, standard input being empty.

    Raises:
        TimeoutError: it had not ended after `seconds`; it has now.
        FileNotFoundError: there is no such command, or no such `cwd`.
        OSError: it cannot be started.
    """
    command = _Command(_start(argv, cwd, env), max_output)
    try:
        async with asyncio.timeout(seconds):
            await command.ended()
    finally:
        await command.finish(grace)
    return command.result()


def find(program: str, cwd: Path, env: Mapping[str, str]) -> Path:
    """Return the file that a command's first word means, as `execvp` in `cwd` would find it.

    Raises:
        FileNotFoundError: there is none that can be executed.
    """
    path = env.get("PATH", os.defpath)
    found = shutil.which(cwd / program) if "/" in program else shutil.which(program, path=path)
    if found is None:
        raise FileNotFoundError(program)
    return Path(found)


def _start(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    find(argv[0], cwd, env)  # else a wrapper would be asked to run it, and answer in its own words
    return subprocess.Popen(
        [*_leash(), *argv],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _leash() -> list[str]:
    """Return the beginning of a command that the kernel kills when we die, even by SIGKILL (prctl(2), PR_SET_PDEATHSIG).

    It holds the command itself, not its children. Done by `setpriv` of util-linux, because code of ours between fork
    and exec can deadlock in a process with threads; without `setpriv` it is the service manager's to clean up.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


class _Output:
    """Reads one pipe to its end and keeps a bounded part of it."""

    def __init__(self, pipe: IO[bytes], limit: int, *, keep_end: bool) -> None:
        self._pipe, self._limit, self._keep_end = pipe, limit, keep_end
        self._loop = asyncio.get_running_loop()
        self.kept, self.dropped = bytearray(), 0
        self.ended = self._loop.create_future()
        os.set_blocking(pipe.fileno(), False)
        self._loop.add_reader(pipe.fileno(), self._read)

    def _read(self) -> None:
        try:
            piece = os.read(self._pipe.fileno(), _PIECE)
        except BlockingIOError:
            return
        if not piece:
            self.close()
            return
        self.kept += piece
        excess = len(self.kept) - self._limit
        if excess > 0:
            del self.kept[slice(None, excess) if self._keep_end else slice(self._limit, None)]
            self.dropped += excess

    def close(self) -> None:
        """Read no more. Safe to call twice."""
        if not self._pipe.closed:
            self._loop.remove_reader(self._pipe.fileno())
            self._pipe.close()
        if not self.ended.done():
            self.ended.set_result(None)


class _Command:
    """A running command, from its start until it is reaped."""

    def __init__(self, process: subprocess.Popen[bytes], max_output: int) -> None:
        assert process.stdout is not None, "started with pipes"  # noqa: S101
        assert process.stderr is not None, "started with pipes"  # noqa: S101
        self._process, self._loop = process, asyncio.get_running_loop()
        self._pidfd = os.pidfd_open(process.pid)
        self._stdout = _Output(process.stdout, max_output, keep_end=False)
        self._stderr = _Output(process.stderr, TAIL, keep_end=True)
        self._exited = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._note_exit)

    def _note_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        if not self._exited.done():
            self._exited.set_result(None)

    async def ended(self) -> None:
        """Return when it has ended and said all it had to say, or its children do not let go of its output."""
        await asyncio.shield(self._exited)
        await self._silence(LINGER)

    async def _silence(self, seconds: float) -> None:
        await asyncio.wait({self._exited, self._stdout.ended, self._stderr.ended}, timeout=seconds)

    async def finish(self, grace: float) -> None:
        """Kill whatever is left, and let go of everything, also if we are cancelled meanwhile."""
        try:
            if not self._exited.done():
                self._signal(signal.SIGTERM)
                await self._silence(grace)
        finally:
            self._signal(signal.SIGKILL)
            try:
                await asyncio.wait({self._exited}, timeout=1.0)
            finally:
                self._release()

    def _signal(self, number: signal.Signals) -> None:
        # A group of a set-uid program is not ours to kill; whoever waits hears of the time-out all the same.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _release(self) -> None:
        self._stdout.close()
        self._stderr.close()
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        if self._process.poll() is None:  # stuck in the kernel: somebody has to reap it when it comes back
            threading.Thread(target=self._process.wait, name="komodod-reaper", daemon=True).start()

    def result(self) -> Ended:
        status = self._process.returncode
        return Ended(status, bytes(self._stdout.kept), bytes(self._stderr.kept), self._stdout.dropped)
