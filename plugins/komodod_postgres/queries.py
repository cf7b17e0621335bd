"""The SQL of this store, by name.

A `.sql` file holds blocks: `-- name: <name>`, a comment of one line that says what it is for, the statement.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

_HEAD: Final = re.compile(r"^-- name: (?P<name>\w+)\n-- (?P<purpose>.+)\n", re.MULTILINE)


def parse(text: str) -> dict[str, str]:
    """Return the statements of a file by their names.

    Raises:
        ValueError: a name stands twice, or a block has no line that says what it is for.
    """
    heads = list(_HEAD.finditer(text))
    if len(heads) != text.count("-- name:"):
        raise ValueError("a statement lacks its name or the line that says what it is for")
    ends = [head.start() for head in heads[1:]] + [len(text)]
    found = {head["name"]: text[head.end() : end].strip().rstrip(";") for head, end in zip(heads, ends, strict=True)}
    if len(found) != len(heads):
        raise ValueError("a name stands twice")
    return found


def load() -> dict[str, str]:
    """Return all statements of this package."""
    found: dict[str, str] = {}
    for file in sorted(files(__package__).joinpath("sql").iterdir(), key=lambda file: file.name):
        for name, statement in parse(file.read_text(encoding="utf-8")).items():
            if found.setdefault(name, statement) is not statement:
                raise ValueError(f"{file.name}: the name {name!r} stands in another file too")
    return found


SQL: Final = load()
