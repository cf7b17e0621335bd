"""The source contract: how one sync is looked at and brought in step."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ValidationInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from komodod.context import Context
    from komodod.model import Applied, Observation


def _anchor(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str | Path) or value == "":
        raise ValueError("a path is a text that is not empty")
    try:
        path = Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(f"cannot tell whose home directory {str(value)!r} means") from error
    base = (info.context or {}).get("base")
    if not path.is_absolute():
        if base is None:
            raise ValueError(f"{str(value)!r} is relative, and there is no file that it could be relative to")
        path = Path(base) / path
    return path


AnchoredPath = Annotated[Path, BeforeValidator(_anchor)]
"""A path in a configuration: relative to the file it stands in (validation context `base`), absolute afterwards."""


class Source(abc.ABC):
    """Looks at one sync and applies it.

    An object is built for one check or apply from its validated part of the YAML, used inside `open()` and `close()`,
    and thrown away. The engine never runs two of one sync at a time, calls nothing after the sync's time-out (the
    task is cancelled), and takes an exception for what it is: the state is unknown.
    """

    Config: ClassVar[type[BaseModel]]
    """The model of this source's part of the YAML (without `type`); unknown keys must be forbidden."""

    def __init__(self, config: BaseModel, context: Context) -> None:
        self.config = config
        self.context = context

    @classmethod
    def targets(cls, config: BaseModel) -> Sequence[Path]:  # noqa: ARG003  most sources have none
        """Return the directories that an apply writes to; two syncs with overlapping ones are refused."""
        return ()

    async def open(self) -> None:
        """Get ready; called once before anything else."""

    async def close(self) -> None:
        """Let go of everything; called once, whatever happened."""

    @abc.abstractmethod
    async def observe(self) -> Observation:
        """Compare what should be with what is, changing nothing.

        Raises:
            SourceError: it could not be told (unreadable, unreachable, truncated). That is not "no changes".
        """

    @abc.abstractmethod
    async def apply(self, *, force: bool) -> Applied:
        """Bring what is to what should be, as far as it is possible; safe to repeat after a crash at any point.

        Args:
            force: go through the source's own guards (an empty origin, a large prune).

        Raises:
            SourceError: it was not (all) done; says what to do. What was done is not undone.
        """
