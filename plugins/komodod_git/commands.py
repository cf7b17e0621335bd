"""The git program, told to ask nobody, run nothing and believe nothing that stands in a repository."""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from komodod.errors import SourceError
from komodod.processes import Ended, run
from komodod.redaction import Redactor
from komodod_git.address import TRANSPORTS, site, split_user

if TYPE_CHECKING:
    from komodod_git.config import GitConfig

OPTIONS: Final = (
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    # No work in the background that would outlive us; a clone with too many packs is made anew instead.
    "gc.auto=0",
    "maintenance.auto=false",
    # Everything arrives as a pack, which git fsyncs, and never as loose objects, which it does not.
    "fetch.unpackLimit=1",
)
"""Settings that win over those of the machine."""

LARGEST_OUTPUT: Final = 256 * 1024 * 1024
"""Bytes; a listing of about two million files."""

_PASSED: Final = (
    "PATH",
    "HOME",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    *(name for lower in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for name in (lower, lower.upper())),
)


class GitError(Exception):
    """A git command that failed; `stderr` is what it said, without secrets."""

    def __init__(self, status: int, stderr: str) -> None:
        self.status, self.stderr = status, stderr
        super().__init__(f"git exited with status {status}")


@dataclass(frozen=True, slots=True)
class Access:
    """How git gets at one repository: the address that it is given, and its environment, secrets included."""

    address: str
    env: Mapping[str, str]
    redactor: Redactor

    @classmethod
    def build(cls, config: GitConfig, token: str | None) -> Access:
        """Work it out from the configuration; `token` is what `token_file` holds."""
        address, user = split_user(config.url)
        env, secrets = _environment(config), []
        if token is not None:
            basic = base64.b64encode(f"{user or 'git'}:{token}".encode()).decode()
            secrets = [token, basic]
            # In the environment, because everybody may read the arguments of a process.
            env |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{site(config.url)}.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
            }
        return cls(address, env, Redactor(secrets))

    @property
    def shown(self) -> str:
        """The address for people."""
        return self.redactor.text(self.address)


def _environment(config: GitConfig) -> dict[str, str]:
    """Return the environment; the machine's configuration counts (proxies, safe.directory), a user's does not."""
    return {name: os.environ[name] for name in _PASSED if name in os.environ} | {
        "LC_ALL": "C",  # what it says is read by `failures`
        "GIT_ALLOW_PROTOCOL": ":".join(TRANSPORTS),
        "GIT_ASKPASS": "",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_SSH_COMMAND": shlex.join(_ssh(config)),
        "GIT_TERMINAL_PROMPT": "0",
        "SSH_ASKPASS_REQUIRE": "never",
    }


def _ssh(config: GitConfig) -> list[str]:
    command = ["ssh", "-oBatchMode=yes", "-oConnectTimeout=20", "-oControlMaster=no", "-oForwardAgent=no"]
    if config.ssh_key_file is not None:
        command += ["-i", str(config.ssh_key_file), "-oIdentitiesOnly=yes"]
    if config.known_hosts_file is not None:
        command += [f"-oUserKnownHostsFile={_quote(config.known_hosts_file)}", "-oStrictHostKeyChecking=yes"]
    return command


def _quote(path: Path) -> str:
    """Return a path as the value of an option of ssh, which takes several, parted by spaces, with `%` expanded."""
    return '"' + str(path).replace("%", "%%") + '"'


class Git:
    """Runs git commands: in a repository if `repository` is given, else in no one, with `place` as working directory."""

    def __init__(self, access: Access, place: Path, repository: Path | None = None) -> None:
        self.access, self.place = access, place
        self._repository = [] if repository is None else ["--git-dir", str(repository)]
        # A repository that komodod's state directory happens to lie in is none of our business.
        self.env = {**access.env, "GIT_CEILING_DIRECTORIES": str(place.parent)}

    def within(self, repository: Path) -> Git:
        """Return one that works in this repository."""
        return Git(self.access, self.place, repository)

    def argv(self, *words: str) -> list[str]:
        """Return the whole command."""
        settings = (word for option in OPTIONS for word in ("-c", option))
        return ["git", *settings, *self._repository, *words]

    async def run(self, *words: str) -> bytes:
        """Run a git command and return what it prints.

        Raises:
            GitError: it failed.
            SourceError: there is no git, or it prints more than `LARGEST_OUTPUT`.
        """
        ended = await self._run(words)
        if ended.status != 0:
            raise GitError(ended.status, self.access.redactor.text(ended.stderr.decode("utf-8", "replace")))
        if ended.dropped:
            raise SourceError(f"the repository {self.access.shown} holds too many files to list")
        return ended.stdout

    async def _run(self, words: tuple[str, ...]) -> Ended:
        argv = self.argv(*words)
        try:
            return await run(argv, cwd=self.place, env=self.env, seconds=None, max_output=LARGEST_OUTPUT)
        except FileNotFoundError as error:
            raise SourceError("there is no git on this machine; install it (version 2.32 or newer)") from error
        except OSError as error:
            raise SourceError(f"cannot run git: {(error.strerror or str(error)).lower()}") from error
