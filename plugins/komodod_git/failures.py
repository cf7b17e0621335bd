"""What git says when it fails, told apart and told with the way out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from komodod.texts import tail


class Cause(StrEnum):
    """Whose fault it is. `DISK` and `DAMAGED` are about our own clone, the others about the remote repository."""

    DISK = "disk"
    DAMAGED = "damaged"
    OWNER = "owner"
    HOST_KEY = "host_key"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    NO_REPOSITORY = "no_repository"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class _Sign:
    cause: Cause
    regex: re.Pattern[str]


def _sign(cause: Cause, *texts: str) -> _Sign:
    return _Sign(cause, re.compile("|".join(texts), re.IGNORECASE))


_SIGNS: Final = (
    # The first that matches counts. ssh's own words come before git's, which follow any failure of it.
    _sign(Cause.DISK, r"no space left on device", r"disk quota exceeded", r"read-only file system"),
    _sign(
        Cause.DAMAGED,
        r"\.lock': file exists",
        r"bad object",
        r"loose object",
        r"corrupt",
        r"missing blob",
        r"missing tree",
    ),
    _sign(Cause.OWNER, r"dubious ownership"),
    _sign(Cause.HOST_KEY, r"host key verification failed", r"host identification has changed"),
    _sign(
        Cause.REFUSED,
        r"authentication failed",
        r"could not read (username|password)",
        r"permission denied \(",
        r"returned error: (401|403|407)",
        r"access denied",
        r"too many authentication failures",
    ),
    _sign(
        Cause.UNREACHABLE,
        r"could not resolve",
        r"name or service not known",
        r"temporary failure in name resolution",
        r"failed to connect",
        r"unable to connect",
        r"couldn't connect",
        r"connection (refused|reset|timed out|closed)",
        r"timed out",
        r"no route to host",
        r"network is unreachable",
        r"returned error: (408|425|429|5\d\d)",
        r"hung up unexpectedly",
        r"unexpected disconnect",
        r"early eof",
        r"rpc failed",
        r"empty reply",
        r"\b(ssl|tls)\b",
        r"certificate",
    ),
    _sign(
        Cause.NO_REPOSITORY,
        r"does not appear to be a git repository",
        r"repository .*not found",
        r"is this a git repository",
        r"returned error: (404|410)",
        r"no such (file|repository)",
        r"does not exist",
        r"not a git repository",
    ),
)

_PREFIX: Final = re.compile(r"^(fatal|error|remote|warning|ssh): *", re.IGNORECASE | re.MULTILINE)
_CHATTER: Final = re.compile(
    r"^(please make sure .*|and the repository exists.*|hint:.*|to add an exception.*)$", re.IGNORECASE | re.MULTILINE
)

_PLACE: Final = re.compile(r"repository at '([^']+)'")

_TOLD: Final = {
    Cause.DISK: "git cannot write its clone of {url}: {said}",
    Cause.DAMAGED: "the clone of {url} is damaged: {said}",
    Cause.OWNER: (
        "the repository {url} belongs to another user, and so git does not read it; "
        "allow it with: git config --system --add safe.directory {place}"
    ),
    Cause.HOST_KEY: "the host key of {url} is not the known one, or none is known; see `known_hosts_file`, and ssh-keyscan(1)",
    Cause.REFUSED: "{url} refuses to let us read it; see `token_file` and `ssh_key_file`: {said}",
    Cause.UNREACHABLE: "cannot reach {url}: {said}",
    Cause.NO_REPOSITORY: "there is no git repository at {url}: {said}",
    Cause.UNKNOWN: "git could not read {url}: {said}",
}


def judge(stderr: str) -> Cause:
    """Return whose fault it is that a git command failed."""
    return next((sign.cause for sign in _SIGNS if sign.regex.search(stderr)), Cause.UNKNOWN)


def tell(stderr: str, url: str) -> str:
    """Return the failure for the reader. Both are given without secrets."""
    plain = _CHATTER.sub("", _PREFIX.sub("", stderr))
    said = (tail(plain, lines=2) or "no reason given").rstrip(". ")
    place = _PLACE.search(stderr)
    return _TOLD[judge(stderr)].format(url=url, said=said, place=place.group(1) if place else url)
