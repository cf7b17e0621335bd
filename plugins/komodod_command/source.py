"""A command that is asked whether something is in step."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final, cast

from komodod.durations import spell
from komodod.errors import SourceError
from komodod.model import Applied
from komodod.processes import TAIL, Ended, run
from komodod.redaction import Redactor, one_line
from komodod.source import Source
from komodod.texts import show_path, tail
from komodod_command.config import Command, CommandConfig
from komodod_command.report import IN_STEP, PENDING, TITLE, observe

if TYPE_CHECKING:
    from pydantic import BaseModel

    from komodod.context import Context
    from komodod.model import Observation

PLAIN: Final = frozenset(
    {"PATH", "HOME", "LANG", "LANGUAGE", "LC_ALL", "SHELL", "TERM", "TZ", "USER", "LOGNAME", "PWD"}
)
"""Variables passed on from our own environment whose values are no secrets."""


class CommandSource(Source):
    """Runs the check, and the apply; see `komodod.processes` for what becomes of them."""

    Config = CommandConfig

    def __init__(self, config: BaseModel, context: Context) -> None:
        super().__init__(config, context)
        self._config = cast("CommandConfig", config)
        passed = {name: os.environ[name] for name in self._config.pass_env if name in os.environ}
        identity = {"KOMODOD_SYNC": context.name, "KOMODOD_SYNC_ID": context.sync_id or ""}
        self._env = passed | self._config.env | identity
        secret = [value for name, value in passed.items() if name not in PLAIN]
        self._redactor = Redactor([*secret, *self._config.env.values()])

    async def observe(self) -> Observation:
        ended = await self._run("check", self._config.check, self._env)
        if ended.status not in (IN_STEP, PENDING):
            raise SourceError(self._failure("check", ended))
        return observe(ended, self._redactor)

    async def apply(self, *, force: bool) -> Applied:
        if self._config.apply is None:
            raise SourceError("this sync has no apply command; bring it in step by hand, or set `apply` in its source")
        env = self._env | {"KOMODOD_FORCE": "1"} if force else self._env
        ended = await self._run("apply", self._config.apply, env)
        if ended.status != 0:
            raise SourceError(self._failure("apply", ended))
        return Applied(summary=tail(self._text(ended.stdout), lines=1, limit=TITLE) or "done")

    async def _run(self, key: str, command: Command, env: dict[str, str]) -> Ended:
        config, argv = self._config, self._config.argv(command)
        if not config.cwd.is_dir():
            raise SourceError(f"cannot run the {key} command in {show_path(config.cwd)}: no such directory")
        try:
            return await run(argv, cwd=config.cwd, env=env, seconds=config.timeout, max_output=config.max_output)
        except TimeoutError as error:
            allowed = spell(config.timeout or 0.0)
            raise SourceError(
                f"the {key} command did not end within {allowed} and was killed; see `timeout`"
            ) from error
        except FileNotFoundError as error:
            raise SourceError(
                f"the {key} command {self._show(argv[0])} is not there or cannot be executed; "
                f"looked for in {show_path(config.cwd) if '/' in argv[0] else 'PATH'}"
            ) from error
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise SourceError(f"the {key} command {self._show(argv[0])} cannot be started: {said}") from error

    def _failure(self, key: str, ended: Ended) -> str:
        how = f"exited with status {ended.status}" if ended.status >= 0 else f"was killed by {_signal(-ended.status)}"
        said = tail(self._text(ended.stderr)) or tail(self._text(ended.stdout))
        return f"the {key} command {how}" + (f": {said.rstrip('. ')}" if said else "")

    def _text(self, output: bytes) -> str:
        """Return the end of an output; masked before it is cut further, because half a secret is not recognised."""
        return self._redactor.text(output[-TAIL:].decode("utf-8", "replace"))

    def _show(self, text: str) -> str:
        return self._redactor.text(repr(one_line(text, TITLE)))


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal
