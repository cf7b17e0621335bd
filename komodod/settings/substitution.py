"""Variables in values: `${VAR}`, and `${VAR:-default}` where VAR is unset or empty. `$${` stands for `${` itself.

Keys are left alone, and so is the shape of the document: what a variable holds becomes text, whatever it looks like.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from komodod.settings.nodes import complain, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from komodod.settings.nodes import Problems, Scalar

STATE_DIR: Final = "KOMODOD_STATE_DIR"
"""Always defined in values: the state directory in effect, whatever the environment says of it."""

_TEMPLATE: Final = re.compile(r"(?P<escaped>\$\$\{)|\$\{(?P<body>[^{}]*)(?P<end>\}?)")
_BODY: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


def substitute(templates: Iterable[Scalar], variables: Mapping[str, str], problems: Problems) -> None:
    """Fill in the values, each of which may be given only once; those that cannot be filled in become spoilt."""
    for scalar in templates:
        try:
            text, used = fill(scalar.text, variables)
        except ValueError as error:
            problems.at(scalar, str(error))
            scalar.spoilt = True
        else:
            scalar.text, scalar.variables = text, used


def fill(text: str, variables: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return the text with its variables filled in, and the names of those that had a say.

    Raises:
        ValueError: a variable is not set and has no default, holds what no value may hold, or is misspelt.
    """
    used: dict[str, None] = {}

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "${"
        name, found = _look_up(match, variables)
        used[name] = None
        return found

    return _TEMPLATE.sub(value, text), tuple(used)


def _look_up(match: re.Match[str], variables: Mapping[str, str]) -> tuple[str, str]:
    body = _BODY.fullmatch(match["body"])
    if not match["end"]:
        raise ValueError("'${' without its '}' (a default holds no braces); write '$${' for the characters themselves")
    if body is None:
        raise ValueError(
            f"{shorten(match[0])} is no variable; write ${{NAME}}, ${{NAME:-default}}, or '$${{' for '${{'"
        )
    name, default = body["name"], body["default"]
    found = variables.get(name)
    if default is not None and not found:
        return name, default
    if found is None:
        raise ValueError(f"the variable {name} is not set; set it, or write ${{{name}:-default}}")
    complaint = complain(found)
    if complaint:
        raise ValueError(f"the variable {name} {complaint}")
    return name, found
