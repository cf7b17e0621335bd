"""What a git sync is told in the YAML."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from komodod.secrets import SecretFile
from komodod.source import AnchoredPath
from komodod.tree import Pattern, check_pair
from komodod_git.address import Address, check_token

_NO_BRANCH: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|(^|/)\.|\.lock(/|$)|^[-/]|[/.]$")


def _check_branch(name: str) -> str:
    """Refuse what git-check-ref-format(1) refuses, and what could be taken for an option."""
    if not name or name == "@" or _NO_BRANCH.search(name):
        raise ValueError(f"{name!r} is no name of a branch")
    return name.removeprefix("refs/heads/")


def _check_path(path: str) -> str:
    names = [name for name in path.split("/") if name]
    if path.startswith("/") or {".", ".."} & set(names) or "\0" in path:
        raise ValueError(f"{path!r} is no path inside a repository, such as deploy/stacks")
    return "/".join(names)


class GitConfig(BaseModel):
    """Keep a directory like a branch of a git repository: contents, symlinks, permissions (0644, or 0755 if executable)."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: Address = Field(description="The repository: https://…, ssh://…, user@host:path, or a path on this machine.")
    branch: Annotated[str, AfterValidator(_check_branch)] | None = Field(
        default=None,
        description="The branch that is followed; by default the one that the repository's HEAD names.",
    )
    path: Annotated[str, AfterValidator(_check_path)] = Field(
        default="",
        description="The directory inside the repository that is looked at; by default all of it.",
    )
    to: AnchoredPath = Field(description="The directory that is kept like it; made if only its last part is missing.")
    prune: bool = Field(
        default=False,
        description="Remove what is in `to` alone. Otherwise it is left, and not looked at.",
    )
    ignore: tuple[Pattern, ...] = Field(
        default=(),
        description=(
            "Patterns as in a .gitignore of what is neither copied, nor compared, nor removed, relative to `path`: "
            "`*.tmp` at every level, `/cache/` the directory at the top, `**`, `?`, `[a-z]`, `!` to take back."
        ),
    )
    token_file: SecretFile | None = Field(
        default=None,
        description="For https: a file with a token or password; the user name, where one matters, is that of the url.",
    )
    ssh_key_file: SecretFile | None = Field(
        default=None,
        description="For ssh: a file with the private key, which must not need a passphrase.",
    )
    known_hosts_file: AnchoredPath | None = Field(
        default=None,
        description="For ssh: a file with the host's public key; by default those that ssh itself looks in.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check_pair(None, self.to)
        check_token(self.url, token=self.token_file is not None)
        return self
