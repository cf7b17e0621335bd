"""Bytes and names of the outside world as texts that any store, channel and terminal can take."""

from __future__ import annotations

import os
import re
from typing import Final

from komodod.redaction import one_line

_COLOUR: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_REFUSED: Final = re.compile("[\0\ud800-\udfff]")
_SHORT: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def show_path(path: str | os.PathLike[str]) -> str:
    r"""Return a path as one line of printable text; different paths give different texts.

    Printable characters stand for themselves, but a backslash is `\\`. Line breaks and tabs are `\n`, `\r`, `\t`;
    any other control character of ASCII, and each byte that is not UTF-8, is `\xNN`; what else cannot be printed
    (U+202E, which would turn the rest around) is `\uNNNN` or `\UNNNNNNNN`.
    """
    return "".join(_spell(char) for char in os.fspath(path))


def _spell(char: str) -> str:
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if char.isprintable():
        return char
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode's stand-in for a byte that it could not decode
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clean(text: str) -> str:
    """Return the text without what a store may refuse: NUL and lone surrogates become U+FFFD."""
    return _REFUSED.sub("\ufffd", text)


def uncolour(text: str) -> str:
    """Return the text without the sequences that colour it on a terminal or move its cursor (ECMA-48, CSI)."""
    return _COLOUR.sub("", text)


def tail(text: str, lines: int = 3, limit: int = 300) -> str:
    """Return the last lines that are not blank, uncoloured, as one line, at most `limit` characters of its end."""
    last = [line.strip() for line in uncolour(text).splitlines() if line.strip()][-lines:]
    line = one_line("; ".join(last), limit=len(text) + 2 * lines)
    return line if len(line) <= limit else "…" + line[1 - limit :]
