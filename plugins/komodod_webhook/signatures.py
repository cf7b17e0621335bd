"""Signatures by the Standard Webhooks scheme, version 1: HMAC-SHA256 over `id.timestamp.body`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

PREFIX: Final = "whsec_"
"""Marks a secret that is base64 of the key; any other secret is the key itself."""


def keys(secret: str) -> tuple[bytes, ...]:
    """Return the keys in a secret, one a line: while one is replaced, both sign.

    Raises:
        ValueError: it holds none, or one that is not base64; the message does not show it.
    """
    found = tuple(_key(line.strip()) for line in secret.splitlines() if line.strip())
    if not found:
        raise ValueError("the secret is empty")
    return found


def sign(keys: Iterable[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that let a receiver verify the body and tell a repetition; `timestamp` is Unix time."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    signature = " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
    return headers | ({"webhook-signature": signature} if signature else {})


def _key(secret: str) -> bytes:
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        # Not `from` it: that error may hold the secret.
        raise ValueError(f"the secret starts with {PREFIX!r} but is not base64 after it") from None
    if not key:
        raise ValueError(f"the secret has nothing after {PREFIX!r}")
    return key
