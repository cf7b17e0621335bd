"""Addresses of repositories: which are taken, and what is kept out of them."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, TypeAdapter, ValidationInfo

from komodod.source import AnchoredPath

TRANSPORTS: Final = ("file", "git", "http", "https", "ssh")
"""What git may use. Others run commands (`ext::`) or read descriptors of ours (`fd::`)."""

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_HELPER: Final = re.compile(r"[^/:@]+::")
_SSH: Final = re.compile(r"(?:[^/:@]+@)?(?:\[[^\]/]+\]|[^/:@\[\]]+):(?!//)")
_PATH: Final = TypeAdapter(AnchoredPath)


def _check(address: str, info: ValidationInfo) -> str:
    """Return the address as git is to be given it; a path on this machine becomes absolute.

    Raises:
        ValueError: it is none, or holds what must not be in it.
    """
    if address.startswith("-") or not address.isprintable() or not address:
        raise ValueError("an address is printable text that does not begin with '-'")
    if _HELPER.match(address):
        raise ValueError(
            f"the transport {address.partition('::')[0]!r} is not allowed; use one of {', '.join(TRANSPORTS)}"
        )
    if "://" in address:
        _check_url(urlsplit(address))
        return address
    if match := _SSH.match(address):
        _check_host(match.group().removesuffix(":").rpartition("@")[2])
        return address
    return str(_PATH.validate_python(address, context=dict(info.context or {})))


Address = Annotated[str, AfterValidator(_check)]
"""The address of a repository: a URL, `user@host:path`, or a path."""


def _check_url(url: SplitResult) -> None:
    if url.scheme not in TRANSPORTS:
        raise ValueError(f"the transport {url.scheme!r} is not allowed; use one of {', '.join(TRANSPORTS)}")
    if url.password is not None:
        raise ValueError("the url holds a password, which would be stored and shown with the sync; use `token_file`")
    if url.scheme == "file":
        if url.netloc:
            raise ValueError("a file url has an absolute path: file:///srv/git/repository")
        return
    _check_host(url.hostname or "")


def _check_host(host: str) -> None:
    if not host or host.startswith("-"):
        raise ValueError("the url names no host")


def check_token(address: str, *, token: bool) -> None:
    """Refuse a token where it would be readable on the way, and a user name that may well be a token.

    Raises:
        ValueError: either is so.
    """
    url = urlsplit(address)
    if url.scheme not in ("http", "https"):
        if token:
            raise ValueError("`token_file` is for https; for ssh use `ssh_key_file`")
        return
    if token and url.scheme == "http" and url.hostname not in LOOPBACK:
        raise ValueError("a token would be readable on the way; use https")
    if url.username is not None and not token:
        raise ValueError(
            "the url holds a user name, which is of no use without `token_file`; if it is a token, put it there"
        )


def split_user(address: str) -> tuple[str, str | None]:
    """Return an http(s) address without its user, and the user."""
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or url.username is None:
        return address, None
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl(), url.username


def site(address: str) -> str:
    """Return the part of an http(s) address that a token is for."""
    url = urlsplit(address)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}/"
