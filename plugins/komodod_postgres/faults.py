"""What PostgreSQL and the way to it say went wrong, in words that say which database and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import OperationalError, errors
from psycopg_pool import PoolTimeout

from komodod.errors import StorageError, StorageRefusedError

if TYPE_CHECKING:
    import psycopg

ADVICE: Final[dict[type[Exception], str]] = {
    errors.DiskFull: "has no space left on its disk; free some, and komodod goes on by itself",
    errors.InsufficientPrivilege: "refuses komodod's role; grant it the schema 'komodod', or let it create that",
    errors.TooManyConnections: "has no connection left; raise its max_connections, or lower storage.connections",
    errors.LockNotAvailable: "was locked for longer than storage.lock_timeout",
    errors.QueryCanceled: "did not answer within storage.statement_timeout",
    errors.ReadOnlySqlTransaction: "is read-only; name the primary in storage.url, or all hosts",
    errors.UndefinedTable: "lacks tables of komodod's; restore a backup",
    errors.UndefinedFunction: "lacks functions of komodod's; restore a backup",
    PoolTimeout: "cannot be reached; komodod goes on by itself once it can",
}

HOPELESS: Final = (errors.InsufficientPrivilege, errors.UndefinedTable, errors.UndefinedFunction)
"""Errors that mean the same however long one waits."""

PASSING: Final = (errors.SerializationFailure, errors.DeadlockDetected)
"""The server undid everything, and doing the same again is right."""


def explain(error: psycopg.Error | OSError, place: str) -> StorageError:
    """Return the error to raise from this one; `place` is the database, without its password."""
    kind = StorageRefusedError if isinstance(error, HOPELESS) else StorageError
    said = " ".join(str(error).split()) or type(error).__name__
    for known, advice in ADVICE.items():
        if isinstance(error, known):
            return kind(f"{place} {advice} ({said})")
    return kind(f"{place}: {said}")


def lost(cause: BaseException | None) -> bool:
    """Tell whether it was the connection that ended: another one may do."""
    if not isinstance(cause, OperationalError) or isinstance(cause, PoolTimeout):
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(("08", "57P"))


def explain_refusal(code: str, words: str, place: str) -> Exception:
    """Return the error of one batch that was undone by itself: a value that no column takes, or a program's mistake."""
    if code.startswith("22"):
        return ValueError(f"{place} cannot keep a value: {words}")
    return StorageError(f"{place}: {words} ({code})")
