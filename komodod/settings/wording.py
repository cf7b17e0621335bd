"""Mistakes in words for people."""

from __future__ import annotations

import difflib
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel

from komodod.redaction import one_line
from komodod.settings.nodes import Node, Scalar, describe, shorten

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pydantic_core import ErrorDetails

_NEEDED: Final = {
    "string_type": "a text",
    "string_sub_type": "a text",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}
"""What is needed, by the type of pydantic's error."""

_SHOWN: Final = frozenset(
    {"int_type", "int_parsing", "int_from_float", "float_type", "float_parsing", "finite_number", "bool_type"}
    | {"bool_parsing", "literal_error", "enum"}
    | {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of"}
)
"""Errors that name the value they are about. A text of no fixed form is not shown: it may be a secret."""

_IS_NEEDED: Final = " is needed, not "


def say(detail: ErrorDetails, node: Node) -> str:
    """Return what pydantic says about the value of a node."""
    kind, message = detail["type"], one_line(detail["msg"], 300)
    shown = shorten(node.text) if kind in _SHOWN and isinstance(node, Scalar) and not node.null else None
    if kind in _NEEDED:
        return f"{_NEEDED[kind]}{_IS_NEEDED}{shown or describe(node)}"
    if kind in {"value_error", "assertion_error"}:  # "Value error, ..."
        return message.partition(", ")[2] or "not valid"
    words = message.replace("Input should", "must").rstrip(".")
    return f"{words[:1].lower()}{words[1:]}{f', not {shown}' if shown else ''}"


def join(messages: Collection[str]) -> str:
    """Return one message for what the branches of a union say."""
    parts = [message.partition(_IS_NEEDED) for message in messages]
    if len({(between, found) for _, between, found in parts}) == 1:
        return " or ".join(needed for needed, _, _ in parts) + parts[0][1] + parts[0][2]
    return "; or ".join(messages)


def blame(error: BaseException) -> str:
    """Return what a plugin raised and where; not its message, which may hold the secret that it stumbled over."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{where}"


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return the complaint about a name that is none of the known ones, with the nearest of them."""
    choices = sorted(known)
    near = difflib.get_close_matches(name[:100], choices, n=1)
    if near:
        return f"unknown {what} {shorten(name)}, did you mean {near[0]!r}?"
    return f"unknown {what} {shorten(name)}" + (f"; known: {shorten_list(choices)}" if choices else "")


def shorten_list(names: list[str]) -> str:
    """Return the names with commas between them, the first twenty of many."""
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def unknown_key(model: type[BaseModel], detail: ErrorDetails) -> str:
    """Return the complaint about a key that the model, or one inside it, does not have."""
    *path, key = detail["loc"]
    return unknown("key", str(key), keys(model, path))


def keys(model: type[BaseModel], path: Iterable[int | str] = ()) -> set[str]:
    """Return the keys that may stand where `path` leads inside the model, as a document spells them."""
    models = [model]
    for step in path:
        below = [
            found
            for candidate in models
            for name, field in candidate.model_fields.items()
            if step in (name, field.alias)
            for found in _models(field.annotation)
        ]
        models = below or models  # an index, a union's tag, a key of a free mapping
    return {field.alias or name for each in models for name, field in each.model_fields.items()}


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models(argument)]
