"""Keep secrets out of what people read: logs, errors, events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

MASK: Final = "***"

SHORTEST: Final = 4
"""Characters below which a secret is not looked for: masking every `a` hides nothing and spoils everything."""

_KEYS: Final = re.compile(r"secret|token|passw|authorization|credential|cookie|signature", re.IGNORECASE)
_NO_SECRET: Final = re.compile(r"(_file|_path|_dir|_at|_name)$", re.IGNORECASE)
_URL_USER: Final = re.compile(r"(?<=://)[^/\s?#@]+@")


class Redactor:
    """Masks the secrets it was told of, users and passwords in URLs, and values whose key says that they are secret."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._known: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Mask these from now on; of a secret with several lines, each line too, and each as a URL spells it."""
        lines = [part for secret in secrets for part in (secret, *secret.splitlines())]
        spelled = {spelling for line in lines for spelling in (line.strip(), quote(line.strip(), safe=""))}
        self._secrets |= {spelling for spelling in spelled if len(spelling) >= SHORTEST}
        longest_first = sorted(self._secrets, key=lambda secret: (-len(secret), secret))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """Return the text with every secret masked."""
        masked = self._known.sub(MASK, text) if self._known else text
        return _URL_USER.sub(f"{MASK}@", masked)

    def value(self, value: Any, key: str = "") -> Any:
        """Return the same value, masked: texts, and what mappings, lists and tuples hold."""
        if value is not None and _KEYS.search(key) and not _NO_SECRET.search(key):
            return MASK
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(name): self.value(inner, str(name)) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return value


def one_line(text: str, limit: int = 500) -> str:
    """Return the text without line breaks and control characters, at most `limit` characters of it."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
