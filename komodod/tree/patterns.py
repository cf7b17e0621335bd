r"""What is left out of a tree: patterns as in a `.gitignore`.

* `*` stands for any characters but `/`, `?` for one, `[a-z]` for one of these, `[!a-z]` for one of all others; `\` takes
  the special meaning from the character after it.
* A pattern without a `/` (one at its end aside) matches at every level; any other is relative to the root of the tree.
* A `/` at the end: directories only.
* `**/` at the beginning: at every level. `/**` at the end: everything inside. `/**/`: any number of directories between.
* `!` at the beginning takes back what earlier patterns left out. The last pattern that matches decides.
* What is below a directory that is left out is left out, and cannot be taken back.

Not as in a `.gitignore`: `#` begins no comment, spaces at the end count, and there are no classes like `[[:alpha:]]`.
Upper and lower case are different.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator


@dataclass(frozen=True, slots=True)
class _Rule:
    regex: re.Pattern[str]
    directories_only: bool
    keeps: bool

    def matches(self, path: str, *, directory: bool) -> bool:
        return (directory or not self.directories_only) and self.regex.fullmatch(path) is not None


class Patterns:
    """Decides which paths of a tree are left out. Paths are relative, with `/` between names."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._rules = [_compile(pattern) for pattern in patterns]

    def ignores(self, path: str, *, directory: bool) -> bool:
        """Whether this path is left out, its parents aside. For walks that do not enter what is left out."""
        for rule in reversed(self._rules):
            if rule.matches(path, directory=directory):
                return not rule.keeps
        return False

    def covers(self, path: str, *, directory: bool) -> bool:
        """Whether this path is left out, by itself or with a directory above it."""
        slash = path.find("/")
        while slash != -1:
            if self.ignores(path[:slash], directory=True):
                return True
            slash = path.find("/", slash + 1)
        return self.ignores(path, directory=directory)


def _check(pattern: str) -> str:
    _compile(pattern)
    return pattern


Pattern = Annotated[str, AfterValidator(_check)]
"""One pattern in a configuration."""


def _compile(pattern: str) -> _Rule:
    keeps = pattern.startswith("!")
    text = pattern[1:] if keeps else pattern
    directories_only = text.endswith("/")
    text = text[:-1] if directories_only else text
    segments = text.split("/")
    if not any(segments) or "" in segments[1:]:
        raise ValueError(f"the pattern {pattern!r} names nothing")
    try:
        regex = _anchored(segments) if len(segments) > 1 else "(?:.*/)?" + _segment(text)
        return _Rule(re.compile(regex, re.DOTALL), directories_only, keeps)
    except ValueError as error:
        raise ValueError(f"the pattern {pattern!r} {error}") from error


def _anchored(segments: list[str]) -> str:
    if not segments[0]:
        segments = segments[1:]
    *folders, last = segments
    between = "".join("(?:[^/]+/)*" if folder == "**" else _segment(folder) + "/" for folder in folders)
    return between + (".+" if last == "**" else _segment(last))


def _segment(text: str) -> str:
    """Return the regular expression of a pattern for one name.

    What lies between two stars is matched where it occurs first and never again elsewhere (`(?>...)`): that loses no
    match, because the star after it takes what is left, and keeps `*a*a*a*a*b` from taking exponential time.
    """
    pieces = _pieces(text)
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return first
    return first + "".join(f"(?>[^/]*?{piece})" for piece in pieces[1:-1] if piece) + "[^/]*" + last


def _pieces(text: str) -> list[str]:
    """Return the expressions of what stands between the stars."""
    pieces, at = [""], 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*":
            pieces.append("")
        elif char == "?":
            pieces[-1] += "[^/]"
        elif char == "[":
            members, at = _class(text, at)
            pieces[-1] += members
        elif char == "\\":
            if at == len(text):
                raise ValueError("ends in a backslash")
            pieces[-1] += re.escape(text[at])
            at += 1
        else:
            pieces[-1] += re.escape(char)
    return pieces


def _class(text: str, at: int) -> tuple[str, int]:
    """Return the expression of the class whose `[` stands before `at`, and where the text goes on after its `]`."""
    negated = text[at : at + 1] in ("!", "^")
    at += negated
    members: list[str] = []
    while at < len(text) and (text[at] != "]" or not members):
        low, at = _member(text, at)
        if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in ("", "]"):
            high, at = _member(text, at + 1)
            if high < low:
                raise ValueError(f"has a range that goes backwards: {low}-{high}")
            members.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            members.append(re.escape(low))
    if at >= len(text):
        raise ValueError("has a '[' without its ']'")
    return f"(?!/)[{'^' if negated else ''}{''.join(members)}]", at + 1


def _member(text: str, at: int) -> tuple[str, int]:
    if text[at] == "[" and text[at + 1 : at + 2] in (":", ".", "="):
        raise ValueError("has a named class; write its characters")
    if text[at] == "\\" and at + 1 < len(text):
        return text[at + 1], at + 2
    return text[at], at + 1
