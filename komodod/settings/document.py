"""YAML files, read without ever raising: what is wrong with one is part of the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from komodod.errors import ConfigError, Problem
from komodod.settings.composer import Composer
from komodod.settings.nodes import plain

if TYPE_CHECKING:
    from collections.abc import Collection

    from komodod.model import Json
    from komodod.settings.nodes import Node, Scalar

LARGEST: Final = 32 * 1024 * 1024
"""Bytes of one file; 10,000 syncs take about two million."""

LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's own parser, where it was built without libyaml, is some thirty times slower."""

_FOREIGN: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML does not take, also inside quotes."""


@dataclass(slots=True, eq=False)
class Document:
    """A file that was read. `root` is None if nothing could be made of it; then there are problems.

    `templates` are the values with `${` in them, each once.
    """

    file: Path
    root: Node | None = None
    templates: list[Scalar] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def load(file: Path, only: Collection[str] | None = None) -> Document:
    """Read a file into nodes; `only` as for `compose`."""
    try:
        data = _bytes(file)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return Document(file, problems=[Problem(f"cannot read it: {reason[:1].lower()}{reason[1:]}", file)])
    try:
        return compose(data.decode("utf-8-sig"), file, only=only)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        message = f"not UTF-8 text: byte 0x{data[error.start]:02x}; save the file as UTF-8"
        return Document(file, problems=[_problem(message, file, before, len(before))])


def load_plain(file: Path) -> Json:
    """Read a file into plain data, every single value a text or None: what an API is sent that checks it.

    Raises:
        ConfigError: it is no YAML, or there are mistakes that are komodod's own to find, such as equal keys.
    """
    read = load(file)
    if read.root is None or read.problems:
        raise ConfigError(read.problems)
    return plain(read.root)


def _bytes(file: Path) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST // 1024 // 1024} MiB")
    return data


def compose(text: str, file: Path, loader: Any = LOADER, *, only: Collection[str] | None = None) -> Document:
    """Turn the text of a file into nodes; `file` is for the problems.

    With `only`, the root has those of its keys alone, which is three times as fast where the rest is long. What is wrong
    elsewhere may go unnoticed.
    """
    found = _compose(text, file, loader, None if only is None else {*only, "<<"})
    # An anchor may stand in what was passed over.
    return _compose(text, file, loader, None) if only is not None and found.problems else found


def _compose(text: str, file: Path, loader: Any, only: Collection[str] | None) -> Document:
    foreign = _FOREIGN.search(text)
    if foreign:
        message = f"the character U+{ord(foreign[0]):04X} cannot stand in YAML; take it out"
        return Document(file, problems=[_problem(message, file, text, foreign.start())])
    composer = Composer(file, only)
    fatal: list[Problem] = []
    try:
        for event in yaml.parse(text, Loader=loader):
            composer.feed(event)
    except Problem as problem:
        fatal.append(problem)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two: PyYAML's own parser, for wild escapes
        fatal.append(_explain(error, text, file))
    if composer.root is None and not fatal:
        fatal.append(Problem("the file is empty; a configuration is a mapping, such as 'syncs: []'", file, 1, 1))
    root = None if fatal else composer.root
    return Document(file, root, list(composer.templates.values()), composer.problems + fatal)


def _problem(message: str, file: Path, text: str, offset: int) -> Problem:
    lines = re.split(r"\r\n|[\n\r\x85\u2028\u2029]", text[:offset])
    return Problem(message, file, len(lines), len(lines[-1]) + 1)


def _explain(error: Exception, text: str, file: Path) -> Problem:
    """Put the parser's words into one line, and the cure beside them where we know it."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    words = " ".join(str(part) for part in (getattr(error, "problem", None), getattr(error, "context", None)) if part)
    hint = _hint(text, mark.index, words) if mark is not None else None
    message = f"not YAML: {words or error}" + (f"; {hint}" if hint else "")
    return Problem(" ".join(message.split()), file, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)


def _hint(text: str, index: int, words: str) -> str | None:
    line = text[text.rfind("\n", 0, index) + 1 :].partition("\n")[0]
    character = text[index : index + 1]
    if text[index - 1 : index + 1] == "${":
        return 'inside {...} and [...] write "${...}" in quotes'
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces, not tabs"
    if "cannot start" in words:
        return f"put a text that starts with {character!r} in quotes"
    if "mapping values are not allowed" in words:
        return "put a text with ': ' in it in quotes, or mend the indentation"
    return None
