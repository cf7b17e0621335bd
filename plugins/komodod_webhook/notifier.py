"""Post each message to a URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator

from komodod.durations import Duration  # noqa: TC001  pydantic reads it while the program runs
from komodod.http import post
from komodod.notifier import Notifier, ReceiptClass, Traits
from komodod.secrets import SecretFile, SecretFiles
from komodod_webhook import events, signatures

if TYPE_CHECKING:
    from komodod.context import Context
    from komodod.model import Json
    from komodod.notifier import Message

LONGEST: Final = 30.0
"""Seconds for one request at most: a worker must be sure of its answer while its lease holds."""

MARGIN: Final = 2.0
"""Seconds that the engine waits beyond the request's own time-out, which has the better error."""

LARGEST: Final = 16 * 1024
"""Bytes of title and body; with all else an event stays well below the 64 KiB that every receiver must take."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS: Final = re.compile(r"webhook-.*|content-.*|host|connection|transfer-encoding|user-agent", re.IGNORECASE)


def _http(url: SecretStr | None) -> SecretStr | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url.get_secret_value())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not url.get_secret_value().isprintable() or " " in url.get_secret_value():
        raise ValueError("the URL must start with http:// or https:// and name a host")
    return url


def _headers(headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a header")
        if _OURS.fullmatch(name):
            raise ValueError(f"the header {name!r} is set by komodod")
        if not value.get_secret_value().isprintable():
            raise ValueError(f"the value of the header {name!r} has characters that cannot be sent")
    return headers


def _short(seconds: float) -> float:
    if seconds > LONGEST:
        raise ValueError(f"{seconds:g} s is too long to wait for an answer; at most {LONGEST:g} s")
    return seconds


def _signing(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None:
        signatures.keys(secret.get_secret_value())
    return secret


class WebhookConfig(SecretFiles):
    """Where to post, and how to sign."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[SecretStr | None, AfterValidator(_http)] = Field(
        None, description="Where to post; shown nowhere but for its host."
    )
    url_file: SecretFile | None = Field(None, description="A file that holds the URL.")
    secret: Annotated[SecretStr | None, AfterValidator(_signing)] = Field(
        None, description="Signs by the Standard Webhooks scheme: whsec_ and base64, or any text. One a line."
    )
    secret_file: SecretFile | None = Field(None, description="A file that holds the secret.")
    headers: Annotated[Mapping[str, SecretStr], AfterValidator(_headers)] = Field(
        default_factory=dict, description="More headers, such as Authorization; their values are secrets."
    )
    timeout: Annotated[Duration, AfterValidator(_short)] = Field(
        15.0, description="How long to wait for an answer, 30s at most."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.url is None:
            raise ValueError("the URL is missing: give 'url' or 'url_file'")
        # What came from a file has not been looked at yet.
        _http(self.url)
        _signing(self.secret)
        return self


class WebhookNotifier(Notifier):
    """Posts CloudEvents. The key is ours, so that a repeated event changes nothing at the receiver."""

    Config = WebhookConfig
    config: WebhookConfig

    def __init__(self, config: WebhookConfig, context: Context) -> None:
        super().__init__(config, context)
        secret = config.secret.get_secret_value() if config.secret else None
        self._keys = signatures.keys(secret) if secret else ()
        self._secrets = [line.removeprefix(signatures.PREFIX) for line in (secret or "").splitlines()]
        self._url = config.url.get_secret_value() if config.url else ""
        self._headers = {name: value.get_secret_value() for name, value in config.headers.items()}

    @property
    def traits(self) -> Traits:
        """Idempotent by contract: see `komodod_webhook.events`."""
        return Traits(
            receipt_class=ReceiptClass.A,
            withdrawal="an event that takes back the one of the same key",
            timeout=self.config.timeout + MARGIN,
            max_bytes=LARGEST,
        )

    async def show(self, message: Message, receipt: Json | None) -> Json | None:  # noqa: ARG002  the key is all
        """Post `opened` or `updated`."""
        await self._post(message)
        return None

    async def withdraw(self, message: Message, receipt: Json | None) -> None:  # noqa: ARG002  as above
        """Post `withdrawn`."""
        await self._post(message)

    async def _post(self, message: Message) -> None:
        if self.context.http is None:
            raise RuntimeError("there is no network to post to here")
        body = events.encode(message, self.context.name)
        now = int(self.context.clock.now().timestamp())
        headers = {"Content-Type": events.CONTENT_TYPE, **self._headers}
        headers |= signatures.sign(self._keys, message.id, now, body)
        await post(
            self.context.http,
            self._url,
            body=body,
            headers=headers,
            timeout=self.config.timeout,
            clock=self.context.clock,
            secrets=self._secrets,
        )
