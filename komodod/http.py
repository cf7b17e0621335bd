"""The one HTTP client session, and a POST whose every outcome is one of the errors that the engine knows what to do with.

aiohttp repeats no POST by itself; it repeats a PUT or DELETE once when the connection is cut, so a notifier that uses
those must make sure that a repeat is harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

import aiohttp

from komodod import __version__
from komodod.clock import SystemClock
from komodod.errors import GoneError, PermanentError, TemporaryError
from komodod.redaction import Redactor, one_line

if TYPE_CHECKING:
    from komodod.clock import Clock

CONNECT: Final = 10.0
"""Seconds for a connection to come about."""

TOTAL: Final = 30.0
"""Seconds for a whole request that sets no time-out of its own."""

LARGEST: Final = 64 * 1024
"""Bytes of an answer that are read; the rest is left."""

LONGEST_WAIT: Final = 7 * 86400.0
"""Seconds; who asks us to stay away for longer is taken to mean this."""

TEMPORARY: Final = frozenset({408, 425, 429})
"""The statuses below 500 after which trying again may help."""

_SECRET_PART: Final = 8
"""Characters from which a part of a URL's path is taken for a secret, as webhooks have them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer; `body` is what came of it, up to `LARGEST`, and the names of `headers` match in either case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def session(connections: int = 100) -> aiohttp.ClientSession:
    """Return a new session for all of the daemon: no cookies, proxies as the environment says, bounded time-outs.

    Call it on the running event loop, and `close` it there.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"komodod/{__version__}"},
        timeout=aiohttp.ClientTimeout(total=TOTAL, sock_connect=CONNECT),
        trust_env=True,
    )


async def post(
    session: aiohttp.ClientSession,
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    timeout: float = TOTAL,  # noqa: ASYNC109  aiohttp's own, which knows a late connection from a late answer
    clock: Clock | None = None,
    secrets: Iterable[str] = (),
) -> Answer:
    """Send one POST, follow no redirect, and return a 2xx answer.

    No error shows more of the URL than its host, nor the value of a header, nor any of `secrets`: an error tells what
    the server said, and servers like to repeat what they were sent.

    Raises:
        TemporaryError: no connection, no answer in `timeout` seconds, an answer cut short, 408, 425, 429 or 5xx.
        GoneError: 410.
        PermanentError: any other status, or a URL that is none.
    """
    limits = aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout / 2, CONNECT))
    where = origin(url)
    try:
        async with session.post(url, data=body, headers=headers, timeout=limits, allow_redirects=False) as response:
            if 200 <= response.status < 300:
                return Answer(response.status, response.headers, await _read(response))
            said = _excerpt(await _read_error(response), [*secrets, *_confided(url, headers)])
            wait = retry_after(response.headers, (clock or SystemClock()).now())
            raise _refusal(f"{where} answered {_status(response.status)}{said}", response.status, wait)
    except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:
        raise _failure(error, where, timeout) from error


def origin(url: str) -> str:
    """Return what may be shown of a URL: scheme, host and port. The rest of a webhook's is its password."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the URL"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{port}" if host else "the URL"


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that `Retry-After` asks for, as seconds or as a date; None if it says nothing of use.

    A date is compared with the answer's own `Date`, if it has one, so that the two clocks need not agree.
    """
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]+", value, re.ASCII):
        return float(min(int(value[:12]), LONGEST_WAIT))
    until = _date(value)
    if until is None:
        return None
    seconds = (until - (_date(headers.get("Date", "")) or now)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _refusal(message: str, status: int, wait: float | None) -> TemporaryError | PermanentError:
    if status in TEMPORARY or status >= 500:
        return TemporaryError(message, retry_after=wait, doubtful=status != HTTPStatus.TOO_MANY_REQUESTS)
    return GoneError(message) if status == HTTPStatus.GONE else PermanentError(message)


def _failure(error: Exception, where: str, seconds: float) -> TemporaryError | PermanentError:
    """Return what an exception of aiohttp means. Its own text may hold the whole URL."""
    reason = one_line(getattr(getattr(error, "os_error", error), "strerror", None) or type(error).__name__)
    match error:
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | UnicodeError():
            return PermanentError(f"{where} is no URL that can be posted to")
        case aiohttp.ClientHttpProxyError(status=status):
            return _refusal(f"the proxy for {where} answered {_status(status)}", status, None)
        case aiohttp.ConnectionTimeoutError():
            return TemporaryError(f"cannot connect to {where}: no connection in time", doubtful=False)
        case aiohttp.ClientConnectorError():
            return TemporaryError(f"cannot connect to {where}: {reason}", doubtful=False)
        case TimeoutError():
            return TemporaryError(f"{where} did not answer within {seconds:g} s", doubtful=True)
        case aiohttp.ClientPayloadError():
            return TemporaryError(f"the answer of {where} was cut short", doubtful=True)
        case aiohttp.ClientResponseError():
            return TemporaryError(f"{where} sent no valid HTTP answer", doubtful=True)
    return TemporaryError(f"{where} cut the connection: {reason}", doubtful=True)


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    while size < LARGEST and (part := await response.content.read(LARGEST - size)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


async def _read_error(response: aiohttp.ClientResponse) -> bytes:
    """Return what an answer says of its refusal; its status is enough, if that cannot be read."""
    try:
        return await _read(response)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return b""


def _confided(url: str, headers: Mapping[str, str]) -> list[str]:
    """Return what we sent in confidence."""
    parts = urlsplit(url)
    path = [part for part in parts.path.split("/") if len(part) >= _SECRET_PART]
    query = [value for _, value in parse_qsl(parts.query)]
    words = [word for value in headers.values() for word in (value, *value.split())]
    return [url, parts.query, *path, *query, *words, *filter(None, (parts.username, parts.password))]


def _excerpt(body: bytes, secrets: Iterable[str]) -> str:
    text = one_line(Redactor(secrets).text(body.decode(errors="replace")), 200)
    return f": {text}" if text else ""
