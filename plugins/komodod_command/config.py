"""What a command sync is told in the YAML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from komodod.durations import Duration
from komodod.source import AnchoredPath

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _check_text(text: str) -> str:
    if "\0" in text:
        raise ValueError("a command cannot be given a NUL character")
    return text


def _check_variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an environment variable")
    return name


def _here(value: object, info: ValidationInfo) -> object:
    return (info.context or {}).get("base") or Path("/") if value is None else value


Text = Annotated[str, AfterValidator(_check_text)]
Variable = Annotated[str, AfterValidator(_check_variable)]
Command = Text | tuple[Text, ...]


class CommandConfig(BaseModel):
    """Ask a command: exit status 0 means in step, 2 means updates are pending, anything else that it could not tell."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    check: Command = Field(
        description="The command that looks, as a list: [terraform, plan, -detailed-exitcode]. It must change nothing.",
    )
    apply: Command | None = Field(
        default=None,
        description="The command that brings in step, as a list; exit status 0 means done. Without one there is no apply.",
    )
    shell: bool = Field(
        default=False,
        description="`check` and `apply` are texts for /bin/sh instead of lists.",
    )
    cwd: Annotated[AnchoredPath, BeforeValidator(_here)] = Field(
        default=None,
        validate_default=True,
        description="Where the commands run; by default in the directory of the file that declares the sync, else in /.",
    )
    env: dict[Variable, Text] = Field(
        default_factory=dict,
        description=(
            "Environment variables of the commands; their values never appear in errors. "
            "KOMODOD_SYNC and KOMODOD_SYNC_ID are set too, and KOMODOD_FORCE=1 when an apply is forced."
        ),
    )
    pass_env: tuple[Variable, ...] = Field(
        default=("PATH", "HOME", "LANG"),
        description="Environment variables of komodod itself that the commands get as well; no others.",
    )
    timeout: Duration | None = Field(
        default=None,
        description="How long a command may take before it is killed with all its children; the sync's own also counts.",
    )
    max_output: int = Field(
        default=1024 * 1024,
        ge=1024,
        le=64 * 1024 * 1024,
        description="Bytes of output that are read; what comes after is dropped. A report must fit in.",
    )

    @model_validator(mode="after")
    def _fits_shell(self) -> Self:
        for key, command in (("check", self.check), ("apply", self.apply)):
            if command is None:
                continue
            if self.shell is not isinstance(command, str):
                raise ValueError(
                    f"`{key}` is a text for the shell with `shell: true`, and else a list of words such as [terraform, plan]"
                )
            if not command or not command[0].strip():
                raise ValueError(f"`{key}` names no command")
        return self

    def argv(self, command: Command) -> list[str]:
        """Return what is executed."""
        return ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
