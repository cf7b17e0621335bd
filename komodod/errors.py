"""Every error komodod raises on purpose, by two questions: whose fault is it, and will trying again help?

Messages are for the reader: what was found, where, what to do. They are one line, start in lower case, end without a
full stop and hold no secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class KomododError(Exception):
    """The root of all of them."""


# --- what a person asked for -----------------------------------------------------------------------------------------


class UsageError(KomododError):
    """A request that cannot be carried out as it stands; trying it again does not help."""


class NotFoundError(UsageError):
    """The thing asked for does not exist (proved, not guessed)."""


class NameTakenError(UsageError):
    """A sync of that name exists."""


class RefusedError(UsageError):
    """The request is against a rule, and says which; some of them yield to `--force`."""


class Problem(KomododError):  # noqa: N818  one of many: ConfigError carries them all
    """One mistake in a configuration, with its place.

    `line` and `column` count from 1; 0 where the mistake has no place (an absent file).
    """

    def __init__(self, message: str, file: Path | None = None, line: int = 0, column: int = 0) -> None:
        self.message, self.file, self.line, self.column = message, file, line, column
        super().__init__(str(self))

    def __str__(self) -> str:
        if self.file is None:
            return self.message
        place = f"{self.file}:{self.line}:{self.column}" if self.line else str(self.file)
        return f"{place}: {self.message}"


class ConfigError(KomododError):
    """A configuration that is not valid; `problems` holds all that is wrong with it, in the order of the text."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


# --- the store -------------------------------------------------------------------------------------------------------


class StorageError(KomododError):
    """The store did not answer, or answered with an error. What was asked is unknown: neither done nor not done."""


class StorageRefusedError(StorageError):
    """The store cannot be used as it is (another daemon holds it, newer schema, corrupt); waiting does not help."""


class Conflict(KomododError):  # noqa: N818  the field's word for it
    """A batch that was not applied because one of its expectations did not hold; the store is as it was.

    `expectation` is the one that failed first, a value of `komodod.storage`.
    """

    def __init__(self, expectation: object) -> None:
        self.expectation = expectation
        super().__init__(f"expectation does not hold: {expectation!r}")


# --- plugins: sources, notifiers, hooks ------------------------------------------------------------------------------


class SourceError(KomododError):
    """A sync could not be looked at or applied; says why. What the sync's state is remains unknown."""


class TemporaryError(KomododError):
    """Trying again may help: a time-out, no connection, 408, 425, 429, 5xx. It is retried for ever, with back-off.

    Args:
        message: what happened, without secrets.
        retry_after: seconds the far side asked us to wait, if it did; honoured even beyond the back-off's cap.
        doubtful: whether the request may have had its effect all the same. True for a time-out, a cut connection, a
            5xx; False only where it is sure that nothing happened (connection refused, DNS, 429).
    """

    def __init__(self, message: str, *, retry_after: float | None = None, doubtful: bool = True) -> None:
        self.retry_after, self.doubtful = retry_after, doubtful
        super().__init__(message)


class PermanentError(KomododError):
    """Trying the same again will not help (other 4xx, a refused payload): the work is dead at once, visibly."""


class GoneError(PermanentError):
    """The far side wants nothing more from us (410): everything for this notifier is parked until a reload."""


class PluginError(KomododError):
    """A plugin that cannot be loaded or is not what it says; names the plugin and the way out."""

    def __init__(self, plugin: str, message: str) -> None:
        self.plugin = plugin
        super().__init__(f"plugin {plugin!r}: {message}")
